"""Completion by diffusion with random weights: sizes, ranges, the photo's pixels, strange groups; and the upsampling by itself."""

import dataclasses
import importlib.util
from pathlib import Path

import pytest
import torch

from huddle3d.diffusion.multiview import MultiViewModel, ViewInputs, Views, save_multiview
from huddle3d.errors import InputError, WeightsMissingError
from huddle3d.geometry import canonical_cameras
from huddle3d.networks import EMBEDDED_64
from huddle3d.people import CompleteConfig, DiffusionCompleter, DiffusionConfig, FoundationCompleter, complete, completer_of
from huddle3d.people._diffusion_completer import completion_digest, views_of
from huddle3d.people._guided_upsampling import upsample_views
from huddle3d.scene import CompletedViews, ViewSet

SIDE = 64


def model(seed=0):
    torch.manual_seed(seed)
    config = dataclasses.replace(EMBEDDED_64, widths=(8, 8), heads=(1, 1), attention=(False, True), norm_groups=4, size=16, text_width=8)
    out = MultiViewModel.fresh(config)
    out.network.eval()
    return out


def standing(people, *, hidden=(), empty=()):
    """People as upright bars beside each other; the photo shows their upper left parts. Hidden people stand behind the first and are never seen."""
    ids = torch.full((6, SIDE, SIDE), -1)
    normals = torch.zeros(people, 6, SIDE, SIDE, 3)
    seen = torch.zeros(people, 6, SIDE, SIDE, dtype=torch.bool)
    width = 48 // people
    for k in reversed(range(people)):
        left = 8 + width * (0 if k in hidden else k)
        area = (slice(10, 54), slice(left, left + width))
        for view in range(6):
            if view in empty:
                continue
            normals[k, view, *area, 2] = 1
            ids[view, *area] = k
        if k not in hidden:
            seen[k, 0, 10:30, left : left + width // 2] = True
    colours = torch.tensor([[0.8, 0.2, 0.2], [0.2, 0.3, 0.8]])[torch.arange(people) % 2]
    rgb = colours[:, None, None, None] * seen[..., None]
    return ViewSet(
        cameras=canonical_cameras(SIDE),
        T_canon_world=torch.eye(4),
        faces=torch.zeros(1, 3, dtype=torch.long),
        body_vertices=torch.zeros(people, 3, 3),
        partial_vertices=torch.zeros(people, 3, 3),
        ids=ids,
        normals_group=normals.amax(0),
        normals_inst=normals,
        rgb_group=rgb.sum(0),
        seen_group=seen.any(0),
        rgb_inst=rgb,
        seen_inst=seen,
    )


class Grey:
    """A first completion without a body model: the photo's pixels, grey elsewhere."""

    name = "grey"

    def __call__(self, views, *, body, progress=None):
        alpha = views.normals_inst.abs().sum(-1).clamp_max(1)
        rgb = torch.where(views.seen_inst[..., None], views.rgb_inst, torch.tensor(0.5)) * alpha[..., None]
        rgb_group = torch.where(views.seen_group[..., None], views.rgb_group, torch.tensor(0.5)) * alpha.amax(0)[..., None]
        return CompletedViews("grey", views.normals_group, views.normals_inst, rgb_group, rgb, alpha.amax(0), alpha)


def completer(**settings):
    return DiffusionCompleter(model(), DiffusionConfig(steps=2, **settings), prior=Grey())


def check(out, views):
    """What every completion must be."""
    for name in ("normals_group", "normals_inst", "rgb_group", "rgb_inst"):
        value = getattr(out, name)
        assert value.shape == getattr(views, name).shape and bool(value.isfinite().all()), name
    for normals, rgb, alpha in ((out.normals_group, out.rgb_group, out.alpha_group), (out.normals_inst, out.rgb_inst, out.alpha_inst)):
        assert float(alpha.min()) >= 0 and float(alpha.max()) <= 1 and float(rgb.min()) >= 0 and float(rgb.max()) <= 1
        length = normals.norm(dim=-1)
        torch.testing.assert_close(length[alpha > 0], torch.ones_like(length[alpha > 0]), atol=1e-4, rtol=0)
        assert float(length[alpha == 0].max() if bool((alpha == 0).any()) else 0) == 0


@pytest.mark.parametrize("people", [1, 2, 6])
def test_any_number_of_people(people):
    views = standing(people)
    out = complete(views, body=None, completer=completer())  # type: ignore[arg-type]
    check(out, views)
    assert out.method == "diffusion-16"
    # the network did change something where nothing is seen, and nothing where the photo shows a person
    inside = torch.nn.functional.avg_pool2d(views.seen_inst.flatten(0, 1).float()[:, None], 7, 1, 3)[:, 0].reshape(views.seen_inst.shape) > 0.999
    if bool(inside.any()):
        torch.testing.assert_close(out.rgb_inst[inside], views.rgb_inst[inside], atol=1e-5, rtol=0)
    unseen = (views.normals_inst.abs().sum(-1) > 0) & ~views.seen_inst & (out.alpha_inst > 0)
    assert float((out.rgb_inst[unseen] - 0.5).abs().max()) > 0.02


def test_a_person_who_is_entirely_hidden():
    views = standing(2, hidden=(1,))
    out = complete(views, body=None, completer=completer(wears=("red shirt", "blue dress")))  # type: ignore[arg-type]
    check(out, views)
    assert not bool(views.seen_inst[1].any()) and float(out.alpha_inst[1].sum()) > 100


def test_an_empty_view_stays_empty():
    views = standing(2, empty=(2,))
    out = complete(views, body=None, completer=completer())  # type: ignore[arg-type]
    check(out, views)
    assert float(out.alpha_group[2].max()) == 0 and float(out.alpha_inst[:, 2].max()) == 0 and float(out.rgb_inst[:, 2].max()) == 0


def test_seed_decides():
    views = standing(2)
    outs = [completer(seed=s)(views, body=None) for s in (0, 0, 1)]  # type: ignore[arg-type]
    assert torch.equal(outs[0].rgb_inst, outs[1].rgb_inst) and not torch.equal(outs[0].rgb_inst, outs[2].rgb_inst)


def test_too_many_captions():
    with pytest.raises(InputError, match="3 captions for 2 people"):
        completer(wears=("a", "b", "c"))(standing(2), body=None)  # type: ignore[arg-type]


def test_model_by_file(tmp_path):
    (path,) = save_multiview(tmp_path, "mine", model())
    config = CompleteConfig(method="diffusion", diffusion=DiffusionConfig(weights=path))
    assert completer_of(config).name == "diffusion-16" and completer_of(CompleteConfig()).name == "body-prior"
    before = completion_digest(config.diffusion)
    save_multiview(tmp_path, "mine", model(1), overwrite=True)
    assert len({before, completion_digest(config.diffusion), completion_digest(DiffusionConfig())}) == 3
    with pytest.raises(WeightsMissingError, match="none.safetensors"):
        completer_of(CompleteConfig(method="diffusion", diffusion=DiffusionConfig(weights=tmp_path / "none.safetensors")))


def test_foundation_size_by_its_folder(tmp_path):
    """Tiny random weights in the published layout; 24² pixels brought to the views' 64²."""
    pytest.importorskip("transformers")
    published = load_helper("diffusion", "published_folder")
    published.write_checkpoint(tmp_path / "networks")
    published.write_control(tmp_path / "control")
    settings = DiffusionConfig(weights=tmp_path / "networks", control=tmp_path / "control", steps=2, wears=("red shirt",))
    made = completer_of(CompleteConfig(method="diffusion", diffusion=settings))
    assert isinstance(made, FoundationCompleter) and made.name == "diffusion-24"
    made.prior = Grey()  # type: ignore[assignment]
    views = standing(2, hidden=(1,), empty=(4,))
    out = complete(views, body=None, completer=made)  # type: ignore[arg-type]
    check(out, views)
    assert float(out.alpha_inst[:, 4].max()) == 0
    assert completion_digest(settings) != completion_digest(dataclasses.replace(settings, control=None))


def load_helper(room, name):
    """A helper of another room's tests."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / room / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# upsampling by itself


def halves(side=64):
    """A picture whose left half faces left and whose right half faces the camera; everything opaque but a border."""
    normals = torch.zeros(1, 6, side, side, 3)
    normals[..., : side // 2, 0], normals[..., side // 2 :, 2] = -1, 1
    alpha = torch.zeros(1, 6, side, side)
    alpha[..., 8:56, 8:56] = 1
    rgb = torch.full((1, 6, side, side, 3), 0.5)
    seen = torch.zeros(1, 6, side, side, dtype=torch.bool)
    seen[:, 0, 20:40, 12:24] = True
    photo = torch.tensor([0.1, 0.9, 0.1]).expand_as(rgb) * seen[..., None]
    prior = Views(normals * alpha[..., None], rgb * alpha[..., None], alpha)
    return ViewInputs(prior.normals, photo, seen, prior)


def small(views, size=16):
    """At the network's size: means over what is covered."""

    def mean(x):
        side = x.shape[2]
        return x.reshape(1, 6, size, side // size, size, side // size, -1).mean((3, 5))

    alpha = mean(views.alpha[..., None])
    rgb, normals = mean(views.rgb * views.alpha[..., None]) / alpha.clamp_min(1e-6), mean(views.normals)
    return Views(torch.nn.functional.normalize(normals, dim=-1), rgb, alpha[..., 0])


def test_outlines_keep_their_colour():
    """A pixel that a red person fills by half is half transparent and red, not pink."""
    a = torch.tensor([1.0, 0.5, 0.0])
    normals = torch.stack([0 * a, 0 * a, a, 2 * a - 1])
    colours = torch.stack([1 + 0 * a, 1 - 2 * a, 1 - 2 * a, 2 * a - 1])
    out = views_of(torch.stack([normals, colours])[None, :, None, :, None])
    assert out.alpha[0, 0, 0].tolist() == [1, 0.5, 0]
    assert out.rgb[0, 0, 0, :2].tolist() == [[1, 0, 0], [1, 0, 0]] and out.normals[0, 0, 0, 1].tolist() == [0, 0, 1]


def test_a_network_that_agrees_changes_nothing():
    inputs = halves()
    out = upsample_views(small(inputs.prior), small(inputs.prior), inputs)
    keep = ~inputs.seen
    torch.testing.assert_close(out.alpha, inputs.prior.alpha, atol=1e-5, rtol=0)
    torch.testing.assert_close(out.rgb[keep], inputs.prior.rgb[keep], atol=1e-4, rtol=0)
    torch.testing.assert_close(out.normals, inputs.prior.normals, atol=1e-4, rtol=0)


def test_a_change_comes_up_sharply_and_the_photo_stays():
    inputs = halves()
    coarse = small(inputs.prior)
    # the network paints what faces left red; a cell of 4 pixels per side, the edge between the halves at pixel 32
    left = (coarse.normals[..., :1] < -0.5).float()
    made = Views(coarse.normals, torch.lerp(coarse.rgb, torch.tensor([1.0, 0.0, 0.0]), left), coarse.alpha)
    out = upsample_views(made, coarse, inputs)
    for x, red in ((29, 1.0), (31, 1.0), (32, 0.5), (35, 0.5)):
        assert float(out.rgb[0, 1, 30, x, 0]) == pytest.approx(red, abs=0.02), x
    assert out.rgb[0, 0, 30, 18].tolist() == pytest.approx([0.1, 0.9, 0.1], abs=1e-4)


@pytest.mark.parametrize(("opacity", "expected"), [(0.3, 0.0), (0.9, 1.0)])
def test_where_somebody_is_unlikely_there_is_nobody(opacity, expected):
    """A halo of little opacity around the outline, as the mean of many possible outlines has it."""
    inputs = halves()
    made = small(inputs.prior)
    out = upsample_views(Views(made.normals, made.rgb, made.alpha.clamp_min(opacity)), made, inputs)
    outside = float(out.alpha[0, 1, 30, 6])
    assert float(inputs.prior.alpha[0, 1, 30, 6]) == 0 and outside == pytest.approx(expected, abs=0.01)
    assert (float(out.normals[0, 1, 30, 6].norm()) > 0.5) == (expected > 0)


def test_hair_and_clothes_may_leave_the_outline_but_not_far():
    inputs = halves()
    made = small(inputs.prior)
    ones = torch.ones_like(made.alpha)
    blue = torch.tensor([0.0, 0.0, 1.0]).expand_as(made.rgb)
    out = upsample_views(Views(torch.tensor([0.0, 0.0, 1.0]).expand_as(made.normals), blue, ones), made, inputs)
    row = out.alpha[0, 1, 30]
    assert float(row[6]) > 0.5 and float(row[0]) == 0
    assert out.rgb[0, 1, 30, 5].tolist() == pytest.approx([0, 0, 1], abs=0.01)
    gone = upsample_views(Views(made.normals, blue, 0 * ones), made, inputs)
    assert float(gone.alpha[0, 1].mean()) < 0.05 and float(gone.alpha[0, 1, 30, 30]) == 0 and float(gone.alpha[0, 0, 30, 18]) == 1
