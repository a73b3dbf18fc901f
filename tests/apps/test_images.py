"""The gate: what the pixels come out as, for every mode, depth, orientation and colour space."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from apps.images import ImageError, encode_png, find, is_picture, read


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def assert_equal(got: np.ndarray | None, expected: np.ndarray) -> None:
    assert got is not None
    assert np.array_equal(got, expected)


def scene(height: int = 24, width: int = 40) -> np.ndarray:
    """A smooth picture whose four corners differ, so that no turn goes unseen."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / (width - 1), 255 * y / (height - 1)
    return np.dstack((red, green, 255 - red)).round().astype(np.uint8)


def test_a_lossless_file_comes_back_as_it_was(tmp_path: Path) -> None:
    pixels = scene()
    for form in ("PNG", "BMP", "TIFF"):
        data = saved(Image.fromarray(pixels), form)
        path = tmp_path / f"a.{form.lower()}"
        path.write_bytes(data)
        for source in (data, path, str(path), Image.open(path)):
            picture = read(source)
            assert picture.alpha is None
            assert picture.pixels.dtype == np.uint8
            assert np.array_equal(picture.pixels, pixels)
    for form in ("JPEG", "WEBP"):
        close = read(saved(Image.fromarray(pixels), form, quality=95)).pixels.astype(int)
        assert np.abs(close - pixels).mean() < 6


ORACLE = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", ORACLE)
@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_orientation(orientation: int, form: str, tmp_path: Path) -> None:
    """All eight, against numpy; the file holds what the camera saw, `upright` what is meant."""
    stored = scene()
    exif = Image.Exif()
    exif[0x0112] = orientation
    exact: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}}
    exact["JPEG"] = {"quality": 100, "subsampling": 0}
    options = exact.get(form, {})
    data = saved(Image.fromarray(stored), form, exif=exif, **options)
    upright = ORACLE[orientation](stored).astype(int)
    for source in (data, Image.open(io.BytesIO(data))):
        pixels = read(source).pixels
        assert pixels.shape == upright.shape
        assert np.abs(pixels - upright).max() <= (4 if form == "JPEG" else 0)


def test_orientation_turns_alpha_too_and_nonsense_does_not_turn() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = scene()[..., 0]
    image = Image.fromarray(np.dstack((scene(), alpha)))
    assert_equal(read(saved(image, "PNG", exif=exif)).alpha, np.rot90(alpha, -1))
    exif[0x0112] = 99
    assert_equal(read(saved(image, "PNG", exif=exif)).alpha, alpha)
    assert_equal(read(saved(image, "PNG", exif=b"Exif\0\0MM\0*\xff")).alpha, alpha)


RAMP = np.linspace(0, 65535, 256 * 256).round().reshape(256, 256)
BYTES = (RAMP / 257).round().astype(np.uint8)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_16_bit_ramp_does_not_clip(form: str) -> None:
    pixels = read(saved(Image.fromarray(RAMP.astype(np.uint16)), form)).pixels
    assert np.array_equal(pixels, np.dstack([BYTES] * 3))
    assert len(np.unique(pixels)) == 256


def test_big_endian_12_bit_and_white_is_zero() -> None:
    big = Image.frombytes("I;16B", (256, 256), RAMP.astype(">u2").tobytes())
    assert np.array_equal(read(big).pixels[..., 0], BYTES)
    assert np.array_equal(read(saved(big, "TIFF")).pixels[..., 0], BYTES)

    def tiff16(bits: int, photometric: int, body: bytes) -> bytes:
        """A TIFF of two pixels, written by hand."""
        tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: 1}
        tags[279] = len(body)
        body = body.ljust(8, b"\0")
        entries = b"".join(
            tag.to_bytes(2, "little") + b"\3\0\1\0\0\0" + value.to_bytes(4, "little")
            for tag, value in tags.items()
        )
        start = (8 + len(body)).to_bytes(4, "little")
        return b"II*\0" + start + body + len(tags).to_bytes(2, "little") + entries + bytes(4)

    assert read(tiff16(12, 1, b"\xff\xf0\x00")).pixels[0, :, 0].tolist() == [255, 0]
    assert read(tiff16(16, 0, b"\xff\xff\x00\x00")).pixels[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 255, 51]], np.int32), [0, 255, 51]),
        (np.array([[0, 65535, 257 * 51]], np.int32), [0, 255, 51]),
        (np.array([[-100, 155, -49]], np.int32), [0, 255, 51]),
        (np.array([[0, 2**31 - 1, 2**30]], np.int32), [0, 255, 128]),
        (np.array([[0, 1, 0.2]], np.float32), [0, 255, 51]),
        (np.array([[0, 255, 51]], np.float32), [0, 255, 51]),
        (np.array([[-1, 1, 0]], np.float32), [0, 255, 128]),
        (np.array([[-3e38, 3e38, 0]], np.float32), [0, 255, 128]),
        (np.array([[np.nan, np.inf, -np.inf]], np.float32), [0, 255, 0]),
        (np.full((1, 3), -7, np.float32), [0, 0, 0]),
    ],
)
def test_32_bits_are_scaled_by_their_true_range(values: np.ndarray, expected: list[int]) -> None:
    for source in (Image.fromarray(values), saved(Image.fromarray(values), "TIFF")):
        assert read(source).pixels[0, :, 1].tolist() == expected


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff(compression: str) -> None:
    data = saved(Image.fromarray(scene()), "TIFF", compression=compression)
    assert np.array_equal(read(data).pixels, scene())


