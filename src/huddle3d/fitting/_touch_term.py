"""Contact attraction: people who nearly touch where their pictures touch are taken to touch.

One picture leaves the depth between two people open by several centimetres, so hands that shake end up beside each other. The term closes
small gaps only: its pull saturates (Geman-McClure), and it needs the other person's pixels next to the point in the picture. It is our own
addition to HUG3D's L_pen, which can only push apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.contact import PenetrationPairs
from huddle3d.fitting._config import FitConfig
from huddle3d.fitting._image_terms import SmallMasks
from huddle3d.fitting._landmark_terms import geman_mcclure
from huddle3d.geometry import Camera

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["TouchPoints", "near_in_picture"]


def near_in_picture(vertices_view: Float[Tensor, "K P 3"], camera_view: Camera, masks: SmallMasks, margin: int) -> Bool[Tensor, "K K P"]:
    """``[a, b, i]``: vertex i of person a is drawn within ``margin`` pixels of b's pixels and of a's own; False without masks.

    Both conditions together keep to where the two pictures meet, whichever of the two hides the other there.
    """
    count, points = vertices_view.shape[:2]
    size = 2 * margin + 1
    wide = torch.nn.functional.max_pool2d(masks.share[:, None], size, 1, margin)[:, 0] > 0.3
    uv, _ = camera_view.project(vertices_view.detach().reshape(-1, 3))
    height, width = wide.shape[1:]
    column, row = uv.nan_to_num(-1.0).floor().long().reshape(count, points, 2).unbind(-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    hit = wide[:, row.clamp(0, height - 1), column.clamp(0, width - 1)].transpose(0, 1) & inside[:, None]  # [a, b, i]
    return hit & hit.diagonal(dim1=0, dim2=1).T[:, None]


@dataclass(frozen=True)
class TouchPoints:
    """Points that should touch, frozen: the nearest ones of each touching part of each ordered pair of people."""

    pairs: PenetrationPairs
    weight: Float[Tensor, "n"]
    """1 / points of the group, so that each touching part counts once."""

    @staticmethod
    def freeze(vertices_view: Float[Tensor, "K P 3"], body: BodyModel, camera_view: Camera, masks: SmallMasks, config: FitConfig) -> TouchPoints:
        """Find them.

        For each ordered pair, the parts that may touch are each hand of the first person and the body region that is nearest to the
        second one; of each, the ``touch_points`` nearest vertices are pulled until the first of them is as near as L_pen lets it be.
        """
        vertices, regions = vertices_view.detach(), body.proxy_regions
        pairs = PenetrationPairs.freeze(vertices, body.proxy_faces, config.touch_reach)
        gap = pairs.distances(vertices)
        near = near_in_picture(vertices, camera_view, masks, config.touch_margin)
        point = pairs.vertex % vertices.shape[1]
        a, b = pairs.person.unbind(-1)
        candidate = near[a, b, point]
        hands = torch.tensor([i for i, name in enumerate(body.region_names) if name.endswith("_hand")], dtype=torch.long)
        weight = torch.zeros_like(gap)
        for first, second in pairs.person.unique(dim=0).tolist():
            mine = candidate & (a == first) & (b == second)
            if bool(mine.any()):
                nearest = regions[point[gap.masked_fill(~mine, torch.inf).argmin()]]
                for region in {int(nearest), *hands.tolist()}:
                    rows = (mine & (regions[point] == region)).nonzero()[:, 0]
                    rows = rows[gap[rows].argsort()[: config.touch_points]]
                    if len(rows) and float(gap[rows[0]]) > config.polish_tolerance:
                        weight[rows] = 1 / len(rows)
        used = weight > 0
        columns = (pairs.vertex, pairs.corners, pairs.bary, pairs.direction, pairs.person)
        return TouchPoints(PenetrationPairs(*(column[used] for column in columns)), weight[used])

    def energy(self, vertices_view: Float[Tensor, "K P 3"], config: FitConfig) -> Float[Tensor, ""]:
        """Robust squared gaps over ``touch_sigma``, summed over the parts; points that already touch or penetrate are left to L_pen."""
        gap = self.pairs.distances(vertices_view).clamp_min(0)
        return (self.weight * geman_mcclure(gap.square(), config.touch_cutoff)).sum() / config.touch_sigma**2
