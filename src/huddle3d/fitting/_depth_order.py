"""Who is in front of whom: the picture's masks against the depths of the bodies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.fitting._image_terms import camera_each
from huddle3d.geometry import Camera
from huddle3d.render import rasterize

__all__ = ["OrderPairs", "wrong_order"]


def wrong_order(share: Float[Tensor, "K h w"], depth: Float[Tensor, "K h w"]) -> Bool[Tensor, "K h w"]:
    """``[k]``: pixels that the picture gives to k, where body k is rendered, but some other body is rendered in front of it.

    ``depth`` is 0 where a body is not rendered.
    """
    far = torch.where(depth > 0, depth, torch.inf)
    return (share > 0.6) & (depth > 0) & (far > far.amin(0) + 1e-4)


@dataclass(frozen=True)
class OrderPairs:
    """Pairs of surface points of two people that cover the same pixel in the wrong order, frozen.

    As with penetration pairs, the points are found by rendering now and then; in between their depths follow the bodies for the cost of a
    gather, which gives the optimiser a smooth term in every step.
    """

    behind: Int[Tensor, "n 3"]
    """Corners of the face of the owner, who should be in front; rows in ``vertices.reshape(-1, 3)``."""
    behind_bary: Float[Tensor, "n 3"]
    front: Int[Tensor, "n 3"]
    """Corners of the face of the body that hides the owner."""
    front_bary: Float[Tensor, "n 3"]
    weight: Float[Tensor, "n"]
    """One over the pixels of the owner's mask: a large wrong area counts more than a sliver."""

    @staticmethod
    def freeze(vertices_view: Float[Tensor, "K P 3"], faces: Int[Tensor, "Q 3"], camera_view: Camera, share: Float[Tensor, "K h w"]) -> OrderPairs:
        """Render every body alone and collect the wrongly ordered pixels; ``share`` is who owns each pixel in the picture."""
        count, points = vertices_view.shape[:2]
        with torch.no_grad():
            raster = rasterize(vertices_view, faces, camera_each(camera_view, count))
            owner, row, column = wrong_order(share, raster.depth).nonzero(as_tuple=True)
            nearest = torch.where(raster.depth > 0, raster.depth, torch.inf).argmin(0)[row, column]
            area = (share > 0.6).flatten(1).sum(-1).clamp_min(1)
            corners = [faces[raster.face_id[person, row, column].long()] + person[:, None] * points for person in (owner, nearest)]
            bary = [raster.bary[person, row, column] for person in (owner, nearest)]
        return OrderPairs(corners[0], bary[0], corners[1], bary[1], 1.0 / area[owner])

    def excess(self, vertices_view: Float[Tensor, "K P 3"]) -> Float[Tensor, "n"]:
        """How far each owner lies behind the body that hides it [m]."""
        depth = -vertices_view.reshape(-1, 3)[:, 2]
        return (self.behind_bary * depth[self.behind]).sum(-1) - (self.front_bary * depth[self.front]).sum(-1)

    def energy(self, vertices_view: Float[Tensor, "K P 3"], temperature: float = 0.02) -> Float[Tensor, ""]:
        """Softplus of the excess [m], averaged over each owner's mask and summed over the owners (after Jiang et al., CVPR 2020)."""
        return (self.weight * temperature * torch.nn.functional.softplus(self.excess(vertices_view) / temperature)).sum()
