"""Photographs of a prepared scene: truth of parts and contacts, kernels against their twins, lights and lenses on cases with known answers."""

import dataclasses
import math

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.contact import MeshQuery
from huddle3d.errors import InputError
from huddle3d.geometry import Camera
from huddle3d.render import rasterize
from huddle3d.scene import Bodies, BodyParams, PersonMesh
from huddle3d.synthesis import Shot, SyntheticScene, photographs, prepare_scene, render_scene, sample_spec, sample_style, view_cameras, write_sample
from huddle3d.synthesis.noise import cell_tone, fractal_noise
from huddle3d.synthesis.pictures import lens as lens_module
from huddle3d.synthesis.pictures.backdrop import draw_backdrop
from huddle3d.synthesis.pictures.lens import _moved, expose, gain
from huddle3d.synthesis.pictures.lighting import lit_backdrop, shade_config
from huddle3d.synthesis.pictures.truth import pixel_truth
from huddle3d.synthesis.spec import LensSpec

KINDS = ("room", "street", "studio", "furnished", "park", "gradient", "texture", "loft", "beach")
GAP_M = 0.005


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def scene(body) -> SyntheticScene:
    """Two people as they are at rest, side by side: the fingers of one are 5 mm from those of the other."""
    neutral = body.neutral(2)
    first = body(neutral).vertices[0]
    reach = float(first[:, 0].max() - first[:, 0].min()) + GAP_M
    shift = torch.tensor([[-reach / 2, 0, 0], [reach / 2, 0, 0]]) - torch.tensor([0.0, float(first[:, 1].min()), 0.0])
    params = BodyParams(neutral.shape, neutral.pose, neutral.translation + shift, neutral.expression)
    out = body(params)
    camera = view_cameras(out.vertices.reshape(-1, 3), size=96, generator=torch.Generator().manual_seed(1))[1][0]
    spec = sample_spec(2, family="holding_hands")
    names = tuple(p.name for p in spec.people)
    bodies = Bodies(body.name, names, params, out.vertices, out.landmarks, camera, torch.zeros(2), torch.ones(2))
    texture = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    meshes = tuple(PersonMesh(n, v, body.faces, body.uv, body.faces_uv, texture, torch.ones(len(v))) for n, v in zip(names, out.vertices))
    return SyntheticScene(spec, bodies, meshes)


@pytest.fixture(scope="module")
def prepared(scene, body):
    return prepare_scene(scene, body=body)


def shots(scene, count: int) -> list[Shot]:
    points = torch.cat([m.vertices for m in scene.meshes])
    flat, deep = view_cameras(points, size=96, generator=torch.Generator().manual_seed(2))
    return [Shot((flat, deep)[k % 2][k % 8], *sample_style(k, held_out=k % 2 == 0), seed=k) for k in range(count)]


def test_parts_and_contacts_of_bodies_are_their_own(scene, prepared, body):
    for parts, skin in zip(prepared.surface.parts, prepared.surface.skin):
        assert float((parts == body.regions).float().mean()) > 0.99 and bool(skin.all())
    for k, touching in enumerate(prepared.surface.touching):
        mine, other = scene.meshes[k].vertices, scene.meshes[1 - k].vertices
        near = (mine[:, 0] - (mine[:, 0].max() if k == 0 else mine[:, 0].min())).abs() < 0.02
        truth = torch.zeros_like(near)
        truth[near] = MeshQuery(other, body.faces, winding=False, backend="torch").closest_point(mine[near]).distance <= 0.01
        assert torch.equal(truth, touching) and bool(touching.any())
    pairs = {(c.a, c.region_a, c.b, c.region_b) for c in prepared.surface.contacts}
    assert pairs == {("person_0", "left_hand", "person_1", "right_hand"), ("person_1", "right_hand", "person_0", "left_hand")}
    assert min(c.distance_mm for c in prepared.surface.contacts) == pytest.approx(1000 * GAP_M, abs=0.5)


