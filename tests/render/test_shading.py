"""Shaded pictures: where light, shadow, colour and background must be."""

import numpy as np
import pytest
import torch
from render_shapes import box, sphere

from huddle3d.errors import InputError, ShapeError
from huddle3d.geometry import Camera, canonical_cameras, look_at
from huddle3d.render import Light, RenderMesh, ShadeConfig, clay, contact_sheet, orbit_cameras, rasterize, shade, to_uint8, turntable
from huddle3d.render._colour import linear_from_srgb, srgb_from_linear
from huddle3d.render._surface import _averaged
from huddle3d.render._visibility import ShadowMaps, sphere_directions

QUICK = {"supersample": 1, "ambient_directions": 12, "shadow_size": 256}


def view(size: int = 64) -> Camera:
    """From the front and somewhat above."""
    return Camera.perspective(size * 1.3, size, size, look_at(torch.tensor([0.0, 1.2, 2.6]), torch.tensor([0.0, 0.4, 0.0])))


def ball(height: float = 0.6) -> RenderMesh:
    v, f = sphere(3, 0.3)
    return RenderMesh(v + torch.tensor([0.0, height, 0.0]), f)


def test_colour_round_trip():
    c = torch.linspace(0, 1, 101)[:, None].expand(-1, 3)
    assert torch.allclose(srgb_from_linear(linear_from_srgb(c)), c, atol=1e-6)
    assert float(linear_from_srgb(torch.full((1, 3), 0.5))[0, 0]) == pytest.approx(0.21404, abs=1e-4)


def test_light_comes_from_where_it_is_said_to():
    for direction, bright, dark in (((1.0, 0, 0), 40, 23), ((-1.0, 0, 0), 23, 40)):
        lights = (Light(direction, frame="camera"),)
        image = shade([ball(0.4)], view(), ShadeConfig(lights=lights, ambient=0.1, **QUICK)).mean(-1)
        assert image[32, bright] > image[32, dark] + 0.2
    top = shade([ball(0.4)], view(), ShadeConfig(lights=(Light((0, 1, 0)),), ambient=0.1, **QUICK)).mean(-1)
    assert top[24, 32] > top[40, 32] + 0.2


@pytest.mark.parametrize("albedo", [None, (0.6, 0.6, 0.6)])
def test_shadow_falls_away_from_the_light_and_nowhere_else(albedo):
    """Light from the left: the shadow of a floating ball lies on the ground to the right of it."""
    camera = view(96)
    sun = Light((-1.0, 1.0, 0.0), shadow=True)
    config = ShadeConfig(lights=(sun,), ground=0.0, ground_albedo=albedo, background=((0.8, 0.8, 0.8), (0.8, 0.8, 0.8)), **QUICK)
    lit, shadowed = (shade([ball()], camera, c) for c in (ShadeConfig(**{**vars(config), "lights": (Light(sun.direction),)}), config))
    change = (lit - shadowed).mean(-1)
    hidden = rasterize(ball().vertices, ball().faces, camera).face_id[0] >= 0
    spot, _ = camera.project(torch.tensor([[0.6, 0.0, 0.0]]))
    x, y = (int(c) for c in spot[0])
    assert change[y, x] > 0.1
    dark = (change > 0.02) & ~hidden
    v, u = dark.nonzero(as_tuple=True)
    assert (u.float().mean() - x).abs() < 4 and (v.float().mean() - y).abs() < 4
    assert change.min() > -1e-5


def test_untouched_pixels_are_the_background():
    camera = view(48)
    background = torch.rand(48, 48, 3, generator=torch.Generator().manual_seed(0))
    image = shade([ball(0.4)], camera, ShadeConfig(supersample=2, ambient_directions=8), background=background)
    free = rasterize(ball(0.4).vertices, ball(0.4).faces, camera.resized(96, 96)).face_id[0].reshape(48, 2, 48, 2).amax((1, 3)) < 0
    assert free.any() and (image[free] - background[free]).abs().max() < 1e-5
    assert (image[~free] - background[~free]).abs().mean() > 0.05
    assert torch.allclose(shade([], camera, ShadeConfig(**QUICK), background=background), background, atol=1e-5)
    with pytest.raises(ShapeError):
        shade([], camera, background=background[:20])


def test_textures_vertex_colours_and_albedo_of_one_scene():
    v, f = box((-0.2, -0.2, -0.2), (0.2, 0.2, 0.2))
    uv = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]]).repeat(6, 1)
    meshes = [
        RenderMesh(v + torch.tensor([-0.6, 0, 0]), f, albedo=(1.0, 0, 0)),
        RenderMesh(v, f, colours=torch.tensor([0.0, 1, 0]).expand(len(v), 3)),
        RenderMesh(v + torch.tensor([0.6, 0, 0]), f, uv=uv, faces_uv=f, texture=torch.tensor([0.0, 0, 1]).expand(64, 64, 3)),
    ]
    image = shade(meshes, canonical_cameras(60)[0], ShadeConfig(**QUICK))
    for x, channel in ((12, 0), (30, 1), (48, 2)):
        pixel = image[30, x]
        assert pixel.argmax() == channel and pixel[channel] > 0.4 and pixel.sum() - pixel[channel] < 0.5


def test_ambient_light_does_not_reach_where_it_is_blocked():
    """The inside of a closed box is dark; the top of its lid sees the whole upper sky."""
    v, f = box((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5))
    directions = sphere_directions(60)
    maps = ShadowMaps.render(v, f, directions, 128)
    white = torch.full((60, 3), 4 / 60)
    inside = maps.gather(torch.zeros(1, 3), torch.tensor([[0.0, 1, 0]]), directions, white)
    lid = maps.gather(torch.tensor([[0.0, 0.5, 0]]), torch.tensor([[0.0, 1, 0]]), directions, white)
    assert inside.max() < 0.02 and torch.allclose(lid, torch.ones(1, 3), atol=0.03)


