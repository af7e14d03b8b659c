"""How the skin moves with the unknowns of a scene: its linear model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import skew
from huddle3d.synthesis.poses.posing import Side

if TYPE_CHECKING:
    from huddle3d.bodies import BodyOutput
    from huddle3d.synthesis.poses.problem import Problem

__all__ = ["Motion"]

_FINGER_STIFFNESS = 0.3
"""Of a finger's bend [1/rad²]; ten times as much across it."""
_PLACE_STIFFNESS = 5.0
"""Of heading [1/rad²], place and height [1/m²]."""


class Motion:
    """How points of the skin move with the joint angles, the heading and the place, to first order."""

    def __init__(self, problem: Problem) -> None:
        body = problem.body
        fingers = [j for j, n in enumerate(body.joint_names) if n.startswith("finger")]
        self.rows = torch.cat([problem.rows, torch.tensor(fingers)])
        self.parents = torch.tensor([body.joint_parents[j] for j in self.rows.tolist()])
        below = torch.eye(body.num_joints)
        for j in range(body.num_joints - 1, 0, -1):  # children come after their parents
            below[:, body.joint_parents[j]] += below[:, j]
        self.share = body.surface.weights.detach() @ below[:, self.rows]
        self.problem = problem
        self.columns = 3 * len(self.rows) + 4
        count = len(problem.plan.params.pose)
        stiff = torch.diag_embed(torch.cat([problem.stiffness.expand(-1, -1, 3).flatten(1), torch.zeros(count, 3 * len(fingers) + 4)], 1))
        for k in range(count):
            for i, j in enumerate(fingers, len(problem.rows)):
                across = _across(problem, k, "left" if body.joint_names[j].endswith(".L") else "right")
                bend = _FINGER_STIFFNESS * (10 * torch.eye(3) - 9 * torch.outer(across, across))
                stiff[k, 3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = bend
        stiff[:, -4:, -4:] = _PLACE_STIFFNESS * torch.eye(4)
        self.stiffness = torch.block_diag(*stiff)
        hands = torch.zeros(count, len(fingers), 1, dtype=torch.bool)
        for person, sides in problem.plan.still:
            ends = tuple("." + s[0].upper() for s in sides)
            hands[person, :, 0] = torch.tensor([not body.joint_names[j].endswith(ends) for j in fingers])
        fixed = torch.cat([problem.fixed.expand(count, len(problem.rows), 1), hands], 1)
        stays, heights = problem.still[:, None], ~problem.carried[:, None]
        self.free: Bool[Tensor, "N"] = ~torch.cat([fixed.expand(-1, -1, 3).flatten(1), stays.expand(-1, 3), heights | stays], 1).flatten()

    def __call__(self, out: BodyOutput, pose: Float[Tensor, "K J 3"], person: int, vertices: Int[Tensor, "n"]) -> Float[Tensor, "n C 3"]:
        """Derivatives of vertices by that person's unknowns: angles of the joints in ``rows``, heading, x, z, height."""
        moves = self._lifted(out, pose, person, vertices)
        if not bool(self.problem.carried[person]):  # the lowest point stays on the floor
            support = self.problem.support
            lowest = support[out.vertices[person, support, 1].argmin()]
            moves[..., 1] -= self._lifted(out, pose, person, lowest[None])[..., 1]
        return moves

    def _lifted(self, out: BodyOutput, pose: Tensor, person: int, vertices: Tensor) -> Tensor:
        places, frames = out.vertices[person, vertices], out.T_world_joint[person, :, :3, :3]
        turns = frames[self.parents] @ _left_jacobian(pose[person, self.rows])
        arms = places[:, None] - out.joints[person, self.rows]
        moves = torch.linalg.cross(turns.transpose(-1, -2)[None], arms[:, :, None].expand(-1, -1, 3, -1))
        moves = moves * self.share[vertices][..., None, None]
        rest = torch.zeros(len(vertices), 4, 3)
        rest[:, 0] = torch.linalg.cross(_left_jacobian(pose[person, :1])[0, :, 1].expand(len(vertices), 3), places - out.joints[person, 0])
        rest[:, 1, 0] = rest[:, 2, 2] = 1.0
        rest[:, 3, 1] = float(self.problem.carried[person])
        return torch.cat([moves.flatten(1, 2), rest], 1)


def _across(problem: Problem, person: int, side: Side) -> Float[Tensor, "3"]:
    """The axis about which fingers bend."""
    body, end = problem.body, ".L" if side == "left" else ".R"
    heads = problem.rest_joints[person]
    index, little = (heads[body.joint_names.index(n + end)] for n in ("finger2-1", "finger5-1"))
    return torch.nn.functional.normalize(index - little, dim=0)


def _left_jacobian(rotvec: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """``exp(θ + dθ) ≈ exp(J dθ) exp(θ)``."""
    angle = rotvec.norm(dim=-1).clamp_min(1e-4)[..., None, None]
    k = skew(rotvec)
    return torch.eye(3) + (1 - angle.cos()) / angle**2 * k + (angle - angle.sin()) / angle**3 * (k @ k)
