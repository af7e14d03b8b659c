"""One photo's folder: resume after any stop, equal bytes, refusals."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from huddle3d.errors import HuddleError, InputError, ShapeError, StageError
from huddle3d.io import read_glb
from huddle3d.people import STAGES, Given, PeopleConfig, RunStore, StageRecord, reconstruct, run_photo
from huddle3d.people.canonical import CanonicalConfig, PartialConfig
from huddle3d.people.carve import CarveConfig
from huddle3d.people.paint import PaintConfig
from huddle3d.progress import silent
from huddle3d.scene import Bodies, Provenance, read_scene_json

SMALL = PeopleConfig(
    canonical=CanonicalConfig(size=96, partial=PartialConfig(iterations=3, size=64)),
    carve=CarveConfig(iterations=2, size=64, refresh=2),
    paint=PaintConfig(texture_size=128),
)
FINAL = ("scene.glb", "scene.json", "config.json", "turntable.mp4")


class Stop:
    """Raises at the beginning of one stage, as Ctrl-C would."""

    def __init__(self, stage):
        self.stage, self.ran = stage, []

    def begin(self, stage, index, total):
        if stage == self.stage:
            raise KeyboardInterrupt
        return silent

    def end(self, record):
        self.ran.append(record)


def run(scene, folder, listener=None, config=SMALL, **options):
    given = Given(people=scene.people, bodies=scene.bodies)
    return run_photo(scene.photo, folder, config, given=given, body=scene.body, listener=listener, **options)


@pytest.fixture(scope="module")
def finished(scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    return folder, run(scene, folder)


def outputs(folder):
    files = [folder / name for name in FINAL] + sorted((folder / "people").iterdir())
    return {f.relative_to(folder): f.read_bytes() for f in files}


def test_writes_every_output(finished):
    folder, result = finished
    people = read_glb(folder / "scene.glb")
    assert [p.name for p in people] == list(result.people2d.names)
    assert all(p.texture is not None for p in people)
    document = read_scene_json(folder / "scene.json")
    assert len(document.people) == len(people)
    page = (folder / "report.html").read_text()
    assert "http" not in page.replace("http-equiv", "")  # self-contained: no link out
    assert page.count("data:image/jpeg") >= 8
    for name in result.people2d.names:
        assert {p.suffix for p in (folder / "people").glob(f"{name}.*")} == {".obj", ".mtl", ".png"}
        assert name in page


def test_stopped_at_every_stage_ends_with_the_same_bytes(scene, finished, tmp_path):
    folder = tmp_path / "stopped"
    for stage in STAGES[2:]:
        with pytest.raises(KeyboardInterrupt):
            run(scene, folder, Stop(stage))
        assert not (folder / "scene.json").exists()
    listener = Stop(None)
    run(scene, folder, listener)
    assert [r.name for r in listener.ran if not r.resumed] == ["measure"]
    assert outputs(folder) == outputs(finished[0])


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_in_the_middle_of_a_stage_ends_with_the_same_bytes(scene, finished, tmp_path):
    folder = tmp_path / "killed"
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import _scene, test_run
scene = _scene.build_scene(width=320, height=320)
class Kill(test_run.Stop):
    def begin(self, stage, index, total):
        if stage != "carve":
            return lambda fraction, note="": None
        def report(fraction, note=""):
            os.kill(os.getpid(), signal.SIGKILL)
        return report
from pathlib import Path
test_run.run(scene, Path({str(folder)!r}), Kill(None))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert (folder / "stages" / "complete.json").exists()
    assert not (folder / "scene.json").exists()
    run(scene, folder)
    assert outputs(folder) == outputs(finished[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason="shows that nothing but the larger networks goes to the GPU, where there is none")
def test_only_the_larger_networks_go_to_the_device(scene):
    """The default is ``auto``, so on a machine with CUDA the main job must not mix tensors of two devices."""
    listener = Stop("measure")
    with pytest.raises(KeyboardInterrupt):
        reconstruct(scene.photo, SMALL, people=scene.people, bodies=scene.bodies, device="cuda", listener=listener)
    assert [record.name for record in listener.ran] == ["canonical", "complete", "carve", "paint"]


def test_a_finished_run_is_resumed_from_its_stages(scene, finished):
    listener = Stop(None)
    before = outputs(finished[0])
    run(scene, finished[0], listener)
    assert all(r.resumed for r in listener.ran)
    assert outputs(finished[0]) == before


def test_a_damaged_stage_is_made_again(scene, finished, tmp_path):
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(finished[0], folder)
    path = folder / "stages" / "complete.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    listener = Stop(None)
    run(scene, folder, listener)
    assert [r.name for r in listener.ran if not r.resumed] == ["complete"]
    assert outputs(folder) == outputs(finished[0])


def test_another_run_is_not_overwritten_unasked(scene, finished):
    other = replace(SMALL, seed=7)
    before = outputs(finished[0])
    with pytest.raises(InputError, match="another photo, configuration"):
        run(scene, finished[0], config=other)
    assert outputs(finished[0]) == before


def test_a_refused_input_destroys_nothing(scene, finished, tmp_path):
    import shutil

    folder = tmp_path / "kept"
    shutil.copytree(finished[0], folder)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for coco in (broken, tmp_path / "missing.json", tmp_path):
        with pytest.raises(InputError):
            run_photo(scene.photo, folder, SMALL, given=Given(coco=coco), body=scene.body, overwrite=True)
    assert outputs(folder) == outputs(finished[0])
    assert (folder / "stages" / "carve.json").exists()


def test_a_run_that_failed_at_once_leaves_the_folder_free(scene, tmp_path):
    folder, broken = tmp_path / "first", tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(InputError):
        run_photo(scene.photo, folder, SMALL, given=Given(coco=broken), body=scene.body)
    assert not (folder / "run.json").exists()
    with pytest.raises(KeyboardInterrupt):  # another run may begin there without --overwrite
        run(scene, folder, Stop("carve"))
    assert (folder / "run.json").exists()


def test_foreign_files_are_not_touched(scene, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        run(scene, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_runs_in_one_folder_are_refused(scene, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "run.json").write_text("{}")
    with (tmp_path / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another run is writing"):
            run(scene, tmp_path)


def test_a_defect_in_a_stage_is_named(scene, tmp_path, monkeypatch):
    from huddle3d.people import pipeline

    def broken(*args, **kwargs):
        raise ValueError("boom")

    monkeypatch.setattr(pipeline, "complete", broken)
    with pytest.raises(StageError, match="'complete' failed: ValueError: boom") as caught:
        run(scene, tmp_path / "x")
    assert caught.value.stage == "complete"
    assert isinstance(caught.value, HuddleError)
    assert json.loads((tmp_path / "x" / "run.json").read_text())["photo"]["name"] == scene.photo.name


def test_bodies_without_people_are_refused(scene):
    with pytest.raises(InputError, match="without people"):
        reconstruct(scene.photo, bodies=scene.bodies, body=scene.body)


def test_what_does_not_belong_together_is_refused(scene):
    """Stages pair people and bodies by their row: in another order everybody would get the other one's pixels."""
    turned = replace(scene.bodies, names=scene.bodies.names[::-1])
    with pytest.raises(InputError, match="not those of the given people"):
        reconstruct(scene.photo, people=scene.people, bodies=turned, body=scene.body)
    with pytest.raises(ShapeError, match="masks"):
        reconstruct(scene.photo, people=replace(scene.people, masks=scene.people.masks[:, 1:]), body=scene.body)


