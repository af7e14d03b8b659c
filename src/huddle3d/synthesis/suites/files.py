"""A suite as a folder: one folder per scene and a manifest; a stopped run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Container
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huddle3d.errors import InputError
from huddle3d.io import MAX_JSON_BYTES, display_name, parse_json, prepare_output_dir, read_regular_file, safe_name, write_bytes
from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.build import SceneBuilder
from huddle3d.synthesis.pictures.photograph import render_scene
from huddle3d.synthesis.pictures.writing import SAMPLE_FILES, write_sample
from huddle3d.synthesis.spec import SceneSpec
from huddle3d.synthesis.suites.lists import SUITES, Suite, in_building_order

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["MANIFEST", "Manifest", "ManifestScene", "holds_only", "is_written", "read_manifest", "refuse_other_scene", "spec_hash", "write_suite"]

MANIFEST = "suite.json"
"""Name of the manifest."""


@dataclass(frozen=True)
class ManifestScene:
    """One scene in the manifest."""

    folder: str
    """Below the suite's folder."""
    tag: str
    """The class by which results are grouped."""
    family: str
    people: int
    sha256: str
    """Of ``spec.json``'s text."""


@dataclass(frozen=True)
class Manifest:
    """What a suite's folder holds, or will when it is done."""

    name: str
    version: int
    package: str
    """Version of huddle3d that wrote it."""
    assets: tuple[str, ...]
    """What was taken from the assets folder."""
    scenes: tuple[ManifestScene, ...]

    @staticmethod
    def of(suite: Suite) -> Manifest:
        """The manifest of a suite."""
        from huddle3d import __version__

        scenes = tuple(ManifestScene(s.name, s.tag, s.spec.family, len(s.spec.people), spec_hash(s.spec)) for s in suite.scenes)
        return Manifest(suite.name, suite.version, __version__, suite.assets, scenes)

    def to_json(self) -> str:
        """The file's text."""
        tree = asdict(self)
        return json.dumps({**{k: v for k, v in tree.items() if k != "scenes"}, "count": len(self.scenes), "scenes": tree["scenes"]}, indent=1) + "\n"


def spec_hash(spec: SceneSpec) -> str:
    """SHA-256 of a scene file's text."""
    return hashlib.sha256(_text(spec)).hexdigest()


def _text(spec: SceneSpec) -> bytes:
    return (spec.to_json() + "\n").encode()


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a folder; None if it has none (a folder of loose scenes).

    Raises:
        InputError: the manifest is damaged.
    """
    path = directory / MANIFEST
    if not path.exists():
        return None
    try:
        tree: dict[str, Any] = parse_json(read_regular_file(path, MAX_JSON_BYTES), path)
        scenes = tuple(ManifestScene(**s) for s in tree["scenes"])
        manifest = Manifest(str(tree["name"]), int(tree["version"]), str(tree["package"]), tuple(map(str, tree["assets"])), scenes)
        wrong = manifest.name not in SUITES or tree["count"] != len(scenes) or not all(_is_sound(s) for s in scenes)
    except InputError as e:
        raise _damaged(path, e.why) from e
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise _damaged(path, f"{type(e).__name__}: {e}.") from e
    if wrong:
        raise _damaged(path, "Its name, its count or one of its scenes is wrong.")
    return manifest


def _is_sound(scene: ManifestScene) -> bool:
    """Whether an entry holds texts and a number, and names a folder right below the suite's."""
    texts = (scene.folder, scene.tag, scene.family, scene.sha256)
    return all(isinstance(t, str) for t in texts) and isinstance(scene.people, int) and safe_name(scene.folder) == scene.folder


def _damaged(path: Path, why: str) -> InputError:
    step = "Delete this file and make the suite again: huddle3d synth suite; complete scenes are kept."
    return InputError(f"{display_name(path)}: not a suite's manifest, or a damaged one.", why=why, next_step=step, path=str(path))


def is_written(folder: Path, spec: SceneSpec) -> bool:
    """Whether a scene's folder is complete: its scene file, which is written last, says the same, and nothing was deleted since."""
    try:
        return (folder / "spec.json").read_bytes() == _text(spec) and all((folder / name).is_file() for name in SAMPLE_FILES)
    except OSError:
        return False


def holds_only(directory: Path, names: Container[str]) -> bool:
    """Whether a folder exists and holds nothing but folders of these names: a stopped run's scenes, complete or half written."""
    try:
        return all(entry.name in names and entry.is_dir() for entry in directory.iterdir())
    except OSError:
        return False


def refuse_other_scene(folder: Path) -> None:
    """Keep a complete scene of other settings from being replaced by one of the same name.

    Raises:
        InputError: the folder holds a scene file.
    """
    if (folder / "spec.json").exists():
        raise InputError(
            f"{display_name(folder)}: holds another scene of this name, or a damaged one.",
            why="Its scene file differs from the one asked for, or one of its files is gone.",
            next_step="Use the settings it was made with, choose another folder, or pass --overwrite.",
            path=str(folder),
        )


def _agrees(found: Manifest, wanted: Manifest) -> bool:
    known = {s.folder: s.sha256 for s in found.scenes}
    same = (found.name, found.version, found.assets) == (wanted.name, wanted.version, wanted.assets)
    return same and all(known.get(s.folder, s.sha256) == s.sha256 for s in wanted.scenes)


def write_suite(
    suite: Suite,
    directory: str | os.PathLike[str],
    *,
    body: BodyModel,
    assets: Assets | None = None,
    overwrite: bool = False,
    told: Callable[[int, str, bool], None] = lambda done, name, kept: None,
) -> int:
    """Write all scenes that are not there yet; returns how many were made.

    Complete scenes are kept, half-written ones made anew.

    Args:
        suite: the scenes, or the first ones.
        directory: the suite's folder; made if absent.
        body: the body model.
        assets: the folder that the scenes were drawn with.
        overwrite: write into a folder that holds another suite or anything else.
        told: hears, after each scene, how many are done, its folder's name, and whether it was there already.

    Raises:
        InputError: the folder holds another suite, or anything else, or an asset is missing.
    """
    root = prepare_output_dir(Path(directory), overwrite, marker=MANIFEST)
    wanted, found = Manifest.of(suite), read_manifest(root) if not overwrite else None
    if found is not None and not _agrees(found, wanted):
        raise InputError(
            f"{display_name(root)}: holds another suite ({found.name}, version {found.version}, assets: {', '.join(found.assets) or 'none'}).",
            next_step="Choose another folder, or pass --overwrite.",
            path=str(root),
        )
    if found is None or len(found.scenes) < len(wanted.scenes):
        write_bytes(root / MANIFEST, wanted.to_json().encode(), overwrite=True)
    build, made = SceneBuilder(body, assets=assets), 0
    for done, scene in enumerate(in_building_order(suite.scenes), 1):
        kept = is_written(root / scene.name, scene.spec)
        if not kept:
            write_sample(render_scene(build(scene.spec)), root / scene.name, overwrite=True)
            made += 1
        told(done, scene.name, kept)
    return made
