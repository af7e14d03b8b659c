"""Both legs of a fitted body in slices from hip to ankle, and what the photo says about points near them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.geometry import Camera
from huddle3d.people._filters import distance_to, nearest_pixel
from huddle3d.render import rasterize
from huddle3d.scene.landmarks import LANDMARK_INDEX

__all__ = ["SLICES", "LegPicture", "Legs", "legs_of"]

SLICES = 64
"""From hip to ankle."""
_LEGS = ("thigh", "shin", "foot", "buttock", "pelvis")
_ARMS = ("upper_arm", "forearm", "hand")


@dataclass(frozen=True)
class Legs:
    """Both legs by slices from hip (0) to ankle (1)."""

    middle: Float[Tensor, "n 3"]
    """Between the legs [m]."""
    across: Float[Tensor, "n 3"]
    """Unit vectors from the left leg to the right."""
    forward: Float[Tensor, "n 3"]
    """Unit vectors across both."""
    half: Float[Tensor, "n"]
    """Half the distance of the two bones [m]."""
    rows: tuple[Int[Tensor, "l"], Int[Tensor, "r"]]
    """Vertices of the left and the right thigh and shin."""
    slices: tuple[Int[Tensor, "l"], Int[Tensor, "r"]]
    """Slice of each."""
    inner: tuple[Float[Tensor, "n"], Float[Tensor, "n"]]
    """Position of the left and the right leg's inner edge along ``across`` [m]; NaN in slices without vertices."""
    outer: tuple[Float[Tensor, "n"], Float[Tensor, "n"]]
    """The same of their outer edges."""
    depth: tuple[Float[Tensor, "n"], Float[Tensor, "n"]]
    """How far the body reaches in front of and behind the middle [m]; from the seat downwards never less than above, because cloth hangs."""


def legs_of(vertices: Float[Tensor, "V 3"], landmarks: Float[Tensor, "L 3"], body: BodyModel) -> Legs:
    """The legs of one body.

    Args:
        vertices: world [m].
        landmarks: world [m]; hips, knees and ankles are used.
        body: the body model: regions.
    """
    bones = [[landmarks[LANDMARK_INDEX[f"{side}_{joint}"]] for joint in ("hip", "knee", "ankle")] for side in ("left", "right")]
    s = torch.linspace(0, 1, SLICES, device=vertices.device)
    lines = [torch.where(s[:, None] < 0.5, torch.lerp(h, k, 2 * s[:, None]), torch.lerp(k, a, 2 * s[:, None] - 1)) for h, k, a in bones]
    middle = _mean_over((lines[0] + lines[1]) / 2, 13)  # a rounded knee: slices must not cross
    along = torch.nn.functional.normalize(torch.gradient(middle, dim=0)[0], dim=-1)
    gap = _mean_over(lines[1] - lines[0], 13)
    across = gap - (gap * along).sum(-1, keepdim=True) * along
    half = across.norm(dim=-1) / 2
    across = torch.nn.functional.normalize(across, dim=-1)
    forward = torch.linalg.cross(across, along)
    regions = [
        torch.tensor([body.region_names.index(f"{side}_{part}") for part in ("thigh", "shin")], device=vertices.device) for side in ("left", "right")
    ]
    rows, slices, inner, outer = [], [], [], []
    seat = torch.tensor([i for i, name in enumerate(body.region_names) if name.endswith(("buttock", "pelvis"))], device=vertices.device)
    around = torch.isin(body.regions, torch.cat([*regions, seat])).nonzero()[:, 0]
    at = torch.cdist(vertices[around], middle).argmin(-1)
    ahead = ((vertices[around] - middle[at]) * forward[at]).sum(-1)
    depth = [vertices.new_zeros(SLICES).scatter_reduce(0, at, sign * ahead, "amax").cummax(0).values for sign in (1, -1)]
    for line, region, sign in zip(lines, regions, (-1.0, 1.0)):
        mine = torch.isin(body.regions, region).nonzero()[:, 0]
        where = torch.cdist(vertices[mine], line).argmin(-1)
        offset = vertices[mine] - middle[where]
        u = (offset * across[where]).sum(-1)
        rows.append(mine)
        slices.append(where)
        low = -_highest_near(torch.full_like(s, -torch.inf).scatter_reduce(0, where, -sign * u, "amax"))
        high = _highest_near(torch.full_like(s, -torch.inf).scatter_reduce(0, where, sign * u, "amax"))
        inner.append(torch.where(low.isfinite(), sign * low, torch.nan))
        outer.append(torch.where(high.isfinite(), sign * high, torch.nan))
    return Legs(
        middle, across, forward, half, (rows[0], rows[1]), (slices[0], slices[1]), (inner[0], inner[1]), (outer[0], outer[1]), (depth[0], depth[1])
    )


