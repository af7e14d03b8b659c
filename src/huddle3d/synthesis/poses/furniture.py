"""What people sit on: benches and stools, measured from the people who sit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import rotation_y
from huddle3d.io import MeshData
from huddle3d.scene import BodyParams
from huddle3d.synthesis.poses.goals import region_vertices
from huddle3d.synthesis.spec import RGB

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["Prop", "seats"]

_SINK_M = 0.012
"""Flesh gives way by this under a sitter's own weight."""
_THICK_M, _LEG_M = 0.05, 0.05
"""Of the board and of the legs."""
_BEHIND_M, _AHEAD_M, _BESIDE_M = 0.03, 0.33, 0.22
"""How far a seat reaches: behind and ahead of the buttocks' hindmost point, and beside the hips."""


@dataclass(frozen=True)
class Prop:
    """A thing in the picture that is nobody: it hides people and casts a shadow; masks, depth and normals of people leave it out."""

    name: str
    vertices: Float[Tensor, "V 3"]
    """World [m]; corners are repeated for each flat face."""
    faces: Int[Tensor, "F 3"]
    """Counter-clockwise seen from outside."""
    colour: RGB
    """sRGB."""

    def to_mesh_data(self) -> MeshData:
        """For a file."""
        colour = (torch.tensor(self.colour).clamp(0, 1) * 255).round().to(torch.uint8)
        return MeshData(self.name, self.vertices.numpy(), self.faces.numpy(), colours=colour.expand(len(self.vertices), 3).numpy())


def seats(
    seated: tuple[tuple[int, ...], ...],
    params: BodyParams,
    vertices: Float[Tensor, "K V 3"],
    joints: Float[Tensor, "K J 3"],
    body: BodyModel,
    colour: RGB,
) -> tuple[Prop, ...]:
    """One bench or stool below each group of people who sit side by side.

    Args:
        seated: the groups; rows of people.
        params: the solved people; the first of a group and the last say where a bench points.
        vertices: their skin [m].
        joints: their joints [m].
        body: their model.
        colour: sRGB of the seats.
    """
    return tuple(_bench(f"seat_{k}", group, params, vertices, joints, body, colour) for k, group in enumerate(seated))


def seat_height(vertices: Float[Tensor, "V 3"], body: BodyModel) -> float:
    """Height of the lowest point of somebody's buttocks [m]."""
    return float(vertices[_buttocks(body), 1].min())


def _buttocks(body: BodyModel) -> Int[Tensor, "n"]:
    return region_vertices(body, "left_buttock", "right_buttock")


def _bench(name: str, group: tuple[int, ...], params: BodyParams, vertices: Tensor, joints: Tensor, body: BodyModel, colour: RGB) -> Prop:
    first, rows = group[0], [body.joint_names.index(n) for n in ("upperleg01.L", "upperleg01.R")]
    hips = joints[list(group)][:, rows].mean(1)
    top = min(seat_height(vertices[p], body) for p in group) + _SINK_M
    along = (hips[-1] - hips[0]) * torch.tensor([1.0, 0.0, 1.0])
    turn = float(torch.atan2(-along[2], along[0])) if len(group) > 1 else float(params.pose[first, 0, 1])
    R = rotation_y(turn)
    across = (hips @ R)[:, 0]  # the bench's axes: x along it, z ahead
    back = (vertices[list(group)][:, _buttocks(body)] @ R)[..., 2]
    low = torch.tensor([float(across.min()) - _BESIDE_M, 0.0, float(back.min()) - _BEHIND_M])
    high = torch.tensor([float(across.max()) + _BESIDE_M, top, float(back.amin(1).max()) + _AHEAD_M])
    boxes = [(torch.stack([low[0], high[1] - _THICK_M, low[2]]), high)]
    for x in (low[0] + 0.02, high[0] - 0.02 - _LEG_M):
        for z in (low[2] + 0.02, high[2] - 0.02 - _LEG_M):
            boxes.append((torch.stack([x, low[1], z]), torch.stack([x + _LEG_M, high[1] - _THICK_M, z + _LEG_M])))
    parts = [_box(a, b) for a, b in boxes]
    corners = torch.cat([v for v, _ in parts])
    faces = torch.cat([f + 24 * k for k, (_, f) in enumerate(parts)])
    return Prop(name, corners @ R.T, faces, colour)


def _box(low: Float[Tensor, "3"], high: Float[Tensor, "3"]) -> tuple[Float[Tensor, "24 3"], Int[Tensor, "12 3"]]:
    """A box with its own corners for each side, so that the sides are shaded flat."""
    corners, faces = [], []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for end, order in ((0, (0, 2, 3, 1)), (1, (0, 1, 3, 2))):
            side = torch.stack([low, low, low, low])
            side[:, axis] = (low if end == 0 else high)[axis]
            side[[1, 3], u], side[[2, 3], v] = high[u], high[v]
            k = 4 * len(corners)
            a, b, c, d = (k + o for o in order)
            faces += [(a, b, c), (a, c, d)]
            corners.append(side)
    return torch.cat(corners), torch.tensor(faces)
