"""What the embedded networks get wrong of everybody alike: where they mark joints on a body, and how far they let it come out of the picture's plane."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.scene.landmarks import BODY, FACE, FEET, LANDMARK_INDEX, LANDMARKS, LEFT_HAND, RIGHT_HAND

__all__ = ["LEANS", "lean_of", "leaned", "outwards", "trunk_axes"]


def _rows(*names: str) -> list[int]:
    return [LANDMARK_INDEX[name] for name in names]


_HIPS, _SHOULDERS = _rows("left_hip", "right_hip"), _rows("left_shoulder", "right_shoulder")
_HEAD = [*range(5), *range(FACE.start, FACE.stop)]


def _segments() -> tuple[tuple[str, list[int], list[int], list[int]], ...]:
    """Kind, landmarks whose mean is the near end, those of the far end, and all that moves with the far end; from the hips outwards."""
    rows: list[tuple[str, list[int], list[int], list[int]]] = []
    arms: dict[str, list[int]] = {}
    for side, hand in (("left", LEFT_HAND), ("right", RIGHT_HAND)):
        arms[side] = [*_rows(f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist"), *range(hand.start, hand.stop)]
    rows.append(("trunk", _HIPS, _SHOULDERS, [*arms["left"], *arms["right"], *_HEAD]))
    rows.append(("neck", _SHOULDERS, _rows("left_ear", "right_ear"), _HEAD))
    for side in ("left", "right"):
        shoulder, elbow, wrist, hip, knee, ankle = ([LANDMARK_INDEX[f"{side}_{n}"]] for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"))
        toes, heel = _rows(f"{side}_big_toe", f"{side}_small_toe"), _rows(f"{side}_heel")
        rows.append(("upper_arm", shoulder, elbow, arms[side][1:]))
        rows.append(("forearm", elbow, wrist, arms[side][2:]))
        rows.append(("thigh", hip, knee, [*knee, *ankle, *toes, *heel]))
        rows.append(("shin", knee, ankle, [*ankle, *toes, *heel]))
        rows.append(("foot", heel, toes[:1], toes))
    return tuple(rows)


_SEGMENTS = _segments()
LEANS: tuple[str, ...] = tuple(dict.fromkeys(kind for kind, *_ in _SEGMENTS))
"""Kinds of bones whose angle to the picture's plane is told too small; those across the body (shoulders, hips, ears) are not."""


def lean_of(points3d: Float[Tensor, "B L 3"]) -> dict[str, Float[Tensor, "B n"]]:
    """Angle between each bone and the picture's plane [deg], positive away from the camera; ``n`` is 1, or 2 for what there is on both sides."""
    found: dict[str, list[Tensor]] = {kind: [] for kind in LEANS}
    for kind, near, far, _ in _SEGMENTS:
        bone = points3d[:, far].mean(1) - points3d[:, near].mean(1)
        found[kind].append(torch.rad2deg(_angle(bone)))
    return {kind: torch.stack(angles, 1) for kind, angles in found.items()}


def _angle(bone: Float[Tensor, "B 3"]) -> Float[Tensor, "B"]:
    return torch.atan2(bone[:, 2], bone[:, :2].norm(dim=-1))


def leaned(points3d: Float[Tensor, "B L 3"], leans: Mapping[str, tuple[float, float]]) -> Float[Tensor, "B L 3"]:
    """3D landmarks with each bone's angle ``a`` to the picture's plane replaced by ``slope a + offset`` [deg]; lengths stay.

    Args:
        points3d: hip-centred, OpenCV axes [m].
        leans: slope and offset of each kind of :data:`LEANS`; those that are missing stay.
    """
    shift = torch.zeros_like(points3d)
    for kind, near, far, carried in _SEGMENTS:
        if kind not in leans:
            continue
        slope, offset = leans[kind]
        bone = points3d[:, far].mean(1) - points3d[:, near].mean(1)
        angle = (slope * _angle(bone) + torch.deg2rad(torch.tensor(offset))).clamp(-1.5, 1.5)
        flat = torch.nn.functional.normalize(bone[:, :2], dim=-1) * angle.cos()[:, None]
        turned = bone.norm(dim=-1, keepdim=True) * torch.cat([flat, angle.sin()[:, None]], -1)
        shift[:, carried] = (shift[:, near].mean(1) + turned - bone)[:, None]
    return points3d + shift


def trunk_axes(points3d: Float[Tensor, "B L 3"]) -> Float[Tensor, "B 3 3"]:
    """Rows: up the trunk, to the person's left, forwards; unit vectors in the axes of the landmarks (OpenCV)."""
    up = points3d[:, _SHOULDERS].mean(1) - points3d[:, _HIPS].mean(1)
    up = torch.nn.functional.normalize(up, dim=-1)
    left = points3d[:, _SHOULDERS[0]] - points3d[:, _SHOULDERS[1]] + points3d[:, _HIPS[0]] - points3d[:, _HIPS[1]]
    left = torch.nn.functional.normalize(left - (left * up).sum(-1, keepdim=True) * up, dim=-1)
    return torch.stack([up, left, torch.linalg.cross(left, up)], 1)


def outwards() -> Float[Tensor, "L"]:
    """1 for landmarks of the left side, -1 for those of the right, 0 in the middle: what "left" means for what is told of both sides."""
    body = (*range(BODY.start, BODY.stop), *range(FEET.start, FEET.stop))
    sides = [float(n.startswith("left_")) - float(n.startswith("right_")) if k in body else 0.0 for k, n in enumerate(LANDMARKS)]
    return torch.tensor(sides)
