"""Picture measures: PSNR, SSIM and the normal error, whole or within a mask."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.errors import InputError, ShapeError

__all__ = ["mean_ssim", "normal_l2", "psnr", "ssim", "ssim_map"]

PSNR_CAP_DB = 100.0


def _check(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ShapeError("predicted image", a.shape, tuple(b.shape))
    if a.numel() == 0 or not bool(torch.isfinite(a).all() and torch.isfinite(b).all()):
        raise InputError("A picture to be measured is empty or holds NaN or infinite values.")


def psnr(
    predicted: Float[Tensor, "height width 3"], truth: Float[Tensor, "height width 3"], mask: Bool[Tensor, "height width"] | None = None
) -> float:
    """Peak signal-to-noise ratio [dB] of images in [0, 1] (peak 1, the same as peak 255 of 8-bit values); NaN for an empty mask.

    Raises :class:`ShapeError` for different sizes and :class:`InputError` for NaN. Equal images would be infinitely good; they score 100 dB, so that means stay finite.

    Example:
        >>> import torch
        >>> grey = torch.full((8, 8, 3), 0.5)
        >>> round(psnr(grey, grey + 0.1), 2), psnr(grey, grey)
        (20.0, 100.0)
    """
    _check(predicted, truth)
    error = (predicted.double() - truth.double()).square()
    error = error.mean() if mask is None else error[mask].mean()
    mse = float(error)
    return PSNR_CAP_DB if mse <= 10 ** (-PSNR_CAP_DB / 10) else -10 * math.log10(mse)


def _blur(x: np.ndarray) -> np.ndarray:
    """Gaussian window of Wang et al. 2004 over the last two axes: 11 × 11, sigma 1.5, normalised; borders mirrored."""
    from scipy.ndimage import correlate1d

    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()
    return correlate1d(correlate1d(x, window, axis=-1, mode="mirror"), window, axis=-2, mode="mirror")


def ssim_map(predicted: Float[Tensor, "height width 3"], truth: Float[Tensor, "height width 3"]) -> Float[Tensor, "height width"]:
    """Local structural similarity of images in [0, 1], at least 11 × 11 px, mean over channels (Wang et al. 2004; K = 0.01, 0.03)."""
    _check(predicted, truth)
    if min(truth.shape[:2]) < 11:
        raise InputError(f"SSIM needs pictures of at least 11 px a side, got {tuple(truth.shape[:2])}.")
    a, b = (x.detach().cpu().double().permute(2, 0, 1).contiguous().numpy() for x in (predicted, truth))
    mu_a, mu_b = _blur(a), _blur(b)
    var_a, var_b, cov = _blur(a * a) - mu_a**2, _blur(b * b) - mu_b**2, _blur(a * b) - mu_a * mu_b
    c1, c2 = 0.01**2, 0.03**2
    local = ((2 * mu_a * mu_b + c1) * (2 * cov + c2)) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
    return torch.from_numpy(local.mean(0)).to(truth.device)


def mean_ssim(local: Float[Tensor, "height width"], mask: Bool[Tensor, "height width"] | None = None) -> float:
    """Mean of :func:`ssim_map` over the mask's pixels (NaN if it is empty); without a mask over all but 5 px at the border."""
    return float(local[5:-5, 5:-5].mean() if mask is None else local[mask].mean())


def ssim(
    predicted: Float[Tensor, "height width 3"], truth: Float[Tensor, "height width 3"], mask: Bool[Tensor, "height width"] | None = None
) -> float:
    """Structural similarity of images in [0, 1], at least 11 × 11 px (Wang et al. 2004; K = 0.01, 0.03), mean over channels and pixels.

    With a mask the local values are averaged over the mask's pixels only (NaN if it is empty); without one, 5 px at the border are left out.
    """
    return mean_ssim(ssim_map(predicted, truth), mask)


def normal_l2(
    predicted: Float[Tensor, "height width 3"], truth: Float[Tensor, "height width 3"], mask: Bool[Tensor, "height width"] | None = None
) -> float:
    """Mean per-pixel squared length of the difference of two normal maps as colours, ``(n + 1) / 2``; NaN for an empty mask.

    Normals are unit vectors, zero on the background, so opposite normals score 1 and a pixel covered by one surface only 0.25. The paper leaves
    the encoding and the background open; this is our reading.
    """
    _check(predicted, truth)
    error = 0.25 * (predicted.double() - truth.double()).square().sum(-1)
    return float(error.mean() if mask is None else error[mask].mean())
