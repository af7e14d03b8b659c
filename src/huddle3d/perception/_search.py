"""Looks for all people: tiles and faces, then again and again with the people already found painted over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float

from huddle3d.perception._anchors import Detection, suppress
from huddle3d.perception._config import PerceiveConfig
from huddle3d.perception._consensus import settle, with_more_masks
from huddle3d.perception._erase import paint_over, person_region
from huddle3d.perception._evidence import EXPLAINED_REACH, box_of, own_share, person_evidence, unexplained_parts
from huddle3d.perception._face import body_regions, detect_faces, verified
from huddle3d.perception._hands import find_hands
from huddle3d.perception._joint import reconsider
from huddle3d.perception._judgement import (
    SURE_FACE,
    face_of,
    has_face,
    has_hand_for_head,
    has_head_of,
    is_plausible,
    lies_on_others,
    quality,
    share_on,
)
from huddle3d.perception._pose import HEAD, Pose, detect_poses, estimate_pose, refine_pose, roi_of_detection
from huddle3d.perception._proportions import with_room_below
from huddle3d.perception._roi import Picture, Roi, roi_of_window
from huddle3d.perception._runner import Networks
from huddle3d.perception._similarity import is_alike, is_same_person
from huddle3d.progress import Progress, silent

__all__ = ["Found", "find_people", "tiles"]

_OWN_SHARE = 0.4
"""Share of the pixels of a pose that must be person pixels which nobody else explains, so that it is no part of somebody else."""
_PART_SCORE = 0.5
"""Stands for the detector's score where masks, not the detector, tell of a person."""
_PART_BONUS = 0.15
"""By how much less quality a person needs who explains pixels that nobody else explains."""