def test_maps_agree_with_each_other_and_with_the_surface(prepared, body):
    sample = next(photographs(prepared, shots(prepared.scene, 1)))
    seen = sample.ids >= 0
    assert torch.equal(sample.parts >= 0, seen) and not bool((sample.contact & ~seen).any())
    camera = sample.scene.bodies.camera
    raster = rasterize(prepared.lit.merged.vertices, prepared.lit.merged.faces, camera)
    touched = prepared.touching[prepared.lit.merged.faces][raster.face_id[0][seen].long()]
    assert not bool((sample.contact[seen] & ~touched.any(-1)).any()) and bool((sample.contact[seen] | ~touched.all(-1)).all())
    left, right = (body.region_names.index(n) for n in ("left_hand", "right_hand"))
    columns = torch.arange(96).expand(96, 96)
    one = seen & (sample.ids == 0)
    assert columns[one & (sample.parts == right)].float().mean() < columns[one & (sample.parts == left)].float().mean()
    assert torch.equal(sample.amodal.any(0), seen)


def test_photographs_do_not_depend_on_each_other(prepared, scene, body):
    wanted = shots(scene, 4)
    alone = [next(photographs(prepared, [s], device="cpu")).jpeg for s in wanted]
    assert [s.jpeg for s in photographs(prepared, wanted, workers=2)] == alone
    assert next(photographs(scene, wanted[:1])).jpeg == alone[0]
    spec = scene.spec
    own = Shot(scene.bodies.camera, spec.light, spec.backdrop, spec.lens, spec.seed)
    assert render_scene(scene, body=body).jpeg == next(photographs(prepared, [own])).jpeg


def test_kernels_equal_their_twins(prepared, scene, monkeypatch, rng):
    """The same sample on the plain-torch twins: the maps to the bit, the pictures but for lookups on the border of a texel."""
    wanted = shots(scene, 4)
    fast = list(photographs(prepared, wanted))
    points, cells = torch.randn(900, 3, generator=rng) * 9, torch.randint(-99, 99, (900, 2), generator=rng)
    noise = [fractal_noise(points, 5, octaves=4), fractal_noise(points[:, :2], 5), cell_tone(cells, 3)]
    monkeypatch.setenv("HUDDLE3D_KERNELS", "torch")
    for a, b in zip(noise, [fractal_noise(points, 5, octaves=4), fractal_noise(points[:, :2], 5), cell_tone(cells, 3)]):
        assert float((a - b).abs().max()) < 2e-5
    for one, shot in zip(fast, wanted):
        two = next(photographs(prepared, [shot]))
        assert float((one.photo.image - two.photo.image).abs().mean()) < 1 / 255
        assert float(((one.photo.image - two.photo.image).abs() > 0.06).float().mean()) < 0.01
        differ = one.ids != two.ids  # the two rasterisers may disagree about a pixel centre on an edge
        assert float(differ.float().mean()) < 2e-3
        assert float(((one.parts != two.parts) | (one.contact != two.contact))[~differ].float().mean()) < 5e-3
        assert float((one.normals - two.normals)[~differ].abs().mean()) < 1e-3


def test_truth_kernel_equals_its_twin_on_one_raster(prepared, monkeypatch):
    merged = prepared.lit.merged
    raster = rasterize(merged.vertices, merged.faces, shots(prepared.scene, 2)[1].camera)
    arguments = (raster, merged.faces, merged.owner, merged.normals, prepared.parts, prepared.touching)
    fast = pixel_truth(*arguments)
    monkeypatch.setenv("HUDDLE3D_KERNELS", "torch")
    slow = pixel_truth(*arguments)
    assert torch.allclose(fast.normals, slow.normals, atol=1e-5)
    assert torch.equal(fast.ids, slow.ids) and torch.equal(fast.contact, slow.contact)
    assert float((fast.parts != slow.parts).float().mean()) < 1e-3  # equal barycentrics


