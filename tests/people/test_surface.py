"""The surface network's inputs, what its answer means, how it is stored, and what the canonical stage does with it."""

from dataclasses import replace

import pytest
import torch

from huddle3d.errors import InputError
from huddle3d.geometry import apply, scale_of, vertex_normals
from huddle3d.networks import SURFACE_INPUTS, SurfaceNet, SurfaceNetConfig
from huddle3d.people import (
    RELIEF_M,
    SurfaceNetwork,
    mask_logits,
    observe_surface,
    read_surface_network,
    save_surface_network,
    surface_windows,
    understand,
)
from huddle3d.people._frame import camera_in_frame, canonical_frame
from huddle3d.people._partial import seen_in_windows
from huddle3d.people._targets import crop_targets
from huddle3d.people.canonical import CanonicalConfig, PartialConfig, canonicalise
from huddle3d.render import normal_map, rasterize

TINY = SurfaceNetConfig(widths=(8, 8, 16), groups=4)
SIZE = 64


@pytest.fixture(scope="module")
def windows(scene):
    return surface_windows(scene.photo, scene.people.masks, scene.bodies.camera, scene.bodies.vertices, scene.body.faces.long(), SIZE)


def test_windows_show_the_person_and_the_body_from_the_photo_s_camera(scene, windows):
    assert windows.inputs.shape == (2, sum(SURFACE_INPUTS.values()), SIZE, SIZE)
    faces = scene.body.faces.long()
    for k in range(2):
        x0, y0, side = windows.windows[k]
        camera = scene.bodies.camera.cropped(x0, y0, side, side).resized(SIZE, SIZE)
        raster = rasterize(scene.bodies.vertices[k], faces, camera)
        body = raster.face_id[0] >= 0
        assert torch.equal(windows.inputs[k, 8] > 0.5, body) and torch.allclose(windows.depth[k][body], raster.depth[0][body])
        own, body = windows.inputs[k, 3] > 0.99, windows.inputs[k, 8] > 0.5
        assert float((own & body).sum()) > 0.8 * float(own.sum())
        facing = windows.inputs[k, 7][body]
        assert float((facing > 0).float().mean()) > 0.97  # visible surfaces look at the camera
        assert float(windows.inputs[k, 5:8][:, ~body].abs().max()) == 0 and float(windows.inputs[k, 9].abs().max()) <= 1
        assert float(windows.depth[k].min()) > 0.5  # continued beside the body
    assert float((windows.inputs[0, 4] > 0.5).sum()) > 0 or float((windows.inputs[1, 4] > 0.5).sum()) > 0