def test_big_tiff_and_many_pages() -> None:
    first, second = Image.fromarray(scene()), Image.new("RGB", (9, 9))
    assert np.array_equal(read(saved(first, "TIFF", big_tiff=True)).pixels, scene())
    pages = saved(first, "TIFF", save_all=True, append_images=[second])
    assert np.array_equal(read(pages).pixels, scene())


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_the_first_frame_of_an_animation(form: str) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue", "lime")]
    data = saved(frames[0], form, save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(read(data).pixels, np.asarray(frames[0]))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_kept_and_composited_on_white(form: str) -> None:
    colours = np.array([[[255, 0, 0, 0], [255, 0, 0, 255], [0, 0, 0, 128]]], np.uint8)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    picture = read(saved(Image.fromarray(colours), form, **options))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 255, 128]]
    assert picture.pixels.tolist() == [[[255, 255, 255], [255, 0, 0], [127, 127, 127]]]


def test_transparent_palette_grey_and_colour_key() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    for data in (saved(palette, "PNG", transparency=0), saved(palette, "PNG", transparency=b"\0")):
        picture = read(data)
        assert picture.alpha is not None
        assert picture.alpha.tolist() == [[0, 255]]
        assert picture.pixels.tolist() == [[[255, 255, 255], [200, 100, 50]]]
    grey = read(saved(Image.new("LA", (1, 1), (0, 64)), "PNG"))
    assert grey.alpha is not None
    assert (grey.alpha.item(), grey.pixels.max()) == (64, 191)
    keyed = read(saved(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG", transparency=(1, 2, 3)))
    assert keyed.alpha is not None
    assert keyed.alpha.item() == 0


def test_alpha_round_trip() -> None:
    alpha = scene()[..., 1]
    back = read(encode_png(scene(), alpha))
    assert_equal(back.alpha, alpha)
    opaque = alpha == 255
    assert np.array_equal(back.pixels[opaque], scene()[opaque])
    with Image.open(io.BytesIO(encode_png(scene(), alpha))) as image:
        assert np.array_equal(np.asarray(image), np.dstack((scene(), alpha)))


@pytest.mark.parametrize(
    ("pixels", "alpha"),
    [
        (np.zeros((2, 2, 3)), None),
        (np.zeros((2, 2), np.uint8), None),
        (np.zeros((0, 2, 3), np.uint8), None),
        (np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2), np.uint8)),
        (np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3))),
    ],
)
def test_encoding_refuses_other_shapes(pixels: np.ndarray, alpha: np.ndarray | None) -> None:
    with pytest.raises(ImageError, match=r"expected uint8"):
        encode_png(pixels, alpha)


def chunks(png: bytes) -> set[bytes]:
    found, pos = set(), 8
    while pos < len(png):
        found.add(png[pos + 4 : pos + 8])
        pos += 12 + int.from_bytes(png[pos : pos + 4], "big")
    return found


def test_no_metadata_is_carried_over() -> None:
    exif, text = Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x010E] = "a secret place"
    text.add_text("Comment", "a secret place")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(scene())
    data = saved(image, "PNG", exif=exif, pnginfo=text, icc_profile=profile, dpi=(300, 300))
    assert chunks(data) >= {b"eXIf", b"tEXt", b"iCCP", b"pHYs"}
    written = encode_png(read(data).pixels)
    assert chunks(written) == {b"IHDR", b"IDAT", b"IEND"}


