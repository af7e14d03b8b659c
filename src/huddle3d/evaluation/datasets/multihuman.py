"""MultiHuman (Zheng et al. 2021): normalised scans of one to three people. Pictures are rendered by the paper's protocol."""

from __future__ import annotations

from pathlib import Path

from huddle3d.evaluation.datasets.layout import Layout, LazySample, leading_number
from huddle3d.evaluation.datasets.scans import body_vertices, photograph, read_person, regressed_joints, to_metres, view_camera
from huddle3d.evaluation.sample import EvaluationSample

__all__ = ["LAYOUT", "PAPER_SCENES", "open_multihuman"]

LAYOUT = Layout(
    "MultiHuman",
    "CATEGORY/obj_all, CATEGORY/obj and CATEGORY/smplx for each CATEGORY (two_closely_inter, two_naturally_interactive, …), with OBJ files "
    "or folders of OBJ files whose names begin with the number of the scene",
    "https://github.com/y-zheng18/MultiHuman-Dataset",
)
PEOPLE = {"single": 1, "single_occluded": 1, "two_closely_inter": 2, "two_naturally_interactive": 2, "three": 3}
PAPER_SCENES = {
    "two_closely_inter": (8, 23, 24, 250, 252, 253),
    "two_naturally_interactive": (12, 16, 17, 18, 19, 20, 22, 30, 226, 244, 249, 251, 255, 256),
}
"""The 20 two-person scenes of HUG3D's tables."""


def _meshes(folder: Path) -> dict[int, list[Path]]:
    """OBJ files by the number that their own name, or their folder's, begins with."""
    found: dict[int, list[Path]] = {}
    for path in sorted(folder.rglob("*.obj")):
        number = leading_number(path.relative_to(folder).parts[0])
        if number is not None:
            found.setdefault(number, []).append(path)
    return found


def open_multihuman(root: Path, *, views: int = 4, seed: int = 0, paper_only: bool = True) -> tuple[LazySample, ...]:
    """All views of all scenes; of the two-person categories only the paper's scenes, unless ``paper_only`` is off.

    The published page names the folders but not the files in them: that a name begins with its scene's number is our reading. The scans
    are normalised; the tallest person counts as 1.70 m.
    """
    LAYOUT.folder(root)
    categories = LAYOUT.some(root, (root / c for c in PEOPLE if (root / c).is_dir()), f"folder {' or '.join(PEOPLE)}")
    samples = []
    for category in categories:
        for part in ("obj_all", "obj", "smplx"):
            LAYOUT.folder(category / part)
        people, fits = _meshes(category / "obj"), _meshes(category / "smplx")
        LAYOUT.some(category / "obj", (p for files in people.values() for p in files), "OBJ files that begin with a number")
        chosen = PAPER_SCENES.get(category.name) if paper_only else None
        for scene, files in sorted(people.items()):
            if chosen is not None and scene not in chosen:
                continue
            if len(files) != PEOPLE[category.name]:
                raise LAYOUT.wrong(category / "obj", f"Scene {scene} has {len(files)} people, {category.name} has {PEOPLE[category.name]} each.")
            for view in range(views):
                name = f"{category.name}_{scene}_{view}"
                samples.append(LazySample(name, _loader(name, category.name, files, fits.get(scene, []), seed + scene, view, views)))
    LAYOUT.some(root, (Path(s.name) for s in samples), "scene of the paper's list")
    return tuple(samples)


def _loader(name: str, category: str, files: list[Path], fits: list[Path], seed: int, view: int, views: int):
    def load() -> EvaluationSample:
        read = [read_person(path, f"person_{k}") for k, path in enumerate(files)]
        people, factor, notes = to_metres([person for person, _ in read], None, files[0].parent)
        camera = view_camera(people, seed=seed, view=view, views=views)
        bodies = body_vertices(fits, factor) if len(fits) == len(files) else None
        textured, joints = all(t for _, t in read), regressed_joints(bodies)
        photo = photograph(people, camera, name)
        return EvaluationSample(name, category, photo, people, camera, textured=textured, body_vertices=bodies, joints=joints, notes=notes)

    return load