def test_shadow_kernels_equal_their_twins(monkeypatch):
    v, f = sphere(3, 0.5)
    directions = sphere_directions(9)
    maps = ShadowMaps.render(v, f, directions, 64)
    g = torch.Generator().manual_seed(0)
    points, normals = torch.rand(500, 3, generator=g) * 2 - 1, torch.nn.functional.normalize(torch.randn(500, 3, generator=g), dim=-1)
    colours = torch.rand(9, 3, generator=g)
    out = []
    for backend in ("warp", "torch"):
        monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
        out.append((maps.lit(2, points, normals, softness=0.05, taps=8), maps.gather(points, normals, directions, colours)))
    # a lookup may fall on the other side of a texel border: few, and never in the mean
    for a, b in zip(*out):
        assert ((a - b).abs() > 1e-4).float().mean() < 0.01 and (a - b).abs().mean() < 1e-3
    assert 0.2 < out[0][0].mean() < 0.99


def test_turntable_turns_and_frames_fit():
    v, f = box((-0.1, 0.0, 0.1), (0.1, 0.8, 0.3))  # off centre, so that it is asymmetric
    left = RenderMesh(v + torch.tensor([-0.4, 0, 0]), f, albedo=(0.9, 0.1, 0.1))
    right = RenderMesh(v + torch.tensor([0.4, 0, 0]), f, albedo=(0.1, 0.1, 0.9))
    frames = list(turntable([left, right], frames=2, width=64, height=48, config=ShadeConfig(**QUICK)))
    assert len(frames) == 2 and frames[0].shape == (48, 64, 3) and frames[0].dtype == np.uint8
    redness = [frame[..., 0].astype(int) - frame[..., 2] for frame in frames]
    assert redness[0][:, :32].sum() > redness[0][:, 32:].sum() + 1000  # from the front the red box is on the left, from the back on the right
    assert redness[1][:, :32].sum() < redness[1][:, 32:].sum() - 1000
    uv, z = orbit_cameras(torch.cat([left.vertices, right.vertices]), [0, 77, 200], 64, 48).project(torch.cat([left.vertices, right.vertices]))
    assert (uv > 0).all() and (uv[..., 0] < 64).all() and (uv[..., 1] < 48).all() and (z > 0).all()
    with pytest.raises(InputError):
        next(turntable([]))


def test_same_bytes_twice_and_clay_sheet():
    camera = view(40)
    assert torch.equal(shade([ball()], camera), shade([ball()], camera))
    v, f = sphere(3)
    cameras = canonical_cameras(33)
    normals = clay(v, f, cameras, style="normals", supersample=1)
    assert torch.allclose(normals[0, 16, 16], torch.tensor([0.5, 0.5, 1.0]), atol=0.05)
    grey = clay(v, f, cameras)
    assert grey.shape == (6, 33, 33, 3) and (grey[:, 0, 0] == 1).all() and (grey[:, 16, 16].std(0) < 0.01).all()
    sheet = contact_sheet(torch.cat([grey, normals[:1]]), columns=4)
    assert sheet.shape == (66, 132, 3) and torch.equal(sheet[33:, :33], grey[4]) and (sheet[33:, 99:] == 1).all()
    assert to_uint8(sheet).max() == 255


def test_bad_settings_are_named():
    with pytest.raises(InputError):
        ShadeConfig(supersample=0)
    with pytest.raises(InputError):
        RenderMesh(torch.zeros(3, 3), torch.zeros(1, 3, dtype=torch.int64), texture=torch.zeros(2, 2, 3))
    with pytest.raises(ShapeError):
        shade([ball()], canonical_cameras(8))


def test_clay_lies_over_a_picture():
    v, f = sphere(3)
    camera = orbit_cameras(v, [0], 40, 32)
    picture = torch.rand(32, 40, 3, generator=torch.Generator().manual_seed(3))
    plain, over, half = (clay(v, f, camera, **o)[0] for o in ({}, {"background": picture}, {"background": picture, "opacity": 0.5}))
    outside = rasterize(v, f, camera.resized(80, 64)).face_id[0].reshape(32, 2, 40, 2).amax((1, 3)) < 0
    inside = rasterize(v, f, camera.resized(80, 64)).face_id[0].reshape(32, 2, 40, 2).amin((1, 3)) >= 0
    assert outside.sum() > 100 and inside.sum() > 100
    assert torch.equal(over[outside], picture[outside]) and torch.equal(half[outside], picture[outside])
    assert torch.allclose(over[inside], plain[inside]) and torch.allclose(half[inside], (plain + picture)[inside] / 2, atol=1e-6)


@pytest.mark.parametrize(("size", "step"), [((64, 96), 1), ((64, 96), 2), ((64, 96), 8), ((30, 45), 4)])
def test_averaged_textures_are_pooled_to_the_bit_and_leave_the_texture_alone(size, step):
    texture = torch.randint(0, 256, (*size, 3), generator=torch.Generator().manual_seed(0)).float() / 255
    before = texture.clone()
    pooled = torch.nn.functional.avg_pool2d(texture.permute(2, 0, 1)[None], step, ceil_mode=True)[0].permute(1, 2, 0)
    made = _averaged(texture, step)
    assert torch.equal(made, pooled)
    made.zero_()
    assert torch.equal(texture, before)
