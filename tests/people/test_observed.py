"""Normals and depth that perception gives, on their way into the canonical frame."""

import torch

from huddle3d.geometry import Camera, look_at, rotation_y, similarity
from huddle3d.people._partial import observed_surface
from huddle3d.scene import People2D


def people(normals, depth):
    H, W = 6, 8
    return People2D(
        ("person_0",), torch.tensor([[0.0, 0, W, H]]), torch.ones(1), torch.zeros(1, 75, 3), torch.zeros(1, 75, 4), torch.ones(1, H, W, dtype=torch.bool),
        "test", normals=normals, depth=depth,
    )  # fmt: skip


def test_what_faces_the_camera_faces_it_in_the_canonical_frame() -> None:
    H, W = 6, 8
    eye, middle = torch.tensor([1.0, 2.2, 3.0]), torch.tensor([0.0, 1.0, 0.0])
    camera = Camera.perspective(700.0, W, H, look_at(eye, middle))
    T = similarity(0.7, rotation_y(torch.tensor(0.4)), torch.tensor([0.1, -0.6, 0.0]))
    normals = torch.zeros(H, W, 3)
    normals[..., 2] = 1.0  # towards the camera
    normals[0] = torch.tensor([0.0, 1.0, 0.0])  # up in the picture
    normals[5] = 0.0  # unknown
    depth = torch.full((H, W), 3.0)
    depth[4, 0] = torch.nan
    seen = observed_surface(people(normals, depth), camera, T)
    assert seen is not None
    turn = rotation_y(torch.tensor(0.4))
    towards = turn @ torch.nn.functional.normalize(eye - middle, dim=0)
    torch.testing.assert_close(seen.normals[2, 3], towards, atol=1e-5, rtol=0)
    up = seen.normals[0, 0]
    assert abs(float(up @ towards)) < 1e-5 and float(up[1]) > 0.8, "across the line of sight, and upwards in the world"
    assert seen.valid[1:4].all() and not seen.valid[5].any() and not seen.valid[4, 0] and torch.isfinite(seen.depth).all()


def test_one_of_the_two_is_not_enough() -> None:
    camera = Camera.perspective(700.0, 8, 6)
    assert observed_surface(people(torch.zeros(6, 8, 3), None), camera, torch.eye(4)) is None
    assert observed_surface(people(None, torch.ones(6, 8)), camera, torch.eye(4)) is None
