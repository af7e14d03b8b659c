"""People who have nothing to do with each other, as pairs of a pose bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from huddle3d.synthesis.poses.interactions import plan_interaction
from huddle3d.training.bank import PoseBank
from huddle3d.training.harvest import draw_shapes

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["SINGLES", "single_poses"]

SINGLES = "solo"
"""Name of the source of such pairs."""
_FIRST_SEED = 500_000


def single_poses(count: int, body: BodyModel, *, seed: int = 0) -> PoseBank:
    """Two people in free poses beside each other, so many times; builds of the training half, poses as planned (nothing to solve: nobody touches)."""
    parts = []
    for k in range(count):
        own = _FIRST_SEED + 1000 * seed + k
        generator = torch.Generator().manual_seed(own)
        p = plan_interaction(SINGLES, body, draw_shapes(body, generator), generator).params
        place = p.translation - p.translation.mean(0) * torch.tensor([1.0, 0.0, 1.0])
        none, far = torch.zeros(1, dtype=torch.float16), torch.full((1,), 1000.0, dtype=torch.float16)
        parts.append(
            PoseBank(
                p.shape[None].half(),
                p.pose[None].half(),
                place[None],
                torch.zeros(1, dtype=torch.int32),
                torch.tensor([own]),
                none,
                far,
                (SINGLES,),
                body.name,
            )
        )
    return PoseBank.join(parts)
