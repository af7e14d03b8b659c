"""BVH motion files out: the conventional HIERARCHY and MOTION sections that animation programs read."""

from __future__ import annotations

import os

import numpy as np

from huddle3d.errors import InputError
from huddle3d.io.bvh import MAX_BVH_JOINTS, BvhMotion
from huddle3d.io.files import write_bytes
from huddle3d.io.limits import display_name, require_budget

__all__ = ["write_bvh"]


def write_bvh(path: str | os.PathLike[str], motion: BvhMotion, *, overwrite: bool = False) -> None:
    """Write a skeleton and its motion; :func:`huddle3d.io.read_bvh` reads the same back, to the six decimals that are written.

    Args:
        path: of the file.
        motion: joints depth first (as they stand in a BVH file); a joint without channels must be an end site, named ``PARENT_end``.
        overwrite: replace a file that is there.

    Raises:
        InputError: a skeleton that the format cannot hold (order, names with blanks, channels), no frames, or numbers that are not finite.
    """
    require_budget(path, "joints", len(motion.names), MAX_BVH_JOINTS)
    _check(path, motion)
    children: list[list[int]] = [[] for _ in motion.names]
    for joint, parent in enumerate(motion.parents[1:], 1):
        children[parent].append(joint)
    lines = ["HIERARCHY", *_joint(motion, children, 0, 0), "MOTION", f"Frames: {len(motion.values)}", f"Frame Time: {motion.frame_time:.8f}"]
    lines += [" ".join(_number(v) for v in row) for row in motion.values]
    write_bytes(path, ("\n".join(lines) + "\n").encode("ascii"), overwrite=overwrite)


def _check(path: str | os.PathLike[str], motion: BvhMotion) -> None:
    def refuse(why: str) -> InputError:
        return InputError(f"{display_name(path)}: not a motion that BVH can hold.", why=why)

    if not motion.names or motion.parents[0] != -1 or any(not 0 <= p < j for j, p in enumerate(motion.parents) if j):
        raise refuse("There must be one root, and parents must come before their children.")
    open_joints: list[int] = []
    for joint, parent in enumerate(motion.parents):
        while open_joints and open_joints[-1] != parent:
            open_joints.pop()
        if joint and not open_joints:
            raise refuse(f"'{motion.names[joint]}' does not follow its parent's branch: the joints are not in depth-first order.")
        open_joints.append(joint)
    for name, parent, channels in zip(motion.names, motion.parents, motion.channels, strict=True):
        if not name or not name.isascii() or any(c.isspace() for c in name):
            raise refuse(f"{name!r} cannot be a joint's name.")
        if not channels and (parent < 0 or name != f"{motion.names[parent]}_end"):
            raise refuse(f"'{name}' has no channels, but is no end site of its parent.")
    if motion.values.ndim != 2 or motion.values.shape[1] != sum(map(len, motion.channels)) or not len(motion.values):
        raise refuse(f"{motion.values.shape} numbers do not fit {sum(map(len, motion.channels))} channels.")
    if not (np.isfinite(motion.values).all() and np.isfinite(motion.offsets).all() and 0 < motion.frame_time < float("inf")):
        raise refuse("It holds numbers that are not finite.")


def _joint(motion: BvhMotion, children: list[list[int]], joint: int, depth: int) -> list[str]:
    indent, channels = "\t" * depth, motion.channels[joint]
    head = "End Site" if not channels else f"{'ROOT' if joint == 0 else 'JOINT'} {motion.names[joint]}"
    lines = [f"{indent}{head}", f"{indent}{{", f"{indent}\tOFFSET {' '.join(_number(v) for v in motion.offsets[joint])}"]
    if channels:
        lines.append(f"{indent}\tCHANNELS {len(channels)} {' '.join(channels)}")
    for child in children[joint]:
        lines += _joint(motion, children, child, depth + 1)
    return [*lines, f"{indent}}}"]


def _number(value: float) -> str:
    return f"{value + 0.0:.6f}".replace("-0.000000", "0.000000")
