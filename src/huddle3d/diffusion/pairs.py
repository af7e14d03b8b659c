"""The pair frame: how two bodies of one model become the numbers that the prior denoises, and back.

The world is upright (y up). The frame of an ordered pair stands at person 0's root and is turned about the vertical so that person 0 faces
+z: where the pair stands in the world and where it looks have no effect on the numbers, who is first has. Lengths are metres, rotations 6D
(first two rows, as published); every number is then shifted and scaled by its mean and spread over the training pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.errors import ShapeError
from huddle3d.geometry import matrix_from_six_d, six_d_from_matrix, so3_exp, so3_log
from huddle3d.networks import BuddiConfig, PairState
from huddle3d.scene import BodyParams

__all__ = ["PairSpace", "Placement", "heading", "pair_joints"]

_LEAST_SPREAD = 0.04
"""Numbers that hardly vary keep this spread: a sixtieth of their range must not count as much as a limb."""


@dataclass(frozen=True)
class Placement:
    """Where K posed bodies are: global orientations apart from poses, so that a fit can hand over its own variables."""

    R_world_root: Float[Tensor, "K 3 3"]
    """Global orientations."""
    root: Float[Tensor, "K 3"]
    """Root joints [m], world, y up."""
    pose: Float[Tensor, "K J 3"]
    """Rotation vectors [rad]; row 0 is not read."""
    shape: Float[Tensor, "K S"]
    """Shape parameters."""

    @staticmethod
    def of(params: BodyParams) -> Placement:
        """Of body parameters."""
        return Placement(so3_exp(params.pose[:, 0]), params.translation, params.pose, params.shape)

    def params(self) -> BodyParams:
        """Back to body parameters."""
        pose = torch.cat([so3_log(self.R_world_root)[:, None], self.pose[:, 1:]], 1)
        return BodyParams(self.shape, pose, self.root, self.shape[:, :0])


def heading(R_world_root: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation about y that a body's heading makes: ``heading(R)ᵀ`` turns it to face +z.

    The heading is where the body faces with its left side held level. It is not defined for somebody who lies on the side; then some
    direction near it is taken.
    """
    left = R_world_root[..., :, 0]
    level = torch.stack([left[..., 0], left[..., 2]], -1)
    level = level / (level.norm(dim=-1, keepdim=True) + 1e-6)
    c, s = level.unbind(-1)
    zero, one = torch.zeros_like(c), torch.ones_like(c)
    # left = (c, 0, s) is the image of +x
    return torch.stack([c, zero, -s, zero, one, zero, s, zero, c], -1).reshape(*c.shape, 3, 3)


def pair_joints(body: BodyModel) -> tuple[int, ...]:
    """Joints whose rotations are told: those that a fit moves, without the root and the fingers."""
    return tuple(
        j for j in body.fit_joints.tolist() if j != 0 and not any(p in body.joint_names[j].lower() for p in ("finger", "thumb", "index", "pinky"))
    )


@dataclass(frozen=True)
class PairSpace:
    """The map between ordered pairs of bodies and standardised :class:`~huddle3d.networks.PairState` numbers."""

    joints: tuple[int, ...]
    """Rows of the pose that are told."""
    mean: Float[Tensor, "D"]
    """Of each number of a flat state."""
    spread: Float[Tensor, "D"]
    """Standard deviation of each, at least 0.04."""

    @staticmethod
    def plain(body: BodyModel) -> PairSpace:
        """Without shift and scale."""
        joints = pair_joints(body)
        size = 2 * (6 + 6 * len(joints) + body.num_shape + 3)
        return PairSpace(joints, torch.zeros(size), torch.ones(size))

    def measured(self, states: PairState) -> PairSpace:
        """The same space, standardised by states that were encoded by a plain one."""
        flat = states.flat()
        return PairSpace(self.joints, flat.mean(0), flat.std(0).clamp_min(_LEAST_SPREAD))

    def config(self, body: BodyModel, **sizes: int | float) -> BuddiConfig:
        """A network for this space."""
        return BuddiConfig(pose=6 * len(self.joints), shape=body.num_shape, guidance="fit", **sizes)  # type: ignore[arg-type]

    def to(self, device: torch.device | str) -> PairSpace:
        """On another device."""
        return PairSpace(self.joints, self.mean.to(device), self.spread.to(device))

    def encode(self, bodies: Placement, pairs: Int[Tensor, "B 2"]) -> PairState:
        """Standardised numbers of ordered pairs of the bodies; differentiable.

        Args:
            bodies: K of them.
            pairs: rows of the first and the second person.
        """
        R, root = bodies.R_world_root[pairs], bodies.root[pairs]
        R_pair_world = heading(R[:, 0]).transpose(-1, -2)
        rows = torch.tensor(self.joints, device=pairs.device)
        orient = six_d_from_matrix(R_pair_world[:, None] @ R, "rows")
        pose = six_d_from_matrix(so3_exp(bodies.pose[:, rows]), "rows").flatten(1)[pairs]
        offset = (R_pair_world @ (root[:, 1] - root[:, 0])[..., None])[..., 0]
        transl = torch.stack([torch.zeros_like(offset), offset], 1)
        state = PairState(orient, pose, bodies.shape[pairs], transl)
        return state.like((state.flat() - self.mean) / self.spread)

    def decode(self, state: PairState, neutral: Float[Tensor, "J 3"]) -> Placement:
        """Bodies of B pairs, ``K = 2 B`` with the two of one pair side by side, in the pair frame: person 0's root at the origin, facing +z.

        Args:
            state: standardised numbers.
            neutral: pose of all joints [rad]; those that are not told keep it.

        Raises:
            ShapeError: the state has other sizes than this space.
        """
        flat = state.flat()
        if flat.shape[1] != len(self.mean):
            raise ShapeError("state", flat.shape, ("B", len(self.mean)))
        plain = state.like(flat * self.spread + self.mean)
        count = len(flat)
        R = matrix_from_six_d(plain.orient, "rows")
        R = heading(R[:, :1]).transpose(-1, -2) @ R
        told = matrix_from_six_d(plain.pose.reshape(count, 2, -1, 6), "rows")
        rows = torch.tensor(self.joints, device=flat.device)
        pose = neutral.to(flat).expand(2 * count, *neutral.shape).index_copy(1, rows, so3_log(told).flatten(0, 1))
        root = (plain.transl * torch.tensor([0.0, 1.0], device=flat.device)[:, None]).flatten(0, 1)
        return Placement(R.flatten(0, 1), root, pose, plain.shape.flatten(0, 1))