@pytest.mark.parametrize("kind", KINDS)
def test_backdrops_are_drawn_by_both_kinds_of_camera(kind, monkeypatch):
    light, backdrop, _ = sample_style(3, held_out=False)
    backdrop = dataclasses.replace(backdrop, kind=kind)
    for camera in view_cameras(torch.rand(9, 3, generator=torch.Generator().manual_seed(0)), size=48, generator=torch.Generator().manual_seed(5)):
        drawn = draw_backdrop(backdrop, camera[2])
        lengths = drawn.normals[drawn.surface].norm(dim=-1)
        assert torch.allclose(lengths, (drawn.surface > 0).float(), atol=1e-5)
        bright = lit_backdrop(drawn, light)
        assert bool(torch.isfinite(bright).all()) and float(bright.min()) >= -0.2 and 0.01 < float(bright.mean()) < 2
        assert torch.allclose(lit_backdrop(drawn, light, (2.0, 2.0, 2.0)), 2 * bright)
        with monkeypatch.context() as m:
            m.setenv("HUDDLE3D_KERNELS", "torch")
            assert float((draw_backdrop(backdrop, camera[2]).albedo - drawn.albedo).abs().mean()) < 2e-3


def test_views_of_training_are_those_of_the_paper():
    points = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.2, 0.5, 0.2]) + torch.tensor([3.0, 1.0, 2.0])
    flat, deep = view_cameras(points, size=128, generator=torch.Generator().manual_seed(0))
    middle = (points.amin(0) + points.amax(0)) / 2
    unit = float((points.amax(0) - points.amin(0)).max()) * 1.05 / 2
    for camera, (low, high) in ((flat, (-10, 10)), (deep, (-20, 45))):
        away = (camera.centre - middle) / unit
        azimuth = torch.rad2deg(torch.atan2(away[:, 0], away[:, 2])) % 360
        elevation = torch.rad2deg(torch.asin(away[:, 1] / away.norm(dim=-1)))
        assert torch.allclose(((azimuth - 45 * torch.arange(8) + 180) % 360) - 180, torch.zeros(8), atol=0.02)
        assert float(elevation.min()) >= low - 0.01 and float(elevation.max()) <= high + 0.01 and float(elevation.std()) > 1
        uv, _ = camera.project(middle.expand(8, 1, 3))
        assert torch.allclose(uv, torch.full_like(uv, 64.0), atol=0.01)
    distance = (deep.centre - middle).norm(dim=-1) / unit
    assert float(distance.min()) > 2 and float(distance.max()) < 6
    ball = deep.K[:, 0, 0] / (distance.square() - 1).sqrt()  # radius of the unit ball's picture
    assert float(ball.min()) > 0.79 * 64 and float(ball.max()) < 1.21 * 64
    assert torch.allclose((flat.centre - middle).norm(dim=-1) / unit, torch.full((8,), 3.0), atol=1e-4)
    uv, _ = flat.project(points.expand(8, -1, 3))
    assert float(uv[..., 1].min()) > 0 and float(uv[..., 1].max()) < 128
    with pytest.raises(InputError):
        view_cameras(points[:0], size=8, generator=torch.Generator())


def test_motion_blur_is_a_line_of_the_same_light():
    lens = LensSpec(0.0, 0.05, 0.0, 95, motion_px=8.0, motion_deg=90.0)
    point = torch.zeros(33, 33, 3)
    point[16, 16] = 1.0
    line = _moved(point, lens)[..., 0]
    rows = line.sum(1)
    assert float(line.sum()) == pytest.approx(1, abs=1e-4) and float(line[:, :16].sum()) < 1e-4 and float(line[:, 17:].sum()) < 1e-4
    spread = ((torch.arange(33) - 16).square() * rows).sum().sqrt()
    assert float(spread) == pytest.approx(8 / math.sqrt(12), rel=0.1)  # of a uniform line


