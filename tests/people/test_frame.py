"""The canonical frame and the windows around people."""

from __future__ import annotations

import math

import pytest
import torch

from huddle3d.geometry import Camera, apply, apply_direction, canonical_cameras, look_at, scale_of
from huddle3d.people._frame import camera_in_frame, canonical_frame, person_crops


def camera_at(azimuth_deg: float, height: float = 1.5) -> Camera:
    a = math.radians(azimuth_deg)
    eye = torch.tensor([4 * math.sin(a), height, 4 * math.cos(a)])
    return Camera.perspective(500.0, 400, 300, look_at(eye, torch.tensor([0.0, 1.0, 0.0])))


@pytest.mark.parametrize("azimuth", [0.0, 30.0, -120.0, 180.0])
def test_view_zero_has_the_azimuth_of_the_input_camera(azimuth: float, rng: torch.Generator) -> None:
    points = torch.rand(2, 50, 3, generator=rng)
    camera = camera_at(azimuth)
    T = canonical_frame(points, camera, padding=0.1)
    forward = apply_direction(T, camera.T_world_cam[:3, 2])
    assert abs(float(forward[0])) < 1e-5 and float(forward[2]) < 0
    # gravity stays: no tilt
    torch.testing.assert_close(apply_direction(T, torch.tensor([0.0, 1, 0])), torch.tensor([0.0, 1, 0]))


@pytest.mark.parametrize("shape", [(1.0, 1.8, 0.5), (6.0, 1.8, 0.5), (2.0, 1.8, 2.0)])
def test_the_group_fits_into_all_six_views(shape: tuple[float, float, float], rng: torch.Generator) -> None:
    points = (torch.rand(3, 200, 3, generator=rng) + torch.tensor([5.0, 0.0, -2.0])) * torch.tensor(shape)
    T = canonical_frame(points, camera_at(10.0), padding=0.1)
    canonical = apply(T, points)
    assert canonical.abs().max() <= 1
    uv, depth = canonical_cameras(100).project(canonical.reshape(1, -1, 3).expand(6, -1, 3))
    assert (uv > 0).all() and (uv < 100).all() and (depth > 0).all()


def test_a_camera_that_looks_straight_down_gives_a_finite_frame(rng: torch.Generator) -> None:
    camera = Camera.perspective(500.0, 400, 300, look_at(torch.tensor([0.0, 5, 0]), torch.tensor([0.0, 0, 0])))
    assert torch.isfinite(canonical_frame(torch.rand(1, 20, 3, generator=rng), camera, padding=0.1)).all()


def test_the_folded_camera_sees_canonical_points_where_the_photo_shows_them(rng: torch.Generator) -> None:
    points, camera = torch.rand(2, 40, 3, generator=rng), camera_at(25.0)
    T = canonical_frame(points, camera, padding=0.1)
    uv, depth = camera.project(points[0])
    uv2, depth2 = camera_in_frame(camera, T).project(apply(T, points[0]))
    torch.testing.assert_close(uv2, uv, rtol=0, atol=1e-2)
    torch.testing.assert_close(depth2, depth, rtol=1e-5, atol=1e-5)  # metric, not canonical
    assert float(scale_of(T)) != pytest.approx(1.0, abs=1e-3)


def test_a_window_is_a_plain_crop_and_scaling(rng: torch.Generator) -> None:
    camera = camera_at(0.0)
    people = torch.rand(2, 30, 3, generator=rng) + torch.tensor([[[-1.0, 0, 0]], [[1.0, 0, 0]]])
    crops, windows = person_crops(camera, people, 64)
    for k, (x0, y0, side) in enumerate(windows):
        uv, _ = camera.project(people[k])
        here, _ = crops[k].project(people[k])
        torch.testing.assert_close(here, (uv - torch.tensor([x0, y0])) * (64 / side), rtol=1e-4, atol=1e-2)
        assert (here > 0).all() and (here < 64).all()