@dataclass(frozen=True)
class Found:
    """Result of the search."""

    poses: list[Pose]
    """People, best first."""
    faces: list[Detection]
    """All faces, also those of nobody in :attr:`poses`."""
    doubtful: list[Pose]
    """What may be people but was too unsure, each in another place than those in :attr:`poses`."""
    unexplained: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Boxes xyxy [px] of person pixels that belong to nobody in :attr:`poses`."""


def tiles(width: int, height: int, level: int) -> list[Roi]:
    """Overlapping windows: ``level`` per shorter side, squares of 1.4/level of it (all of the picture for level 1)."""
    if level == 1:
        return [roi_of_window((0, 0, width, height))]
    side = 1.4 * min(width, height) / level
    columns = max(level, round(width / min(width, height) * level))
    rows = max(level, round(height / min(width, height) * level))
    xs = np.linspace(side / 2, width - side / 2, columns)
    ys = np.linspace(side / 2, height - side / 2, rows)
    return [Roi(float(x), float(y), float(side)) for y in ys for x in xs]


def find_people(picture: Picture, networks: Networks, config: PerceiveConfig, progress: Progress = silent) -> Found:
    """All people; no two of them the same.

    The first round takes only people of whom the networks are sure. Each further round looks at a picture in which those have been
    painted over, so that neither their limbs pass for people nor their neighbours' regions slide onto them.
    """
    windows = [roi for level in config.tile_levels for roi in tiles(picture.width, picture.height, level)]
    faces = [f for f in verified(picture, detect_faces(picture, windows, networks, 0.3), networks) if f.score >= 0.25]
    seeds = _seeds(picture, windows, networks, config.detector_threshold)
    doubtful: list[Pose] = []
    poses = _accept(picture, seeds, networks, config, faces, [], config.sure_quality, doubtful)
    for k in range(config.repeats):
        regions = [person_region(p, picture.height, picture.width) for p in poses]
        rest = Picture(paint_over(picture.image, regions))
        again = [*windows, *_zoom_windows(regions)]
        seeds = [*_seeds(rest, again, networks, config.repeat_threshold), *seeds, *_face_seeds(rest, faces, poses, networks)]
        new = _accept(rest, seeds, networks, config, faces, poses, config.min_quality, doubtful)
        if not new:
            break
        poses += new
        progress((k + 2) / (config.repeats + 2), f"{len(poses)} people")
    # A face in front of somebody who was painted over went with the paint: it is looked for in the picture as it is.
    lost = _lost(faces, poses)
    seeds = _face_seeds(picture, faces, poses, networks)
    poses += _accept(picture, seeds, networks, config, faces, poses, config.min_quality, doubtful, lost)
    poses = _confirmed(poses, faces, picture, networks, config, doubtful)
    evidence = person_evidence(picture, poses, networks)
    poses = _without_ghosts(poses, faces, picture, networks, evidence)
    poses += _from_evidence(picture, poses, evidence, networks, config, faces)
    poses = [_alone(picture, i, poses, faces, networks, config) for i in range(len(poses))]
    poses = reconsider(picture, poses, faces, networks, evidence)
    poses = _confirmed(poses, faces, picture, networks, config, doubtful)
    poses = _without_ghosts(poses, faces, picture, networks, evidence)
    poses = [with_more_masks(picture, p, networks) for p in poses]
    parts = unexplained_parts(evidence, poses, picture)
    return Found(poses, faces, _elsewhere(doubtful, poses, picture, config), [box_of(part) for part in parts])


def _from_evidence(
    picture: Picture,
    poses: Sequence[Pose],
    evidence: Float[np.ndarray, "height width"],
    networks: Networks,
    config: PerceiveConfig,
    faces: Sequence[Detection],
) -> list[Pose]:
    """People whose bodies the masks show although no skeleton explains them: in an embrace, seen from behind, or half hidden.

    Each such part is looked at with everything else of the known people painted over. Its pixels are evidence, so less quality is needed.
    """
    found: list[Pose] = []
    for _ in range(config.repeats):
        known = [*poses, *found]
        best = _best_for_parts(picture, unexplained_parts(evidence, known, picture), known, networks, config, faces)
        if best is None:
            break
        found.append(best)
    return found


def _best_for_parts(
    picture: Picture,
    parts: Sequence[Bool[np.ndarray, "height width"]],
    known: Sequence[Pose],
    networks: Networks,
    config: PerceiveConfig,
    faces: Sequence[Detection],
) -> Pose | None:
    """The surest new person who explains half of an unexplained part."""
    size = (picture.height, picture.width)
    candidates: list[tuple[float, Pose]] = []
    for part in parts:
        near = cv2.dilate(part.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        rest = Picture(paint_over(picture.image, [person_region(p, *size) & ~near for p in known]))
        window = roi_of_window(box_of(part))
        for scale in (1.1, 1.4):
            for variant in networks.landmark_variants():
                roi = window.shifted(0, -0.05, scale)
                pose = _with_face(settle(rest, estimate_pose(rest, roi, variant, _PART_SCORE), variant), faces)
                covers = (part & person_region(pose, *size, reach=EXPLAINED_REACH)).sum() >= 0.5 * part.sum()
                new = not any(is_same_person(pose, p, config.same_person_oks) or has_head_of(pose, p, faces) for p in known)
                if covers and new and is_plausible(pose, picture, config) and pose.flag >= config.presence_threshold:
                    # Heads are painted over more easily than bodies; a look that puts the head elsewhere is worth less.
                    candidates.append((quality(pose) * (0.6 + 0.4 * _head_share(pose, near)), pose))
    best = max(candidates, key=lambda c: c[0], default=(0.0, None))[1]
    return best if best is not None and quality(best) >= config.min_quality - _PART_BONUS else None


def _head_share(pose: Pose, region: Bool[np.ndarray, "height width"]) -> float:
    """Share of the head's points that lie in a region."""
    cells = np.clip(pose.points[list(HEAD)].astype(int), 0, np.array(region.shape)[::-1] - 1)
    return float(region[cells[:, 1], cells[:, 0]].mean())


