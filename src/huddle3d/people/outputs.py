"""The files of a finished run. Each appears complete or not at all; ``scene.json`` is written last and marks a complete run."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from pathlib import Path

import torch

from huddle3d import __version__
from huddle3d.io import write_bytes, write_obj, write_video
from huddle3d.people.pipeline import PeopleConfig, Reconstruction
from huddle3d.people.report import report_page
from huddle3d.people.store import plain
from huddle3d.render import RenderMesh, turntable
from huddle3d.scene import Scene, make_scene, write_scene_json

__all__ = ["OUTPUTS", "scene_of", "versions", "write_outputs"]

OUTPUTS = ("scene.glb", "scene.json", "people", "turntable.mp4", "report.html", "config.json")
"""Names that a run writes into its folder, besides its stages."""

_FRAMES, _FPS, _SIDE = 48, 16, 448


def scene_of(result: Reconstruction) -> Scene:
    """The finished scene of a reconstruction."""
    m = result.measurements
    return make_scene(result.photo, result.people2d, result.bodies, result.meshes, m.contacts, m.penetrations)


def versions() -> dict[str, str]:
    """Versions of what determines a result."""
    found = {"huddle3d": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in ("torch", "warp-lang", "numpy", "opencv-python-headless", "ai-edge-litert", "xatlas", "av"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_outputs(result: Reconstruction, directory: Path, config: PeopleConfig, *, device: str) -> Scene:
    """Write ``scene.glb``, ``people/NAME.obj``, ``turntable.mp4``, ``report.html``, ``config.json`` and, last, ``scene.json``."""
    scene = scene_of(result)
    settings = {"config": plain(config), "versions": versions(), "device": device}
    write_bytes(directory / "config.json", (json.dumps(settings, indent=1, sort_keys=True) + "\n").encode(), overwrite=True)
    scene.save(directory / "scene.glb", overwrite=True)
    people = directory / "people"
    people.mkdir(exist_ok=True)
    for mesh in scene.people:
        write_obj(people / f"{mesh.name}.obj", mesh.to_mesh_data(), overwrite=True)
    with torch.no_grad():
        frames = turntable([RenderMesh.of(p) for p in scene.people], frames=_FRAMES, width=_SIDE, height=_SIDE)
        write_video(directory / "turntable.mp4", frames, fps=_FPS, overwrite=True)
        write_bytes(directory / "report.html", report_page(result, scene, settings).encode(), overwrite=True)
    write_scene_json(directory / "scene.json", scene, overwrite=True)
    return scene
