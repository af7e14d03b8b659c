"""Windows of synthetic photographs and their truth, the bank on disk, augmentation, and a training that must learn a known rule."""

import json

import pytest
import torch
from safetensors.torch import save_file

from huddle3d.bodies import load_body
from huddle3d.errors import InputError
from huddle3d.networks import SurfaceNet, SurfaceNetConfig
from huddle3d.people import predicted_normals, read_surface_network
from huddle3d.scene import Bodies, BodyParams, PersonMesh
from huddle3d.synthesis import SyntheticScene, prepare_scene, sample_spec, view_cameras
from huddle3d.training.surface import (
    CropBank,
    CropConfig,
    SurfaceTarget,
    SurfaceTraining,
    crops_of_photo,
    decode,
    encode,
    mirrored,
    photometric,
    read_crop_bank,
    surface_loss,
    train_surface,
    validate_surface,
)
from huddle3d.training.views.disturb import DisturbConfig

TINY = SurfaceNetConfig(widths=(8, 16, 24), groups=4)
EXACT = DisturbConfig(bodies=0.0, masks=0.0)


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def naked(body):
    """Two bodies at rest beside each other, whose dressed surface is the body's own."""
    params = body.neutral(2)
    low = float(body(params).vertices[..., 1].min())
    place = params.translation + torch.tensor([[-0.5, -low, 0.0], [0.5, -low, 0.0]])
    params = BodyParams(params.shape, params.pose, place, params.expression)
    out = body(params)
    camera = view_cameras(out.vertices.reshape(-1, 3), size=96, generator=torch.Generator().manual_seed(1))[1][0]
    spec = sample_spec(2, family="holding_hands")
    names = tuple(p.name for p in spec.people)
    texture = torch.rand(16, 16, 3, generator=torch.Generator().manual_seed(0))
    meshes = tuple(PersonMesh(n, v, body.faces, body.uv, body.faces_uv, texture, torch.ones(len(v))) for n, v in zip(names, out.vertices))
    bodies = Bodies(body.name, names, params, out.vertices, out.landmarks, camera, torch.zeros(2), torch.ones(2))
    return prepare_scene(SyntheticScene(spec, bodies, meshes), body=body)


def test_the_truth_of_naked_people_is_the_body(naked, body):
    config = CropConfig(size=64, photo=192, disturb=EXACT, least_px=50)
    given, target, enough = crops_of_photo(naked, body, 3, config)
    assert given.inputs.shape == (2, 10, 64, 64) and bool(enough.all())
    seen = target.mask & (given.inputs[:, 8] > 0.5)
    cosine = (predicted_normals(torch.zeros(2, 5, 64, 64), given.inputs) * target.normals).sum(-1)[seen]
    assert float(cosine.median()) > 0.98 and float((cosine > 0.8).float().mean()) > 0.9  # the same surface, sampled at other points of the pixels
    assert float(target.relief[seen].abs().median()) < 0.05
    assert float((target.mask & (given.inputs[:, 3] > 0.5)).sum()) > 0.9 * float(target.mask.sum())


def test_disturbed_bodies_are_off_and_the_truth_is_not(naked, body):
    exact, wrong = (
        crops_of_photo(naked, body, 5, CropConfig(size=64, photo=192, least_px=50, disturb=d))
        for d in (EXACT, DisturbConfig(bodies=1.0, masks=0.0, joint_rad=0.1))
    )
    assert exact[0].windows != wrong[0].windows or not torch.equal(exact[0].inputs[:, 5:8], wrong[0].inputs[:, 5:8])
    errors = []
    for given, target, _ in (exact, wrong):
        seen = target.mask & (given.inputs[:, 8] > 0.5)
        errors.append(float((predicted_normals(torch.zeros(2, 5, 64, 64), given.inputs) * target.normals).sum(-1)[seen].mean()))
    assert errors[1] < errors[0] - 0.005
    assert crops_of_photo(naked, body, 5, CropConfig(size=64, photo=192))[1].mask.equal(
        crops_of_photo(naked, body, 5, CropConfig(size=64, photo=192))[1].mask
    )


