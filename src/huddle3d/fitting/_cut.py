"""Legs that the border of the picture cuts off: nobody told anything about them, so they stand.

The regressor never saw such people (its views hold everybody whole) and would seat them in the air; and a leg that only continues a bent trunk floats.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.fitting._learned import Learned
from huddle3d.fitting._observations import Observations, bone_matrix
from huddle3d.scene import People2D, Photo
from huddle3d.scene.landmarks import BODY, FEET, LANDMARK_INDEX, NUM_LANDMARKS

__all__ = ["CutLegs"]

_SIDES = ("left", "right")
_ENDS = [LANDMARK_INDEX[f"{s}_{p}"] for s in _SIDES for p in ("knee", "ankle")]
_FEET = [[LANDMARK_INDEX[f"{s}_{p}"] for p in ("heel", "big_toe", "small_toe")] for s in _SIDES]
_ANKLES = [LANDMARK_INDEX[f"{s}_ankle"] for s in _SIDES]
_SHOULDERS = [LANDMARK_INDEX[f"{s}_shoulder"] for s in _SIDES]
_HIPS = [LANDMARK_INDEX[f"{s}_hip"] for s in _SIDES]
_UNSEEN = 0.1
"""Confidence below which a point is not seen."""
_BORDER = 0.02
"""A box that ends within this share of the picture's height of its lower border ends at it."""
_UPRIGHT = 0.5
"""Cosine of a trunk's angle with the vertical of the picture from which legs stand upright; less of it for trunks that lie."""


@dataclass(frozen=True)
class CutLegs:
    """Which points of the legs the picture cuts off."""

    points: Bool[Tensor, "K L"]
    """Knees, ankles and feet that are not seen and lie outside of the picture."""
    below: Bool[Tensor, "K L"]
    """Those that are beyond the lower border."""
    upright: Float[Tensor, "K"]
    """How surely the trunk above them is upright, in [0, 1], in the picture."""

    @staticmethod
    def of(photo: Photo, people: People2D) -> CutLegs:
        """By where detectors put the points that they did not see; where nobody said anything, by whether the box ends at the picture's lower border."""
        points = people.keypoints.float().cpu().nan_to_num(0.0)
        uv, low = points[..., :2], people.boxes.float().cpu()[:, 3]
        unseen, nowhere = points[..., 2] < _UNSEEN, (uv == 0).all(-1)
        beside = (uv[..., 0] < 0) | (uv[..., 0] >= photo.width) | (uv[..., 1] < 0)
        below = torch.where(nowhere, (low >= (1 - _BORDER) * photo.height)[:, None], uv[..., 1] >= photo.height)
        ends = torch.zeros(NUM_LANDMARKS, dtype=torch.bool)
        ends[_ENDS] = True
        cut = ends & unseen & (below | beside)
        for ankle, feet in zip(_ANKLES, _FEET):  # not every detector tells feet: they go with the ankle
            cut[:, feet] = cut[:, [ankle]] & unseen[:, feet]
        trunk = uv[:, _HIPS].mean(1) - uv[:, _SHOULDERS].mean(1)
        told = ~(nowhere[:, _HIPS] | nowhere[:, _SHOULDERS]).any(-1)
        cosine = torch.nn.functional.normalize(trunk, dim=-1)[:, 1]
        return CutLegs(cut, cut & below & ends, torch.where(told, (cosine / _UPRIGHT).clamp(0, 1), 1.0))

    def bones(self, points: Bool[Tensor, "K L"]) -> Bool[Tensor, "K bones"]:
        """Bones that end in some of these points."""
        return points.float() @ (bone_matrix() > 0).float().T > 0

    def joints(self, moved: Bool[Tensor, "F L"]) -> Bool[Tensor, "K F"]:
        """Joints that move nothing but such points (among those of body and feet)."""
        kinds = torch.zeros(NUM_LANDMARKS, dtype=torch.bool)
        kinds[BODY], kinds[FEET] = True, True
        moved = moved & kinds
        return moved.any(-1) & ~(moved & ~self.points[:, None]).any(-1)

    def untold(self, learned: Learned, joints: Bool[Tensor, "K F"], fitted: list[int]) -> Learned:
        """What the regressor told, without what it told of such legs.

        Args:
            learned: what it told.
            joints: of :meth:`joints`.
            fitted: joint of the body model of each of their columns.
        """
        pose = learned.answer.pose.clone()
        for column, joint in enumerate(fitted):
            if joint in learned.joints:
                row = learned.joints.index(joint)
                pose[:, row] = torch.where(joints[:, column, None], 0.0, pose[:, row])
        sigma = learned.answer.bone_sigma.masked_fill(self.bones(self.points), torch.inf)
        return replace(learned, answer=replace(learned.answer, pose=pose, bone_sigma=sigma))

    def standing(self, observed: Observations, strength: float) -> Observations:
        """The observations, with thighs and shanks that hang down from the hips (view axes: y up; a level camera is assumed).

        Args:
            observed: without them.
            strength: weight of their directions, in units of those of the 3D landmarks.
        """
        hang = self.bones(self.below)
        bones = torch.where(hang[..., None], observed.bones.new_tensor([0.0, -1.0, 0.0]), observed.bones)
        weight = torch.where(hang, strength * self.upright[:, None], observed.bone_weight)
        return replace(observed, bones=bones, bone_weight=weight, cut=self.points)
