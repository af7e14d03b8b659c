"""What a pair of the bank becomes before it is learned: mirrored, in either order, and with the rough estimate that a fit would start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.diffusion.pairs import Placement
from huddle3d.geometry import so3_exp

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["RoughConfig", "mirrored", "rough"]


def mirrored(bodies: Placement, body: BodyModel) -> Placement:
    """The bodies in a mirror at x = 0: left limbs become right ones. Rotation vectors turn the other way about y and z."""
    flip = bodies.root.new_tensor([-1.0, 1.0, 1.0])
    turn = bodies.root.new_tensor([1.0, -1.0, -1.0])
    twin = body.mirror_joints.to(bodies.root.device)
    mirror = torch.diag(flip)
    return Placement(mirror @ bodies.R_world_root @ mirror, bodies.root * flip, bodies.pose[:, twin] * turn, bodies.shape)


@dataclass(frozen=True)
class RoughConfig:
    """Errors of the estimates that guide the prior, like those of bodies fitted to keypoints of one picture."""

    hidden: float = 0.25
    """Probability that a limb (or the head, or the trunk) was not seen: it hangs near rest."""
    joint_rad: float = 0.10
    """Standard deviation of the error of joints that were seen [rad]."""
    rest_rad: float = 0.10
    """The same about rest of joints that were not."""
    turn_rad: float = 0.10
    """The same of global orientations [rad]."""
    shape: float = 0.10
    """The same of shape parameters, of which half is never seen."""
    depth_m: float = 0.12
    """The same of places along the line of sight [m]."""
    across_m: float = 0.03
    """The same of places across it [m]."""


def _limbs(body: BodyModel) -> Float[Tensor, "6 J"]:
    """Which joints belong to the left and right arm, the left and right leg, the head, and the trunk."""
    arm, leg, head, trunk = ("clavicle", "shoulder", "upperarm", "lowerarm", "wrist"), ("upperleg", "lowerleg", "foot"), ("neck", "head"), ("spine",)
    rows = []
    for parts, end in ((arm, ".L"), (arm, ".R"), (leg, ".L"), (leg, ".R"), (head, ""), (trunk, "")):
        rows.append([float(n.startswith(parts) and n.endswith(end)) for n in body.joint_names])
    return torch.tensor(rows)


def rough(bodies: Placement, body: BodyModel, generator: torch.Generator, config: RoughConfig = RoughConfig()) -> Placement:
    """A first estimate of pairs of bodies, ``K = 2 B`` with the two of one pair side by side.

    Both people of a pair are seen along the same level line of sight. Random numbers are drawn on the CPU.
    """
    count = len(bodies.root)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator).to(bodies.root)

    limbs = _limbs(body).to(bodies.root)
    unseen = (torch.rand(count, len(limbs), generator=generator).to(bodies.root) < config.hidden).float() @ limbs
    rest = 0.3 * torch.rand(count, 1, 1, generator=generator).to(bodies.root) * bodies.pose + config.rest_rad * normal(*bodies.pose.shape)
    seen = bodies.pose + config.joint_rad * normal(*bodies.pose.shape)
    pose = torch.where(unseen[..., None] > 0, rest, seen)
    azimuth = (2 * torch.pi * torch.rand(count // 2, generator=generator)).repeat_interleave(2).to(bodies.root)
    sight = torch.stack([azimuth.sin(), torch.zeros_like(azimuth), azimuth.cos()], -1)
    root = bodies.root + config.across_m * normal(count, 3) + config.depth_m * normal(count, 1) * sight
    neutral = body.neutral_shape.to(bodies.root)
    shape = neutral + 0.5 * (bodies.shape - neutral) + config.shape * normal(*bodies.shape.shape)
    age = [i for i, n in enumerate(body.shape_names) if n == "age"]
    shape[:, age] = neutral[age]  # a fit does not estimate ages
    R = so3_exp(config.turn_rad * normal(count, 3)) @ bodies.R_world_root
    return Placement(R, root, pose, shape)
