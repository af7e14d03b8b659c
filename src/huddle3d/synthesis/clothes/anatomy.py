"""Coordinates on the body at rest by which clothes are cut: how far along an arm or leg, how high on the trunk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from huddle3d.scene.landmarks import LANDMARK_INDEX

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["Anatomy"]


@dataclass(frozen=True)
class Anatomy:
    """One person's body at rest."""

    body: BodyModel
    vertices: Float[Tensor, "V 3"]
    joints: Float[Tensor, "J 3"]
    landmarks: Float[Tensor, "L 3"]

    def joint(self, name: str) -> Float[Tensor, "3"]:
        """A joint [m]."""
        return self.joints[self.body.joint_names.index(name)]

    def landmark(self, name: str) -> Float[Tensor, "3"]:
        """A landmark [m]."""
        return self.landmarks[LANDMARK_INDEX[name]]

    @property
    def size(self) -> float:
        """Height of the head's joint over the hips, relative to an average adult's: scales hems and hair."""
        return float(self.joint("head")[1] - self.joint("upperleg01.L")[1]) / 0.704

    @cached_property
    def _tree(self) -> KDTree:
        return KDTree(self.vertices.double().numpy())

    def regions(self, points: Float[Tensor, "n 3"]) -> Int[Tensor, "n"]:
        """Region of the nearest body vertex of each point at rest."""
        _, index = self._tree.query(points.double().numpy())
        return self.body.regions[torch.from_numpy(index)]

    def is_region(self, regions: Int[Tensor, "n"], *names: str) -> Tensor:
        """Whether each region is one of those named (without side: both)."""
        wanted = [i for i, full in enumerate(self.body.region_names) if any(full == n or full.endswith("_" + n) for n in names)]
        return torch.isin(regions, torch.tensor(wanted))

    def _along(self, points: Tensor, names: tuple[str, str, str]) -> Tensor:
        """Place along two bones, 0 at the first joint, 1 at the second, 2 at the third; the nearer side of the body."""
        side = torch.where(points[:, 0] > 0, 1.0, -1.0)[:, None] * torch.tensor([1.0, 0.0, 0.0]) + torch.tensor([0.0, 1.0, 1.0])
        p = points * side  # the body at rest is symmetric up to a millimetre: measure on the left
        a, b, c = (self.joint(n + ".L") for n in names)
        first = ((p - a) @ (b - a)) / (b - a).square().sum()
        second = ((p - b) @ (c - b)) / (c - b).square().sum()
        return torch.where(first < 1, first, 1 + second.clamp_min(0))

    def arm(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """0 shoulder, 1 elbow, 2 wrist; meaningful on arms."""
        return self._along(points, ("upperarm01", "lowerarm01", "wrist"))

    def leg(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """0 hip, 1 knee, 2 ankle; meaningful on legs."""
        return self._along(points, ("upperleg01", "lowerleg01", "foot"))
