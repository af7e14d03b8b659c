"""What goes wrong before views are completed: bodies that were fitted, masks that were found, people who stand behind something."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from huddle3d.geometry import so3_exp, so3_log
from huddle3d.scene import Bodies

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["DisturbConfig", "disturbed_bodies", "disturbed_masks", "occluded_masks"]


@dataclass(frozen=True)
class DisturbConfig:
    """How often and how much."""

    bodies: float = 0.5
    """Share of photographs whose bodies are off, as fitted ones are."""
    joint_rad: float = 0.02
    """Standard deviation of the error of each joint [rad]."""
    turn_rad: float = 0.04
    """The same of global orientations [rad]."""
    shape: float = 0.05
    """The same of shape parameters."""
    across_m: float = 0.012
    """The same of places across the line of sight [m]."""
    depth_m: float = 0.03
    """The same of places along it [m]."""
    masks: float = 0.5
    """Share of photographs whose masks are eroded or grown."""
    mask_px: int = 4
    """Most pixels of a 512² photograph by which they are."""
    occluder: float = 0.5
    """Share of photographs of single people of whom a human silhouette hides a part (paper, A.3.3: 0.5)."""
    holes: float = 0.5
    """Share of them with random holes (0.5)."""


def _chance(p: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < p


def disturbed_bodies(bodies: Bodies, body: BodyModel, generator: torch.Generator, config: DisturbConfig) -> Bodies:
    """Bodies off by small errors of pose, build and place; the camera stays."""
    p = bodies.params

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    count, joints = p.pose.shape[:2]
    pose = p.pose + config.joint_rad * normal(count, joints, 3)
    pose = torch.cat([so3_log(so3_exp(config.turn_rad * normal(count, 3)) @ so3_exp(p.pose[:, 0]))[:, None], pose[:, 1:]], 1)
    limits = body.shape_limits
    shape = (p.shape + config.shape * normal(*p.shape.shape)).clamp(limits[:, 0], limits[:, 1])
    sight = torch.nn.functional.normalize(p.translation - bodies.camera.centre, dim=-1)
    place = p.translation + config.across_m * normal(count, 3) + config.depth_m * normal(count, 1) * sight
    params = replace(p, pose=pose, shape=shape, translation=place)
    with torch.no_grad():
        out = body(params)
    return replace(bodies, params=params, vertices=out.vertices, landmarks=out.landmarks)


def _disc(radius: int) -> np.ndarray:
    import cv2

    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def disturbed_masks(masks: Bool[Tensor, "K H W"], generator: torch.Generator, config: DisturbConfig) -> Bool[Tensor, "K H W"]:
    """Each mask eroded or grown by a few pixels; where two then meet, the first one keeps the pixel, so that they stay disjoint."""
    import cv2

    side = max(masks.shape[1:])
    out, taken = [], torch.zeros_like(masks[0])
    for mask in masks:
        most = config.mask_px * side / 512
        radius = round(float(2 * torch.rand((), generator=generator) - 1) * most)
        pixels = mask.numpy().astype(np.uint8)
        if radius:
            pixels = (cv2.dilate if radius > 0 else cv2.erode)(pixels, _disc(abs(radius)))
        free = torch.from_numpy(pixels > 0) & ~taken
        taken = taken | free
        out.append(free)
    return torch.stack(out)


def occluded_masks(
    masks: Bool[Tensor, "1 H W"], silhouette: Bool[Tensor, "H W"], generator: torch.Generator, config: DisturbConfig
) -> Bool[Tensor, "1 H W"]:
    """The mask of a single person, parts of it hidden by a silhouette near its middle and by holes (A.3.3); at least a fifth of it stays.

    Args:
        masks: of one person.
        silhouette: outline of somebody; it is mirrored, scaled and moved at random.
        generator: of the random numbers.
        config: how often.
    """
    import cv2

    rows, columns = masks[0].any(1).nonzero()[:, 0], masks[0].any(0).nonzero()[:, 0]
    if not len(rows):
        return masks
    height, width = masks.shape[1:]
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    hidden = np.zeros((height, width), np.uint8)
    if _chance(config.occluder, generator) and bool(silhouette.any()):
        scale, dx, dy = (0.5 + float(torch.rand((), generator=generator)), *(torch.rand(2, generator=generator) - 0.5).tolist())
        outline = silhouette.flip(1).numpy().astype(np.uint8)
        centre = (width - 1 - (x0 + x1) / 2, (y0 + y1) / 2)
        to = ((x0 + x1) / 2 + 1.2 * dx * (x1 - x0), (y0 + y1) / 2 + 0.6 * dy * (y1 - y0))
        matrix = np.array([[scale, 0, to[0] - scale * centre[0]], [0, scale, to[1] - scale * centre[1]]])
        hidden[np.asarray(cv2.warpAffine(outline, matrix, (width, height), flags=cv2.INTER_NEAREST)) > 0] = 1
    if _chance(config.holes, generator):
        for _ in range(1 + int(torch.randint(0, 4, (), generator=generator))):
            x, y, a, b = torch.rand(4, generator=generator).tolist()
            ends = [(int(x0 + x * (x1 - x0)), int(y0 + y * (y1 - y0))), (int(x0 + a * (x1 - x0)), int(y0 + b * (y1 - y0)))]
            thick = max(2, int((0.03 + 0.12 * float(torch.rand((), generator=generator))) * (y1 - y0)))
            cv2.line(hidden, ends[0], ends[1] if thick < 0.08 * (y1 - y0) else ends[0], 1, thick)
    left = masks[0] & torch.from_numpy(hidden == 0)
    return left[None] if int(left.sum()) >= 0.2 * int(masks.sum()) else masks
