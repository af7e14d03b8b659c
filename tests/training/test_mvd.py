"""The training of the view completion on made-up views."""

import json
import math
from dataclasses import replace

import pytest
import torch

from huddle3d.cli import main
from huddle3d.diffusion.multiview import REST_SPREAD, SamplerConfig, ViewInputs, Views, first_completion, read_multiview, save_multiview
from huddle3d.errors import InputError, ShapeError
from huddle3d.networks import MultiViewConfig, UpsamplerConfig, ViewUpsampler
from huddle3d.people import ViewMaps, condition_of, known_photo, large_pictures, learned_upsampler, read_upsampler, upsampler_guide
from huddle3d.training.mvd import (
    Draw,
    MvdTraining,
    Tally,
    UpsamplerTraining,
    ViewDenoiser,
    baseline_pictures,
    completed_pictures,
    draw_photos,
    make_batch,
    mirrored_maps,
    network_space,
    sample_views,
    train_mvd,
    train_upsampler,
)
from huddle3d.training.mvd.batches import in_the_photo_s_light
from huddle3d.training.mvd.train import denoising_loss
from huddle3d.training.views import Patches, TrueMaps, ViewSample, read_view_bank
from huddle3d.training.views.bank import SetRecord, write_shard

SIDE = 16
TINY = MultiViewConfig(
    widths=(16, 32), layers=1, heads=(1, 2), attention=(False, True), size=SIDE, channels=4, condition_channels=11, text_width=16, class_width=10,
    face_slot=False, norm_groups=4,
)  # fmt: skip
CONFIG = MvdTraining(
    network=TINY,
    sets=4,
    warm_up=5,
    per_view_steps=3,
    unmasked_steps=2,
    validation_share=0.34,
    sampling_steps=3,
    validation_photos=4,
    photo_light=False,  # the balls' baseline is darker than the truth: that is what is to be learned
)