def test_bytes_and_back(naked, body):
    given, target, _ = crops_of_photo(naked, body, 3, CropConfig(size=64, photo=192, disturb=EXACT))
    inputs, again = decode(encode(given, target))
    assert torch.allclose(inputs, given.inputs, atol=0.009) and torch.equal(again.mask, target.mask)
    assert torch.allclose(again.normals, target.normals, atol=0.02)
    assert torch.allclose(again.relief, target.relief.clamp(-2.5, 2.5), atol=0.02)
    outside = given.inputs[:, 8] < 0.5
    assert float(inputs[:, 5:8].permute(0, 2, 3, 1)[outside].abs().max()) == 0


def rule(count, size=32, seed=0):
    """Windows with a rule to learn: the red of a pixel tells how far the surface leans to the right, green how far it stands out."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 2, 4, 4, generator=generator)
    red, green = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear").unbind(1)
    inputs = torch.zeros(count, 10, size, size)
    inputs[:, 0], inputs[:, 1] = red - 0.5, green - 0.5
    inputs[:, 3, :, 4:-4], inputs[:, 8, :, 4:-4], inputs[:, 7, :, 4:-4] = 1, 1, 1
    mask = torch.zeros(count, size, size, dtype=torch.bool)
    mask[:, :, 8:-4] = True  # the mask that is given is four columns too wide
    normals = torch.nn.functional.normalize(torch.stack([2 * (red - 0.5), torch.zeros_like(red), torch.ones_like(red)], -1), dim=-1)
    relief = green - 0.5
    for k in range(count):
        relief[k] = relief[k] - relief[k][mask[k]].median()
    return inputs, SurfaceTarget(normals * mask[..., None], relief * mask, mask)


def test_a_mirror_image_of_a_mirror_image():
    inputs, target = rule(3)
    flip = torch.tensor([True, False, True])
    once = mirrored(inputs, target, flip)
    assert torch.equal(once[0][1], inputs[1]) and torch.equal(once[0][0, 0], inputs[0, 0].flip(-1))
    assert torch.equal(once[1].normals[0, :, :, 0], -target.normals[0, :, :, 0].flip(-1))
    inputs[:, 5] = 0.3
    assert torch.allclose(mirrored(inputs, target, flip)[0][0, 5], torch.tensor(-0.3))
    twice = mirrored(*mirrored(inputs, target, flip), flip)
    assert torch.equal(twice[0], inputs) and torch.equal(twice[1].normals, target.normals) and torch.equal(twice[1].mask, target.mask)


def test_only_colours_are_changed_and_seeds_repeat():
    inputs, _ = rule(8)
    a, b = (photometric(inputs, torch.Generator().manual_seed(s)) for s in (1, 2))
    assert torch.equal(a[:, 3:], inputs[:, 3:]) and torch.equal(a, photometric(inputs, torch.Generator().manual_seed(1)))
    assert float((a[:, :3] - inputs[:, :3]).abs().mean()) > 0.02 and not torch.equal(a, b)
    assert float(a[:, :3].abs().max()) <= 0.5


def test_the_loss_is_zero_for_the_truth_alone():
    inputs, target = rule(2)
    config = SurfaceTraining(weight_mask=0.0)
    outputs = torch.zeros(2, 5, 32, 32)
    base = torch.where(inputs[:, 8:9] > 0.5, inputs[:, 5:8], torch.tensor([0.0, 0.0, 0.1])[:, None, None])
    outputs[:, :3] = target.normals.permute(0, 3, 1, 2) - base
    outputs[:, 3] = target.relief + 0.7  # a shift of a whole person cannot be seen
    assert float(surface_loss(outputs, inputs, target, config)) < 1e-3
    assert float(surface_loss(torch.zeros(2, 5, 32, 32), inputs, target, config)) > 0.1
    sure = torch.zeros(2, 5, 32, 32)
    sure[:, 4] = torch.where(target.mask, 9.0, -9.0)
    only = SurfaceTraining(weight_normals=0.0, weight_relief=0.0)
    assert float(surface_loss(sure, inputs, target, only)) < 0.01 < float(surface_loss(torch.zeros(2, 5, 32, 32), inputs, target, only))


@pytest.fixture
def bank(tmp_path) -> CropBank:
    """Five files with the rule."""
    for i in range(5):
        inputs, target = rule(12, seed=i)

        class Given:
            pass

        given = Given()
        given.inputs = inputs
        header = {"huddle3d": json.dumps({"kind": "huddle3d-surface-crops", "index": i})}
        save_file({"windows": encode(given, target).contiguous()}, tmp_path / f"{i:06d}.safetensors", metadata=header)
    return read_crop_bank(tmp_path)


def test_a_bank_is_read_window_by_window(bank):
    assert len(bank) == 60 and bank.size == 32 and bank.counts == (12,) * 5
    some = bank.windows([0, 13, 59])
    assert torch.equal(some[1], bank.windows(list(range(12, 24)))[1]) and some.shape == (3, 32, 32, 15)
    train, held = bank.split(0.2)
    assert (len(train), len(held)) == (48, 12) and not set(train.files) & set(held.files)


@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "mixed"])
def test_bad_banks_are_named(bank, damage, tmp_path):
    file = bank.folder / "000002.safetensors"
    if damage == "empty":
        with pytest.raises(InputError, match="train crops"):
            read_crop_bank(tmp_path / "nothing")
        return
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:300])
    elif damage == "foreign":
        save_file({"windows": torch.zeros(1, 8, 8, 15, dtype=torch.uint8)}, file)
    else:
        header = {"huddle3d": json.dumps({"kind": "huddle3d-surface-crops"})}
        save_file({"windows": torch.zeros(1, 8, 8, 15, dtype=torch.uint8)}, file, metadata=header)
    with pytest.raises(InputError, match="different sizes" if damage == "mixed" else "000002"):
        read_crop_bank(bank.folder)


def test_a_training_learns_the_rule_and_goes_on_where_it_was_stopped(bank, tmp_path, monkeypatch):
    monkeypatch.setattr("huddle3d.training.surface.train.photometric", lambda inputs, generator: inputs)  # colours are the rule here
    monkeypatch.setattr("huddle3d.training.surface.train.mirrored", lambda inputs, target, flip: (inputs, target))
    config = SurfaceTraining(network=TINY, batch=6, learning_rate=3e-3, warm_up=5, ema=0.9, validation_share=0.2)
    before = validate_surface(SurfaceNet(TINY), bank.split(0.2)[1])
    assert before.normal_on_body_deg == pytest.approx(before.body_normal_deg, abs=0.5) and before.given_iou < 0.9
    torch.set_num_threads(1)
    network, after = train_surface(bank, tmp_path / "a", config, steps=120, minutes=5)
    assert after.normal_on_body_deg < 0.5 * after.body_normal_deg and after.relief_mm < 0.6 * after.body_relief_mm
    assert after.mask_iou > after.given_iou + 0.05
    train_surface(bank, tmp_path / "b", config, steps=10, minutes=5)
    assert json.loads((tmp_path / "b" / "log.jsonl").read_text().splitlines()[-1])["step"] == 10
    again, _ = train_surface(bank, tmp_path / "b", config, steps=120, minutes=5)
    stored = read_surface_network(tmp_path / "b" / "surface.safetensors")
    assert stored.size == 32 and all(torch.allclose(a, b.half().float(), atol=1e-6) for a, b in zip(stored.network.parameters(), again.parameters()))
    assert json.loads((tmp_path / "b" / "log.jsonl").read_text().splitlines()[-1])["step"] == 120
    with pytest.raises(InputError, match="other settings"):
        train_surface(bank, tmp_path / "b", SurfaceTraining(network=TINY, batch=5), steps=5)


def test_a_stopped_run_gets_the_same_numbers(bank, tmp_path):
    """With a number of steps the rate follows the steps: where the run was cut does not matter."""
    torch.set_num_threads(1)
    config = SurfaceTraining(network=TINY, batch=2, warm_up=4, validation_share=0.2, validation_most=2)
    whole, _ = train_surface(bank, tmp_path / "whole", config, steps=6, minutes=5)
    from huddle3d.training import course as module

    with pytest.MonkeyPatch.context() as patch:
        calls = iter([0.0] * 9 + [1e9] * 99)  # the clock of a run that is cut in the middle
        patch.setattr(module.time, "monotonic", lambda: next(calls))
        train_surface(bank, tmp_path / "cut", config, steps=6, minutes=5)
    assert json.loads((tmp_path / "cut" / "log.jsonl").read_text().splitlines()[-1])["step"] < 6
    cut, _ = train_surface(bank, tmp_path / "cut", config, steps=6, minutes=5)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), cut.parameters()))
