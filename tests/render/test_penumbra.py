"""Lights that are seen under an angle: penumbras as wide as geometry says; a broad light of known strength; scenes lit anew."""

import math

import pytest
import torch
from render_shapes import box, sphere

from huddle3d.errors import InputError, ShapeError
from huddle3d.geometry import Camera, look_at
from huddle3d.render import Light, LitScene, RenderMesh, ShadeConfig, depth_buffer, rasterize, shade
from huddle3d.render._sky import SkyView
from huddle3d.render._surface import merge
from huddle3d.render._visibility import ShadowMaps

CAMERA = Camera.perspective(60, 48, 48, look_at(torch.tensor([0.0, 1.2, 2.6]), torch.tensor([0.0, 0.4, 0.0])))


@pytest.mark.parametrize("backend", ["warp", "torch"])
def test_penumbras_grow_with_the_distance(backend, monkeypatch):
    """Under a vertical light a plate at height h throws a shadow whose edge is 2 h tan(size / 2) wide."""
    monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
    size = 12.0
    x = torch.linspace(-0.6, 1.2, 721)
    ground = torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], -1)
    up = torch.tensor([0.0, 1, 0]).expand_as(ground)
    for height in (0.3, 0.9):
        v, f = box((-1.0, height, -1.0), (0.3, height + 0.02, 1.0))
        maps = ShadowMaps.render(v, f, torch.tensor([[0.0, 1.0, 0.0]]), 1024)
        lit = maps.lit(0, ground, up, taps=64, size_deg=size, turn=torch.zeros(len(x)))
        # the lit share of a round light behind a straight edge rises from 10 % to 90 % over 0.69 of the penumbra
        rise = float(x[lit > 0.9].min() - x[lit < 0.1].max())
        assert rise == pytest.approx(0.69 * 2 * height * math.tan(math.radians(size / 2)), rel=0.2)
        assert float(x[(lit - 0.5).abs().argmin()]) == pytest.approx(0.3, abs=0.02)
    assert float(lit[0]) == 0 and float(lit[-1]) == 1


def test_a_surface_that_faces_a_broad_light_gets_its_strength():
    v, f = sphere(3, 0.5)
    config = ShadeConfig(glow=Light((1.0, 0.3, 0.0), (0.9, 0.5, 0.1), 2.0), ambient=0.0, ambient_directions=200)
    sky = SkyView.of(merge([RenderMesh(v, f)]), config.ambient_directions)
    light = sky.vertices @ sky.colours(config)
    towards = torch.nn.functional.normalize(torch.tensor([1.0, 0.3, 0.0]), dim=0)
    facing, averted = (v @ towards).argmax(), (v @ towards).argmin()
    assert torch.allclose(light[facing], torch.tensor([1.8, 1.0, 0.2]), rtol=0.06)
    assert float(light[averted].max()) < 0.01


def test_a_scene_lit_anew_equals_one_prepared_for_that_light():
    v, f = sphere(3, 0.3)
    meshes = [RenderMesh(v + torch.tensor([0.0, 0.5, 0.0]), f, albedo=(0.7, 0.4, 0.3))]
    one = ShadeConfig(ambient_directions=12, ground=0.0)
    two = ShadeConfig(lights=(Light((0.5, 1, 0.3), shadow=True, size_deg=4.0),), sky=(0.4, 0.5, 0.9), ambient_directions=12, ground=0.0)
    scene = LitScene.prepare(meshes, one)
    first = scene.render(CAMERA)
    assert torch.equal(scene.relit(two).render(CAMERA), shade(meshes, CAMERA, two))
    assert torch.equal(scene.relit(one).render(CAMERA), first)
    dull = scene.relit(one, specular=0.0).render(CAMERA)
    assert float((first - dull).max()) > 0.01 and float((first - dull).min()) > -1e-4
    with pytest.raises(InputError):
        scene.relit(ShadeConfig(ambient_directions=13))
    with pytest.raises(ShapeError):
        RenderMesh(v, f, specular=torch.ones(3))


def test_pictures_equal_those_of_the_twins(monkeypatch):
    v, f = box((-0.2, 0.0, -0.2), (0.2, 0.4, 0.2))
    uv = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]]).repeat(6, 1)
    texture = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(0))
    ball, faces = sphere(3, 0.25)
    meshes = [
        RenderMesh(v + torch.tensor([-0.4, 0, 0]), f, uv=uv, faces_uv=f, texture=texture, specular=torch.rand(len(v))),
        RenderMesh(ball + torch.tensor([0.3, 0.6, 0.1]), faces, albedo=(0.2, 0.7, 0.4)),
    ]
    key = Light((-0.6, 0.8, 0.5), (1.0, 0.9, 0.8), shadow=True, size_deg=8.0)
    soft = Light((0.6, 0.8, 0.5), (0.3, 0.3, 0.4), shadow=True, softness=0.05)
    config = ShadeConfig(lights=(key, soft), glow=Light((0.3, 0.2, 1.0)), ambient_directions=16, ground=0.0)
    for camera in (CAMERA, Camera.orthographic(0.9, 48, 48, CAMERA.T_cam_world)):
        for opaque in (None, (0.6, 0.5, 0.4)):
            settings = ShadeConfig(**{**vars(config), "ground_albedo": opaque})
            monkeypatch.setenv("HUDDLE3D_KERNELS", "warp")
            fast = shade(meshes, camera, settings)
            monkeypatch.setenv("HUDDLE3D_KERNELS", "torch")
            slow = shade(meshes, camera, settings)
            assert float((fast - slow).abs().mean()) < 1e-3
            assert float(((fast - slow).abs() > 0.02).float().mean()) < 0.01  # depth lookups on the border of a texel


def test_depth_buffer_is_the_rasters_depth(monkeypatch):
    v, f = sphere(3, 0.5)
    for backend in ("warp", "torch"):
        monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
        depth, raster = depth_buffer(v, f, CAMERA), rasterize(v, f, CAMERA)
        assert torch.equal(torch.isfinite(depth), raster.face_id >= 0)
        assert torch.equal(depth[torch.isfinite(depth)], raster.depth[raster.face_id >= 0])
