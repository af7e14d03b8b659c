"""The suites: fixed lists whose first scenes are a balanced sample, and folders that a stopped run completes."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from huddle3d.cli import main
from huddle3d.errors import InputError
from huddle3d.evaluation.datasets import open_dataset
from huddle3d.synthesis import SceneSpec
from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.pictures import writing
from huddle3d.synthesis.suites import files
from huddle3d.synthesis.suites.files import MANIFEST, Manifest, read_manifest, spec_hash, write_suite
from huddle3d.synthesis.suites.lists import SUITES, Suite, in_building_order, open_suite_list

SIZES = {"heldout": 20, "crowd": 12, "hard": 16}
PINNED = {"heldout": (4, "276b2709f991"), "salsa": (4, "e6af4e644fc2"), "crowd": (4, "5729a82fdbf7"), "hard": (4, "0c1e8a958468")}


def dancers(folder: Path) -> Assets:
    """A folder that has all names which the suite salsa needs, and nothing else."""
    from huddle3d.synthesis.suites import lists

    (folder / "avatars").mkdir()
    (folder / "mocap").mkdir()
    for name in (*lists._LEADERS, *lists._FOLLOWERS):
        (folder / "avatars" / f"{name}.npz").touch()
    return Assets.at(folder)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Scenes that were built; none really is."""
    names: list[str] = []

    def write(spec: SceneSpec, folder: Path, overwrite: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for part in writing.SAMPLE_FILES:
            (folder / part).write_bytes(b"x")
        names.append(folder.name)
        (folder / "spec.json").write_text(spec.to_json() + "\n")

    monkeypatch.setattr(files, "SceneBuilder", lambda body, assets: lambda spec: spec)
    monkeypatch.setattr(files, "render_scene", lambda scene: scene)
    monkeypatch.setattr(files, "write_sample", write)
    return names


@pytest.mark.parametrize("name", SIZES)
def test_lists_are_fixed_and_balanced(name):
    suite = open_suite_list(name)
    assert suite == open_suite_list(name) and len(suite.scenes) == SIZES[name] and suite.assets == ()
    assert len({s.name for s in suite.scenes}) == len({s.spec.seed for s in suite.scenes}) == SIZES[name]
    kinds = Counter(s.tag for s in suite.scenes)
    assert len(set(kinds.values())) == 1
    for first in range(len(kinds), SIZES[name]):
        counts = Counter(s.tag for s in suite.scenes[:first])
        assert len(counts) == len(kinds) and max(counts.values()) - min(counts.values()) <= 1
    assert all(SceneSpec.from_json(s.spec.to_json()) == s.spec for s in suite.scenes)


def test_what_the_suites_promise(tmp_path):
    assert {len(s.spec.people) for s in open_suite_list("heldout").scenes} == {2}
    assert {len(s.spec.people) for s in open_suite_list("crowd").scenes} == {3, 4, 5, 6}
    for scene in open_suite_list("hard").scenes:
        heights, camera = [p.shape[4] for p in scene.spec.people], scene.spec.camera
        assert (max(heights) - min(heights) > 0.3) == (scene.tag == "heights")
        assert (camera.fill > 1 and camera.aim is not None) == (scene.tag == "truncated")
        assert (camera.fov_deg > 80) == (scene.tag == "perspective")
    dance = open_suite_list("salsa", assets=dancers(tmp_path))
    moments = {(s.spec.motion, s.spec.people): s.tag for s in dance.scenes}
    assert len(dance.scenes) == 80 and len(moments) == 20 and Counter(moments.values()) == {"contact": 10, "apart": 10}
    assert Counter(s.tag for s in dance.scenes[:24]) == {"contact": 12, "apart": 12}
    assert {s.spec.motion for s in dance.scenes[:20]} == {m for m, _ in moments}
    assert all(-15 <= s.spec.camera.elevation_deg <= 35 for s in dance.scenes)
    for moment, _ in moments:
        turns = sorted(s.spec.camera.azimuth_deg % 360 for s in dance.scenes if s.spec.motion == moment)
        assert [round(b - a, 3) for a, b in zip(turns, turns[1:], strict=False)] == [90, 90, 90]


def test_the_same_people_are_built_one_after_the_other(tmp_path):
    order = in_building_order(open_suite_list("salsa", assets=dancers(tmp_path)).scenes)
    changes = sum(a.spec.motion != b.spec.motion for a, b in zip(order, order[1:], strict=False))
    assert changes == 19 and len(order) == 80


def test_salsa_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.delenv("HUDDLE3D_ASSETS", raising=False)
    with pytest.raises(InputError, match="--assets"):
        open_suite_list("salsa")
    with pytest.raises(InputError, match="mocap"):
        open_suite_list("salsa", assets=Assets.at(tmp_path))
    assets = dancers(tmp_path)
    (tmp_path / "avatars" / "Asian_F_2_Util.npz").unlink()
    with pytest.raises(InputError, match="Asian_F_2_Util"):
        open_suite_list("salsa", assets=assets)
    with pytest.raises(InputError, match="heldout"):
        open_suite_list("other")  # type: ignore[arg-type]


def small(count: int = 3) -> Suite:
    suite = open_suite_list("heldout")
    return replace(suite, scenes=suite.scenes[:count])


def test_a_stopped_run_is_completed(tmp_path, made):
    suite, out = small(), tmp_path / "suite"
    assert write_suite(suite, out, body=None) == 3  # type: ignore[arg-type]
    (out / suite.scenes[1].name / "spec.json").unlink()  # stopped in this scene
    with pytest.raises(InputError, match="half written") as error:
        open_dataset("suite", out)
    assert suite.scenes[1].name in str(error.value) and "huddle3d synth suite heldout" in error.value.next_step
    heard: list[tuple[int, str, bool]] = []
    again = write_suite(suite, out, body=None, told=lambda *a: heard.append(a))  # type: ignore[arg-type]
    assert again == 1 and made[3:] == [suite.scenes[1].name] and [k for _, _, k in heard] == [True, False, True]
    assert [s.name for s in open_dataset("suite", out)] == [s.name for s in suite.scenes]
    (out / suite.scenes[2].name / "meshes.glb").unlink()  # deleted later: the same command mends that, too, as the error says
    with pytest.raises(InputError, match="half written") as error:
        open_dataset("suite", out)
    assert "same command" in error.value.next_step and write_suite(suite, out, body=None) == 1  # type: ignore[arg-type]
    assert write_suite(small(4), out, body=None) == 1  # type: ignore[arg-type]  # more of the same suite
    assert len(read_manifest(out).scenes) == 4  # type: ignore[union-attr]


def test_another_suite_in_the_folder_is_not_touched(tmp_path, made):
    out = tmp_path / "suite"
    write_suite(small(), out, body=None)  # type: ignore[arg-type]
    hard = open_suite_list("hard")
    with pytest.raises(InputError, match="another suite"):
        write_suite(replace(hard, scenes=hard.scenes[:1]), out, body=None)  # type: ignore[arg-type]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(InputError, match="not empty"):
        write_suite(small(), tmp_path / "full", body=None)  # type: ignore[arg-type]


def test_manifests_and_changed_scene_files(tmp_path, made):
    suite, out = small(2), tmp_path / "suite"
    write_suite(suite, out, body=None)  # type: ignore[arg-type]
    manifest = read_manifest(out)
    assert manifest == Manifest.of(suite) and manifest.scenes[0].sha256 == spec_hash(suite.scenes[0].spec)
    path = out / suite.scenes[0].name / "spec.json"
    path.write_text(path.read_text().replace('"seed"', ' "seed"', 1))
    with pytest.raises(InputError, match="not the scene that the manifest names"):
        open_dataset("suite", out)
    tree = json.loads((out / MANIFEST).read_text())
    for damage in ("{", json.dumps(tree | {"count": 7}), json.dumps({k: v for k, v in tree.items() if k != "scenes"})):
        (out / MANIFEST).write_text(damage)
        with pytest.raises(InputError, match="suite.json"):
            open_dataset("suite", out)
    first = tree["scenes"][0]
    for change in ({"folder": "../elsewhere"}, {"folder": ".."}, {"folder": ""}, {"folder": 5}, {"tag": ["hug"]}, {"sha256": None}, {"people": "2"}):
        (out / MANIFEST).write_text(json.dumps(tree | {"scenes": [first | change, tree["scenes"][1]]}))
        with pytest.raises(InputError, match="suite.json"):
            open_dataset("suite", out)
    (out / MANIFEST).write_text("[" * 100_000)
    with pytest.raises(InputError, match="suite.json"):
        open_dataset("suite", out)


def test_a_scene_that_is_overwritten_is_not_complete_until_it_is(tmp_path, monkeypatch):
    """Stopped in the middle: the older scene's file must not vouch for the new one's pictures, nor its seats stay."""
    folder = tmp_path / "scene"
    folder.mkdir()
    for name in ("spec.json", "props.glb"):
        (folder / name).write_text("old")

    def stopped(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "write_glb", stopped)
    sample = SimpleNamespace(jpeg=b"new", scene=SimpleNamespace(meshes=()))
    with pytest.raises(InputError, match="not empty"):
        writing.write_sample(sample, folder)  # type: ignore[arg-type]
    assert (folder / "spec.json").read_text() == "old"
    with pytest.raises(KeyboardInterrupt):
        writing.write_sample(sample, folder, overwrite=True)  # type: ignore[arg-type]
    assert sorted(p.name for p in folder.iterdir()) == ["photo.jpg"]


def test_the_command_writes_the_first_scenes(tmp_path, made, monkeypatch, capsys):
    from huddle3d.cli import synth

    monkeypatch.setattr(synth, "load_body", lambda: None)
    assert main(["synth", "suite", "crowd", str(tmp_path / "out"), "--scenes", "4"]) == 0
    assert len(made) == 4 and [s.people for s in read_manifest(tmp_path / "out").scenes] == [3, 4, 5, 6]  # type: ignore[union-attr]
    monkeypatch.delenv("HUDDLE3D_ASSETS", raising=False)
    assert main(["synth", "suite", "salsa", str(tmp_path / "dance")]) == 2
    assert "avatars" in capsys.readouterr().err and not (tmp_path / "dance").exists()
    assert main(["synth", "suite", "heldout", str(tmp_path / "x"), "--assets", str(tmp_path)]) == 2
    assert main(["eval", "people", "--suite", "hard", "--dataset", "suite", "--data", str(tmp_path)]) == 2
    assert "exclude" in capsys.readouterr().err
    assert main(["eval", "people", "--suite", "hard", "--seed", "5"]) == 2
    assert "--seed" in capsys.readouterr().err


def test_all_suites_have_a_list():
    assert set(SUITES) == {*SIZES, "salsa"}


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_never_changes_without_its_version(name, tmp_path):
    """If a change of the draws was meant: raise SUITE_VERSION, then pin the new lists here; figures of both versions are not comparable."""
    suite = open_suite_list(name, assets=dancers(tmp_path) if name == "salsa" else None)
    text = "".join(spec_hash(s.spec) for s in suite.scenes)
    assert (suite.version, hashlib.sha256(text.encode()).hexdigest()[:12]) == PINNED[name]
