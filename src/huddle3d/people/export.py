"""The bodies of a finished run as files of other programs: npz with the SMPL family's keys, BVH, COCO JSON."""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from huddle3d.bodies import BVH_ROTATIONS, MODEL_LICENCES, BodyModel, bvh_motion, write_bodies_npz
from huddle3d.errors import InputError
from huddle3d.io import CocoImage, CocoPerson, display_name, prepare_output_dir, safe_name, write_bvh, write_bytes, write_coco
from huddle3d.people.identity import Agreed
from huddle3d.scene import Bodies, BodyParams, People2D, read_scene_json
from huddle3d.scene.landmarks import BODY

__all__ = ["BODY_FORMATS", "BodyFormat", "coco_image", "export_bodies", "fitted_keypoints", "read_run"]

BodyFormat = Literal["npz", "bvh", "coco"]
BODY_FORMATS: tuple[BodyFormat, ...] = typing.get_args(BodyFormat)


def read_run(directory: Path) -> tuple[Bodies, People2D | None, str, tuple[int, int]]:
    """Bodies, observed people (None if the run was given both by other means), the photo's name and full size of a finished run.

    Raises:
        InputError: not a run's folder, not finished, or its bodies were given from outside and are not in it.
    """
    if not (directory / "scene.json").is_file():
        raise InputError(
            f"{display_name(directory)}: not the folder of a finished run.",
            why="It has no scene.json.",
            next_step="Give the folder that huddle3d people wrote (OUTPUT/PHOTO).",
        )
    scene = read_scene_json(directory / "scene.json")
    if not (directory / "stages" / "fit.json").is_file():
        raise InputError(f"{display_name(directory)}: the run has no fitted bodies.", why="Its bodies were given, not fitted.")
    if (directory / "stages" / "repair.json").is_file():
        agreed = Agreed.load(directory / "stages" / "repair")
        return agreed.bodies, agreed.people, scene.photo.name, (scene.photo.width, scene.photo.height)
    bodies = Bodies.load(directory / "stages" / "fit")
    people = People2D.load(directory / "stages" / "perceive") if (directory / "stages" / "perceive.json").is_file() else None
    return bodies, people, scene.photo.name, (scene.photo.width, scene.photo.height)


def fitted_keypoints(bodies: Bodies, people: People2D | None = None) -> np.ndarray:
    """COCO-17 joints of the fitted bodies in the picture (K, 17, 3): u, v [px] and confidence.

    The confidence is the observation's, at least 0.5 (hidden) where the joint lies in the picture, 0 outside it or behind the camera.
    """
    camera = bodies.camera
    uv, depth = camera.project(bodies.landmarks[:, BODY].detach())
    inside = (depth > 0) & (uv >= 0).all(-1) & (uv[..., 0] <= camera.width) & (uv[..., 1] <= camera.height)
    out = np.concatenate([uv.numpy(), 0.5 * inside.numpy()[..., None]], -1).astype(np.float32)
    if people is not None:
        seen = np.stack([people.keypoints[people.names.index(n), BODY, 2].numpy() for n in bodies.names])
        out[..., 2] = np.where(inside.numpy(), np.maximum(seen, 0.5), 0)
    return out


def coco_image(
    people: People2D, name: str, full_size: tuple[int, int] | None = None, *, keypoints: np.ndarray | None = None, names: Sequence[str] | None = None
) -> CocoImage:
    """People of one photo as COCO annotations, in pixels of the full-size photo.

    Args:
        people: observed people, in pixels of the work image.
        name: the photo's name; annotations are matched to it.
        full_size: (width, height) [px] of the upright photo; None for that of the work image.
        keypoints: (K, 17, 3) to write instead of the observed ones.
        names: whose rows they are; None for those of ``people``.
    """
    height, width = people.masks.shape[1:]
    rows = [people.names.index(n) for n in names] if names is not None else range(len(people.names))
    persons = []
    for k, row in enumerate(rows):
        points = people.keypoints[row, BODY].numpy() if keypoints is None else keypoints[k]
        mask = people.masks[row].numpy()
        persons.append(CocoPerson(people.boxes[row].numpy(), float(people.scores[row].clamp(0, 1)), points, mask if mask.any() else None))
    image = CocoImage(name, width, height, tuple(persons))
    return image if full_size is None else image.resized(*full_size)


