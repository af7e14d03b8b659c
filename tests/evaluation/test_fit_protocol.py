"""``eval fit``: what is given to the fit, resuming, rows and JSON; the fit itself is replaced, it has its own tests."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.cli import main
from huddle3d.errors import DeviceError, InputError, StageError, WeightsMissingError
from huddle3d.evaluation import (
    FitMetrics,
    FitResult,
    compare_fits,
    evaluate_fit,
    evaluate_sample,
    fit_json,
    fit_protocol,
    fit_row,
    fit_summary,
    protocol,
    row_name,
)
from huddle3d.fitting import FitConfig
from huddle3d.io import MeshData
from huddle3d.people import Agreed, IdentityConfig, PeopleConfig
from huddle3d.scene import PersonMesh

from .shapes import cube
from .test_fit_metrics import body, sample, truth  # noqa: F401 - fixtures


@pytest.fixture
def given(monkeypatch, truth):  # noqa: F811
    """Every call of the fit, which answers with the truth."""
    calls = []

    def fake(photo, people, config, **kwargs):
        calls.append(people)
        return truth

    monkeypatch.setattr(fit_protocol, "fit", fake)
    return calls


def run(sample, tmp_path, source="true", **options):  # noqa: F811
    return evaluate_fit("key", lambda: sample, source, tmp_path / "x", body=load_body(), **options)


def test_inputs(sample, given, tmp_path):  # noqa: F811
    for source in ("true", "true2d", "noisy"):
        result = run(sample, tmp_path, source)
        assert result.metrics.people_found == 2 and result.metrics.pa_mpjpe_mm < 1e-2 and not result.failure
    exact, blind, noisy = given
    assert torch.equal(exact.keypoints, sample.people2d.keypoints)
    assert torch.equal(blind.keypoints, exact.keypoints) and float(blind.landmarks3d[..., 3].max()) == 0
    assert not torch.equal(noisy.keypoints, exact.keypoints) and torch.equal(noisy.masks, exact.masks)
    again = run(sample, tmp_path, "noisy", overwrite=True)
    assert torch.equal(given[-1].keypoints, noisy.keypoints) and again.metrics == run(sample, tmp_path, "noisy").metrics


def test_kept_numbers_are_read_and_belong_to_their_settings(sample, given, tmp_path):  # noqa: F811
    first = run(sample, tmp_path)

    def never():
        raise AssertionError("made again")

    kept = evaluate_fit("key", never, "true", tmp_path / "x", body=load_body())
    assert kept.metrics.to_dict() == first.metrics.to_dict() and kept.seconds == first.seconds and len(given) == 1
    run(sample, tmp_path, config=PeopleConfig(fit=FitConfig(weight_touch=0.0)))
    assert len(given) == 2
    (tmp_path / "x" / "result.json").write_text("{")
    with pytest.raises(InputError, match="--overwrite"):
        run(sample, tmp_path)
    run(sample, tmp_path, overwrite=True)


def test_kept_numbers_belong_to_all_the_code_and_weights_that_made_them(monkeypatch):
    source = Path(fit_protocol.__file__).parents[1]
    rooms, used = set(fit_protocol._ROOMS), set()
    # the evaluation also draws pages: not all that it imports makes numbers
    for room in ("fitting", "perception", "people/identity", *rooms - {"evaluation"}):
        for path in (source / room).rglob("*.py"):
            used |= set(re.findall(r"^\s*from huddle3d\.(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert used - {"errors", "progress", "people"} <= rooms
    seen = {}
    for networks in ("light", "heavy"):
        monkeypatch.setattr(fit_protocol, "weights_digest", lambda config, networks=networks: networks)
        seen[networks] = [fit_protocol.fit_identity("key", source, PeopleConfig(), 0) for source in ("true", "predicted")]
    assert seen["light"][0] == seen["heavy"][0] and seen["light"][1] != seen["heavy"][1]


def test_more_rounds_are_measured_as_such(sample, given, truth, monkeypatch, tmp_path):  # noqa: F811
    asked = []

    def agreed(photo, people, bodies, config, fit_config, **kwargs):
        asked.append((bodies, config.rounds))
        return Agreed(people, replace(bodies, landmarks=bodies.landmarks * 1.5), ())

    monkeypatch.setattr(fit_protocol, "agree", agreed)
    once = run(sample, tmp_path)
    assert not asked
    twice = run(sample, tmp_path, config=PeopleConfig(identity=IdentityConfig(rounds=2)))
    assert asked == [(truth, 2)] and twice.metrics.mpjpe_mm > once.metrics.mpjpe_mm + 50, "the bodies of the last round count"
    run(sample, tmp_path, config=PeopleConfig(identity=IdentityConfig(size=200)))
    assert len(asked) == 1 and len(given) == 3


def test_failures_are_results(sample, monkeypatch, tmp_path):  # noqa: F811
    def fail(*args, **kwargs):
        raise StageError("fit", "x", "no person to fit.")

    monkeypatch.setattr(fit_protocol, "fit", fail)
    result = run(sample, tmp_path)
    assert result.metrics is None and "no person" in result.failure
    assert run(sample, tmp_path) == result
    assert fit_row(result)["people_found"] == 0 and fit_row(result)["pa_mpjpe_mm"] is None
    blind = replace(sample, bodies=None, people2d=None, joints=sample.bodies.landmarks[:, :17])
    assert "predicted" in run(blind, tmp_path, overwrite=True).failure


@pytest.mark.parametrize(
    "error",
    [
        WeightsMissingError("x: weights are missing."),
        DeviceError("No device."),
        InputError("out/x: cannot be written.", why="No space left on device."),
    ],
)
def test_what_would_fail_every_scene_is_no_result(sample, given, monkeypatch, tmp_path, error):  # noqa: F811
    """Kept as a failure, it would be read again after the weights were fetched, the disk emptied."""
    good = fit_protocol.fit

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(fit_protocol, "fit", fail)
    with pytest.raises(type(error)):
        run(sample, tmp_path)
    monkeypatch.setattr(fit_protocol, "fit", good)
    assert run(sample, tmp_path).metrics is not None


def test_the_same_holds_for_eval_people(sample, monkeypatch, tmp_path):  # noqa: F811
    errors = [WeightsMissingError("x: weights are missing."), StageError("fit", "x", "no person to fit.")]

    def fail(*args, **kwargs):
        raise errors[0]

    monkeypatch.setattr(protocol, "run_photo", fail)
    sample = replace(sample, meshes=(PersonMesh.from_mesh_data(MeshData("a", *(t.numpy() for t in cube()))),))
    with pytest.raises(WeightsMissingError):
        evaluate_sample(sample, "predicted", tmp_path, body=load_body())
    del errors[0]
    found, _ = evaluate_sample(sample, "predicted", tmp_path, body=load_body())
    assert "no person" in found.failure


def result(scene, variant="", source="true", **values):
    base = {"pa_mpjpe_mm": 30.0, "order_right": 1, "order_decided": 1, "contact_recall": 0.5, "max_penetration_mm": 4.0}
    return FitResult(scene, "hug", source, variant, FitMetrics(2, 2, 0, **{**base, **values}), "", 10.0)


def test_rows_of_many_scenes():
    results = [
        result("a", pa_mpjpe_mm=10.0, contact_recall=1.0, contact_by_region={"hand": (1, 2, 1)}),
        result("b", pa_mpjpe_mm=20.0, order_right=0, order_decided=3, contact_by_region={"hand": (1, 1, 4)}),
        result("c", pa_mpjpe_mm=90.0, order_right=0, order_decided=0, contact_recall=math.nan),
        FitResult("d", "hug", "true", "", None, "nobody", 1.0),
    ]
    row = fit_summary(results)
    assert row["pa_mpjpe_mm"] == 20 and row["worst"]["pa_mpjpe_mm"] == 90 and row["interval"]["pa_mpjpe_mm"]["count"] == 3
    assert row["contact_recall"] == pytest.approx(0.75) and row["depth_order"] == pytest.approx(1 / 4)
    assert row["people_found"] == pytest.approx(0.75) and (row["scenes"], row["failed"]) == (4, 1)
    assert row["contact_by_region"]["hand"] == {"recall": 2 / 3, "precision": 2 / 5, "true": 3, "predicted": 5}
    assert row["mpjpe_mm"] is None


def test_json_has_the_asked_keys_for_each_variant():
    results = [result(s, v, source, pa_mpjpe_mm=x) for s, x in (("a", 10.0), ("b", 20.0)) for v in ("full", "none") for source in ("true", "noisy")]
    tree = json.loads(fit_json(results, seed=1))
    assert list(tree["variants"]) == ["true:full", "noisy:full", "true:none", "noisy:none"] and row_name(results[0]) == "true:full"
    for row in tree["variants"].values():
        assert {"pa_mpjpe_mm", "joint_pa_mpjpe_mm", "depth_order", "max_penetration_mm", "contact_recall"} <= set(row)
    assert tree["comparisons"]["true"]["none"]["pa_mpjpe_mm"]["median_difference"] == 0 and tree["seed"] == 1
    assert tree["targets"]["true"]["pa_mpjpe_mm"] == "<= 35" and len(tree["scenes"]) == 8
    with pytest.raises(InputError):
        fit_json([])


def test_variants_are_compared_on_shared_scenes():
    results = [result(s, v, pa_mpjpe_mm=x) for s, v, x in (("a", "full", 10.0), ("b", "full", 20.0), ("a", "bare", 13.0), ("c", "bare", 99.0))]
    found = compare_fits(results)["true"]["bare"]["pa_mpjpe_mm"]
    assert (found.median_difference, found.count) == (3, 1)


@pytest.mark.parametrize("options", [["--scenes", "0"], ["--dataset", "suite"], ["--assets", "x"], ["--json", "/nowhere/at/all.json"], ["--inputs"]])
def test_bad_options(options, tmp_path, capsys):
    assert main(["eval", "fit", "--output", str(tmp_path / "out"), *options]) == 2
    assert not (tmp_path / "out").exists()
