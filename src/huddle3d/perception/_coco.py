"""People that the user gives as COCO JSON; what the file lacks is estimated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from huddle3d.errors import HuddleError, InputError, WeightsMissingError
from huddle3d.io import CocoPerson, read_coco
from huddle3d.perception._config import PerceiveConfig
from huddle3d.perception._consensus import settle
from huddle3d.perception._hands import find_hands, hands_of_people
from huddle3d.perception._judgement import quality
from huddle3d.perception._limbs import keypoint_scale, limb_distance_map
from huddle3d.perception._observation import Observation, WorkingPhoto, assemble, observe
from huddle3d.perception._pose import Pose, refine_pose
from huddle3d.perception._roi import Picture, roi_of_window
from huddle3d.perception._runner import Networks
from huddle3d.perception._similarity import BLAZE_OF_COCO, oks
from huddle3d.progress import Progress, silent
from huddle3d.scene import People2D, Photo
from huddle3d.scene.landmarks import BODY, FACE, LEFT_HAND, NUM_LANDMARKS, RIGHT_HAND

__all__ = ["given_in_coco", "observe_given", "perceive_coco", "table_of_coco", "tables_of"]

_WHOLEBODY_FACE = tuple(23 + k for k in (36, 39, 42, 45, 30, 48, 54, 51, 57, 8))
"""Rows of COCO-WholeBody's 68-point face for our ten face landmarks."""
_AGREES = 0.5
"""OKS against given key points below which the networks looked at somebody else."""


def perceive_coco(photo: Photo, path: Path, networks: Networks | None, config: PerceiveConfig, *, progress: Progress = silent) -> People2D:
    """The people of one photo in a COCO file.

    Given key points, boxes and masks are kept. With networks, missing key points, metric landmarks, hands and masks are estimated inside
    each person's box; without, masks are grown by GrabCut from the skeleton, and metric landmarks are absent (confidence 0).

    Raises:
        InputError: damaged file, no people for this photo, or a box without key points in which the networks see nobody.
        WeightsMissingError: a person without key points, and no networks to find them.
    """
    given, notes = given_in_coco(photo, path, config)
    working = WorkingPhoto.of(photo, config.max_side)
    picture = Picture(working.image)
    people = observe_given(given, tables_of(given, working), working, picture, networks, path)
    progress(0.6, "masks")
    result = assemble(working, people, config, "coco-json", notes)
    progress(1.0, f"{len(people)} people")
    return result


def given_in_coco(photo: Photo, path: Path, config: PerceiveConfig) -> tuple[tuple[CocoPerson, ...], list[str]]:
    """The people of a COCO file, checked, at most as many as wanted [photo px]; and notes in words."""
    image = read_coco(path).select(photo.name, photo.width, photo.height)
    for k, person in enumerate(image.people):
        _check_keypoints(person, k, photo, path)
    notes = list(image.notes)
    if len(image.people) > config.max_people:
        notes.append(f"{path.name} has {len(image.people)} people for this photo; the first {config.max_people} are used.")
    return image.people[: config.max_people], notes


def tables_of(given: Sequence[CocoPerson], working: WorkingPhoto) -> list[Float[np.ndarray, "L 3"] | None]:
    """The landmark table of each person [working px]; None for those without key points."""
    return [None if p.keypoints is None else table_of_coco(p.keypoints * (working.factor, working.factor, 1)) for p in given]


def observe_given(
    given: Sequence[CocoPerson],
    tables: Sequence[Float[np.ndarray, "L 3"] | None],
    working: WorkingPhoto,
    picture: Picture,
    networks: Networks | None,
    path: Path,
) -> list[Observation]:
    """People of whom boxes, key points or masks are known; the networks, if there are any, add what is missing.

    Args:
        given: people [photo px].
        tables: their landmark tables [working px]; None where there are no key points.
        working: the photo at working size.
        picture: the same.
        networks: the embedded networks.
        path: names the source in errors.
    """
    poses = [_pose(p, t, picture, networks, working.factor) for p, t in zip(given, tables, strict=True)]
    return [_observation(k, p, t, q, picture, networks, working, path) for k, (p, t, q) in enumerate(zip(given, tables, poses, strict=True))]


def _check_keypoints(person: CocoPerson, index: int, photo: Photo, path: Path) -> None:
    """Refuse key points that show nobody: all outside the picture, or all in one place."""
    if person.keypoints is None or not (person.keypoints[:, 2] > 0).any():
        return
    points = person.keypoints[person.keypoints[:, 2] > 0, :2]
    where = f"{path}: person {index + 1} of '{photo.name}'"
    inside = ((points >= 0) & (points <= (photo.width, photo.height))).all(axis=1)
    if not inside.any():
        raise InputError(f"{where}: no key point lies in the picture.", why=f"It has {photo.width} × {photo.height} pixels.", next_step="Correct it.")
    if len(points) > 1 and float(np.ptp(points, axis=0).max()) < 2:
        raise InputError(f"{where}: all key points lie in one place.", next_step="Correct the annotation, or give a box without key points.")