def export_bodies(
    run: Path,
    output: Path,
    formats: Sequence[BodyFormat],
    *,
    body: BodyModel,
    bodies: Bodies | None = None,
    unit: Literal["cm", "m"] = "cm",
    keypoints: Literal["observed", "fitted"] = "observed",
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write the bodies of a finished run into a folder; returns the names of the files.

    ``bodies.npz`` (all people), ``NAME.bvh`` (each person, one frame), ``people.coco.json`` and, last, ``export.json``, which states units,
    frames, rotation order and licence.

    Args:
        run: the run's folder.
        output: folder for the files.
        formats: what to write.
        body: the model of ``bodies``.
        bodies: bodies to write instead of the run's own (converted ones).
        unit: of the BVH files.
        keypoints: of the COCO file: what was observed in the picture, or the fitted joints.
        overwrite: write into a folder that holds files.

    Raises:
        InputError: not a finished run, the run lacks what a format needs, or the folder cannot be written.
    """
    own, people, name, size = read_run(run)
    bodies = bodies or own
    unknown = [f for f in formats if f not in BODY_FORMATS]
    if unknown or not formats:
        raise InputError(f"Unknown format {unknown[0]!r}." if unknown else "No format was named.", next_step=f"Valid: {', '.join(BODY_FORMATS)}.")
    if "coco" in formats and people is None:
        raise InputError(
            f"{display_name(run)}: the run holds no observed people.", why="They were given to it.", next_step="Leave out the format coco."
        )
    prepare_output_dir(output, overwrite, marker="export.json")
    written: list[str] = []
    if "npz" in formats:
        write_bodies_npz(output / "bodies.npz", bodies, body, overwrite=True)
        written.append("bodies.npz")
    if "bvh" in formats:
        for k, person in enumerate(bodies.names):
            one = BodyParams(**{f.name: getattr(bodies.params, f.name)[k : k + 1] for f in fields(BodyParams)})
            written.append(f"{safe_name(person)}.bvh")
            write_bvh(output / written[-1], bvh_motion(body, one, unit=unit), overwrite=True)
    if "coco" in formats and people is not None:
        points = fitted_keypoints(own, people) if keypoints == "fitted" else None
        image = coco_image(people, name, size, keypoints=points, names=own.names if points is not None else None)
        write_coco(output / "people.coco.json", [image], flags=True, overwrite=True)
        written.append("people.coco.json")
    facts = {**_facts(bodies, body, unit, keypoints, formats), "photo": name, "files": written}
    write_bytes(output / "export.json", (json.dumps(facts, indent=1) + "\n").encode(), overwrite=True)
    return (*written, "export.json")


def _facts(bodies: Bodies, body: BodyModel, unit: str, keypoints: str, formats: Sequence[str]) -> dict[str, Any]:
    version, licence = MODEL_LICENCES.get(body.name, ("unknown", "unknown"))
    out: dict[str, Any] = {
        "format": "huddle3d body export 1",
        "model": {"name": body.name, "version": version, "licence": licence},
        "world": "right-handed, y up, floor at y = 0",
        "names": list(bodies.names),
        "warnings": list(bodies.warnings),
    }
    if "npz" in formats:
        out["npz"] = {"unit": "metre, radian"}
    if "bvh" in formats:
        out["bvh"] = {
            "unit": unit,
            "rotations": list(BVH_ROTATIONS),
            "product": "Rz Rx Ry",
            "rest": "the model's rest pose at all angles zero",
            "frames": 1,
        }
    if "coco" in formats:
        out["coco"] = {
            "unit": "pixels of the full-size upright photo",
            "keypoints": keypoints,
            "visibility": "2 seen, 1 hidden or unsure, 0 not given",
        }
    return out
