"""A body's motion as a BVH skeleton."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from huddle3d.bodies.model import BodyModel
from huddle3d.errors import InputError
from huddle3d.geometry import so3_exp
from huddle3d.io import BvhMotion
from huddle3d.scene import BodyParams

__all__ = ["BVH_ROTATIONS", "bvh_motion"]

BVH_ROTATIONS = ("Zrotation", "Xrotation", "Yrotation")
"""Channels of each joint: the rotation is Rz · Rx · Ry, the order that most programs write."""
_POSITIONS = ("Xposition", "Yposition", "Zposition")
_END_SHARE = 0.6
"""Length of an end site relative to its joint's bone."""


def bvh_motion(body: BodyModel, params: BodyParams, *, fps: float = 30.0, unit: Literal["cm", "m"] = "cm") -> BvhMotion:
    """One person's frames as a BVH motion, exact up to rounding: joint centres and orientations are those of the model.

    The skeleton is the body's own in its rest pose, with all rotations zero (Anny: an A-pose; SMPL family: a T-pose). World axes: y up,
    right-handed. The root's position channels hold its place, its offset is zero.

    Args:
        body: the model.
        params: row t is frame t; all frames have one shape.
        fps: frames per second.
        unit: of offsets and positions.

    Raises:
        InputError: no frames, frames of different shapes, or an impossible rate.
    """
    if not len(params.pose) or not 0 < fps < 1e6:
        raise InputError(f"A motion of {len(params.pose)} frames at {fps} frames per second cannot be written.")
    if float((params.shape - params.shape[:1]).abs().max()) > 1e-6:
        raise InputError(
            "The frames of one BVH file must have one body shape.",
            why="The skeleton's bone lengths are given once.",
            next_step="Give all frames the mean shape.",
        )
    scale = {"cm": 100.0, "m": 1.0}[unit]
    with torch.no_grad():
        rest = BodyParams(params.shape[:1], torch.zeros_like(params.pose[:1]), torch.zeros_like(params.translation[:1]), params.expression[:1])
        joints = body.joints(rest)[0].double().cpu().numpy()
        turns = so3_exp(params.pose.double()).cpu().numpy()
        places = params.translation.double().cpu().numpy()
    names, parents, offsets, channels, columns = list[str](), list[int](), list[NDArray[np.float64]](), list[tuple[str, ...]](), list[NDArray]()
    children = [[j for j, p in enumerate(body.joint_parents) if p == k] for k in range(body.num_joints)]

    def add(joint: int, parent: int) -> None:
        above = body.joint_parents[joint]
        offset = joints[joint] - joints[above] if above >= 0 else np.zeros(3)
        place = len(names)
        names.append(body.joint_names[joint])
        parents.append(parent)
        offsets.append(scale * offset)
        channels.append((*_POSITIONS, *BVH_ROTATIONS) if parent < 0 else BVH_ROTATIONS)
        if parent < 0:
            columns.append(scale * places)
        columns.append(_angles(turns[:, joint]))
        for child in children[joint]:
            add(child, place)
        if not children[joint]:
            names.append(f"{body.joint_names[joint]}_end")
            parents.append(place)
            offsets.append(scale * _END_SHARE * offset)
            channels.append(())

    add(0, -1)
    return BvhMotion(tuple(names), tuple(parents), np.array(offsets), tuple(channels), np.concatenate(columns, 1), 1.0 / fps)


def _angles(R: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles [deg] (T, 3) of R = Rz(a) Rx(b) Ry(c); where b is a right angle, c is zero. Continuous over the frames up to full turns."""
    b = np.arcsin(np.clip(R[:, 2, 1], -1, 1))
    locked = np.abs(R[:, 2, 1]) > 1 - 1e-10
    a = np.where(locked, np.arctan2(R[:, 1, 0], R[:, 0, 0]), np.arctan2(-R[:, 0, 1], R[:, 1, 1]))
    c = np.where(locked, 0.0, np.arctan2(-R[:, 2, 0], R[:, 2, 2]))
    return np.degrees(np.unwrap(np.stack([a, b, c], 1), axis=0))
