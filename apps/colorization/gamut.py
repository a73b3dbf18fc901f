"""CIE Lab to 8-bit sRGB at a fixed lightness: what does not fit gives up chroma, never lightness.

Clipping an unreachable colour channel by channel changes how bright it is, and turns wild
predictions into blobs. Here the chroma is scaled towards grey, hue and lightness kept, until the
colour exists in sRGB.
"""

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float32 throughout; OpenCV's own types know no dtype
Bytes = NDArray[Any]  # uint8

# Linear sRGB to XYZ (D65): OpenCV's constants, so that its Lab and ours are one space.
_XYZ_OF_RGB = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_WHITE = _XYZ_OF_RGB.sum(1)
_TOE = 6 / 29  # below it, the cube root of CIE Lab is replaced by its tangent

_LIGHTNESS_STEPS = 200  # of the table of greatest chroma, over 0..100
_HUE_STEPS = 720  # over the full turn
_LEAST, _MOST = -1e-5, 1.0045  # linear light taken for 0 and 1: a rounding error, half a level
_BAND = 1 << 16  # pixels worked on at once: what stays in the cache


def to_rgb(lightness: Floats, chroma: Floats) -> Bytes:
    """Colours the lightness with the chroma, in 8-bit sRGB.

    `ab` becomes `s·ab` with the greatest `s ≤ 1` for which `(L, s·a, s·b)` lies in the sRGB gamut;
    the result is rounded to 8 bit. Its L* is that of the input within 0.3, and zero chroma gives
    r = g = b exactly.

    Args:
        lightness: L* in [0, 100] (values outside are clipped), shape `(H, W)`.
        chroma: ab in CIE Lab units, any magnitude, shape `(H, W, 2)`.

    Returns:
        sRGB, shape `(H, W, 3)`.

    Raises:
        ValueError: if the shapes do not belong together.

    Example:
        >>> to_rgb(np.full((1, 1), 50, np.float32), np.zeros((1, 1, 2), np.float32)).tolist()
        [[[119, 119, 119]]]
        >>> to_rgb(np.full((1, 1), 50, np.float32), np.float32([[[500, 0]]])).tolist()
        [[[231, 0, 122]]]
    """
    if lightness.ndim != 2 or chroma.shape != (*lightness.shape, 2):
        raise ValueError(
            f"got lightness {lightness.shape} and chroma {chroma.shape}, expected (H, W) and "
            "(H, W, 2): bring the chroma to the size of the lightness first (JointUpsampler)"
        )
    pixels = np.empty((*lightness.shape, 3), np.uint8)
    step = max(1, _BAND // max(1, lightness.shape[1]))
    for top in range(0, len(lightness), step):
        band = slice(top, top + step)
        pixels[band] = _band_to_rgb(lightness[band], chroma[band])
    return pixels


def _band_to_rgb(lightness: Floats, chroma: Floats) -> Bytes:
    a, b = (np.ascontiguousarray(chroma[..., i], np.float32) for i in range(2))
    lightness = np.clip(lightness, 0, 100, dtype=np.float32)
    size, hue = cv2.cartToPolar(a, b)
    limit = cv2.remap(
        _greatest_chroma(),
        hue * np.float32(_HUE_STEPS / (2 * np.pi)),
        lightness * np.float32(_LIGHTNESS_STEPS / 100),
        cv2.INTER_LINEAR,
    )
    scale = _at_most(1, limit / (size + np.float32(1e-6)))
    linear = cv2.merge(_linear_rgb(lightness, a * scale, b * scale))
    steps = cv2.addWeighted(linear, 65535, linear, 0, 0, dtype=cv2.CV_16U)  # rounds and clips
    return cv2.LUT(steps, _companding())


def _linear_rgb(lightness: Floats, a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """Linear RGB, each `(H, W)`: luminance plus what chroma adds, so that grey stays grey."""
    y = (lightness + np.float32(16)) * np.float32(1 / 116)
    luminance = _cube(y)
    from_x = _cube(y + a * np.float32(1 / 500)) - luminance
    from_z = _cube(y - b * np.float32(1 / 200)) - luminance
    rgb_of_xyz = (np.linalg.inv(_XYZ_OF_RGB) * _WHITE).astype(np.float32)
    red, green, blue = (luminance + row[0] * from_x + row[2] * from_z for row in rgb_of_xyz)
    return red, green, blue


def _cube(f: Floats) -> Floats:
    """f³ above the toe, its tangent below: inverse of the `f` of CIE Lab."""
    below = _at_most(_TOE, f)
    above = f - below + np.float32(_TOE)
    return above * above * above + np.float32(3 * _TOE**2) * (below - np.float32(_TOE))


def _at_most(bound: float, x: Floats) -> Floats:
    return cv2.threshold(x, bound, 0, cv2.THRESH_TRUNC)[1]  # four times as fast as np.minimum


@cache
def _greatest_chroma() -> Floats:
    """Greatest chroma in the gamut over lightness (rows) and hue (columns), by bisection."""
    lightness = np.linspace(0, 100, _LIGHTNESS_STEPS + 1, dtype=np.float32)[:, None]
    hue = np.linspace(0, 2 * np.pi, _HUE_STEPS + 1, dtype=np.float32)[None]
    lightness, hue = np.broadcast_arrays(lightness, hue)
    low, high = np.zeros_like(hue), np.full_like(hue, 150)
    for _ in range(16):
        middle = (low + high) / 2
        rgb = _linear_rgb(lightness, middle * np.cos(hue), middle * np.sin(hue))
        fits = np.logical_and.reduce([(c > _LEAST) & (c < _MOST) for c in rgb])
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return low


@cache
def _companding() -> Bytes:
    """sRGB transfer curve, 16-bit linear light to 8 bit."""
    linear = np.linspace(0, 1, 65536)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * curve).astype(np.uint8)