def swapped_profile() -> bytes:
    """sRGB with the columns of red and blue changed about: a profile whose effect cannot hide."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_colour_profile_is_applied(form: str) -> None:
    options = {"quality": 100} if form == "JPEG" else {"lossless": True}
    image = Image.new("RGB", (8, 8), (250, 20, 10))
    data = saved(image, form, icc_profile=swapped_profile(), **options)
    for source in (data, Image.open(io.BytesIO(data))):
        assert np.abs(read(source).pixels.astype(int) - (10, 20, 250)).max() <= 4


def test_a_profile_that_does_not_serve_is_ignored() -> None:
    image = Image.fromarray(scene())
    cut = swapped_profile()[:200]
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (b"nonsense", cut, lab):
        for form in ("PNG", "TIFF"):
            assert np.array_equal(read(saved(image, form, icc_profile=profile)).pixels, scene())
    grey = read(saved(image.convert("L"), "PNG", icc_profile=swapped_profile())).pixels
    assert np.abs(grey.astype(int) - np.asarray(image.convert("L"))[..., None]).max() <= 2


def test_lab_is_read_as_lab() -> None:
    # What Pillow calls LAB is of D50; eight bits a channel are coarse there.
    lab = Image.new("LAB", (4, 4), (136, 208, 195))  # red
    to_lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(Image.fromarray(scene()), srgb, to_lab, outputMode="LAB")
    assert converted is not None
    assert np.abs(read(lab).pixels[0, 0].astype(int) - (255, 0, 0)).max() <= 12
    for source in (converted, saved(converted, "TIFF")):
        assert np.abs(read(source).pixels.astype(int) - scene()).mean() < 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays(dtype: type) -> None:
    full = np.iinfo(dtype).max
    array: np.ndarray = (scene() // 51).astype(dtype) * (full // 5)
    expected = scene() // 51 * 51
    assert np.array_equal(read(array).pixels, expected)
    assert np.array_equal(read(array[..., 0]).pixels, np.dstack([expected[..., 0]] * 3))
    assert np.array_equal(read(array[..., :1]).pixels, np.dstack([expected[..., 0]] * 3))
    assert np.array_equal(read(array[::-1, ::2]).pixels, expected[::-1, ::2])
    alpha = np.full_like(array[..., 0], full)
    picture = read(np.dstack((array, alpha)))
    assert np.array_equal(picture.pixels, expected)
    assert picture.alpha is not None
    assert (picture.alpha == 255).all()


def test_an_array_is_not_shared() -> None:
    array = scene()
    read(array).pixels[:] = 0
    assert np.array_equal(array, scene())


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4)),
        np.zeros((4, 4), bool),
        np.zeros((4, 4), np.int64),
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0), np.uint16),
        np.broadcast_to(np.uint8(0), (10_000, 10_000)),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ImageError):
        read(array)


def test_what_is_named_like_a_picture() -> None:
    for name in ("a.jpg", "a.JPEG", "x/y.png", "a.b.webp", "a.tif", "a.TIFF", "a.bmp"):
        assert is_picture(name)
    for name in ("a.txt", "jpg", ".jpg", "a.gif", "a.eps", "a.svg", "a.png.zip", ""):
        assert not is_picture(name)


def test_find(tmp_path: Path) -> None:
    for name in (
        "b.jpg",
        "a.png",
        "sub/c.WEBP",
        "sub/out/d.png",
        "notes.txt",
        "odd.dat",
        "x.jpg/e.bmp",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def names(*paths: str, exclude: Path | None = None) -> list[str]:
        listed = find([tmp_path / path for path in paths], exclude=exclude)
        return [path.relative_to(tmp_path).as_posix() for path in listed]

    everything = ["a.png", "b.jpg", "sub/c.WEBP", "sub/out/d.png", "x.jpg/e.bmp"]
    assert names(".") == everything
    assert names(".", exclude=tmp_path / "sub" / ".." / "sub" / "out") == [
        name for name in everything if "out" not in name
    ]
    assert names("odd.dat", "b.jpg") == ["odd.dat", "b.jpg"]  # given by name, so wanted
    assert names("b.jpg", ".", "sub") == ["b.jpg", "a.png", *everything[2:]]
    with pytest.raises(ImageError, match="nowhere"):
        names("nowhere")