def ball(generator):
    """A ball that stands where the baseline has a smaller one of a darker colour: what is missing can be learned."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    place, colour = 0.6 * torch.rand(2, generator=generator) - 0.3, 0.3 + 0.5 * torch.rand(3, generator=generator)
    angle = torch.tensor([0, 45, 90, 180, 270, 315]) * math.pi / 180
    u = (x[None] - (place[0] * angle.cos() - place[1] * angle.sin())[:, None, None]) / 0.55
    v = y[None].expand(6, -1, -1) / 0.55
    inside = (u * u + v * v < 1).float()
    normals = torch.stack([u, -v, (1 - u * u - v * v).clamp_min(0).sqrt()], -1) * inside[..., None]
    small = (u * u + v * v < 0.7).float()
    shown = torch.zeros(6, SIDE, SIDE)
    shown[0] = small[0]
    dark = 0.6 * colour.expand(6, SIDE, SIDE, 3)
    given = ViewMaps(normals * small[..., None], small, dark * shown[..., None], shown, normals * small[..., None], dark * small[..., None], small)
    truth = TrueMaps(normals, colour.expand(6, SIDE, SIDE, 3) * inside[..., None], inside, torch.zeros(6, SIDE, SIDE))
    return given, truth


def large_patch(generator):
    """One view of a striped ball at four times the size of what is completed; the baseline has the stripes a little darker."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    inside = ((x * x + y * y) < 0.6).float()
    stripes = (torch.sin(25 * x + 6 * torch.rand((), generator=generator)) > 0).float()[..., None].expand(-1, -1, 3) * inside[..., None]
    normals = torch.stack([x, -y, (1 - x * x - y * y).clamp_min(0).sqrt()], -1) * inside[..., None]
    normals, stripes, inside = normals[None], stripes[None], inside[None]
    return ViewMaps(normals, inside, 0 * stripes, 0 * inside, normals, 0.8 * stripes, inside), TrueMaps(normals, stripes, inside, 0 * inside)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Six files of two photographs of three sets."""
    folder = tmp_path_factory.mktemp("views")
    g = torch.Generator().manual_seed(0)
    for f in range(6):
        samples, records = [], []
        for p in range(2):
            sets = [ball(g) for _ in range(3)]
            given = ViewMaps(*(torch.stack([getattr(s[0], n) for s in sets]) for n in ViewMaps.__dataclass_fields__))
            truth = TrueMaps(*(torch.stack([getattr(s[1], n) for s in sets]) for n in TrueMaps.__dataclass_fields__))
            pairs = [large_patch(g) for _ in range(3)]
            pg = ViewMaps(*(torch.stack([getattr(s[0], n) for s in pairs]) for n in ViewMaps.__dataclass_fields__))
            pt = TrueMaps(*(torch.stack([getattr(s[1], n) for s in pairs]) for n in TrueMaps.__dataclass_fields__))
            samples.append(ViewSample(given, truth, Patches(pg, pt, torch.zeros(3, 4, dtype=torch.int16)), False))
            records += [SetRecord(k, "red shirt, blue jeans", p, "hug", False) for k in ("group", "instance", "instance")]
        write_shard(folder / f"{f:06d}.safetensors", samples, records, {})
    return read_view_bank(folder)


def batch_of(bank, rows=(0, 1)):
    return make_batch(bank, [Draw(0, rows)], CONFIG, None)


def test_mirror_and_network_space(bank):
    batch = batch_of(bank)
    assert torch.equal(network_space(network_space(batch.clean)), batch.clean)
    plain = network_space(batch.clean)
    assert torch.equal(batch.clean[:, :, 3], plain[:, :, 3].flip(-1)) and torch.equal(batch.clean[:, :, 2], plain[:, :, 2])
    given, truth = mirrored_maps(batch.given, batch.truth)
    assert torch.equal(truth.alpha[:, 2], batch.truth.alpha[:, 4].flip(2)) and torch.equal(truth.alpha[:, 0], batch.truth.alpha[:, 0].flip(2))
    assert torch.equal(truth.normals[:, 1, ..., 0], -batch.truth.normals[:, 5, ..., 0].flip(2))
    back = mirrored_maps(given, truth)
    assert torch.equal(back[1].normals, batch.truth.normals) and torch.equal(back[0].rgb, batch.given.rgb)


def test_the_truth_takes_on_the_light_of_the_photograph():
    generator = torch.Generator().manual_seed(4)
    pairs = [ball(generator) for _ in range(3)]
    given, truth = (type(p[0])(*(torch.stack([getattr(q, n) for q in p]) for n in type(p[0]).__dataclass_fields__)) for p in zip(*pairs))
    tint = torch.tensor([[0.9, 0.7, 0.5], [0.4, 0.5, 0.6], [1.0, 1.0, 1.0]])
    shown = given.seen > 0
    rgb = truth.colours * tint[:, None, None, None] * shown[..., None]
    seen = given.seen.clone()
    seen[2] = 0  # of the last set the photograph shows nothing
    lit = in_the_photo_s_light(replace(given, rgb=rgb, seen=seen), truth)
    for k, factor in enumerate((tint[0], tint[1], (tint[0] + tint[1]) / 2)):
        assert torch.allclose(lit.colours[k], truth.colours[k] * factor, atol=1e-5)
    assert torch.equal(lit.normals, truth.normals) and torch.equal(lit.alpha, truth.alpha)
    nothing = in_the_photo_s_light(replace(given, seen=torch.zeros_like(seen)), truth)
    assert torch.allclose(nothing.colours, truth.colours)


def test_batches_are_full_and_follow_the_curriculum(bank):
    g = torch.Generator().manual_seed(0)
    draws = draw_photos(bank, CONFIG, g, masked=True)
    assert sum(len(d.rows) for d in draws) == CONFIG.sets and len(draws) == 2
    first = draw_photos(bank, CONFIG, g, masked=False)
    assert all(bank.records[d.file][r].kind == "group" for d in first for r in d.rows) and len(first) == CONFIG.sets
    batch = make_batch(bank, draws, replace(CONFIG, drop_text=0.0, colour_swap=0.0), g)
    assert (
        batch.condition.shape == (4, 2, 6, 11, SIDE, SIDE)
        and batch.group.tolist() == [bank.records[d.file][r].kind == "group" for d in draws for r in d.rows]
        and bool((batch.tokens > 0).any())
    )
    assert int((make_batch(bank, draws, replace(CONFIG, drop_text=1.0), g).tokens > 0).sum()) == 0
    assert float(batch.weight.max()) == pytest.approx(5.0) and float(batch.weight.min()) == 1.0


def test_training_data_of_the_ablations(bank, tmp_path):
    g = torch.Generator().manual_seed(0)
    for data, masked, kinds in (("groups", True, {"group"}), ("groups", False, {"group"}), ("people", True, {"instance"})):
        draws = draw_photos(bank, CONFIG, g, masked=masked, data=data)
        assert {bank.records[d.file][r].kind for d in draws for r in d.rows} == kinds and sum(len(d.rows) for d in draws) == CONFIG.sets
    with pytest.raises(InputError, match="nothing to learn"):
        draw_photos(bank, CONFIG, g, masked=False, data="people")
    train_mvd(bank, tmp_path / "people", CONFIG, data="people", steps=1, minutes=5)
    assert read_multiview(tmp_path / "people", "mvd").note["data"] == "people"
    with pytest.raises(InputError, match="other settings"):
        train_mvd(bank, tmp_path / "people", CONFIG, data="groups", steps=2, minutes=5)


@pytest.mark.parametrize(("prediction", "steps"), [("preconditioned", 1), ("residual", 1), ("residual", 4)])
def test_fresh_network_is_the_baseline(bank, prediction, steps):
    batch = batch_of(bank)
    model = ViewDenoiser(TINY, prediction).eval()
    found = completed_pictures(sample_views(model, batch, steps, torch.Generator().manual_seed(0)))
    assert float((found - baseline_pictures(batch.given)).abs().max()) < 1e-4


@pytest.mark.parametrize("prediction", ["preconditioned", "x0", "v"])
def test_network_that_knows_the_truth_is_believed(bank, prediction):
    """What the network tells is turned into clean pictures as its parameterisation says: an oracle's loss is zero, and it is sampled."""
    batch = batch_of(bank)
    model = ViewDenoiser(TINY, prediction).eval()

    class Oracle(torch.nn.Module):
        def forward(self, noisy, condition, t, **_):
            a = model.schedule.at(t)[:, :, None, None, None, None]
            if prediction == "preconditioned":  # "noisy" is the linear guess of the rest, in units of its spread
                total = a * REST_SPREAD**2 + 1 - a
                missing = batch.clean - first_completion(batch.condition) - REST_SPREAD * noisy
                return missing / (REST_SPREAD * ((1 - a) / total).sqrt())
            noise = (noisy - a.sqrt() * batch.clean) / (1 - a).sqrt()
            return batch.clean if prediction == "x0" else a.sqrt() * noise - (1 - a).sqrt() * batch.clean

    model.unet = Oracle()
    assert float(denoising_loss(model, batch, CONFIG, torch.Generator().manual_seed(0), model.schedule)) < 1e-6
    assert float((sample_views(model, batch, 3, torch.Generator().manual_seed(0)) - batch.clean).abs().max()) < 1e-2


