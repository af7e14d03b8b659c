"""Suites that ``huddle3d synth`` wrote: one folder per scene, with all of its truth."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from huddle3d.errors import InputError
from huddle3d.evaluation.datasets.layout import Layout, LazySample
from huddle3d.evaluation.sample import EvaluationSample
from huddle3d.io import MAX_JSON_BYTES, display_name, read_glb, read_regular_file
from huddle3d.scene import Bodies, People2D, PersonMesh, load_photo
from huddle3d.synthesis import SceneSpec
from huddle3d.synthesis.suites.files import Manifest, read_manifest

__all__ = ["LAYOUT", "open_suite"]

LAYOUT = Layout(
    "a suite", "one folder per scene with photo.jpg, meshes.glb, bodies.json, people2d.json and spec.json", "huddle3d synth --output FOLDER"
)
_PARTS = ("photo.jpg", "meshes.glb", "bodies.json", "bodies.safetensors", "people2d.json", "people2d.safetensors")

_AGAIN = "Delete the folder of this scene and make it again; huddle3d synth suite keeps the others."


def open_suite(root: Path) -> tuple[LazySample, ...]:
    """All scenes of a suite, in its order; ``spec.json`` is written last, so a scene without it is half written and refuses the suite."""
    LAYOUT.folder(root)
    manifest = read_manifest(root)
    if manifest is not None:
        return _listed(root, manifest)
    scenes = LAYOUT.some(root, (f for f in root.iterdir() if f.is_dir() and not f.name.startswith(".")), "folder of a scene")
    samples = []
    for scene in scenes:
        missing = _missing(scene)
        if len(missing) == len(_PARTS) + 1:
            raise LAYOUT.wrong(scene, "It holds nothing of a scene.")
        if missing:
            raise _half(scene, missing[0], "Delete this folder, or make the suite again: huddle3d synth --overwrite.")
        samples.append(LazySample(scene.name, _loader(scene, None)))
    return tuple(samples)


def _missing(scene: Path) -> list[str]:
    return [p for p in (*_PARTS, "spec.json") if not (scene / p).is_file()]


def _half(scene: Path, part: str, step: str) -> InputError:
    return InputError(
        f"{display_name(scene)}: half written, {part} is missing.",
        why="The suite was stopped while it was made, or files were deleted.",
        next_step=step,
        path=str(scene),
    )


def _listed(root: Path, manifest: Manifest) -> tuple[LazySample, ...]:
    """The scenes of the manifest, each complete and made from the file that the manifest names."""
    step = f"Give the same command again, it makes what is missing: huddle3d synth suite {manifest.name} {display_name(root)}."
    samples = []
    for k, entry in enumerate(manifest.scenes):
        scene = root / entry.folder
        missing = _missing(scene)
        if missing:
            raise _half(scene, missing[0], f"{k} of {len(manifest.scenes)} scenes before it are there. {step}")
        if hashlib.sha256(read_regular_file(scene / "spec.json", MAX_JSON_BYTES)).hexdigest() != entry.sha256:
            raise InputError(
                f"{display_name(scene / 'spec.json')}: not the scene that the manifest names.",
                why="The file was changed after it was written.",
                next_step=step,
                path=str(scene),
            )
        samples.append(LazySample(entry.folder, _loader(scene, entry.tag)))
    return tuple(samples)


def _loader(scene: Path, tag: str | None):
    def load() -> EvaluationSample:
        try:
            spec = SceneSpec.from_json(read_regular_file(scene / "spec.json", MAX_JSON_BYTES).decode("utf-8"))
        except (InputError, UnicodeDecodeError) as e:
            raise InputError(f"{display_name(scene / 'spec.json')}: damaged scene file.", why=str(e), next_step=_AGAIN, path=str(scene)) from e
        try:
            bodies, people2d = Bodies.load(scene / "bodies"), People2D.load(scene / "people2d")
            by_name = {m.name: PersonMesh.from_mesh_data(m) for m in read_glb(scene / "meshes.glb")}
            photo = load_photo(scene / "photo.jpg", focal_px=float(bodies.camera.K[1, 1]))
        except InputError as e:
            raise InputError(e.what, why=e.why, next_step=_AGAIN, path=str(scene)) from e
        absent = [n for n in bodies.names if n not in by_name]
        if absent:
            raise InputError(f"{display_name(scene / 'meshes.glb')}: {absent[0]} is missing.", next_step=_AGAIN, path=str(scene))
        photo = replace(photo, name=f"{spec.family}_{spec.seed}")
        return EvaluationSample(scene.name, tag or spec.family, photo, tuple(by_name[n] for n in bodies.names), bodies.camera, bodies, people2d)

    return load
