"""THuman2.0 (Yu et al. 2021): textured scans of single people. Pictures are rendered by the paper's protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from huddle3d.bodies import read_pickled_arrays
from huddle3d.evaluation.datasets.layout import Layout, LazySample
from huddle3d.evaluation.datasets.scans import photograph, read_person, to_metres, view_camera
from huddle3d.evaluation.sample import EvaluationSample

__all__ = ["LAYOUT", "open_thuman2"]

LAYOUT = Layout(
    "THuman2.0",
    "NNNN/NNNN.obj with material0.mtl and material0.jpeg (four digits, 0000 to 0525), in the folder itself or in THuman2.0_Release; SMPL-X fits, "
    "if any, in THuman2.0_smplx/NNNN/smplx_param.pkl beside them",
    "https://github.com/ytrock/THuman2.0-Dataset",
)
LAST = 525
"""Later scans (THuman2.1) use another coordinate system and scale."""
_RELEASES = ("THuman2.0_Release", "THuman2.0", "model")
_FITS = ("THuman2.0_smplx", "THuman2.0_Smpl_X_Paras", "smplx")


def open_thuman2(root: Path, *, views: int = 4, seed: int = 0) -> tuple[LazySample, ...]:
    """All views of all scans. The fit's ``scale`` says how many of the scan's units a metre has; without a fit a person counts as 1.70 m."""
    LAYOUT.folder(root)
    base = next((root / r for r in _RELEASES if (root / r).is_dir()), root)
    folders = (f for f in base.iterdir() if f.is_dir() and len(f.name) == 4 and f.name.isdigit() and int(f.name) <= LAST)
    samples = []
    for folder in LAYOUT.some(base, folders, "folder NNNN"):
        mesh = LAYOUT.file(folder / f"{folder.name}.obj")
        LAYOUT.file(folder / "material0.jpeg")
        candidates = (parent / f / folder.name / "smplx_param.pkl" for parent in (root, root.parent) for f in _FITS)
        fit = next((c for c in candidates if c.is_file()), None)
        for view in range(views):
            name = f"{folder.name}_{view}"
            samples.append(LazySample(name, _loader(name, mesh, fit, seed + int(folder.name), view, views)))
    return tuple(samples)


def _loader(name: str, mesh: Path, fit: Path | None, seed: int, view: int, views: int):
    def load() -> EvaluationSample:
        person, textured = read_person(mesh, "person_0")
        scale = read_pickled_arrays(fit).get("scale") if fit is not None else None
        units = float(np.asarray(scale, np.float64).reshape(-1)[0]) if scale is not None and np.size(scale) == 1 else 0.0
        people, _, notes = to_metres([person], 1 / units if units > 0 else None, mesh)
        camera = view_camera(people, seed=seed, view=view, views=views)
        return EvaluationSample(name, "single", photograph(people, camera, name), people, camera, textured=textured, notes=notes)

    return load
