"""The ablations: which run, which are left out and why, and their tables."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from huddle3d.cli import evaluate, main
from huddle3d.diffusion.multiview import MULTIVIEW_WEIGHTS, MultiViewModel, save_multiview
from huddle3d.errors import InputError, WeightsMissingError
from huddle3d.evaluation import (
    ABLATIONS,
    EvaluationSample,
    SceneResult,
    ablations,
    evaluate_scene,
    evaluation_page,
    override,
    paper_tables,
    results_json,
)
from huddle3d.evaluation.ablations import _TABLES
from huddle3d.networks import EMBEDDED_64
from huddle3d.people import PeopleConfig
from huddle3d.weights import registry

from .shapes import cube, person

TINY = replace(EMBEDDED_64, widths=(8, 8), heads=(1, 1), attention=(False, True), norm_groups=4, size=16, text_width=8)
EMBEDDED = any(name in registry() for name in MULTIVIEW_WEIGHTS)


def weights(folder, name="mvd", **note) -> Path:
    return save_multiview(folder, name, replace(MultiViewModel.fresh(TINY), note=note))[0]


def changed(config, base):
    """Dotted settings that differ."""
    out = {}
    for name in base.__dataclass_fields__:
        a, b = getattr(config, name), getattr(base, name)
        if hasattr(b, "__dataclass_fields__") and a != b:
            out |= {f"{name}.{k}": v for k, v in changed(a, b).items()}
        elif a != b:
            out[name] = a
    return out


def test_with_all_weights_every_variant_is_another_setting(tmp_path):
    own, groups, people = weights(tmp_path), weights(tmp_path, "g", data="groups"), weights(tmp_path, "p", data="people")
    base = override(PeopleConfig(), "complete.diffusion.weights", own)
    found = ablations(base, group_data=groups, instance_data=people)
    assert list(found.configs) == list(ABLATIONS) and not found.left_out
    full = found.configs["full"]
    assert changed(full, base) == {"complete.method": "diffusion"}
    assert {n: changed(c, full) for n, c in found.configs.items() if n != "full"} == {
        "body-prior": {"complete.method": "body-prior"},
        "no-composition": {"complete.diffusion.share_group": 0.0},
        "group-normals": {"carve.normal_group": 1.2, "carve.normal_inst": 0.0},
        "instance-normals": {"carve.normal_group": 0.0, "carve.normal_inst": 1.2},
        "group-data": {"complete.diffusion.weights": groups},
        "instance-data": {"complete.diffusion.weights": people},
        "no-pers2ortho": {"canonical.reprojection": "none", "canonical.partial.iterations": 0, "canonical.clothing": "none"},
        "naked": {"complete.method": "body-prior", "canonical.clothing": "none"},
    }


@pytest.mark.skipif(EMBEDDED, reason="this version embeds weights")
def test_without_weights_only_the_baselines_run(tmp_path):
    found = ablations(PeopleConfig())
    assert list(found.configs) == ["body-prior", "naked"] and {c.complete.method for c in found.configs.values()} == {"body-prior"}
    assert set(found.left_out) == set(ABLATIONS) - {"body-prior", "naked"} and "train mvd" in found.left_out["full"]
    found = ablations(PeopleConfig(), group_data=weights(tmp_path, "g", data="groups"))
    assert list(found.configs) == ["body-prior", "group-data", "naked"]


def test_rows_without_their_weights_are_left_out_with_the_command(tmp_path):
    base = override(PeopleConfig(), "complete.diffusion.weights", weights(tmp_path))
    found = ablations(base)
    assert found.left_out.keys() == {"group-data", "instance-data"}
    assert "--data groups" in found.left_out["group-data"] and "--instance-data FILE" in found.left_out["instance-data"]
    assert found.facts()["left_out"] == found.left_out and found.facts()["ablations"]["full"] == "full"


def test_weights_of_other_data_are_refused(tmp_path):
    base = override(PeopleConfig(), "complete.diffusion.weights", weights(tmp_path))
    for note in ({}, {"data": "people"}):
        with pytest.raises(InputError, match="not 'groups'"):
            ablations(base, group_data=weights(tmp_path, f"x{len(note)}", **note))
    with pytest.raises(WeightsMissingError, match="nowhere"):
        ablations(base, group_data=tmp_path / "nowhere.safetensors")
    with pytest.raises(WeightsMissingError, match="gone"):
        ablations(override(base, "complete.diffusion.weights", tmp_path / "gone.safetensors"))
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 30)
    with pytest.raises(InputError, match="bad"):
        ablations(base, instance_data=tmp_path / "bad.safetensors")


@pytest.fixture(scope="module")
def results():
    """Eight scenes: the ablation without composition is worse by 1 cm in each, that without Pers2Ortho fails in one."""
    truth = [person("a", cube((-0.2525, 0, 0), 0.5), (0.9, 0.1, 0.1)), person("b", cube((0.2525, 0, 0), 0.5), (0.1, 0.1, 0.9))]
    metrics = evaluate_scene(truth, truth)
    out = []
    for k in range(8):
        for variant, more in (("full", 0.0), ("no-composition", 1.0 + 0.01 * k), ("no-pers2ortho", 0.01 * (-1) ** k * k)):
            told = replace(metrics, group=replace(metrics.group, chamfer_cm=2.0 + 0.1 * k + more))
            failed = variant == "no-pers2ortho" and k == 7
            out.append(SceneResult(f"s{k}", "hug", "true", None if failed else told, "nobody" if failed else "", 1.0, 1.0, variant))
    return out


def test_tables_have_the_papers_columns_and_mark_what_differs(results):
    made = paper_tables(results, {"group-data": "no weights"})
    assert [t.title.split(" (")[0] for t in made] == list(_TABLES) and all(len(r) == len(t.head) for t in made for r in t.rows)
    rows = {r[0]: r for r in made[0].rows}
    assert rows["full"][1:3] == ("8/8", "2.35 [2.10, 2.60]") and "CD [cm] ↓" == made[0].head[2]
    assert rows["without instance-to-group composition"][2].endswith("]*") and not rows["without Pers2Ortho"][2].endswith("*")
    assert rows["without Pers2Ortho"][1] == "7/8" and rows["group-only training data"][1] == "left out" and len(rows) == 4
    assert "'full'" in made[0].note and made[1].head[2:] == ("PSNR [dB] ↑", "SSIM ↑", "LPIPS ↓")
    without = paper_tables([r for r in results if r.variant != "full"], {"full": "no weights"})
    assert "'without instance-to-group composition'" in without[0].note


def test_json_has_variants_even_if_only_one_runs(results):
    tree = json.loads(results_json([r for r in results if r.variant == "full"], left_out={"no-composition": "no weights"}))
    assert tree["variants"]["full"]["true"]["cd_cm"] == pytest.approx(2.35) and tree["comparisons"] == {} and tree["left_out"]


def test_page_names_what_was_left_out(results):
    text = evaluation_page(results, [None] * len(results), {}, {"group-data": "no <weights>"})
    assert "Left out: group-only training data: no &lt;weights&gt;" in text and "Table 4, ablations (true bodies)" in text
    assert text.count("<h2>s3, true bodies</h2>") == 1


def test_the_command_runs_what_can_run_and_tells_the_rest(results, tmp_path, capsys, monkeypatch):
    """The reconstruction itself is replaced; what is run, printed and written is the command's own."""
    asked = []

    def measured(sample, protocol, directory, *, config, variant, others, **_):
        asked.append((variant, config.complete.method, [o.name for o in others]))
        return replace(results[0], variant=variant), None

    monkeypatch.setattr(evaluate, "evaluate_sample", measured)
    monkeypatch.setattr(evaluate, "_synthetic", lambda scenes, seed, body: iter([EvaluationSample("s0", "hug", None, (), None)]))
    run = [
        "eval",
        "people",
        "--scenes",
        "1",
        "--bodies",
        "true",
        "--ablations",
        "--device",
        "cpu",
        "--group-data",
        str(weights(tmp_path, data="groups")),
    ]
    own = ["--config.complete.diffusion.weights", str(weights(tmp_path, "own"))]
    assert main([*run, *own, "--output", str(tmp_path / "o"), "--json", str(tmp_path / "n.json"), "--html", str(tmp_path / "p")]) == 0
    names = [n for n in ABLATIONS if n != "instance-data"]
    assert [a[0] for a in asked] == names and {a[0] for a in asked if a[1] == "body-prior"} == {"body-prior", "naked"}
    assert asked[2][2] == ["s0_true_full", "s0_true_body-prior"]
    shown, tree = capsys.readouterr(), json.loads((tmp_path / "n.json").read_text())
    assert "Table 4, ablations" in shown.out and "left out: instance-data" in shown.err
    assert list(tree["variants"]) == names and list(tree["left_out"]) == ["instance-data"]
    assert "Left out: instance-only training data" in (tmp_path / "p" / "index.html").read_text()


def test_options_that_do_not_go_together(tmp_path, capsys):
    run = ["eval", "people", "--output", str(tmp_path / "o")]
    assert main([*run, "--group-data", "a.safetensors"]) == 2 and "--ablations" in capsys.readouterr().err
    assert main([*run, "--ablations", "--variants", "v.json"]) == 2 and "exclude" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
