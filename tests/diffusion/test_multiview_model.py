"""An embedded multi-view model: conditions, stored files, bad files."""

import copy
import dataclasses
import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from huddle3d.diffusion import CosineSchedule
from huddle3d.diffusion.multiview import (
    MULTIVIEW_WEIGHTS,
    REST_SPREAD,
    MultiViewModel,
    NetworkDenoiser,
    PictureConditions,
    SamplerConfig,
    SetMemory,
    ViewAdapter,
    first_completion,
    load_multiview,
    read_multiview,
    save_multiview,
    weight_bytes,
)
from huddle3d.errors import InputError, ShapeError, WeightsMissingError
from huddle3d.networks import EMBEDDED_64, ControlResiduals, encode_captions, identity_code
from huddle3d.weights import registry

TINY = dataclasses.replace(EMBEDDED_64, widths=(8, 8), heads=(1, 1), attention=(False, True), norm_groups=4, size=16, text_width=8)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = MultiViewModel.fresh(TINY)
    model.network.eval()
    return model


def condition(sets=3, seed=0):
    return torch.randn(sets, 2, 6, 11, 16, 16, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)


def people(sets=3, size=16):
    masks = torch.zeros(sets - 1, 6, size, size)
    for k in range(sets - 1):
        masks[k, :, k : k + 1] = 1
    return masks


def generate(model, told=None, captions=("", "", ""), seed=1, **settings):
    told = condition() if told is None else told
    return model.generate(
        told, people(), list(captions), config=SamplerConfig(steps=2), generator=torch.Generator().manual_seed(seed), **settings
    )  # fmt: skip


def conditions(sets=3):
    generator = torch.Generator().manual_seed(4)
    text = torch.randn(sets, 2, 6, 3, TINY.text_width, generator=generator)
    return PictureConditions(condition(sets), text, identity_code(torch.arange(sets) == 0))


def test_result_does_not_depend_on_the_memory_budget(model):
    asked = []
    hook = model.network.register_forward_pre_hook(lambda module, args: asked.append(len(args[0])))
    needed = SetMemory.of(TINY, 3, 6, 16, weights=weight_bytes(model.network, model.text), words=1)
    outs = [generate(model, max_bytes=b) for b in (needed.weights + needed.pictures + 1.5 * needed.per_set, 1e12)]
    hook.remove()
    assert asked == [1] * 6 + [3] * 2
    torch.testing.assert_close(*outs, atol=1e-5, rtol=1e-4)
    assert outs[0].shape == (3, 2, 6, 4, 16, 16)


def test_captions_reach_the_network(model):
    plain, told = generate(model), generate(model, captions=("", "red shirt, blue jeans", ""))
    assert float((plain[1] - told[1]).abs().max()) > 1e-4 and float((plain[2] - told[2]).abs().max()) == 0
    with pytest.raises(ShapeError):
        generate(model, captions=("red shirt",))


def test_back_and_left_are_mirrored_for_the_network(model):
    """Of a network that adds nothing to the first completion, the first completion comes out, not mirrored."""
    silent = dataclasses.replace(model, network=copy.deepcopy(model.network), prediction="residual")
    torch.nn.init.zeros_(silent.network.conv_out.weight)
    torch.nn.init.zeros_(silent.network.conv_out.bias)
    seen = []
    silent.network.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    told = condition()
    torch.testing.assert_close(generate(silent, told), first_completion(told).clamp(-1.2, 1.2))
    assert torch.equal(seen[0][:1, :, 3], told[:1, :, 3].flip(-1)) and torch.equal(seen[0][:1, :, 2], told[:1, :, 2])


@pytest.mark.parametrize("prediction", ["preconditioned", "residual", "x0", "v"])
def test_what_the_network_tells(model, prediction, rng):
    """One step of each parameterisation from its formula."""
    other = dataclasses.replace(model, prediction=prediction)
    told = condition()
    made = other.generate(told, people(), ["", "", ""], config=SamplerConfig(steps=1, share_group=0), generator=torch.Generator().manual_seed(1))
    noise = torch.randn(1, 2, 6, 4, 16, 16, generator=torch.Generator().manual_seed(1)).expand(3, -1, -1, -1, -1, -1)
    mirror = ViewAdapter().mirror
    text, code = other.text(encode_captions(["", "", ""])), identity_code(torch.tensor([True, False, False]))
    a, first, s = float(CosineSchedule().alphas_bar()[999]), first_completion(mirror(told, 2)), REST_SPREAD
    guess = a**0.5 * s**2 / (a * s**2 + 1 - a) * (noise - a**0.5 * first)
    with torch.no_grad():
        shown = guess / s if prediction == "preconditioned" else noise
        out = other.network(shown, mirror(told, 2), torch.full((3,), 999), text=text, image_embedding=code)
    expected = {
        "preconditioned": first + guess + s * ((1 - a) / (a * s**2 + 1 - a)) ** 0.5 * out,
        "x0": out, "residual": first + out, "v": a**0.5 * noise - (1 - a) ** 0.5 * out,
    }[prediction]  # fmt: skip
    torch.testing.assert_close(made, mirror(expected.clamp(-1.2, 1.2), 2), atol=1e-4, rtol=1e-4)


