"""Recorded couples on our bodies: frames of a motion file, retargeted by bone directions; the solver takes the interpenetration out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.geometry import rotation_y, so3_exp, so3_log
from huddle3d.io import BvhMotion, display_name, read_bvh
from huddle3d.scene import BodyParams
from huddle3d.synthesis.assets.folder import ASSETS_VARIABLE
from huddle3d.synthesis.poses.goals import Plan, TouchGoal, palm_frame, region_vertices
from huddle3d.synthesis.poses.posing import SPINE, PoseAuthor, Side
from huddle3d.synthesis.spec import MotionSpec

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["close_frames", "plan_motion", "read_couple", "retarget"]

_SCALE = 1.38
"""From the recording's unit to metres of people of usual height."""
_NEAR = 0.08
"""Joints of the two nearer than this (in the recording's unit) make a frame of close interaction."""
_NECK = (("neck01", 0.25), ("neck02", 0.2), ("neck03", 0.2), ("head", 0.35))
_SIDES: tuple[tuple[Side, str, str], ...] = (("left", "l", ".L"), ("right", "r", ".R"))
_NEEDED = ("hip", "chest", "head", *(s + n for s in "lr" for n in ("Shldr", "ForeArm", "Hand", "Index1", "Pinky1", "Thigh", "Shin", "Foot")))


def read_couple(clip: str, assets: str | os.PathLike[str] | None = None) -> tuple[BvhMotion, BvhMotion]:
    """Leader and follower of one take of the salsa recordings (CMU subjects 60 and 61).

    Args:
        clip: number of the take, ``"01"`` ….
        assets: folder that holds ``mocap``, or stands beside it; None for the one that ``HUDDLE3D_ASSETS`` names.

    Raises:
        InputError: no folder is known, or it has no such take, or the two files do not belong together.
    """
    named = assets or os.environ.get(ASSETS_VARIABLE)
    if not named:
        raise InputError(
            "No folder with recorded motion is known.", next_step=f"Give it, or set {ASSETS_VARIABLE} to a folder that holds mocap/60_01.bvh."
        )
    if not clip.isascii() or not clip.isdigit():
        raise InputError(f"The clip {display_name(clip)!r} is not a number.", next_step='For example "01".')
    inside, beside = Path(named) / "mocap", Path(named).absolute().parent / "mocap"
    folder = beside if beside.is_dir() and not inside.is_dir() else inside
    leader, follower = (read_bvh(folder / f"{subject}_{clip}.bvh") for subject in (60, 61))
    for motion in (leader, follower):
        missing = [n for n in _NEEDED if n not in motion.names]
        if missing:
            raise InputError(f"Clip {clip} has another skeleton than the salsa recordings.", why=f"Joints are missing: {', '.join(missing)}.")
    if len(leader.values) != len(follower.values) or leader.names != follower.names:
        raise InputError(f"The two files of clip {clip} do not belong together.", why="They differ in frames or joints.")
    return leader, follower


def close_frames(leader: BvhMotion, follower: BvhMotion) -> list[int]:
    """Frames in which some joint of one comes within 8 cm of some joint of the other (fingers and end sites count)."""
    frames = []
    for t in range(len(leader.values)):
        a, b = leader.pose(t)[0], follower.pose(t)[0]
        if float(np.linalg.norm(a[:, None] - b[None], axis=-1).min()) < _NEAR:
            frames.append(t)
    return frames


def plan_motion(motion: MotionSpec, body: BodyModel, shape: Float[Tensor, "2 S"], *, assets: str | os.PathLike[str] | None = None) -> Plan:
    """The two dancers of one frame on two bodies; hands that were together are asked to stay so. The solver parts what crosses.

    Args:
        motion: clip, frame, turn.
        body: the model of both.
        shape: leader and follower.
        assets: see :func:`read_couple`.

    Raises:
        InputError: not two people, no such clip or frame.
    """
    if len(shape) != 2:
        raise InputError(f"A recorded couple is two people, not {len(shape)}.")
    couple = read_couple(motion.clip, assets)
    poses = [m.pose(motion.frame) for m in couple]
    turn = rotation_y(np.deg2rad(motion.yaw_deg).item())
    middle = np.stack([places[m.names.index("hip")] for m, (places, _) in zip(couple, poses)]).mean(0)
    people = []
    for m, s, (places, turns) in zip(couple, shape, poses):
        centred = places - np.array([middle[0], 0.0, middle[2]])
        joints = {n: _SCALE * turn @ torch.tensor(p, dtype=torch.float32) for n, p in zip(m.names, centred)}
        rotations = {n: turn @ torch.tensor(R, dtype=torch.float32) for n, R in zip(m.names, turns)}
        people.append(retarget(body, s, joints, rotations))
    params = BodyParams(*(torch.cat([getattr(p, f) for p in people]) for f in ("shape", "pose", "translation", "expression")))
    touches = []
    for sa, a, _ in _SIDES:
        for sb, b, _ in _SIDES:
            hands = [
                np.array([p for n, p in zip(m.names, q[0]) if n[0] == s and n[1:].startswith(_FINGERS)]) for m, q, s in zip(couple, poses, (a, b))
            ]
            if float(np.linalg.norm(hands[0][:, None] - hands[1][None], axis=-1).min()) < 0.75 * _NEAR:
                touches.append(TouchGoal(0, region_vertices(body, f"{sa}_hand"), 1, region_vertices(body, f"{sb}_hand")))
    return Plan(params, touches=tuple(touches), limbs=True)


