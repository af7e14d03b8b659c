"""The stage: a photo in, all people of the photo out."""

from __future__ import annotations

import os
from pathlib import Path

from huddle3d.errors import StageError, WeightsMissingError
from huddle3d.perception._coco import perceive_coco
from huddle3d.perception._config import PerceiveConfig
from huddle3d.perception._face import estimate_face
from huddle3d.perception._hands import find_hands, hands_of_people
from huddle3d.perception._judgement import face_of
from huddle3d.perception._observation import Observation, WorkingPhoto, assemble, observe
from huddle3d.perception._roi import Picture
from huddle3d.perception._runner import Networks, load_networks, weights_in_use
from huddle3d.perception._search import Found, find_people
from huddle3d.perception._warnings import missing_warnings
from huddle3d.progress import Progress, silent
from huddle3d.scene import People2D, Photo

__all__ = ["perceive", "perceive_with"]

_DEFAULT = PerceiveConfig()


def perceive(photo: Photo, config: PerceiveConfig = _DEFAULT, *, coco: Path | None = None, progress: Progress = silent) -> People2D:
    """Find all people in a photo: boxes, key points, metric landmarks and one disjoint mask each.

    Args:
        photo: the decoded photo.
        config: settings.
        coco: COCO JSON with the people of this photo; what it lacks is estimated with the networks, if they are there.
        progress: receives the steps.

    Raises:
        WeightsMissingError: if networks are needed that have not been fetched; nothing is ever downloaded here.
        InputError: if the COCO file is damaged or has no people for this photo.
        StageError: if nobody is found.
    """
    from huddle3d.weights import weights_path

    networks: Networks | None = None
    try:
        heavy = weights_path("blazepose-heavy") if "blazepose-heavy" in weights_in_use(config) else None
        networks = load_networks(weights_path("blazepose"), config.threads or _processors(), heavy=heavy)
    except WeightsMissingError:
        if coco is None:
            raise
    if coco is not None:
        return perceive_coco(photo, coco, networks and networks.landmark_variants()[0], config, progress=progress)
    assert networks is not None
    return perceive_with(photo, networks, config, progress=progress)


def perceive_with(photo: Photo, networks: Networks, config: PerceiveConfig = _DEFAULT, *, progress: Progress = silent) -> People2D:
    """:func:`perceive` with networks that are loaded already (many photos, or a test's own networks)."""
    working = WorkingPhoto.of(photo, config.max_side)
    picture = Picture(working.image)
    progress(0.0, "looking for people")
    found = find_people(picture, networks, config, lambda fraction, note="": progress(0.5 * fraction, note))
    notes = missing_warnings(found.faces, [face_of(p, found.faces) for p in found.poses], found.doubtful, found.unexplained, working.factor)
    if not found.poses:
        raise _nobody(photo, notes)
    if len(found.poses) > config.max_people:
        notes.append(f"{len(found.poses)} people were found; the {config.max_people} surest ones are used.")
    if config.heavy and networks.pose_landmark_heavy is None:
        notes.append("Only the smaller landmark network was used. The larger one finds more people: run `huddle3d models fetch blazepose-heavy`.")
    people = _observations(found, working, picture, networks, config)
    progress(0.7, "masks")
    result = assemble(working, people, config, "blazepose", notes)
    progress(1.0, f"{len(people)} people")
    return result


def _observations(found: Found, working: WorkingPhoto, picture: Picture, networks: Networks, config: PerceiveConfig) -> list[Observation]:
    """Bodies with their hands and faces."""
    poses = found.poses[: config.max_people]
    hands = hands_of_people(find_hands(picture, poses, networks), poses) if config.hands else [{} for _ in poses]
    people = []
    for pose, pair in zip(poses, hands, strict=True):
        face = face_of(pose, found.faces) if config.faces else None
        mesh = estimate_face(picture, face, networks) if face is not None else None
        people.append(observe(pose, pair, mesh if mesh is not None and mesh.score >= 0.5 else None, working))
    return people


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _nobody(photo: Photo, notes: list[str]) -> StageError:
    return StageError(
        "perceive",
        photo.name,
        "no person was found.",
        why=" ".join(notes) or "The embedded networks see people of about 90 px and more whose head or shoulders show.",
        next_step="Give the people by hand as COCO JSON (--coco FILE), or crop the photo around them.",
    )
