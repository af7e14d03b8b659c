"""Cameras: projection and back, image operations that keep rays, and where left, right, front and back are."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from huddle3d.errors import InputError, ShapeError
from huddle3d.geometry import AZIMUTHS_DEG, Camera, apply, canonical_cameras, look_at, se3, so3_exp

DOUBLE = torch.float64


def camera(kind: str, batch: tuple[int, ...] = ()) -> Camera:
    generator = torch.Generator().manual_seed(3)
    R = so3_exp(0.4 * torch.randn(*batch, 3, generator=generator, dtype=DOUBLE))
    T = se3(R, torch.tensor([0.1, -0.2, 4.0], dtype=DOUBLE) + 0.1 * torch.randn(*batch, 3, generator=generator, dtype=DOUBLE))
    K = torch.tensor([[300.0, 2.0, 155.0], [0, 310.0, 118.0], [0, 0, 1]], dtype=DOUBLE)  # skew and unequal focal lengths on purpose
    return Camera(kind, K.expand(*batch, 3, 3), T, 320, 240)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["perspective", "orthographic"])
@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_project_and_unproject_are_inverse(kind: str, batch: tuple[int, ...]) -> None:
    c = camera(kind, batch)
    p = torch.randn(*batch, 20, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    uv, depth = c.project(p)
    assert uv.shape == (*batch, 20, 2) and depth.shape == (*batch, 20) and (depth > 0).all()
    torch.testing.assert_close(c.unproject(uv, depth), p)
    torch.testing.assert_close(depth, apply(c.T_cam_world, p)[..., 2])


@given(st.floats(0, 320), st.floats(0, 240), st.floats(0.01, 1000), st.sampled_from(["perspective", "orthographic"]))
@settings(max_examples=60, deadline=None)
def test_every_pixel_at_every_depth(u: float, v: float, depth: float, kind: str) -> None:
    c = camera(kind)
    uv, z = c.project(c.unproject(torch.tensor([[u, v]], dtype=DOUBLE), torch.tensor([depth], dtype=DOUBLE)))
    assert z.item() == pytest.approx(depth, rel=1e-9)
    # The world point is known to 1e-16 of its distance; a centimetre away a pixel magnifies that by f / z.
    torch.testing.assert_close(uv, torch.tensor([[u, v]], dtype=DOUBLE), atol=1e-8, rtol=1e-9)


def test_projection_by_hand() -> None:
    c = Camera.perspective(100.0, 64, 48)
    uv, depth = c.project(torch.tensor([[0.0, 0, 2], [1, 0, 2], [0, 1, 2]]))
    assert uv.tolist() == [[32, 24], [82, 24], [32, 74]] and depth.tolist() == [2, 2, 2]  # x right, y down
    c = Camera.orthographic(2.0, 64, 48)
    uv, _ = c.project(torch.tensor([[0.0, 0, 2], [2, 0, 9], [0, 2, -5]]))
    assert uv.tolist() == [[32, 24], [56, 24], [32, 48]]  # the shorter side spans ±2: 12 px per unit, at any depth


def test_points_behind_do_not_divide_by_zero() -> None:
    p = torch.tensor([[0.1, 0.1, 0.0], [0.1, 0.1, -1.0]], requires_grad=True)
    uv, depth = Camera.perspective(100.0, 64, 48).project(p)
    uv.sum().backward()
    assert uv.isfinite().all() and p.grad.isfinite().all() and depth.tolist() == [0, -1]


@pytest.mark.parametrize("kind", ["perspective", "orthographic"])
def test_projection_gradients(kind: str) -> None:
    c = camera(kind)
    p = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE).requires_grad_()
    assert torch.autograd.gradcheck(c.project, p)
    assert torch.autograd.gradcheck(lambda T: Camera("perspective", c.K, T, 8, 8).project(p.detach())[0], c.T_cam_world.clone().requires_grad_())


@pytest.mark.parametrize("kind", ["perspective", "orthographic"])
def test_crop_and_resize_keep_the_rays(kind: str) -> None:
    c = camera(kind, (2,))
    p = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    uv, _ = c.project(p)
    cropped = c.cropped(30, -20, 100, 90)
    torch.testing.assert_close(cropped.project(p)[0], uv - torch.tensor([30.0, -20], dtype=DOUBLE))
    assert (cropped.width, cropped.height) == (100, 90)
    small = c.resized(160, 80)
    torch.testing.assert_close(small.project(p)[0], uv * torch.tensor([0.5, 1 / 3], dtype=DOUBLE))
    torch.testing.assert_close(c.resized(640, 480).resized(320, 240).K, c.K)
    # whole pixels map to whole pixels: corners of the image stay corners
    corner = c.resized(640, 480).project(c.unproject(torch.tensor([320.0, 240.0], dtype=DOUBLE).expand(2, 1, 2), torch.ones(2, 1, dtype=DOUBLE)))[0]
    torch.testing.assert_close(corner, torch.tensor([640.0, 480], dtype=DOUBLE).expand(2, 1, 2))


def test_resizing_an_image_and_its_camera_agree() -> None:
    """The half-pixel convention: averaging 2 × 2 blocks halves K without a shift."""
    c = camera("perspective")
    half = c.resized(160, 120)
    centres = c.pixel_centres()
    blocks = centres.reshape(120, 2, 160, 2, 2).mean((1, 3))
    torch.testing.assert_close(blocks / 2, half.pixel_centres())
    rays = c.unproject(blocks.reshape(-1, 2), torch.ones(160 * 120, dtype=DOUBLE))
    torch.testing.assert_close(half.project(rays)[0], half.pixel_centres().reshape(-1, 2))


def test_pixel_centres() -> None:
    centres = Camera.perspective(1.0, 3, 2).pixel_centres()
    assert centres.shape == (2, 3, 2) and centres[0, 0].tolist() == [0.5, 0.5] and centres[1, 2].tolist() == [2.5, 1.5]


def test_look_at() -> None:
    T = look_at(torch.tensor([0.0, 1.0, 5.0]), torch.tensor([0.0, 1.0, 0.0]))
    c = Camera("perspective", Camera.perspective(100.0, 64, 64).K, T, 64, 64)
    uv, depth = c.project(torch.tensor([[0.0, 1, 0], [1, 1, 0], [0, 2, 0]]))
    assert depth.tolist() == [5, 5, 5]
    torch.testing.assert_close(uv, torch.tensor([[32.0, 32], [52, 32], [32, 12]]))  # +x is right, +y is up in the image
    torch.testing.assert_close(c.centre, torch.tensor([0.0, 1, 5]))
    assert torch.linalg.det(T[:3, :3]).item() == pytest.approx(1)


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_looking_along_up_is_defined(direction: float) -> None:
    T = look_at(torch.tensor([0.0, 3 * direction, 0.0]), torch.zeros(3))
    assert torch.linalg.det(T[:3, :3]).item() == pytest.approx(1)
    torch.testing.assert_close(apply(T, torch.zeros(3)), torch.tensor([0.0, 0, 3]), atol=1e-6, rtol=0)


def test_look_at_in_batches() -> None:
    eyes = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    T = look_at(eyes, torch.zeros_like(eyes), torch.tensor([0.0, 0, 1], dtype=DOUBLE).expand_as(eyes))
    torch.testing.assert_close(apply(T, torch.zeros(4, 5, 1, 3, dtype=DOUBLE))[..., 0, 2], eyes.norm(dim=-1))


# An asymmetric marker: a red tip towards +x (the subject's left), a green one up, a blue nose towards the front camera.
_LEFT, _UP, _NOSE = ([0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.5])


@pytest.mark.parametrize(
    ("azimuth", "left", "nose"),  # sideways offset in the image, and nearer than the centre (+1), farther (−1) or level (0)
    [
        (0, (+1, 0), (0, +1)),  # front view: the subject's left is on the image's right, the nose points at us
        (90, (0, +1), (-1, 0)),  # from the subject's left: the left tip points at us, the nose to the image's left
        (180, (-1, 0), (0, -1)),  # from behind
        (270, (0, -1), (+1, 0)),  # from the subject's right
        (45, (+1, +1), (-1, +1)),
        (315, (+1, -1), (+1, +1)),
    ],
)
def test_canonical_views_of_an_asymmetric_marker(azimuth: int, left: tuple[int, int], nose: tuple[int, int]) -> None:
    index = AZIMUTHS_DEG.index(azimuth)
    c = canonical_cameras(200)[index]
    uv, depth = c.project(torch.tensor([[0.0, 0, 0], _LEFT, _UP, _NOSE]))
    torch.testing.assert_close(uv[0], torch.tensor([100.0, 100.0]))
    assert depth[0].item() == pytest.approx(3.0)
    torch.testing.assert_close(uv[2], torch.tensor([100.0, 50.0]))  # up is up in all views
    for tip, (sideways, nearer) in ((1, left), (3, nose)):
        length = 50 * (math.sqrt(0.5) if sideways and nearer else 1.0)
        assert uv[tip, 0].item() - 100 == pytest.approx(sideways * length, abs=1e-3)
        assert (depth[0] - depth[tip]).item() == pytest.approx(nearer * length / 100, abs=1e-5)
        assert uv[tip, 1].item() == pytest.approx(100, abs=1e-3)


def test_canonical_camera_positions() -> None:
    c = canonical_cameras(64, distance=3.0)
    assert c.batch_shape == (6,) and not c.is_perspective
    for centre, azimuth in zip(c.centre, AZIMUTHS_DEG, strict=True):
        a = math.radians(azimuth)
        torch.testing.assert_close(centre, torch.tensor([3 * math.sin(a), 0, 3 * math.cos(a)]), atol=1e-6, rtol=0)
    # the unit cube fills the image
    uv, _ = c[0].project(torch.tensor([[-1.0, 1, 0], [1, -1, 0]]))
    torch.testing.assert_close(uv, torch.tensor([[0.0, 0], [64, 64]]))
    raised = canonical_cameras(64, elevation_deg=30.0)
    assert raised.centre[:, 1].tolist() == pytest.approx([1.5] * 6, abs=1e-6)


def test_batches() -> None:
    c = camera("perspective", (2, 3))
    assert (
        c[0].batch_shape == (3,)
        and c[1][2].batch_shape == ()
        and c.batched().batch_shape == (6,)
        and camera("perspective").batched().batch_shape == (1,)
    )
    torch.testing.assert_close(c.batched()[4].T_cam_world, c[1][1].T_cam_world)
    assert c.to(torch.float32).K.dtype == torch.float32
    shared = torch.zeros(7, 3, dtype=DOUBLE)
    assert c.batched().project(shared)[0].shape == (6, 7, 2)  # the same points in all cameras


@pytest.mark.parametrize("focal", [0.0, -5.0, math.nan, math.inf])
def test_impossible_focal_lengths(focal: float) -> None:
    with pytest.raises(InputError, match="focal"):
        Camera.perspective(focal, 64, 48)


def test_impossible_cameras() -> None:
    with pytest.raises(ShapeError):
        Camera("perspective", torch.eye(4), torch.eye(4), 8, 8)
    with pytest.raises(ShapeError):
        Camera("perspective", torch.eye(3).expand(2, 3, 3), torch.eye(4), 8, 8)
    with pytest.raises(InputError):
        Camera("fisheye", torch.eye(3), torch.eye(4), 8, 8)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        Camera("perspective", torch.eye(3), torch.eye(4), 0, 8)
    for extent in (0.0, -1.0, math.nan):
        with pytest.raises(InputError):
            Camera.orthographic(extent, 8, 8)
