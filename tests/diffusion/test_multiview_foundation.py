"""The published layout with tiny random weights: read part by part, conditioned, sampled, decoded; and what is wrong with damaged copies."""

import dataclasses
import json
import pickle
import shutil

import pytest
import torch
from published_folder import CONFIG, write_checkpoint, write_control
from safetensors.torch import load_file, save_file

from huddle3d.diffusion.multiview import (
    FoundationModel,
    SamplerConfig,
    ViewInputs,
    Views,
    read_control,
    read_published,
    read_unet,
    view_prompts,
)
from huddle3d.errors import InputError, ResourceLimitError, WeightsMissingError

SIDE = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "checkpoint"
    write_checkpoint(path)
    write_control(path.parent / "control")
    return path


@pytest.fixture(scope="module")
def model(folder):
    networks = read_published(folder).to("cpu", torch.float32)
    return FoundationModel(networks, read_control(folder.parent / "control"))


def inputs(sets=3, side=48):
    g = torch.Generator().manual_seed(0)
    inside = torch.zeros(sets, 6, side, side)
    inside[..., 6:42, 12:36] = 1
    normals = torch.nn.functional.normalize(torch.randn(sets, 6, side, side, 3, generator=g), dim=-1) * inside[..., None]
    rgb = torch.rand(sets, 6, side, side, 3, generator=g)
    seen = (inside > 0) & (torch.arange(side) < 24)
    seen[:, 2:5] = False
    return ViewInputs(normals, rgb * seen[..., None], seen, Views(normals, rgb, inside))


def people(sets=3, side=12):
    masks = torch.zeros(sets - 1, 6, side, side)
    for k in range(sets - 1):
        masks[k, :, :, 3 + 3 * k : 6 + 3 * k] = 1
    return masks


def test_reading_prints_nothing(folder, capfd):
    read_published(folder)
    assert capfd.readouterr() == ("", "")


def test_published_layout_is_read(folder, model):
    n = model.networks
    assert n.unet.config == CONFIG and n.schedule.prediction == "v_prediction" and n.image_noise.betas == "squaredcos_cap_v2"
    stored = load_file(str(folder / "unet" / "diffusion_pytorch_model.safetensors"))
    for key, value in n.unet.state_dict().items():
        torch.testing.assert_close(value, stored[key].float())
    assert model.size == SIDE and model.cell == 2
    assert not any(p.requires_grad for p in n.unet.parameters()) and not n.vae.training


def least(model):
    """The memory that the model asks for when it gets none."""
    with pytest.raises(ResourceLimitError) as e:
        model.generate(inputs(), ["", "", ""], people(), generator=torch.Generator(), max_bytes=1)
    return float(e.value.data["needed"])


def test_two_people_are_completed(model):
    outs = [
        model.generate(inputs(), ["", "red shirt", ""], people(), SamplerConfig(steps=3), generator=torch.Generator().manual_seed(s), max_bytes=b)
        for s, b in ((0, least(model)), (0, 1e12), (1, 1e12))
    ]
    assert outs[0].rgb.shape == (3, 6, SIDE, SIDE, 3) and outs[0].alpha.shape == (3, 6, SIDE, SIDE)
    assert all(bool(getattr(o, n).isfinite().all()) for o in outs for n in ("normals", "rgb", "alpha"))
    torch.testing.assert_close(outs[0].rgb, outs[1].rgb, atol=1e-3, rtol=1e-3)
    assert float((outs[0].rgb - outs[2].rgb).abs().max()) > 1e-3


def test_conditions(model):
    told, cells = model.conditions(inputs(), ["", "", "red shirt"], torch.Generator().manual_seed(0))
    assert told.image.shape == (3, 2, 6, 4, 12, 12) and torch.equal(told.image[:, 0], told.image[:, 1])
    partial, _ = model.adapter.x_mask(inputs(), SIDE)
    torch.testing.assert_close(told.image[1, 0, 3], model.encode(partial[1, 3][None])[0])
    assert told.vector.shape == (3, 2, 6, 32) and bool((told.vector[..., 16:24] == 1).all()) and bool((told.vector[..., 24:] == 0).all())
    assert float((told.vector[0] - told.vector[0, 0, 0]).abs().max()) == 0
    prompts = told.text[0].flatten(0, 1)
    assert all(float((a - b).abs().max()) > 1e-4 for i, a in enumerate(prompts) for b in prompts[:i])
    assert torch.equal(told.text[0], told.text[1]) and not torch.equal(told.text[1], told.text[2])
    assert cells.shape == (3, 6, 1, 12, 12) and float(cells[:, 2:5].max()) == 0 and float(cells[:, 0].max()) == 1


def test_prompts():
    normal, colour = view_prompts()
    assert (
        normal[3] == "a rendering image of 3D human, back view, normal map."
        and colour[5] == "a rendering image of 3D human, front_left view, color map."
    )


def test_control_residuals_lie_in_the_networks_order(model):
    pictures = model.control_pictures(inputs())
    x, text = torch.randn(2, 2, 6, 4, 12, 12), torch.randn(2, 2, 6, 5, 32)
    made = model.residuals(pictures)(x, 300, text, slice(1, 3))
    for b, d, v in ((0, 0, 0), (1, 0, 4), (0, 1, 2), (1, 1, 5)):
        down, mid = model.control(x[b, d, v][None], 300, text[b, d, v][None], pictures[1 + b, v][None], return_dict=False)
        row = d * 12 + b * 6 + v
        torch.testing.assert_close(made.mid[row], mid[0], atol=1e-5, rtol=1e-4)
        for one, other in zip(made.down, down):
            torch.testing.assert_close(one[row], other[0], atol=1e-5, rtol=1e-4)


