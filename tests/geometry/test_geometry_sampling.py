"""The sampler: pixel centres at one half, straight lines between them, and no half-pixel shift anywhere."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from huddle3d.errors import ShapeError
from huddle3d.geometry import Camera, sample_image

DOUBLE = torch.float64


def ramp(height: int, width: int) -> torch.Tensor:
    """An image whose channels are its own pixel centres (u, v)."""
    return Camera.perspective(1.0, width, height, dtype=DOUBLE).pixel_centres()


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_pixel_centres_give_the_pixels(mode: str) -> None:
    image = torch.rand(5, 7, 4, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    torch.testing.assert_close(sample_image(image, ramp(5, 7), mode=mode), image)  # type: ignore[arg-type]


@given(st.floats(0.5, 6.5), st.floats(0.5, 4.5))
@settings(max_examples=60, deadline=None)
def test_a_ramp_is_reproduced_everywhere(u: float, v: float) -> None:
    uv = torch.tensor([u, v], dtype=DOUBLE)
    torch.testing.assert_close(sample_image(ramp(5, 7), uv), uv)


def test_between_two_pixels() -> None:
    image = torch.tensor([[[0.0], [10.0]]])
    at = torch.tensor([[0.5, 0.5], [1.0, 0.5], [1.25, 0.5], [1.5, 0.5]])
    assert sample_image(image, at)[:, 0].tolist() == pytest.approx([0, 5, 7.5, 10])
    assert sample_image(image, torch.tensor([[0.99, 0.5], [1.01, 0.5]]), mode="nearest")[:, 0].tolist() == [0, 10]


def test_outside() -> None:
    image = torch.ones(3, 4, 1)
    at = torch.tensor([[-0.01, 1], [4.0, 1], [2, -0.01], [2, 3.0], [0.0, 0.0], [3.99, 2.99]])
    assert sample_image(image, at)[:, 0].tolist() == [1] * 6
    assert sample_image(image, at, outside="zero")[:, 0].tolist() == [0, 0, 0, 0, 1, 1]


def test_shapes_and_errors() -> None:
    image = torch.zeros(3, 4, 2)
    assert sample_image(image, torch.zeros(2)).shape == (2,)
    assert sample_image(image, torch.zeros(5, 6, 2)).shape == (5, 6, 2)
    assert sample_image(image, torch.zeros(0, 2)).shape == (0, 2)
    with pytest.raises(ShapeError, match="image"):
        sample_image(torch.zeros(3, 4), torch.zeros(2))
    with pytest.raises(ShapeError, match="uv"):
        sample_image(image, torch.zeros(5, 3))


def test_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(4, 5, 2, generator=generator, dtype=DOUBLE, requires_grad=True)
    uv = (torch.rand(6, 2, generator=generator, dtype=DOUBLE) * 3 + 0.6).requires_grad_()
    assert torch.autograd.gradcheck(lambda i, p: sample_image(i, p), (image, uv))


def test_one_pixel_image() -> None:
    image = torch.full((1, 1, 3), 0.25)
    assert sample_image(image, torch.tensor([[0.5, 0.5], [0.1, 0.9]])).unique().tolist() == [0.25]


def test_large_images_keep_their_precision() -> None:
    """Single precision normalised coordinates cost at most a few thousandths of a pixel at 4096 px."""
    image = ramp(4, 4096).float()
    u = torch.arange(100, 4000, 37.7)
    uv = torch.stack([u, torch.full_like(u, 2.0)], -1)
    assert (sample_image(image, uv)[:, 0] - u).abs().max() < 5e-3