def _confirmed(
    poses: Sequence[Pose], faces: Sequence[Detection], picture: Picture, networks: Networks, config: PerceiveConfig, doubtful: list[Pose]
) -> list[Pose]:
    """The poses in whose regions a landmark network sees a person in the picture as it is; the others are added to ``doubtful``.

    People who were found after others had been painted over may be an artefact of the paint.
    """
    kept = []
    for pose in poses:
        sure = has_face(pose, faces)
        for variant in networks.landmark_variants():
            sure = sure or settle(picture, estimate_pose(picture, pose.roi, variant, pose.score), variant).flag >= config.presence_threshold
        (kept if sure else doubtful).append(pose)
    return kept


def _without_ghosts(
    poses: Sequence[Pose], faces: Sequence[Detection], picture: Picture, networks: Networks, evidence: Float[np.ndarray, "height width"]
) -> list[Pose]:
    """The poses that stand when seen together, best first: faceless parts of better ones that explain no person pixels of their own are dropped."""
    kept: list[Pose] = []
    ranked = sorted(poses, key=quality, reverse=True)
    hands = find_hands(picture, ranked, networks) if any(not has_face(p, faces) for p in ranked) else []
    for pose in ranked:
        ghostly = not has_face(pose, faces) and (lies_on_others(pose, kept, picture) or has_hand_for_head(pose, hands))
        if not ghostly or own_share(evidence, pose, kept, picture) >= _OWN_SHARE:
            kept.append(pose)
    return kept


def _elsewhere(doubtful: Sequence[Pose], poses: Sequence[Pose], picture: Picture, config: PerceiveConfig) -> list[Pose]:
    """The best doubtful pose of each place that no accepted person covers."""
    size = (picture.height, picture.width)
    region = np.logical_or.reduce([person_region(p, *size) for p in poses]) if poses else np.zeros(size, bool)
    kept: list[Pose] = []
    for pose in sorted(doubtful, key=quality, reverse=True):
        if share_on(pose, region) < 0.5 and not any(is_same_person(pose, p, 0.2) for p in kept):
            kept.append(pose)
            region |= person_region(pose, *size)
    return kept


def _seeds(picture: Picture, windows: Sequence[Roi], networks: Networks, threshold: float) -> list[tuple[Roi, float]]:
    """Regions of detected people with their scores."""
    detections = [d for window in windows for d in detect_poses(picture, window, networks, threshold)]
    return [(roi_of_detection(d), d.score) for d in suppress(detections, 0.3)]


def _face_seeds(picture: Picture, faces: Sequence[Detection], poses: Sequence[Pose], networks: Networks) -> list[tuple[Roi, float]]:
    """For each sure face of nobody yet: the two regions below it that most look like its person; none if all faces are somebody's."""
    seeds = []
    for face in _lost(faces, poses):
        looks = [refine_pose(picture, roi, networks, face.score, looks=2) for roi in body_regions(face)]
        looks = [p for p in looks if face_of(p, [face]) is not None]
        seeds += [(p.roi, face.score) for p in sorted(looks, key=lambda p: -p.flag)[:2]]
    return seeds


def _lost(faces: Sequence[Detection], poses: Sequence[Pose]) -> list[Detection]:
    """Sure faces of nobody yet."""
    owned = [face_of(p, faces) for p in poses]
    return [f for f in faces if f.score >= SURE_FACE and not any(f is o for o in owned)]