def test_body_normals_are_shown_mirrored_on_white(model):
    given = inputs()
    pictures = model.control_pictures(given)
    assert float(pictures[:, :, :, 0].min()) == 1 and float(pictures.min()) >= 0
    fine = dataclasses.replace(model, networks=dataclasses.replace(model.networks, vae=model.networks.vae))
    assert fine.control_pictures(given).shape == (3, 6, 3, SIDE, SIDE)
    left = (given.body_normals[0, 3, 20:22, 12:14].mean((0, 1)) + 1) / 2
    torch.testing.assert_close(pictures[0, 3, :, 10, SIDE - 1 - 6], left)


def test_opacity_is_read_off_the_normals(model):
    colours = torch.zeros(1, 2, 6, 3, 4, 4)
    colours[:, 0] = torch.tensor([1.0, 1.0, 1.0])[:, None, None]
    colours[:, 0, :, :, :, 1] = torch.tensor([0.0, 0.0, 1.0])[:, None]
    colours[:, 0, :, :, :, 2] = torch.tensor([0.577, 0.577, 0.577])[:, None]
    assert model.views_of(colours).alpha[0, 0, 0].tolist() == [0, 1, 1, 0]


def test_trial_of_the_prediction_type(model):
    """The networks' own conditions and encoding, with a perfect denoiser in the place of the random one."""

    class Perfect(torch.nn.Module):
        def __init__(self, meaning):
            super().__init__()
            self.weight, self.config, self.meaning = torch.nn.Parameter(torch.zeros(1)), CONFIG, dataclasses.replace(schedule, prediction=meaning)

        def forward(self, x, image, time, **told):
            i = len(seen)
            seen.append(x)
            return self.meaning.target(known[i : i + 1], time, schedule.noise_of(x, time, known[i : i + 1]))

    given, schedule, seen = inputs(2), model.networks.schedule, []
    prior = [model.adapter.to_network(p, given.prior.alpha, SIDE) for p in (given.prior.normals, 2 * given.prior.rgb - 1)]
    known = model.encode(torch.stack(prior, 1))
    for meaning, fits in (("v_prediction", True), ("epsilon", False)):
        seen.clear()
        trial = dataclasses.replace(model, networks=dataclasses.replace(model.networks, unet=Perfect(meaning)))
        if fits:
            assert trial.check(given, ["", ""], generator=torch.Generator().manual_seed(0))["v_prediction"] < 1e-6
        else:
            with pytest.raises(InputError, match='"prediction_type": "epsilon"'):
                trial.check(given, ["", ""], generator=torch.Generator().manual_seed(0))


def edit_json(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def edit_tensors(path, change):
    save_file(change(load_file(str(path))), str(path))


UNET, VAE = "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize(
    ("kind", "named", "spoil"),
    [
        (
            WeightsMissingError,
            "image_encoder, image_normalizer missing",
            lambda f: [shutil.rmtree(f / p) for p in ("image_encoder", "image_normalizer")],
        ),
        (WeightsMissingError, "no safetensors", lambda f: (f / UNET).unlink()),
        (WeightsMissingError, "could run code", lambda f: (f / UNET).rename(f / "unet" / "diffusion_pytorch_model.bin")),
        (InputError, "not a whole safetensors", lambda f: (f / UNET).write_bytes((f / UNET).read_bytes()[:5000])),
        (InputError, "not a whole safetensors", lambda f: (f / VAE).write_bytes(pickle.dumps({"encoder": 1}))),
        (InputError, "not a whole safetensors", lambda f: save_file({}, str(f / "text_encoder/model.safetensors"))),
        (InputError, "attn_mv", lambda f: edit_tensors(f / UNET, lambda t: {k: v for k, v in t.items() if "_mv" not in k})),
        (InputError, "conv_in.weight", lambda f: edit_tensors(f / UNET, lambda t: t | {"conv_in.weight": torch.zeros(16, 4, 3, 3)})),
        (InputError, "vae", lambda f: edit_tensors(f / VAE, lambda t: {k: v for k, v in t.items() if "decoder.conv_in" not in k})),
        (InputError, "vae", lambda f: edit_tensors(f / VAE, lambda t: t | {"decoder.conv_in.weight": torch.zeros(2, 4, 3, 3)})),
        (InputError, "unet/config.json", lambda f: (f / "unet/config.json").write_text("{")),
        (InputError, "unet/config.json", lambda f: (f / "unet/config.json").write_text('{"a":' * 100_000)),
        (InputError, "can be built", lambda f: edit_json(f / "unet/config.json", lambda c: c | {"norm_num_groups": 7})),
        (InputError, "config.json", lambda f: (f / "image_encoder/config.json").unlink()),
        (InputError, "prediction_type", lambda f: edit_json(f / "scheduler/scheduler_config.json", lambda c: c | {"prediction_type": "flow"})),
        (InputError, "scheduler_config.json", lambda f: (f / "scheduler/scheduler_config.json").unlink()),
        (InputError, "tokenizer", lambda f: [p.unlink() for p in (f / "tokenizer").iterdir()]),
    ],
)
def test_damaged_copies_are_named(folder, tmp_path, kind, named, spoil):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    spoil(copy)
    with pytest.raises(kind, match=named) as e:
        read_published(copy)
    assert type(e.value) is kind and ("huggingface.co/pengHTYX" in str(e.value) or "Give a DDIM" in str(e.value))


def test_nothing_there(tmp_path):
    for read in (read_published, read_control):
        with pytest.raises(WeightsMissingError, match="no such folder"):
            read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="config.json"):
        read_unet(tmp_path)
