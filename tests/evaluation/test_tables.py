"""Rows, medians, levels, comparisons and the page, from results made by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from huddle3d.evaluation import (
    BODY_COLUMNS,
    COLUMNS,
    INSTANCE_COLUMNS,
    PAPER_COLUMNS,
    UNSEEN_COLUMNS,
    EvaluateConfig,
    EvaluationSample,
    ScenePictures,
    SceneResult,
    by_family,
    by_level,
    compare_variants,
    draw_scene,
    evaluate_sample,
    evaluate_scene,
    evaluation_page,
    format_p,
    results_json,
    row,
    summary,
)  # fmt: skip
from huddle3d.geometry import Camera, look_at
from huddle3d.scene import Photo

from .shapes import cube, person


@pytest.fixture(scope="module")
def metrics():
    truth = [person("a", cube((-0.2525, 0, 0), 0.5), (0.9, 0.1, 0.1)), person("b", cube((0.2525, 0, 0), 0.5), (0.1, 0.1, 0.9))]
    camera = Camera.perspective(150, 100, 100, look_at(torch.tensor([0.0, 0.3, 4.0]), torch.zeros(3)))
    return evaluate_scene(truth, truth, EvaluateConfig(samples=1000, image_size=48), camera=camera)


def result(metrics, scene="s", cd=None, protocol="true", variant="", failure=""):
    if metrics is not None and cd is not None:
        metrics = replace(metrics, group=replace(metrics.group, chamfer_cm=cd))
    return SceneResult(scene, "pair", protocol, metrics, failure, 1.0, 100.0, variant)


def test_a_row_has_every_column_and_no_nan(metrics):
    values = row(metrics)
    assert set(values) == {*COLUMNS, *PAPER_COLUMNS, *INSTANCE_COLUMNS, *BODY_COLUMNS, *UNSEEN_COLUMNS}
    assert values["lpips"] is None and values["mpjpe_mm"] is None  # no weights, no bodies: absent, not zero
    assert values["psnr"] == values["inst_psnr"] == values["unseen_psnr"] == 100 and values["cp"] == 1
    assert values["bbox_iou"] == pytest.approx(1) and 0.3 < values["unseen_share"] < 1
    assert metrics.interaction.level == "close"


def test_medians_leave_out_failures_and_absent_values(metrics):
    some = [result(metrics, f"s{k}", cd) for k, cd in enumerate((1.0, 2.0, 9.0))] + [result(None, "s3", failure="nobody")]
    assert summary(some)["cd_cm"] == 2.0 and summary(some)["lpips"] is None
    assert by_level(some)["close"][0] == 3 and list(by_level(some)) == ["close"]
    mixed = [replace(r, family=f) for r, f in zip(some, ("hug", "row", "hug", "none"), strict=True)]
    assert {f: (n, m["cd_cm"]) for f, (n, m) in by_family(mixed).items()} == {"hug": (2, 5.0), "row": (1, 2.0)}  # the failed one is in no class


def test_comparisons_pair_the_same_scenes(metrics):
    some = [result(metrics, f"s{k}", 1.0 + k, variant="full") for k in range(6)]
    some += [result(metrics, f"s{k}", 1.5 + k, variant="worse") for k in reversed(range(6))]
    some += [result(None, "s9", variant="worse", failure="x")]
    found = compare_variants(some)["true"]["worse"]["cd_cm"]
    assert found.median_difference == pytest.approx(0.5) and found.count == 6
    assert found.p_value == pytest.approx(0.03, abs=0.01)  # all six alike: 2/64, or its normal approximation with ties
    assert compare_variants(some)["true"]["worse"]["nc"].p_value == 1


def test_json_keeps_its_old_keys_and_adds_new_ones(metrics):
    some = [result(metrics, "s0", 1.0), result(None, "s1", failure="nobody")]
    tree = json.loads(results_json(some, seed=1))
    assert {"median", "scenes", "seed", "interval", "by_level", "by_family"} == set(tree)
    assert set(tree["median"]["true"]) >= set(COLUMNS)
    assert {"scene", "family", "protocol", "failure", "seconds", "peak_mb", "metrics", *COLUMNS} <= set(tree["scenes"][0])
    assert tree["interval"]["true"]["cd_cm"] == {"median": 1.0, "low": 1.0, "high": 1.0, "count": 1}
    assert "lpips" in tree["scenes"][0]["metrics"]["undefined"]
    assert "comparisons" in json.loads(results_json([result(metrics, variant="a"), result(metrics, variant="b")]))


def test_reasons_with_brackets_are_printed_as_they_are(metrics, capsys):
    from huddle3d.cli.tables import print_results

    print_results([result(metrics, "a[/b]"), result(None, "s1", failure="[/data/x] is not ['person_0']")])
    shown = capsys.readouterr().out
    assert "a[/b]" in shown and "[/data" in shown


def test_a_truth_without_surfaces_is_told_before_anything_runs(tmp_path):
    camera = Camera.perspective(150, 100, 100, look_at(torch.tensor([0.0, 0.3, 4.0]), torch.zeros(3)))
    sample = EvaluationSample("s", "hug", Photo(torch.rand(100, 100, 3), "p", "0" * 64), (), camera, joints=torch.zeros(2, 17, 3))
    found, made = evaluate_sample(sample, "predicted", tmp_path / "run", body=None)  # type: ignore[arg-type]
    assert "eval fit" in found.failure and made is None and not (tmp_path / "run").exists()


def test_no_p_value_is_zero():
    assert format_p(1.9e-6) == "<0.001" and format_p(0.03125) == "0.031"


def test_the_page_holds_tables_pictures_and_no_script(metrics):
    people = [person("a", cube(), (0.9, 0.1, 0.1))]
    camera = Camera.perspective(150, 100, 80, look_at(torch.tensor([0.0, 0.3, 4.0]), torch.zeros(3)))
    photo = Photo(torch.rand(80, 100, 3), "p", "0" * 64)
    pictures = draw_scene(photo, people, camera, people, camera)
    assert pictures.truth.shape == pictures.result.shape == (270, 338, 3) and np.array_equal(pictures.truth, pictures.result)
    assert pictures.around.shape == (960, 960, 3)
    red = pictures.truth[135, 169].astype(int)
    assert red[0] > 200 > 60 > red[1]
    failed = draw_scene(photo, people, camera, None, None)
    assert (failed.result == 255).all() and isinstance(failed, ScenePictures)
    some = [result(metrics, "hug_1", variant="full"), result(None, "hug_1", variant="<b>&", failure="no <people>")]
    text = evaluation_page(some, [pictures, failed], {"seed": 1})
    assert text.count("<img") == 7 and "<script" not in text and "http" not in text
    assert "&lt;people&gt;" in text and "<b>&" not in text
    for column in PAPER_COLUMNS.values():
        assert column.heading in text
    assert evaluation_page(some[:1], [pictures], {}).count("<img") == 4  # one result: input, truth, result, all sides
    assert "No value for lpips" in text


def test_pictures_show_left_and_right_as_the_photo_does():
    # Red stands at -x: on the left of a camera that looks along -z, on the right of the picture from behind (third column).
    people = [person("a", cube((-0.5, 0, 0), 0.4), (0.9, 0.1, 0.1)), person("b", cube((0.5, 0, 0), 0.4), (0.1, 0.1, 0.9))]
    camera = Camera.perspective(150, 100, 100, look_at(torch.tensor([0.0, 0.0, 4.0]), torch.zeros(3)))
    around = draw_scene(Photo(torch.rand(100, 100, 3), "p", "0" * 64), people, camera, people, camera).around.astype(int)

    def red_at(picture):
        return float(np.nonzero((picture[..., 0] > 200) & (picture[..., 1] < 60))[1].mean())

    assert red_at(around[:240, :240]) < 100 and red_at(around[:240, 480:720]) > 140
    front = around[480 + 120, 42]  # the red cube's front face: its normal points to the camera
    assert front[2] > 230 and abs(front[1] - 128) < 40
