"""Legs and hips that the border of the picture cuts off: nobody told anything about them, so they stand.

Asked about them, the regressor tells poses of its interactions, which nothing in the picture supports: people sit in the air, and trunks of which only
shoulders are seen lean. And a leg that only continues a bent trunk floats.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.fitting._learned import Learned
from huddle3d.fitting._observations import Observations, bone_matrix, bone_noise
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
    hips: Bool[Tensor, "K"]
    """Who has no hip in the picture, either: how the trunk leans in depth is not seen."""
    trunk: Float[Tensor, "K 2"]
    """Unit direction from hips to shoulders in the picture (y up) as the detector continues it; upwards if nobody said anything."""
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
        hips = (unseen & (below | beside))[:, _HIPS].all(-1)
        trunk = (uv[:, _SHOULDERS].mean(1) - uv[:, _HIPS].mean(1)) * uv.new_tensor([1.0, -1.0])
        told = ~(nowhere[:, _HIPS] | nowhere[:, _SHOULDERS]).any(-1, keepdim=True)
        trunk = torch.where(told, torch.nn.functional.normalize(trunk, dim=-1), uv.new_tensor([0.0, 1.0]))
        return CutLegs(cut, cut & below & ends, hips, trunk, (trunk[:, 1] / _UPRIGHT).clamp(0, 1))

    def bones(self, points: Bool[Tensor, "K L"]) -> Bool[Tensor, "K bones"]:
        """Bones that end in some of these points."""
        return points.float() @ (bone_matrix() > 0).float().T > 0

    def joints(self, moved: Bool[Tensor, "F L"]) -> Bool[Tensor, "K F"]:
        """Joints that move nothing but such points (among those of body and feet); of trunks without hips also the spine."""
        kinds = torch.zeros(NUM_LANDMARKS, dtype=torch.bool)
        kinds[BODY], kinds[FEET] = True, True
        moved = moved & kinds
        legs = moved.any(-1) & ~(moved & ~self.points[:, None]).any(-1)
        return legs | (self.hips[:, None] & moved[:, _SHOULDERS].all(-1))

    def untold(self, learned: Learned, joints: Bool[Tensor, "K F"], fitted: list[int]) -> Learned:
        """What the regressor told, without what it told of such legs and trunks.

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
        unknown = self.bones(self.points) | (self.hips[:, None] & _of_hips())
        return replace(learned, answer=replace(learned.answer, pose=pose, bone_sigma=learned.answer.bone_sigma.masked_fill(unknown, torch.inf)))

    def held(self, moved: Bool[Tensor, "F L"]) -> Float[Tensor, "K F"]:
        """How surely each joint of a leg is held by hanging bones: all knees and ankles that it moves are beyond the lower border, the trunk is upright."""
        ends = torch.zeros(NUM_LANDMARKS, dtype=torch.bool)
        ends[_ENDS] = True
        moved = moved & ends
        hang = moved.any(-1) & ~(moved & ~self.below[:, None]).any(-1)
        return hang * self.upright[:, None]

    def standing(self, observed: Observations, moved: Bool[Tensor, "F L"], strength: float) -> Observations:
        """The observations, with thighs and shanks that hang down from the hips, and trunks without hips that do not lean in depth.

        View axes (y up); a level camera is assumed.

        Args:
            observed: without them.
            moved: which landmarks each fitted joint moves.
            strength: weight of these directions, in units of those of the 3D landmarks.
        """
        hang = self.bones(self.below)
        trunks = self.hips[:, None] & _trunk_bone()
        bones = torch.where(hang[..., None], observed.bones.new_tensor([0.0, -1.0, 0.0]), observed.bones)
        bones = torch.where(trunks[..., None], torch.nn.functional.pad(self.trunk, (0, 1))[:, None], bones)
        sure = strength / bone_noise().square()
        weight = torch.where(hang, sure * self.upright[:, None], observed.bone_weight)
        return replace(observed, bones=bones, bone_weight=torch.where(trunks, sure, weight), held=self.held(moved))


def _of_hips() -> Bool[Tensor, "bones"]:
    """Bones that need hips: their line and the trunk's."""
    return (bone_matrix()[:, _HIPS] != 0).all(-1)


def _trunk_bone() -> Bool[Tensor, "bones"]:
    return _of_hips() & (bone_matrix()[:, _SHOULDERS] != 0).all(-1)