def test_exposure_white_balance_and_contrast():
    plain = LensSpec(0.0, 0.05, 0.0, 95)
    assert gain(plain) == (1, 1, 1)
    assert gain(dataclasses.replace(plain, exposure_ev=1.0, warmth=0.5)) == pytest.approx((2**1.5, 2.0, 2**0.5))
    ramp = torch.linspace(0, 1, 64).expand(8, 64)[..., None].expand(8, 64, 3)
    flat, steep = expose(ramp, plain, 0), expose(ramp, dataclasses.replace(plain, contrast=0.5), 0)
    assert bool((flat.diff(dim=1) >= 0).all()) and bool((steep.diff(dim=1) >= 0).all())
    assert float((steep - flat)[:, flat[0, :, 0] < 0.4].max()) < 1e-6 and float((steep - flat)[:, flat[0, :, 0] > 0.6].min()) > -1e-6
    noisy = expose(torch.full((64, 64, 3), 0.2), dataclasses.replace(plain, noise=0.01, chroma_noise=0.02), 3)
    assert torch.equal(noisy, expose(torch.full((64, 64, 3), 0.2), dataclasses.replace(plain, noise=0.01, chroma_noise=0.02), 3))
    assert 0.005 < float(noisy.std()) < 0.05


@pytest.mark.parametrize("backend", ["warp", "torch"])
def test_the_strongest_contrast_that_a_scene_file_may_ask_for_is_a_picture(monkeypatch, backend):
    monkeypatch.setattr(lens_module, "kernel_backend", lambda: backend)
    ramp = torch.linspace(0, 1, 64).expand(8, 64)[..., None].expand(8, 64, 3)
    harsh = expose(ramp, LensSpec(0.01, 0.5, 0.1, 95, contrast=2.0), 0)
    assert bool(torch.isfinite(harsh).all()) and float(harsh[:, :4].max()) < 0.1


def test_the_floor_colours_the_light_from_below():
    light, backdrop, _ = sample_style(0, held_out=False)
    red = dataclasses.replace(backdrop, kind="room", floor=(0.9, 0.1, 0.1))
    plain, coloured = (
        shade_config(dataclasses.replace(light, ground=(0.1, 0.1, 0.1), bounce=b), red, (1.0, 1.0, 1.0), above_floor=True) for b in (0.0, 0.5)
    )
    assert plain.bounce == pytest.approx((0.1, 0.1, 0.1))
    assert coloured.bounce[0] > 0.15 and coloured.bounce[1] == pytest.approx(0.1, abs=0.02)


def test_files_hold_parts_and_contacts(prepared, tmp_path):
    import json

    from safetensors.torch import load_file

    sample = next(photographs(prepared, shots(prepared.scene, 1)))
    write_sample(sample, tmp_path / "s")
    tree = json.loads((tmp_path / "s" / "contacts.json").read_text())
    assert tree["radius_m"] == 0.01 and {c["region_a"] for c in tree["contacts"]} == {"left_hand", "right_hand"}
    maps, surfaces = load_file(tmp_path / "s" / "maps.safetensors"), load_file(tmp_path / "s" / "surfaces.safetensors")
    assert torch.equal(maps["parts"], sample.parts) and torch.equal(maps["contact"], sample.contact)
    assert torch.equal(surfaces["contact.person_0"], sample.surface.touching[0]) and len(tree["part_names"]) > int(maps["parts"].max())


def test_kernels_compile_for_sm_90(tmp_path):
    from huddle3d.compute import warp
    from huddle3d.synthesis import _noise_kernels
    from huddle3d.synthesis.pictures import _truth_kernels

    for module in (_noise_kernels, _truth_kernels):
        files = warp().compile_aot_module(module, arch=90, module_dir=tmp_path)
        assert any("sm90" in str(f) for f in files)


def test_rays_of_pixels_are_those_of_unproject():
    for camera in view_cameras(torch.rand(9, 3), size=16, generator=torch.Generator().manual_seed(5)):
        one: Camera = camera[3]
        start, ahead = one.ray_maps()
        uv = one.pixel_centres().reshape(-1, 2)
        p = torch.cat([uv, torch.ones(len(uv), 1)], -1)
        for z in (0.5, 4.0):
            assert torch.allclose(p @ start.T + (z - 1) * (p @ ahead.T), one.unproject(uv, torch.full((len(uv),), z)), atol=1e-4)