def table_of_coco(keypoints: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "L 3"]:
    """17 COCO or 133 COCO-WholeBody key points in the landmark table."""
    table = np.zeros((NUM_LANDMARKS, 3))
    if len(keypoints) == 17:
        table[BODY] = keypoints
        return table
    table[:23] = keypoints[:23]
    table[LEFT_HAND], table[RIGHT_HAND] = keypoints[91:112], keypoints[112:133]
    table[FACE] = keypoints[list(_WHOLEBODY_FACE)]
    return table


def _pose(person: CocoPerson, table: Float[np.ndarray, "L 3"] | None, picture: Picture, networks: Networks | None, factor: float) -> Pose | None:
    """What the networks see in the person's box; None without networks, or if that is not the person who is given."""
    if networks is None:
        return None
    roi = roi_of_window(tuple(_given_box(person) * factor))
    looks = [settle(picture, refine_pose(picture, roi.shifted(0, 0, s), networks, 1.0, looks=1), networks) for s in (1.0, 1.25, 1.6)]
    if table is None:
        best = max(looks, key=quality)
        return best if best.flag >= 0.3 else None
    likeness = [_likeness(p, table) for p in looks]
    best_index = int(np.argmax(likeness))
    return looks[best_index] if likeness[best_index] >= _AGREES else None


def _likeness(pose: Pose, table: Float[np.ndarray, "L 3"]) -> float:
    weights = (table[BODY, 2] > 0).astype(float)
    area = 0.12 * (keypoint_scale(table) / 0.29) ** 2
    return oks(pose.points[list(BLAZE_OF_COCO)], table[BODY, :2], area, weights)


def _given_box(person: CocoPerson) -> Float[np.ndarray, "4"]:
    """The box, or the extent of the mask or of the given key points [photo px]."""
    if person.box is not None:
        return person.box.astype(float)
    if person.mask is not None and person.mask.any():
        ys, xs = np.nonzero(person.mask)
        return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], float)
    points = person.keypoints[person.keypoints[:, 2] > 0, :2] if person.keypoints is not None else np.zeros((0, 2))
    if len(points) == 0:
        return np.zeros(4)
    lo, hi = points.min(axis=0), points.max(axis=0)
    margin = 0.1 * float((hi - lo).max())
    return np.concatenate([lo - margin, hi + margin])


def _observation(
    index: int,
    person: CocoPerson,
    table: Float[np.ndarray, "L 3"] | None,
    pose: Pose | None,
    picture: Picture,
    networks: Networks | None,
    working: WorkingPhoto,
    path: Path,
) -> Observation:
    mask = None if person.mask is None else _resized(person.mask, picture)
    box = None if person.box is None else person.box.astype(float) * working.factor
    seen: Observation | None = None
    if pose is not None and networks is not None:
        hands = hands_of_people(find_hands(picture, [pose], networks), [pose])[0]
        seen = observe(pose, hands, None, working)
    if table is None or not (table[BODY, 2] > 0).any():
        if seen is None:
            raise _no_keypoints(index, path, networks)
        return Observation(seen.keypoints, seen.landmarks3d, seen.probability, person.score, mask, box)
    if seen is None:
        return Observation(table, np.zeros((NUM_LANDMARKS, 4)), _probability(table, picture), person.score, mask, box)
    filled = np.where(table[:, 2:] > 0, table, seen.keypoints)
    return Observation(filled, seen.landmarks3d, seen.probability, person.score, mask, box)


def _resized(mask: np.ndarray, picture: Picture) -> np.ndarray:
    if mask.shape == (picture.height, picture.width):
        return mask
    return cv2.resize(mask.astype(np.uint8), (picture.width, picture.height), interpolation=cv2.INTER_AREA) > 0


def _probability(table: Float[np.ndarray, "L 3"], picture: Picture) -> Float[np.ndarray, "height width"]:
    """A soft mask around a skeleton, for GrabCut to sharpen: sure on the bones, 0.5 at the parts' half thickness, 0 at twice that."""
    distance = limb_distance_map(table, keypoint_scale(table), picture.height, picture.width)
    return np.clip(1.0 - 0.5 * distance, 0, 1).astype(np.float32)


def _no_keypoints(index: int, path: Path, networks: Networks | None) -> HuddleError:
    what = f"{path}: person {index + 1} has no key points"
    if networks is None:
        return WeightsMissingError(
            f"{what}, and the networks that could find them are not on this machine.",
            next_step="Add key points to the file, or run `huddle3d models fetch blazepose`.",
        )
    return InputError(f"{what}, and the networks see no person in its box.", next_step="Add key points to the file.")
