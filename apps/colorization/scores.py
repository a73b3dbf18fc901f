"""What is measured of a set of colourings; every score is one number a picture.

Chroma is `(B, n, 2, H, W)` for n answers and `(B, 2, H, W)` for the truth, in ab/128; lightness
`(B, H, W)` in [0, 100] is always the truth's, as the product copies it.
"""

import math
from collections.abc import Mapping

import cv2
import torch
from torch import Tensor

from cvae.metrics import best_of, energy_score, pairwise_distance, rank_of

KS = (1, 2, 4, 8, 16)
SHOWN = 8  # answers that the product shows, and that all but best-of-k is measured on
LAB = 128.0  # network units to Lab units
BAND = 0.1  # share of the pixels, those of the steepest lightness, that count as edges


def primary(sets: Mapping[int, Tensor], truth: Tensor) -> dict[str, Tensor]:
    """The two scores that temperatures are chosen by, `energy` and `mae8`."""
    x = sets[SHOWN]
    return {"energy": energy_score(x, truth), "mae8": _best(absolute_errors(x, truth), SHOWN)}


def score(sets: Mapping[int, Tensor], truth: Tensor, lightness: Tensor) -> dict[str, Tensor]:
    """All scores of a batch, `(B,)` each.

    Args:
        sets: for every k of `KS`, the answers that a method gives where it is asked for k; a
            method that has fewer than k gives all it has.
    """
    scores = {"energy": energy_score(sets[SHOWN], truth)}
    for k in KS:
        scores[f"mae{k}"] = _best(absolute_errors(sets[k], truth), k)
        squares = (sets[k] - truth[:, None]).square().mean((2, 3, 4))
        scores[f"psnr{k}"] = psnr(_best(squares, k), peak=2.0)
    return scores | _of_shown(sets[SHOWN], truth, lightness)


def _of_shown(x: Tensor, truth: Tensor, lightness: Tensor) -> dict[str, Tensor]:
    rgb, rgb_truth = to_rgb(lightness[:, None], x), to_rgb(lightness, truth)
    squares = (rgb - rgb_truth[:, None]).square().mean((2, 3, 4))
    differences = delta_e_2000(x * LAB, truth[:, None] * LAB).mean((2, 3))
    best = absolute_errors(x, truth).argmin(1)
    chosen = x[torch.arange(len(x), device=x.device), best]
    colours, colours_truth = colourfulness(rgb), colourfulness(rgb_truth)
    return {
        "rgb8": psnr(squares.amin(1), peak=1.0),
        "de8": differences.amin(1),
        "bleed": edge_error(chosen, truth, lightness),
        "cf": (colours - colours_truth[:, None]).abs().mean(1),
        "cf_mean": colours.mean(1) - colours_truth,
        "pixel8": (x - truth[:, None]).abs().amin(1).mean((1, 2, 3)),
        **spread(x),
        **ranks(x, truth, colours, colours_truth),
    }


def ranks(x: Tensor, truth: Tensor, colours: Tensor, colours_truth: Tensor) -> dict[str, Tensor]:
    """Where the truth lies among its n answers, 0 to n: in mean a, mean b and colourfulness."""
    lot = torch.Generator(x.device).manual_seed(0)
    means = rank_of(truth.mean((2, 3)), x.mean((3, 4)), generator=lot).float()
    colourful = rank_of(colours_truth, colours, generator=lot).float()
    return {"rank_a": means[:, 0], "rank_b": means[:, 1], "rank_cf": colourful}


