"""Pixels of every Pillow mode, depth and colour space, brought to upright 8-bit sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms

_UPRIGHT = {  # EXIF orientation -> what turns the stored picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_srgb(
    image: Image.Image, *, orientation: int = 1, icc: bytes | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Bring any image to sRGB composited on white, and its alpha if it has one.

    Shapes: uint8 `(H, W, 3)` and uint8 `(H, W)` or None, upright by the EXIF `orientation`.
    The profile `icc` is applied where it can be; one that is broken or of another colour space is
    ignored. Raises what Pillow raises.

    Example:
        >>> pixels, alpha = to_srgb(Image.new("LA", (3, 2), (0, 128)))
        >>> pixels[0, 0].tolist(), alpha[0, 0].tolist()
        ([127, 127, 127], 128)
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _deep_to_grey(image)
    alpha = None
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data or image.mode == "RGBa":
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    rgb = _colours(image, icc)
    if alpha is not None:
        white = Image.new("RGB", image.size, "white")
        white.paste(rgb, mask=alpha)
        rgb = white
    turn = _UPRIGHT.get(orientation)
    if turn is not None:
        rgb = rgb.transpose(turn)
        alpha = alpha and alpha.transpose(turn)
    return np.array(rgb), None if alpha is None else np.array(alpha)


def to_bytes(values: np.ndarray, top: int) -> np.ndarray:
    """Scale unsigned integers of at most 16 bits from `[0, top]` to uint8 `[0, 255]`, rounded.

    Example:
        >>> to_bytes(np.array([0, 32896, 65535], np.uint16), 65535)
        array([  0, 128, 255], dtype=uint8)
    """
    steps = np.arange(65536, dtype=np.float32) * np.float32(255 / top)
    return np.rint(np.minimum(steps, 255)).astype(np.uint8)[values]


def _deep_to_grey(image: Image.Image) -> Image.Image:
    """16- and 32-bit grey to 8 bits, by the range that the values truly have.

    What a file declares (12 or 16 bits) counts. 32-bit integers and floats declare nothing, so
    theirs is the smallest of [0, 1] (floats), [0, 255], [0, 65535] and [min, max] that holds them.
    """
    tags = getattr(image, "tag_v2", {})
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        bits = tags.get(258, (16,))[0]
        grey = to_bytes(values, 2**bits - 1)
    else:
        if image.mode == "I" and tags and tags.get(339, (1,))[0] == 1:
            values = values.view(np.uint32)  # unsigned in the file; Pillow knows only signed
        grey = _stretch(values)
    if tags.get(262) == 0:  # white is zero, which Pillow heeds up to 8 bits only
        grey = 255 - grey
    return Image.fromarray(grey)


def _stretch(values: np.ndarray) -> np.ndarray:
    scaled = values.astype(np.float64)
    finite = np.isfinite(scaled)
    low = float(scaled.min(where=finite, initial=np.inf)) if finite.any() else 0.0
    high = float(scaled.max(where=finite, initial=-np.inf)) if finite.any() else 0.0
    tops = (1, 255, 65535) if values.dtype.kind == "f" else (255, 65535)
    if low >= 0 and high <= tops[-1]:
        low, high = 0.0, next(top for top in tops if high <= top)
    np.nan_to_num(scaled, copy=False, nan=low, posinf=high, neginf=low)
    scaled -= low
    scaled *= 255 / ((high - low) or 1)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def _colours(image: Image.Image, icc: bytes | None) -> Image.Image:
    """The colours as sRGB, mode RGB, alpha dropped."""
    if image.mode == "LAB":
        return _transform(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if image.mode not in ("L", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if icc:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            space = profile.profile.xcolor_space.strip()
            if space == "RGB" and image.mode == "L":
                image = image.convert("RGB")
            if space == {"L": "GRAY"}.get(image.mode, image.mode):
                return _transform(image, profile)
        except (OSError, ImageCms.PyCMSError):
            pass  # a broken profile says nothing; the picture is shown as it stands
    return image.convert("RGB")


def _transform(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    srgb = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
    assert converted is not None  # None is for conversion in place
    return converted