def test_loss_weights_noise_levels_by_min_snr(bank):
    """The loss of a constant error, by hand: its square times min(SNR, 5) / 5, not less than a twentieth."""
    batch = batch_of(bank)

    class Off(torch.nn.Module):
        def forward(self, noisy, condition, t, tokens, group):
            return batch.clean + 0.1

    model = ViewDenoiser(TINY)
    got = float(denoising_loss(Off(), batch, CONFIG, torch.Generator().manual_seed(5), model.schedule))
    levels = torch.randint(0, 1000, (2,), generator=torch.Generator().manual_seed(5))
    expected = 0.0
    for level in levels.tolist():
        a = float(model.schedule.alphas_bar()[level])
        expected += 0.01 * min(max(a / (1 - a), 0.25), 5.0) / 5.0 / 2
    assert got == pytest.approx(expected, rel=1e-4)


def test_scores_by_hand():
    zero, flat = torch.zeros(1, 6, 4, 4, 3), torch.zeros(1, 6, 4, 4)
    alpha, seen = flat.clone(), flat.clone()
    alpha[:, 0], alpha[:, 1], seen[:, 0] = 1, 1, 1
    up = torch.tensor([0.0, 0.0, 1.0])
    given = ViewMaps(zero, flat, zero, seen, zero, zero, flat)
    truth = TrueMaps(alpha[..., None] * up, 0.5 * alpha[..., None].expand_as(zero), alpha, flat)
    pictures = torch.zeros(1, 2, 6, 4, 4, 4) - 1
    tilt = math.radians(30)
    pictures[:, 0, :2, :3] = torch.tensor([math.sin(tilt), 0, math.cos(tilt)])[:, None, None]
    pictures[:, 0, :1, 3] = 1  # the second view's outline is missed
    pictures[:, 1, 0, :3], pictures[:, 1, 1, :3] = 0.2, 0.02  # truth: 0 in [-1, 1]
    tally = Tally()
    tally.add(pictures, given, truth)
    scores = tally.scores()
    assert scores.psnr_seen_db == pytest.approx(20.0, abs=1e-3) and scores.psnr_unseen_db == pytest.approx(40.0, abs=1e-3)
    assert scores.normal_deg == pytest.approx(30.0, abs=1e-3) and scores.normal_unseen_deg == pytest.approx(30.0, abs=1e-3)
    assert scores.outline_iou == pytest.approx(0.5)


