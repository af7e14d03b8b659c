"""Which scenes ``huddle3d synth`` makes."""

from pathlib import Path
from typing import Any

import pytest

from huddle3d.cli import main, synth
from huddle3d.synthesis import FAMILIES, SceneSpec, families_for, sample_spec
from huddle3d.synthesis.pictures.writing import SAMPLE_FILES


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[SceneSpec]:
    specs: list[SceneSpec] = []

    def build(spec: SceneSpec, **_: Any) -> None:
        specs.append(spec)

    monkeypatch.setattr(synth, "load_body", lambda: None)
    monkeypatch.setattr(synth, "build_scene", build)
    monkeypatch.setattr(synth, "render_scene", lambda scene: scene)
    monkeypatch.setattr(synth, "write_sample", lambda *a, **k: None)
    return specs


def _write(folder: Path, spec: SceneSpec) -> None:
    """What a complete scene's folder looks like."""
    folder.mkdir(parents=True)
    for name in SAMPLE_FILES:
        (folder / name).write_bytes(b"")
    (folder / "spec.json").write_bytes((spec.to_json() + "\n").encode())


def test_a_stopped_run_goes_on_where_it_stopped(made: list[SceneSpec], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["synth", "--output", str(out), "--count", "3", "--seed", "5"]
    assert main(command) == 0 and len(made) == 3
    _write(out / f"0000_{made[0].family}_5", made[0])
    (out / f"0001_{made[1].family}_6").mkdir()  # killed half way
    assert main(command) == 0
    assert [s.seed for s in made[3:]] == [6, 7]
    assert capsys.readouterr().err.count("was there") == 1


def test_other_scenes_and_files_are_not_replaced(made: list[SceneSpec], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["synth", "--output", str(out), "--count", "1", "--family", "hug"]
    _write(out / "0000_hug_0", sample_spec(0, family="hug", clothes="tight"))
    assert main(command) == 2 and "another scene" in capsys.readouterr().err
    assert main([*command, "--clothes", "tight"]) == 0 and made == []
    (out / "mine.txt").write_text("x")
    assert main(command) == 2 and "not empty" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0 and len(made) == 1


def test_pairs_take_the_first_families_in_turn(made: list[SceneSpec], tmp_path: Path) -> None:
    assert main(["synth", "--output", str(tmp_path / "out"), "--count", "6", "--seed", "3"]) == 0
    assert [s.family for s in made] == [*FAMILIES, FAMILIES[0]]
    assert [s.seed for s in made] == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("people", [1, 3, 6, 12])
def test_other_numbers_take_families_that_they_fit(people: int, made: list[SceneSpec], tmp_path: Path) -> None:
    assert main(["synth", "--output", str(tmp_path / "out"), "--count", "8", "--people", str(people)]) == 0
    assert all(len(s.people) == people and s.family in families_for(people) for s in made)


def test_people_wear_everything_unless_tight_clothes_are_asked_for(made: list[SceneSpec], tmp_path: Path) -> None:
    command = ["synth", "--output", str(tmp_path / "out"), "--count", "12", "--seed", "3"]
    assert main(command) == 0 and main([*command, "--clothes", "tight"]) == 0
    loose = [any(g.loose_m > 0 or g.kind == "coat" for p in s.people for g in p.garments) for s in made]
    assert sum(loose[:12]) > 6 and not any(loose[12:])
    assert made[12] == sample_spec(3, family=made[12].family)


def test_a_folder_without_clothes_is_refused_before_anything_is_written(made: list[SceneSpec], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["synth", "--output", str(out), "--assets", str(tmp_path)]) != 0
    assert made == [] and not out.exists()


def test_a_family_for_two_is_refused_for_three(made: list[SceneSpec], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", "--output", str(tmp_path / "out"), "--people", "3", "--family", "hug"]) != 0
    assert "hug" in capsys.readouterr().err and made == [] and not (tmp_path / "out").exists()


def test_recorded_motion_needs_python(made: list[SceneSpec], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", "--output", str(tmp_path / "out"), "--family", "motion"]) == 2
    assert "MotionSpec" in capsys.readouterr().err and made == [] and not (tmp_path / "out").exists()