def absolute_errors(x: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error of every answer as a whole, `(B, n)`."""
    return (x - truth[:, None]).abs().mean((2, 3, 4))


def psnr(mean_square: Tensor, *, peak: float) -> Tensor:
    """Peak signal to noise, dB; ab/128 spans 2, RGB spans 1. No error at all counts as 100 dB.

    Example:
        >>> psnr(torch.tensor([0.01, 0.0]), peak=1.0)
        tensor([ 20., 100.])
    """
    return -10 * torch.log10((mean_square / peak**2).clamp_min(1e-10))


def spread(x: Tensor) -> dict[str, Tensor]:
    """How far answers `(B, n, 2, H, W)` lie apart; all 0 where there is one.

    `var`: variance a pixel and channel; `pair_mae` and `pair_de` (CIE 1976): mean over the pairs.
    """
    if x.shape[1] == 1:
        zero = x.new_zeros(len(x))
        return {"var": zero, "pair_mae": zero, "pair_de": zero}
    return {
        "var": x.var(1).mean((1, 2, 3)),
        "pair_mae": pairwise_distance(x),
        "pair_de": pairwise_distance(x, delta_e_1976),
    }


def delta_e_1976(a: Tensor, b: Tensor) -> Tensor:
    """Mean CIE 1976 difference at equal lightness, `(B, n, 2, H, W)` twice -> `(B, n)`."""
    return LAB * (a - b).norm(dim=2).mean((2, 3))


def edge_error(x: Tensor, truth: Tensor, lightness: Tensor) -> Tensor:
    """ΔE (CIE 1976) of x `(B, 2, H, W)` where lightness is steepest, `(B,)`: bleeding."""
    down, right = torch.gradient(lightness, dim=(1, 2))
    steepness = (down.square() + right.square()).flatten(1)
    count = max(1, round(BAND * steepness.shape[1]))
    edges = steepness.topk(count, dim=1).indices
    error = LAB * (x - truth).norm(dim=1).flatten(1)
    return error.gather(1, edges).mean(1)


def delta_e_2000(ab1: Tensor, ab2: Tensor) -> Tensor:
    r"""CIEDE2000 of two colours of the same lightness; ab on dimension -3, Lab units.

    Sharma, Wu & Dalal (2005), with $\Delta L' = 0$: the lightness then drops out altogether.

    Example:
        >>> delta_e_2000(torch.zeros(2, 1, 1), torch.tensor([[[3.0]], [[4.0]]]))
        tensor([[5.3022]])
    """
    a1, b1 = ab1.unbind(-3)
    a2, b2 = ab2.unbind(-3)
    mean = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * _saturation(mean)
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = torch.atan2(b1, a1), torch.atan2(b2, a2)
    turn = torch.remainder(h2 - h1 + math.pi, 2 * math.pi) - math.pi  # the shorter way round
    chroma, product = (c1 + c2) / 2, c1 * c2
    hue = torch.where(product > 0, h1 + turn / 2, h1 + h2)
    t = (
        1
        - 0.17 * torch.cos(hue - math.pi / 6)
        + 0.24 * torch.cos(2 * hue)
        + 0.32 * torch.cos(3 * hue + math.pi / 30)
        - 0.20 * torch.cos(4 * hue - math.radians(63))
    )
    delta_c = (c2 - c1) / (1 + 0.045 * chroma)
    delta_h = 2 * product.sqrt() * torch.sin(turn / 2) / (1 + 0.015 * chroma * t)
    degrees = torch.remainder(torch.rad2deg(hue), 360)
    tilt = torch.deg2rad(60 * torch.exp(-(((degrees - 275) / 25).square())))
    rotation = -2 * _saturation(chroma) * torch.sin(tilt)
    squares = delta_c.square() + delta_h.square() + rotation * delta_c * delta_h
    return squares.clamp_min(0).sqrt()


def _saturation(chroma: Tensor) -> Tensor:
    seventh = chroma.pow(7)
    return (seventh / (seventh + 25.0**7)).sqrt()


def to_rgb(lightness: Tensor, chroma: Tensor) -> Tensor:
    """sRGB in [0, 1], `(..., 3, H, W)`, of lightness `(..., H, W)` and chroma `(..., 2, H, W)`."""
    lead = chroma.shape[:-3]
    planes = torch.cat([lightness.expand(*lead, -1, -1).unsqueeze(-3), chroma * LAB], -3)
    tall = planes.movedim(-3, -1).reshape(-1, chroma.shape[-1], 3).float().cpu()
    linear = torch.from_numpy(cv2.cvtColor(tall.numpy(), cv2.COLOR_Lab2LRGB)).clamp(0, 1)
    # OpenCV's own companding is a coarse table
    bent = 1.055 * linear.clamp_min(0.0031308).pow(1 / 2.4) - 0.055
    rgb = torch.where(linear > 0.0031308, bent, 12.92 * linear)
    return rgb.reshape(*lead, *chroma.shape[-2:], 3).movedim(-1, -3).to(chroma.device)


def colourfulness(rgb: Tensor) -> Tensor:
    """Hasler & Süsstrunk (2003) of sRGB `(..., 3, H, W)` in [0, 1], in their units of 8 bit."""
    r, g, b = (255 * rgb).unbind(-3)
    rg, yb = (r - g).flatten(-2), (0.5 * (r + g) - b).flatten(-2)
    deviation = torch.hypot(rg.std(-1, correction=0), yb.std(-1, correction=0))
    return deviation + 0.3 * torch.hypot(rg.mean(-1), yb.mean(-1))


def _best(errors: Tensor, k: int) -> Tensor:
    return best_of(errors, min(k, errors.shape[1]))