def _accept(
    picture: Picture,
    seeds: Sequence[tuple[Roi, float]],
    networks: Networks,
    config: PerceiveConfig,
    faces: Sequence[Detection],
    known: Sequence[Pose],
    min_quality: float,
    doubtful: list[Pose],
    lost: Sequence[Detection] = (),
) -> list[Pose]:
    """New people, best first, that start from the seeds; those of nearly the quality needed are added to ``doubtful``.

    With ``lost`` faces only people who have one of them are taken, also where that face is within reach of another's head (cheek to cheek).
    """
    poses: list[Pose] = []
    for roi, score in _merged(seeds):
        for variant in networks.landmark_variants():
            first = refine_pose(picture, roi, variant, score)
            # Seeds of one person are many; the costly consensus is for those that may still be news.
            if (
                first.flag < 0.3
                or any(is_same_person(first, p, config.same_person_oks) for p in known)
                or any(is_alike(first, p, 0.8) for p in poses)
            ):
                continue
            pose = _with_face(settle(picture, first, variant), faces)
            if is_plausible(pose, picture, config):
                # A sure face is evidence that the quality, a matter of the body, does not hold.
                needed = min_quality - (0.1 if has_face(pose, faces, SURE_FACE) else 0.0)
                if pose.flag >= config.presence_threshold and quality(pose) >= needed:
                    poses.append(pose)
                elif quality(pose) >= 0.65 * config.min_quality:
                    doubtful.append(pose)
    kept: list[Pose] = []
    for pose in sorted(poses, key=quality, reverse=True):
        others, own = [*known, *kept], face_of(pose, faces)
        if lost and (not any(own is f for f in lost) or any(own is face_of(p, faces) for p in kept)):
            continue
        if any(is_same_person(pose, p, config.same_person_oks) or (not lost and has_head_of(pose, p, faces)) for p in others):
            continue
        if has_face(pose, faces) or not lies_on_others(pose, others, picture):
            kept.append(pose)
    return kept


def _merged(seeds: Sequence[tuple[Roi, float]]) -> list[tuple[Roi, float]]:
    """Seeds without near copies, best score first."""
    kept: list[tuple[Roi, float]] = []
    for roi, score in sorted(seeds, key=lambda s: -s[1]):
        if not any(math.hypot(roi.x - r.x, roi.y - r.y) < 0.08 * r.side and 0.85 < roi.side / r.side < 1.18 for r, _ in kept):
            kept.append((roi, score))
    return kept


def _with_face(pose: Pose, faces: Sequence[Detection]) -> Pose:
    """A face at the head is as good as the person detector's word."""
    face = face_of(pose, faces)
    return pose if face is None else replace(pose, score=max(pose.score, face.score))


def _zoom_windows(regions: Sequence[Bool[np.ndarray, "height width"]]) -> list[Roi]:
    """Where to look again: around the union of all people, and around each of them."""
    windows = []
    masks = [*regions, np.logical_or.reduce(regions)] if len(regions) else []
    for mask in masks:
        ys, xs = np.nonzero(mask)
        if len(xs):
            roi = roi_of_window((float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)))
            windows += [roi.shifted(0, 0, 1.2), roi.shifted(0, 0, 2.0)]
    return windows


def _alone(picture: Picture, index: int, poses: Sequence[Pose], faces: Sequence[Detection], networks: Networks, config: PerceiveConfig) -> Pose:
    """A person looked at once more with all overlapping others painted over; kept if it is still that person and better seen.

    Then, in the better picture of the two, with more room below if the body is too small for its face.
    """
    pose = poses[index]
    blanked = _without_others(picture, pose, poses)
    best, seen = pose, picture
    for variant in networks.landmark_variants():
        for view in (picture, blanked) if blanked is not picture else (picture,):
            rival = settle(view, estimate_pose(view, pose.roi, variant, pose.score), variant)
            if quality(rival) > quality(best) and is_same_person(rival, pose, config.same_person_oks):
                best, seen = rival, view
    return with_room_below(seen, best, faces, networks)


def _without_others(picture: Picture, pose: Pose, poses: Sequence[Pose]) -> Picture:
    """The picture with everybody else near a person painted over, but for what may be that person's own limbs."""
    box = pose.roi.box()
    others = [p for p in poses if p is not pose and _overlap(box, p)]
    if not others:
        return picture
    mine = person_region(pose, picture.height, picture.width, reach=0.6)
    return Picture(paint_over(picture.image, [person_region(p, picture.height, picture.width) & ~mine for p in others]))


def _overlap(box: tuple[float, float, float, float], pose: Pose) -> bool:
    inside = (pose.points > box[:2]) & (pose.points < box[2:])
    return bool((inside.all(axis=1) & (pose.confidence > 0.2)).sum() >= 3)