def test_the_better_number_of_steps_is_kept(bank, tmp_path):
    _, report = train_mvd(bank, tmp_path / "run", CONFIG, steps=1, minutes=5)
    low, high = replace(report.baseline, psnr_unseen_db=10.0), replace(report.baseline, psnr_unseen_db=11.0)
    assert replace(report, one_step=low, sampled=high).best_steps(6) == 6
    assert replace(report, one_step=high, sampled=low).best_steps(6) == 1
    assert read_multiview(tmp_path / "run", "mvd").steps == report.best_steps(CONFIG.sampling_steps)


@pytest.mark.parametrize("steps", [1, 4])
def test_inference_reads_what_training_wrote_and_samples_as_its_validation(bank, tmp_path, steps):
    """The same pictures from the file through the inference's own model, schedule and sampler, for one person whose photo shows two views."""
    batch = batch_of(bank, (0,))
    seen = batch.given.seen.clone()
    seen[:, 1] = batch.given.silhouette[:, 1]  # a view that S14 acts on
    batch = replace(batch, given=replace(batch.given, seen=seen, rgb=batch.given.prior_rgb * seen[..., None]), group=torch.tensor([True]))
    batch = replace(batch, condition=network_space(condition_of(batch.given)))
    torch.manual_seed(1)
    model = ViewDenoiser(TINY).eval().requires_grad_(False)
    torch.nn.init.normal_(model.unet.conv_out.weight, std=0.02)
    save_multiview(tmp_path, "mvd", model.stored({"seed": 3}, steps=5))
    back = read_multiview(tmp_path, "mvd")
    assert back.prediction == "preconditioned" and back.note["seed"] == 3 and back.steps == 5
    expected = network_space(sample_views(model, batch, steps, torch.Generator().manual_seed(0)))
    people, told = torch.zeros(0, 6, SIDE, SIDE), (condition_of(batch.given), ["red shirt, blue jeans"])

    def made(photo, eta):
        config = SamplerConfig(steps=steps, eta=eta)
        return back.generate(told[0], people, told[1], photo, config, generator=torch.Generator().manual_seed(0))

    known = known_photo(batch.given)
    assert float(known[1].sum()) > 10 and float((made(known, 1.0) - expected).abs().max()) < 0.02
    if steps > 1:  # neither the photo's pixels nor the fresh noise are without effect
        assert float((made(None, 1.0) - expected).abs().max()) > 0.02 < float((made(known, 0.0) - expected).abs().max())


