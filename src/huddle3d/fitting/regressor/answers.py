"""What the regressor says: its numbers, and the bodies that they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.fitting._observations import BONES
from huddle3d.fitting.regressor.sights import Sights, virtual_camera
from huddle3d.geometry import matrix_from_six_d, so3_log

__all__ = ["Answer", "Numbers", "answer_size"]

_LOG_SPREADS = (-4.6, 1.5)
"""Logarithms of the spreads stay in this range (1 cm or half a degree at least)."""
_FLIP = (1.0, -1.0, -1.0)


def answer_size(joints: int, shape: int) -> int:
    """Numbers that come out for a model with so many told joints and shape entries."""
    return 6 + 6 * joints + shape + 6 + 4 * len(BONES)


@dataclass(frozen=True)
class Numbers:
    """The network's row, taken apart; view axes of the virtual camera (x right, y up, z towards it)."""

    orient: Float[Tensor, "B 6"]
    """Global orientation, 6D (rows)."""
    pose: Float[Tensor, "B n 6"]
    """Rotations of the told joints, 6D (rows)."""
    shape: Float[Tensor, "B S"]
    """Deviation from the average adult."""
    size: Float[Tensor, "B"]
    """Logarithm of root depth times half the window: how large the window is at the person [m]."""
    size_spread: Float[Tensor, "B"]
    """Logarithm of its standard deviation."""
    place: Float[Tensor, "B 2"]
    """Where the root is in the window, in units of half of it; OpenCV axes."""
    behind: Float[Tensor, "B"]
    """How much further away the other person's root is [m]."""
    behind_spread: Float[Tensor, "B"]
    """Logarithm of its standard deviation."""
    bones: Float[Tensor, "B bones 3"]
    """Directions of :data:`~huddle3d.fitting._observations.BONES`, not normalised."""
    bone_spread: Float[Tensor, "B bones"]
    """Logarithm of the standard deviation of each component."""

    @staticmethod
    def of(row: Float[Tensor, "B O"], joints: int, shape: int) -> Numbers:
        """Take a row apart."""
        sizes = (6, 6 * joints, shape, 1, 1, 2, 1, 1, 3 * len(BONES), len(BONES))
        orient, pose, form, size, spread, place, behind, behind_spread, bones, bone_spread = row.split(sizes, 1)
        count = len(row)
        eye = torch.tensor([1.0, 0, 0, 0, 1, 0]).to(row)
        low, high = _LOG_SPREADS
        return Numbers(
            orient,
            pose.reshape(count, joints, 6) + eye,
            0.3 * form,
            size[:, 0],
            spread[:, 0].clamp(low, high),
            place,
            behind[:, 0],
            behind_spread[:, 0].clamp(low, high),
            bones.reshape(count, len(BONES), 3),
            bone_spread.clamp(low, high),
        )


@dataclass(frozen=True)
class Answer:
    """Bodies of B people as the regressor sees them; view axes of the photo's camera (x right, y up, z towards it), metres."""

    R_view_root: Float[Tensor, "B 3 3"]
    """Global orientations."""
    pose: Float[Tensor, "B n 3"]
    """Rotation vectors [rad] of the told joints."""
    shape: Float[Tensor, "B S"]
    """Deviation from the average adult."""
    root_view: Float[Tensor, "B 3"]
    """Roots."""
    depth_sigma: Float[Tensor, "B"]
    """Standard deviation of the logarithm of the depth."""
    axis: Float[Tensor, "B 3"]
    """Unit vector from the camera through the window, along which ``behind`` is measured."""
    behind: Float[Tensor, "B"]
    """How much further away the other person's root is than this one's [m]."""
    behind_sigma: Float[Tensor, "B"]
    """Its standard deviation [m]."""
    bones: Float[Tensor, "B bones 3"]
    """Unit directions."""
    bone_sigma: Float[Tensor, "B bones"]
    """Standard deviation of each direction [rad]."""

    @staticmethod
    def of(numbers: Numbers, sights: Sights) -> Answer:
        """From the axes and units of the windows back to those of the photo."""
        flip = torch.tensor(_FLIP).to(numbers.orient)
        R_cam_virtual = virtual_camera(sights.window)
        R_view = flip[:, None] * R_cam_virtual * flip  # the same turn between view axes
        half = sights.window[:, 2]
        depth = numbers.size.exp() / half
        root = torch.cat([numbers.place * (half * depth)[:, None], depth[:, None]], -1)
        bones = torch.nn.functional.normalize(numbers.bones, dim=-1)
        return Answer(
            R_view @ matrix_from_six_d(numbers.orient, "rows"),
            so3_log(matrix_from_six_d(numbers.pose, "rows")),
            numbers.shape,
            (R_cam_virtual @ root[..., None])[..., 0] * flip,
            numbers.size_spread.exp(),
            R_cam_virtual[:, :, 2] * flip,
            numbers.behind,
            numbers.behind_spread.exp(),
            bones @ R_view.transpose(-1, -2),
            numbers.bone_spread.exp() / numbers.bones.norm(dim=-1).clamp_min(0.2),
        )