def _highest_near(values: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Of each slice and its neighbours: slices are thinner than the mesh's edges."""
    return torch.nn.functional.max_pool1d(values[None, None], 3, 1, 1)[0, 0]


def _mean_over(values: Float[Tensor, "n c"], window: int) -> Float[Tensor, "n c"]:
    """Running mean; at the ends the line is continued straight."""
    k = window // 2
    before = 2 * values[:1] - values[1 : k + 1].flip(0)
    after = 2 * values[-1:] - values[-k - 1 : -1].flip(0)
    return torch.cat([before, values, after]).unfold(0, window, 1).mean(-1)


class LegPicture:
    """What the photo says about points near the legs."""

    def __init__(
        self,
        mask: Bool[Tensor, "H W"],
        hidden: Bool[Tensor, "H W"],
        camera: Camera,
        vertices: Float[Tensor, "V 3"],
        body: BodyModel,
        trousers_m: float,
    ) -> None:
        self.mask, self.hidden, self.camera = mask, hidden, camera
        shrink = min(1.0, 512 / max(camera.width, camera.height))
        self.small = camera.resized(max(1, round(camera.width * shrink)), max(1, round(camera.height * shrink)))
        faces = body.faces.long()
        face = rasterize(vertices, faces, self.small).face_id[0]
        region = body.regions[faces[face.clamp_min(0).long(), 0]]
        arms = torch.tensor([i for i, name in enumerate(body.region_names) if any(a in name for a in _ARMS)], device=region.device)
        inside = face >= 0
        metres_per_px = float(self.small.project(vertices)[1].median() / self.small.K[0, 0])
        self.body = distance_to(inside) * metres_per_px <= trousers_m
        self.arms = inside & torch.isin(region, arms)
        self._naked, self._region, self._names = inside, region, body.region_names

    def agreement(self) -> float:
        """Intersection over union of mask and body, of the pixels whose nearest part of the body is not a leg."""
        legs = torch.tensor([i for i, name in enumerate(self._names) if any(part in name for part in _LEGS)], device=self._region.device)
        nearest = self._region.reshape(-1)[nearest_pixel(self._naked)]
        size = (self.small.height, self.small.width)
        mask, hidden = (torch.nn.functional.interpolate(m[None, None].float(), size)[0, 0] > 0 for m in (self.mask, self.hidden))
        above = ~torch.isin(nearest, legs) & ~hidden
        return float((mask & self._naked & above).sum() / ((mask | self._naked) & above).sum().clamp_min(1))

    def at(self, points: Float[Tensor, "*n 3"]) -> tuple[Bool[Tensor, "*n"], Bool[Tensor, "*n"], Bool[Tensor, "*n"], Bool[Tensor, "*n"]]:
        """Whether the mask covers a point, whether the photo tells, and whether the body in wide trousers, and its naked arms, cover it."""
        flat = points.reshape(-1, 3)
        uv, z = self.camera.project(flat)
        told = (z > 1e-3) & (uv >= 0).all(-1) & (uv[:, 0] < self.camera.width) & (uv[:, 1] < self.camera.height)
        x, y = (uv[:, i].nan_to_num().clamp(0, n - 1).long() for i, n in ((0, self.camera.width), (1, self.camera.height)))
        told &= ~self.hidden[y, x]
        sx = (x * self.small.width // self.camera.width).clamp_max(self.small.width - 1)
        sy = (y * self.small.height // self.camera.height).clamp_max(self.small.height - 1)
        found = (self.mask[y, x], told, self.body[sy, sx], self.arms[sy, sx])
        return tuple(f.reshape(points.shape[:-1]) for f in found)  # type: ignore[return-value]
