"""BVH motion files: a skeleton of offsets and channels, and one row of numbers per frame."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huddle3d.errors import InputError
from huddle3d.io.limits import display_name, read_regular_file, require_budget

__all__ = ["MAX_BVH_BYTES", "MAX_BVH_JOINTS", "BvhMotion", "read_bvh"]

MAX_BVH_BYTES = 64 * 2**20
"""Bytes of one BVH file."""
MAX_BVH_JOINTS = 1024
"""Joints and end sites of one skeleton."""
_CHANNELS = {f"{axis}{kind}": (kind == "rotation", k) for kind in ("position", "rotation") for k, axis in enumerate("XYZ")}


@dataclass(frozen=True)
class BvhMotion:
    """A skeleton and its motion, in the file's units and axes."""

    names: tuple[str, ...]
    """Joints in the file's order, parents first; the end site of ``hand`` is ``hand_end``."""
    parents: tuple[int, ...]
    """-1 for the root."""
    offsets: NDArray[np.float64]
    """From the parent, with all rotations zero (J, 3)."""
    channels: tuple[tuple[str, ...], ...]
    """Of each joint, in the file's order; end sites have none."""
    values: NDArray[np.float64]
    """One row per frame (T, C): positions in the file's unit, angles [deg]."""
    frame_time: float
    """Seconds between frames."""

    def pose(self, frame: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Places (J, 3) and orientations (J, 3, 3) of all joints in one frame; the orientation is the identity where all angles are zero.

        The rotation of a joint is the product of its channels in the file's order. Raises :class:`InputError` for a frame that is not there.
        """
        if not 0 <= frame < len(self.values):
            raise InputError(f"Frame {frame} is not in the motion.", next_step=f"It has frames 0 to {len(self.values) - 1}.")
        places, turns, column = np.zeros((len(self.names), 3)), np.zeros((len(self.names), 3, 3)), 0
        for j, parent in enumerate(self.parents):
            offset, R = self.offsets[j].copy(), np.eye(3)
            for name in self.channels[j]:
                rotates, axis = _CHANNELS[name]
                value = self.values[frame, column]
                if rotates:
                    R = R @ _about(axis, math.radians(value))
                elif parent < 0:
                    offset[axis] += value
                else:  # a position channel of another joint replaces its offset
                    offset[axis] = value
                column += 1
            above = turns[parent] if parent >= 0 else np.eye(3)
            places[j] = above @ offset + (places[parent] if parent >= 0 else 0.0)
            turns[j] = above @ R
        return places, turns


def _about(axis: int, angle: float) -> NDArray[np.float64]:
    a, b = (axis + 1) % 3, (axis + 2) % 3
    R = np.eye(3)
    R[a, a] = R[b, b] = math.cos(angle)
    R[b, a] = math.sin(angle)
    R[a, b] = -R[b, a]
    return R


def read_bvh(path: str | os.PathLike[str]) -> BvhMotion:
    """The skeleton and the motion of a BVH file.

    Raises:
        InputError: absent, not a BVH file, damaged, truncated, numbers that are not finite.
        ResourceLimitError: over budget.
    """
    name = display_name(path)
    data = read_regular_file(path, MAX_BVH_BYTES)
    try:
        head, mark, tail = data.decode("ascii").partition("MOTION")
        if not mark:
            raise ValueError("the section MOTION is missing")
        names, parents, offsets, channels = _skeleton(path, head.split())
        values, frame_time = _motion(tail, sum(len(c) for c in channels))
    except (ValueError, IndexError, KeyError, OverflowError) as e:
        what = "the file ends inside the skeleton" if isinstance(e, IndexError) else f"unknown channel {e}" if isinstance(e, KeyError) else str(e)
        raise InputError(f"{name}: not a BVH file, or a damaged one.", why=f"{what}.", next_step="Export the motion again.") from e
    return BvhMotion(tuple(names), tuple(parents), np.array(offsets), tuple(channels), values, frame_time)


def _skeleton(path: str | os.PathLike[str], words: list[str]) -> tuple[list[str], list[int], list[list[float]], list[tuple[str, ...]]]:
    names, parents, offsets, channels = list[str](), list[int](), list[list[float]](), list[tuple[str, ...]]()
    open_joints: list[int] = []
    if words[0] != "HIERARCHY":
        raise ValueError("the section HIERARCHY is missing")
    k = 1
    while k < len(words):
        word = words[k]
        if word in ("ROOT", "JOINT", "End"):
            if (word == "ROOT") != (not names) or (word != "ROOT" and not open_joints):
                raise ValueError(f"'{word}' stands where it must not")
            if words[k + 2] != "{":
                raise ValueError(f"'{{' is missing after '{words[k + 1]}'")
            parents.append(open_joints[-1] if open_joints else -1)
            names.append(f"{names[open_joints[-1]]}_end" if word == "End" else words[k + 1])
            require_budget(path, "joints", len(names), MAX_BVH_JOINTS)
            open_joints.append(len(names) - 1)
            offsets.append([0.0, 0.0, 0.0])
            channels.append(())
            k += 3
        elif word == "OFFSET":
            offsets[open_joints[-1]] = [_number(w) for w in words[k + 1 : k + 4]]
            if len(words) < k + 4:
                raise IndexError
            k += 4
        elif word == "CHANNELS":
            count = int(words[k + 1])
            found = tuple(words[k + 2 : k + 2 + count])
            if not 0 <= count <= 6 or len(found) != count:
                raise ValueError(f"{count} channels")
            _ = [_CHANNELS[c] for c in found]
            channels[open_joints[-1]] = found
            k += 2 + count
        elif word == "}":
            open_joints.pop()
            k += 1
        else:
            raise ValueError(f"'{word[:40]}' is no word of a skeleton")
    if not names or open_joints:
        raise ValueError("the skeleton is not closed")
    if len(set(names)) != len(names):
        raise ValueError("two joints have the same name")
    return names, parents, offsets, channels


def _motion(text: str, columns: int) -> tuple[NDArray[np.float64], float]:
    words = text.split()
    if words[0] != "Frames:" or words[2:4] != ["Frame", "Time:"]:
        raise ValueError("the number of frames or the frame time is missing")
    frames, frame_time, numbers = int(words[1]), _number(words[4]), words[5:]
    # The numbers are there already, so a count that lies allocates nothing.
    if frames < 1 or frame_time <= 0 or len(numbers) != frames * columns:
        raise ValueError(f"{frames} frames of {columns} channels do not fit {len(numbers)} numbers")
    values = np.array([_number(w) for w in numbers], np.float64).reshape(frames, columns)
    return values, frame_time


def _number(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"{word!r} is not finite")
    return value