@pytest.mark.parametrize("cost", ["[]", "null", "{}", "{"])
def test_a_damaged_record_of_costs_is_no_stage(scene, tmp_path, cost):
    store, made_from = RunStore(tmp_path), Provenance("fit", "a", "b", "c", "d")
    store.save("fit", scene.bodies, made_from, StageRecord("fit", 1.0, 2.0))
    assert store.load("fit", Bodies, made_from) is not None
    (tmp_path / "stages" / "fit.cost").write_text(cost)
    assert store.load("fit", Bodies, made_from) is None


def test_stages_of_another_run_are_taken_over_where_nothing_differs(scene, finished, tmp_path):
    """Another setting of the paint: what comes before it is copied, and the folder holds all stages."""
    folder, first = finished
    listener = Stop("")
    result = run(scene, tmp_path / "copied", listener, replace(SMALL, paint=PaintConfig(texture_size=64)), others=[tmp_path / "nowhere", folder])
    assert {r.name for r in listener.ran if r.resumed} == {"canonical", "complete", "carve"}
    assert result.carved.digest() == first.carved.digest() and result.meshes[0].digest() != first.meshes[0].digest()
    assert sorted(p.name for p in (tmp_path / "copied" / "stages").iterdir()) == sorted(p.name for p in (folder / "stages").iterdir())
