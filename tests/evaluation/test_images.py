"""PSNR, SSIM and normal error against hand values and scikit-image."""

import math

import pytest
import torch

from huddle3d.errors import InputError, ShapeError
from huddle3d.evaluation import normal_l2, psnr, ssim


def test_psnr_of_a_constant_offset_is_known():
    a = torch.full((8, 8, 3), 0.5)
    assert psnr(a + 0.1, a) == pytest.approx(20.0, abs=1e-4)  # -10 log10(0.01)
    assert psnr(a, a) == 100.0


def test_psnr_and_ssim_equal_scikit_image(rng):
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    a = torch.rand(40, 50, 3, generator=rng)
    b = (a + 0.1 * torch.randn(40, 50, 3, generator=rng)).clamp(0, 1)
    assert psnr(b, a) == pytest.approx(peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=1.0), rel=1e-5)
    peer = structural_similarity(
        a.double().numpy(), b.double().numpy(), channel_axis=-1, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    # scikit-image also crops 5 px and uses an 11 px window (truncate 3.5); the only difference is rounding.
    assert ssim(b, a) == pytest.approx(peer, abs=1e-6)


def test_masked_measures_see_only_the_mask(rng):
    a = torch.rand(30, 30, 3, generator=rng)
    b = a.clone()
    b[20:, 20:] = 0
    mask = torch.zeros(30, 30, dtype=torch.bool)
    mask[:10, :10] = True
    assert psnr(b, a, mask) == 100.0
    assert ssim(b, a, mask) == pytest.approx(1.0)
    assert psnr(b, a) < 30
    assert math.isnan(psnr(b, a, torch.zeros_like(mask)))


def test_normal_error_of_opposite_and_missing_normals():
    z = torch.zeros(2, 2, 3)
    n = z.clone()
    n[..., 2] = 1
    assert normal_l2(n, -n) == pytest.approx(1.0)
    assert normal_l2(n, z) == pytest.approx(0.25)
    half = n.clone()
    half[0] = -n[0]
    assert normal_l2(half, n) == pytest.approx(0.5)


def test_different_sizes_are_refused():
    with pytest.raises(ShapeError):
        psnr(torch.zeros(2, 2, 3), torch.zeros(3, 2, 3))


def test_nan_and_empty_pictures_are_refused():
    good = torch.rand(12, 12, 3)
    for bad in (good * torch.nan, good / 0 * 0):
        for measure in (psnr, ssim, normal_l2):
            with pytest.raises(InputError):
                measure(bad, good)
    with pytest.raises(InputError):
        psnr(torch.zeros(0, 4, 3), torch.zeros(0, 4, 3))
    with pytest.raises(InputError):
        ssim(torch.zeros(10, 40, 3), torch.zeros(10, 40, 3))


def test_normal_error_equals_numpy(rng):
    a, b = (torch.nn.functional.normalize(torch.randn(20, 30, 3, generator=rng), dim=-1) for _ in range(2))
    colours = [(n.double().numpy() + 1) / 2 for n in (a, b)]
    assert normal_l2(a, b) == pytest.approx(((colours[0] - colours[1]) ** 2).sum(-1).mean(), rel=1e-6)


def test_mirrored_pictures_score_the_same(rng):
    a, b = (torch.rand(24, 30, 3, generator=rng) for _ in range(2))
    for measure in (psnr, ssim, normal_l2):
        assert measure(a.flip(1), b.flip(1)) == pytest.approx(measure(a, b), rel=1e-9)
