"""CustomHumans (Ho et al. 2023): textured scans of single people. Pictures are rendered by the paper's protocol."""

from __future__ import annotations

from pathlib import Path

from huddle3d.evaluation.datasets.layout import Layout, LazySample
from huddle3d.evaluation.datasets.scans import body_vertices, photograph, read_person, to_metres, view_camera
from huddle3d.evaluation.sample import EvaluationSample

__all__ = ["LAYOUT", "open_customhumans"]

LAYOUT = Layout(
    "CustomHumans",
    "mesh/NAME/mesh-fNNNNN.obj with its .mtl and .png, and smplx/NAME/mesh-fNNNNN_smplx.obj",
    "https://custom-humans.github.io",
)


def open_customhumans(root: Path, *, views: int = 4, seed: int = 0) -> tuple[LazySample, ...]:
    """All views of all scans; the scans are in metres."""
    LAYOUT.folder(root)
    for part in ("mesh", "smplx"):
        LAYOUT.folder(root / part)
    samples = []
    for k, folder in enumerate(LAYOUT.some(root / "mesh", (f for f in (root / "mesh").iterdir() if f.is_dir()), "folder of a scan")):
        mesh = LAYOUT.some(folder, (f for f in folder.glob("mesh-f*.obj") if "smpl" not in f.name), "mesh-fNNNNN.obj")[0]
        LAYOUT.folder(root / "smplx" / folder.name)
        fits = sorted((root / "smplx" / folder.name).glob("*.obj"))[:1]
        for view in range(views):
            name = f"{folder.name}_{view}"
            samples.append(LazySample(name, _loader(name, mesh, fits, seed + k, view, views)))
    return tuple(samples)


def _loader(name: str, mesh: Path, fits: list[Path], seed: int, view: int, views: int):
    def load() -> EvaluationSample:
        person, textured = read_person(mesh, "person_0")
        people, factor, notes = to_metres([person], 1.0, mesh)
        camera = view_camera(people, seed=seed, view=view, views=views)
        bodies = body_vertices(fits, factor)
        return EvaluationSample(
            name, "single", photograph(people, camera, name), people, camera, textured=textured, body_vertices=bodies, notes=notes
        )

    return load
