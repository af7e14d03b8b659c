"""Suites that ``huddle3d synth`` wrote: one folder per scene, with all of its truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from huddle3d.errors import InputError
from huddle3d.evaluation.datasets.layout import Layout, LazySample
from huddle3d.evaluation.sample import EvaluationSample
from huddle3d.io import display_name, read_glb
from huddle3d.scene import Bodies, People2D, PersonMesh, load_photo
from huddle3d.synthesis import SceneSpec

__all__ = ["LAYOUT", "open_suite"]

LAYOUT = Layout(
    "a suite", "one folder per scene with photo.jpg, meshes.glb, bodies.json, people2d.json and spec.json", "huddle3d synth --output FOLDER"
)
_PARTS = ("photo.jpg", "meshes.glb", "bodies.json", "bodies.safetensors", "people2d.json", "people2d.safetensors")


def open_suite(root: Path) -> tuple[LazySample, ...]:
    """All scenes of a suite; ``spec.json`` is written last, so a scene without it is half written and refuses the suite."""
    LAYOUT.folder(root)
    scenes = LAYOUT.some(root, (f for f in root.iterdir() if f.is_dir() and not f.name.startswith(".")), "folder of a scene")
    samples = []
    for scene in scenes:
        missing = [p for p in (*_PARTS, "spec.json") if not (scene / p).is_file()]
        if len(missing) == len(_PARTS) + 1:
            raise LAYOUT.wrong(scene, "It holds nothing of a scene.")
        if missing:
            raise InputError(
                f"{display_name(scene)}: half written, {missing[0]} is missing.",
                why="The suite was stopped while it was made, or files were deleted.",
                next_step="Delete this folder, or make the suite again: huddle3d synth --overwrite.",
                path=str(scene),
            )
        samples.append(LazySample(scene.name, _loader(scene)))
    return tuple(samples)


def _loader(scene: Path):
    def load() -> EvaluationSample:
        spec = SceneSpec.from_json((scene / "spec.json").read_text(encoding="utf-8"))
        bodies, people2d = Bodies.load(scene / "bodies"), People2D.load(scene / "people2d")
        by_name = {m.name: PersonMesh.from_mesh_data(m) for m in read_glb(scene / "meshes.glb")}
        absent = [n for n in bodies.names if n not in by_name]
        if absent:
            raise InputError(f"{display_name(scene / 'meshes.glb')}: {absent[0]} is missing.", next_step="Make the suite again.")
        photo = load_photo(scene / "photo.jpg", focal_px=float(bodies.camera.K[1, 1]))
        photo = replace(photo, name=f"{spec.family}_{spec.seed}")
        return EvaluationSample(scene.name, spec.family, photo, tuple(by_name[n] for n in bodies.names), bodies.camera, bodies, people2d)

    return load