def test_stopped_run_goes_on_to_the_same_bytes(bank, tmp_path):
    config = replace(CONFIG, validate_every=0.0, validation_photos=1)  # saved after every step

    class Stop(Exception):
        pass

    def stop(share, note=""):
        if note.startswith("step 3"):
            raise Stop

    train_mvd(bank, tmp_path / "one", config, steps=4, minutes=5)
    with pytest.raises(Stop):
        train_mvd(bank, tmp_path / "two", config, steps=4, minutes=5, progress=stop)
    lines = [json.loads(t) for t in (tmp_path / "two" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 2 and "baseline/psnr_unseen_db" in lines[-1] and (tmp_path / "two" / "pictures" / "step-0000002.png").exists()
    with pytest.raises(InputError, match="other settings"):
        train_mvd(bank, tmp_path / "two", replace(config, seed=9), steps=4)
    train_mvd(bank, tmp_path / "two", config, steps=4, minutes=5)
    assert (tmp_path / "two" / "mvd.safetensors").read_bytes() == (tmp_path / "one" / "mvd.safetensors").read_bytes()
    with pytest.raises(InputError, match="px"):
        train_mvd(bank, tmp_path / "four", MvdTraining())


@pytest.mark.slow
def test_short_training_lowers_the_validation_loss_and_beats_the_baseline(bank, tmp_path):
    config = replace(CONFIG, learning_rate=3e-3, ema=0.95, per_view_steps=30, unmasked_steps=30)
    _, start = train_mvd(bank, tmp_path / "run", config, steps=1, minutes=5)
    _, end = train_mvd(bank, tmp_path / "run2", config, steps=120, minutes=3)
    assert end.loss < 0.5 * start.loss
    assert end.one_step.psnr_unseen_db > end.baseline.psnr_unseen_db + 2 and end.one_step.outline_iou > end.baseline.outline_iou


@pytest.mark.slow
def test_half_precision_learns_the_same_within_its_rounding(bank, tmp_path):
    config = replace(CONFIG, per_view_steps=0, unmasked_steps=0)
    _, whole = train_mvd(bank, tmp_path / "whole", config, steps=6, minutes=5)
    _, half = train_mvd(bank, tmp_path / "half", replace(config, bf16=True, channels_last=False), steps=6, minutes=5)
    _, start = train_mvd(bank, tmp_path / "start", config, steps=1, minutes=5)
    assert half.loss != whole.loss
    assert abs(half.loss - whole.loss) < 0.25 * abs(start.loss - whole.loss)


def test_fresh_upsampler_is_bilinear_and_any_side_will_do():
    torch.manual_seed(0)
    model = ViewUpsampler().eval().requires_grad_(False)
    assert sum(p.numel() for p in model.parameters()) < 1_000_000
    for h, w in ((16, 16), (8, 24)):
        small, guide = torch.randn(2, 7, h, w), torch.randn(2, 14, 4 * h, 4 * w)
        expected = torch.nn.functional.interpolate(small, size=(4 * h, 4 * w), mode="bilinear")
        assert float((model(small, guide) - expected).abs().max()) < 1e-5
    with pytest.raises(ShapeError):
        model(torch.zeros(1, 7, 8, 8), torch.zeros(1, 14, 16, 16))


def test_guide_and_large_pictures(bank):
    given, truth = large_patch(torch.Generator().manual_seed(0))
    guide, large = upsampler_guide(given), large_pictures(truth.normals, truth.colours, truth.alpha)
    assert guide.shape == (1, 14, 32, 32) and large.shape == (1, 7, 32, 32)
    assert torch.equal(guide[0, 0:3], given.body_normals[0].permute(2, 0, 1)) and float(guide[0, 3:7].abs().max()) == 0
    assert float(large[0, 3:6, 0, 0].min()) == 1 and float(large[0, 6, 0, 0]) == -1 and float(large[0, 6, 16, 16]) == 1


def test_upsampler_learns_to_use_its_guide(bank, tmp_path):
    """Stripes finer than a small pixel: only the guide shows them."""
    config = UpsamplerTraining(
        network=UpsamplerConfig(widths=(16, 16), blocks=1, norm_groups=4), learning_rate=4e-3, ema=0.9, patches=6, warm_up=5, validation_share=0.34
    )
    _, end = train_upsampler(bank, tmp_path / "up", config, steps=40, minutes=3)
    assert end.psnr_db > end.bilinear_psnr_db + 1 and math.isfinite(end.normal_deg)
    back = read_upsampler(tmp_path / "up" / "upsampler.safetensors")
    assert back.config == config.network
    (tmp_path / "bad.safetensors").write_bytes((tmp_path / "up" / "upsampler.safetensors").read_bytes()[:500])
    with pytest.raises(InputError, match="bad"):
        read_upsampler(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("side", [64, 128])
def test_fresh_upsampler_carries_a_change_of_colour_to_full_size(side):
    """A square that is 0.1 redder than the baseline says: so is the full view, but not where the photo is seen."""
    network = ViewUpsampler().eval().requires_grad_(False)
    step = side // 16
    alpha = torch.zeros(1, 6, 16, 16)
    alpha[..., 4:12, 4:12] = 1
    up = torch.tensor([0.0, 0.0, 1.0])

    def views(a, red):
        return Views(a[..., None] * up, a[..., None] * torch.tensor([red, 0.4, 0.2]), a)

    def large(t):
        return t.repeat_interleave(step, 2).repeat_interleave(step, 3)

    seen = torch.zeros(1, 6, side, side, dtype=torch.bool)
    seen[:, 0, side // 2 :, side // 4 : 3 * side // 4] = True
    prior = views(large(alpha), 0.5)
    inputs = ViewInputs(prior.normals, prior.rgb * seen[..., None], seen, prior)
    out = learned_upsampler(network)(views(alpha, 0.6), None, inputs)
    assert out.rgb.shape == (1, 6, side, side, 3)
    inner = slice(6 * step, 10 * step)
    told = out.rgb[:, 1, inner, inner]
    assert torch.allclose(told, torch.tensor([0.6, 0.4, 0.2]).expand_as(told), atol=1e-3)
    kept = out.rgb[:, 0, 9 * step : 10 * step, 7 * step : 9 * step]
    assert torch.allclose(kept, torch.tensor([0.5, 0.4, 0.2]).expand_as(kept), atol=0.02)
    assert float(out.alpha[..., :step, :].max()) == 0 and float(out.alpha[:, 1, inner, inner].min()) > 0.99
    assert torch.allclose(out.normals[:, 2, inner, inner], up.expand(1, 4 * step, 4 * step, 3), atol=1e-3)


def test_command_trains_and_goes_on(bank, tmp_path, capsys):
    small = "--config.sets 2 --config.per-view-steps 1 --config.unmasked-steps 1 --config.validation-photos 1 --config.sampling-steps 1".split()
    small += "--config.network.widths 16 32 --config.network.layers 1 --config.network.heads 1 2 --config.network.attention False True".split()
    small += f"--config.network.size {SIDE} --config.network.channels 4 --config.network.condition-channels 11 --config.network.text-width 16".split()
    small += "--config.network.class-width 10 --config.network.no-face-slot --config.network.norm-groups 4 --config.network.patch 1".split()
    run = ["train", "mvd", "--bank", str(bank.folder), "--output", str(tmp_path / "run"), "--device", "cpu", "--minutes", "2"]
    assert main([*run, "--steps", "1", *small]) == 0 and main([*run, "--steps", "2", *small]) == 0
    assert "body-prior" in capsys.readouterr().err
    assert [json.loads(t)["step"] for t in (tmp_path / "run" / "log.jsonl").read_text().splitlines()] == [1, 2]
    assert main([*run, "--minutes", "0"]) == 2 and main(["train", "upsampler", "--bank", str(tmp_path), "--output", str(tmp_path / "up")]) == 2