def test_left_is_left(scene, windows):
    """Normals on the left side of a body in the picture point left."""
    columns = torch.arange(SIZE).float()
    for k in range(2):
        body = windows.inputs[k, 8] > 0.5
        x = columns.expand(SIZE, SIZE)[body]
        nx = windows.inputs[k, 5][body]
        assert float(torch.corrcoef(torch.stack([x, nx]))[0, 1]) > 0.1
        assert float(windows.inputs[k, 6][body & (torch.arange(SIZE)[:, None] > SIZE // 2)].mean()) < 0.5


def test_an_answer_of_zero_is_the_body(scene, windows):
    told = understand(torch.zeros(2, 5, SIZE, SIZE), windows)
    body = windows.inputs[:, 8] > 0.5
    flip = torch.tensor([1.0, -1.0, -1.0])
    assert torch.allclose(told.normals[body], windows.inputs[:, 5:8].permute(0, 2, 3, 1)[body] * flip, atol=1e-5)
    assert torch.equal(told.depth, windows.depth)
    assert torch.equal(told.mask > 0.5, windows.inputs[:, 3] > 0.5)
    assert float((told.normals.norm(dim=-1) - 1).abs().max()) < 1e-5
    raised = torch.zeros(2, 5, SIZE, SIZE)
    raised[:, 3] = 0.2
    assert torch.allclose(windows.depth - understand(raised, windows).depth, torch.full_like(windows.depth, 0.2 * RELIEF_M), atol=1e-5)
    sure = mask_logits(torch.zeros(2, 5, SIZE, SIZE), windows.inputs)
    assert float(sure.abs().max()) < 3.9  # a network may overrule the mask


def test_the_answer_arrives_in_the_canonical_frame(scene):
    """Nothing but the body is said: what the canonical stage then compares is the body's own normals and depth there."""
    faces = scene.body.faces.long()
    T = canonical_frame(scene.bodies.vertices, scene.bodies.camera, padding=0.1)
    start, camera = apply(T, scene.bodies.vertices), camera_in_frame(scene.bodies.camera, T)
    targets = crop_targets(scene.people.masks, camera, start, faces, 96)
    windows = surface_windows(scene.photo, scene.people.masks, camera, start, faces, 96)
    assert windows.windows == targets.windows
    R = T[:3, :3] / scale_of(T) @ scene.bodies.camera.T_cam_world[:3, :3].T
    for k, seen in enumerate(seen_in_windows(understand(torch.zeros(2, 5, 96, 96), windows), targets, R)):
        raster = rasterize(start[k], faces, replace(targets.cameras, K=targets.cameras.K[k], T_cam_world=targets.cameras.T_cam_world[k]))
        truth = normal_map(raster, start[k], faces)[0]
        both = seen.valid & (raster.face_id[0] >= 0)
        assert int(both.sum()) > 500 and float((seen.normals * truth).sum(-1)[both].min()) > 0.999
        assert torch.allclose(seen.depth[both], raster.depth[0][both], atol=1e-4)


def test_networks_are_stored_and_read(tmp_path, windows):
    torch.manual_seed(0)
    model = SurfaceNetwork(SurfaceNet(TINY).eval(), SIZE)
    save_surface_network(tmp_path / "s.safetensors", model)
    again = read_surface_network(tmp_path / "s.safetensors")
    with torch.no_grad():
        a, b = model.network(windows.inputs), again.network(windows.inputs)
    assert again.size == SIZE and torch.allclose(a, b, atol=2e-3) and a.shape == (2, 5, SIZE, SIZE)
    assert float(a.abs().max()) < 0.1  # a fresh network says nearly nothing


@pytest.mark.parametrize("damage", ["cut", "kind", "pickle", "missing"])
def test_bad_files_are_named(damage, tmp_path):
    path = tmp_path / "s.safetensors"
    save_surface_network(path, SurfaceNetwork(SurfaceNet(TINY).eval(), SIZE))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "kind":
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(1)}, path)
    elif damage == "pickle":
        torch.save({"x": torch.zeros(1)}, path)
    else:
        path.unlink()
    with pytest.raises(InputError, match="s.safetensors"):
        read_surface_network(path)


def test_the_canonical_stage_asks_the_named_network(scene, tmp_path):
    """Networks that say that everything faces left or right tilt the partial mesh that way, and no point goes further than it may."""
    faces = scene.body.faces.long()
    tiny = PartialConfig(iterations=30, lr=0.04, size=96, geometry=3.0, smooth=0.2, max_seen=0.02)
    tilt = {}
    for side, sign in (("left", -1.0), ("right", 1.0)):
        network = SurfaceNet(TINY).eval()
        with torch.no_grad():
            network.leave.weight.zero_()
            network.leave.bias.copy_(torch.tensor([20.0 * sign, 0.0, 20.0, 0.0, 0.0]))
        save_surface_network(tmp_path / f"{side}.safetensors", SurfaceNetwork(network, SIZE))
        config = CanonicalConfig(size=64, partial=tiny, surface=str(tmp_path / f"{side}.safetensors"), clothing="none")
        views = canonicalise(scene.photo, scene.people, scene.bodies, config, body=scene.body)
        front = vertex_normals(views.body_vertices, faces)[..., 2] > 0.7
        tilt[side] = float(vertex_normals(views.partial_vertices, faces)[..., 0][front].mean())
        moved = (views.partial_vertices - views.body_vertices).norm(dim=-1).max() / scale_of(views.T_canon_world)
        assert 0.001 < float(moved) < 0.02 + tiny.max_offset + 1e-4
    assert tilt["right"] > tilt["left"] + 0.02
    with pytest.raises(InputError, match=r"nowhere\.safetensors"):
        canonicalise(scene.photo, scene.people, scene.bodies, CanonicalConfig(surface="nowhere.safetensors"), body=scene.body)


def test_people_are_looked_at_one_by_one(scene, windows):
    torch.manual_seed(1)
    model = SurfaceNetwork(SurfaceNet(TINY).eval(), SIZE)
    both, _ = observe_surface(model, scene.photo, scene.people.masks, scene.bodies.camera, scene.bodies.vertices, scene.body.faces.long())
    with torch.no_grad():
        expected = understand(model.network(windows.inputs), windows)
    assert torch.allclose(both.normals, expected.normals, atol=1e-5) and torch.allclose(both.depth, expected.depth, atol=1e-5)
