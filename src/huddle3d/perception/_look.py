"""The embedded networks' own search of a photo: everybody they find, with hands and faces."""

from __future__ import annotations

from huddle3d.errors import StageError
from huddle3d.perception._config import PerceiveConfig
from huddle3d.perception._face import estimate_face
from huddle3d.perception._hands import find_hands, hands_of_people
from huddle3d.perception._judgement import face_of
from huddle3d.perception._observation import Observation, WorkingPhoto, observe
from huddle3d.perception._roi import Picture
from huddle3d.perception._runner import Networks
from huddle3d.perception._search import Found, find_people
from huddle3d.perception._warnings import missing_warnings
from huddle3d.progress import Progress, silent

__all__ = ["look", "nobody"]


def look(
    working: WorkingPhoto, picture: Picture, networks: Networks, config: PerceiveConfig, progress: Progress = silent
) -> tuple[list[Observation], list[str]]:
    """All people of a photo, surest first, and what is unsure, in words.

    Raises:
        StageError: nobody was found.
    """
    found = find_people(picture, networks, config, progress)
    notes = missing_warnings(found.faces, [face_of(p, found.faces) for p in found.poses], found.doubtful, found.unexplained, working.factor)
    if not found.poses:
        raise nobody(working.photo.name, notes)
    if len(found.poses) > config.max_people:
        notes.append(f"{len(found.poses)} people were found; the {config.max_people} surest ones are used.")
    if config.heavy and networks.pose_landmark_heavy is None:
        notes.append("Only the smaller landmark network was used. The larger one finds more people: run `huddle3d models fetch blazepose-heavy`.")
    return _observations(found, working, picture, networks, config), notes


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


def nobody(name: str, notes: list[str]) -> StageError:
    """What is said of a photo in which nobody was found."""
    return StageError(
        "perceive",
        name,
        "no person was found.",
        why=" ".join(notes) or "The embedded networks see people of about 90 px and more whose head or shoulders show.",
        next_step="Give the people by hand as COCO JSON (--coco FILE), or crop the photo around them.",
    )