_FINGERS = ("Hand", "Thumb", "Index", "Mid", "Ring", "Pinky")


def retarget(body: BodyModel, shape: Float[Tensor, "S"], joints: Mapping[str, Tensor], rotations: Mapping[str, Tensor]) -> BodyParams:
    """One person in the pose of a recorded skeleton: the same bone directions on other bones.

    Pelvis, chest, head and feet take the recorded orientations (relative to a recording's zero pose: upright, facing +z), upper arms, forearms,
    thighs and shins the recorded directions, palms face where they faced. Joint limits are kept, so a pose beyond them is only approached.

    Args:
        body: the model.
        shape: the person.
        joints: places [m], world, y up, of the joints of the salsa recordings (``hip``, ``lShldr``, …).
        rotations: their orientations.

    Returns:
        K = 1 with the hips over the recorded hips; the height is left to the solver, which puts feet on the floor.
    """
    author, limits = PoseAuthor.start(body, shape), body.joint_limits

    def clamp() -> None:
        author.pose = torch.maximum(torch.minimum(author.pose, limits[..., 1]), limits[..., 0])

    def forward(pose: Float[Tensor, "n J 3"]) -> tuple[Tensor, Tensor]:
        many = replace(body.neutral(len(pose)), shape=shape.expand(len(pose), -1), pose=pose)
        return body.landmark_joints(many)

    root = rotations["hip"]
    author.pose[0] = so3_log(root)
    bend = so3_log(root.T @ rotations["chest"])
    for name in SPINE:  # equal shares of one turn compose to the whole
        author.pose[author.row(name)] = bend / len(SPINE)
    clamp()
    T = forward(author.pose[None])[1][0, :, :3, :3]
    nod = so3_log(T[author.row("spine01")].T @ rotations["head"])
    for name, share in _NECK:
        author.pose[author.row(name)] = share * nod
    for side, s, end in _SIDES:
        R = T[body.joint_parents[author.row("upperarm01" + end)]]
        upper, fore = joints[s + "ForeArm"] - joints[s + "Shldr"], joints[s + "Hand"] - joints[s + "ForeArm"]
        across = torch.linalg.cross(joints[s + "Index1"] - joints[s + "Hand"], joints[s + "Pinky1"] - joints[s + "Hand"])
        palm = torch.nn.functional.normalize(across if side == "right" else -across, dim=0)
        rolls, poses = torch.linspace(-1.5, 1.5, 13).tolist(), []
        for roll in rolls:
            author.arm(side, (R.T @ upper).tolist(), (R.T @ fore).tolist(), roll=roll)
            clamp()
            poses.append(author.pose.clone())
        facing = torch.stack([palm_frame(x, side)[1] for x in forward(torch.stack(poses))[0]])
        author.pose = poses[int((facing @ palm - 0.05 * torch.tensor(rolls).square()).argmax())]
        author.fingers(side, 0.2)
        thigh, shin = joints[s + "Shin"] - joints[s + "Thigh"], joints[s + "Foot"] - joints[s + "Shin"]
        author.leg(side, (root.T @ thigh).tolist(), (root.T @ shin).tolist())
        above = root @ so3_exp(author.pose[author.row("upperleg01" + end)]) @ so3_exp(author.pose[author.row("lowerleg01" + end)])
        author.pose[author.row("foot" + end)] = so3_log(above.T @ rotations[s + "Foot"])
    clamp()
    hips = (joints["lThigh"] + joints["rThigh"]) / 2
    own = forward(author.pose[None])[1][0, :, :3, 3]
    place = hips - (own[author.row("upperleg01.L")] + own[author.row("upperleg01.R")]) / 2
    translation = torch.stack([place[0], torch.zeros(()), place[2]])
    return replace(body.neutral(1), shape=shape[None], pose=author.pose[None], translation=translation[None])