def test_guidance(model):
    told = conditions()
    x = torch.randn(3, 2, 6, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    plain, free = NetworkDenoiser(model.network, told)(x, 300), NetworkDenoiser(model.network, told.without_image())(x, 300)
    guided = NetworkDenoiser(model.network, told, guidance=3.0, sets=2)(x, 300)
    torch.testing.assert_close(guided, free + 3 * (plain - free), atol=1e-4, rtol=1e-4)
    assert float((plain - free).abs().max()) > 1e-3


def test_control_gets_its_sets(model):
    told, asked = conditions(), []

    def control(x, t, text, part):
        asked.append((len(x), t, part))
        n = 2 * 6 * len(x)
        return ControlResiduals(
            (torch.zeros(n, 8, 8, 8), torch.zeros(n, 8, 8, 8), torch.zeros(n, 8, 4, 4), torch.zeros(n, 8, 4, 4)), torch.ones(n, 8, 4, 4)
        )

    x = torch.randn(3, 2, 6, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    out = NetworkDenoiser(model.network, told, sets=2, control=control)(x, 7)
    assert asked == [(2, 7, slice(0, 2)), (1, 7, slice(2, 4))]
    assert float((out - NetworkDenoiser(model.network, told)(x, 7)).abs().max()) > 1e-4


def test_one_person_is_no_group(model):
    """Of one person the group's set and the person's own are the same pictures: the network is told the same, and says the same."""
    told = condition(1).expand(2, -1, -1, -1, -1, -1)
    made = model.generate(told, torch.zeros(1, 6, 16, 16), ["", ""], config=SamplerConfig(steps=2), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(made[0], made[1], atol=1e-5, rtol=1e-4)
    more = generate(model, condition(1).expand(3, -1, -1, -1, -1, -1))
    assert float((more[0] - more[1]).abs().max()) > 1e-3


@pytest.mark.parametrize("limit", [16_000_000, 90_000])
def test_saved_and_read(model, tmp_path, limit):
    stored = dataclasses.replace(model, prediction="v", note={"steps": 3})
    paths = save_multiview(tmp_path, "m", stored, limit=limit)
    assert (len(paths) > 1) == (limit < 1e6) and all(p.stat().st_size <= limit for p in paths)
    back = read_multiview(tmp_path, "m")
    assert back.prediction == "v" and back.note == {"steps": 3} and back.network.config == TINY
    for ours, theirs in ((model.network, back.network), (model.text, back.text)):
        for key, value in ours.state_dict().items():
            torch.testing.assert_close(theirs.state_dict()[key], value, atol=1e-3, rtol=1e-3)
    assert not back.network.training and not any(p.requires_grad for p in back.network.parameters())


def test_weights_of_a_smaller_vocabulary_are_read(model, tmp_path):
    (path,) = save_multiview(tmp_path, "m", model)
    rewrite(path, lambda t: t | {"text.words.weight": t["text.words.weight"][:-3]})
    assert bool((read_multiview(tmp_path, "m").text.words.weight[-3:] == 0).all())


def rewrite(path, tensors=lambda t: t, header=lambda h: h):
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        head = json.loads(file.metadata()["huddle3d"])
    save_file(tensors(load_file(str(path))), str(path), metadata={"huddle3d": json.dumps(header(head))})


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "not a multi-view model"),
        (lambda p: p.write_bytes(pickle.dumps({"a": 1})), "not a multi-view model"),
        (lambda p: rewrite(p, lambda t: t | {"unet.conv_in.weight": torch.zeros(8, 3, 3, 3)}), "conv_in.weight"),
        (lambda p: rewrite(p, lambda t: {k: v for k, v in t.items() if "attn_mv" not in k}), "attn_mv"),
        (lambda p: rewrite(p, header=lambda h: h | {"kind": "other"}), "header"),
        (lambda p: rewrite(p, header=lambda h: h | {"prediction": "flow"}), "flow"),
        (lambda p: rewrite(p, header=lambda h: h | {"config": {"width": 3}}), "width"),
        (lambda p: rewrite(p, header=lambda h: h | {"steps": 0}), "called 0 times"),
        (lambda p: save_file({"a": torch.zeros(1)}, str(p)), "header"),
    ],
)
def test_bad_files_are_named(model, tmp_path, spoil, named):
    (path,) = save_multiview(tmp_path, "m", model)
    spoil(path)
    with pytest.raises(InputError, match=named) as e:
        read_multiview(tmp_path, "m")
    assert "m.safetensors" in str(e.value) and "huddle3d train mvd" in str(e.value)


def test_missing_files(model, tmp_path):
    with pytest.raises(WeightsMissingError, match="train mvd"):
        read_multiview(tmp_path, "m")
    paths = save_multiview(tmp_path, "m", model, limit=90_000)
    paths[0].unlink()
    with pytest.raises(WeightsMissingError, match=f"{len(paths) - 1} of its {len(paths)} files"):
        read_multiview(tmp_path, "m")


def test_embedded_model_is_there_or_its_absence_is_said():
    if any(name in registry() for name in MULTIVIEW_WEIGHTS):
        assert load_multiview().network.config.channels == 4
    else:
        with pytest.raises(WeightsMissingError, match="body-prior"):
            load_multiview()


def test_everything_is_computed_on_the_models_device_wherever_the_condition_lies():
    """On ``meta``, which has shapes but no numbers, tensors of another device in any step would be a RuntimeError; only the way back fails."""
    elsewhere = MultiViewModel.fresh(TINY).to("meta")
    photo = torch.zeros(1, 6, 4, 16, 16), torch.ones(1, 6, 16, 16)
    settings = {"config": SamplerConfig(steps=2), "generator": torch.Generator().manual_seed(0)}
    assert elsewhere.device.type == "meta"
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        elsewhere.generate(condition(1), torch.zeros(0, 6, 16, 16), [""], photo, **settings)
