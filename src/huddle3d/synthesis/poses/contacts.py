"""What a solve is measured by: the goals as distances between skins, and arms against their own body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.synthesis.poses.goals import region_vertices

if TYPE_CHECKING:
    from huddle3d.bodies import BodyOutput
    from huddle3d.contact import MeshQuery
    from huddle3d.synthesis.poses.problem import Problem

__all__ = ["OwnArm", "Place", "Probe", "own_arms", "probes"]


class Place(NamedTuple):
    """Places on a person's skin."""

    person: int
    corners: Int[Tensor, "n b"]
    bary: Float[Tensor, "n b"]

    def points(self, out: BodyOutput) -> Float[Tensor, "n 3"]:
        """Where they are [m]."""
        return (self.bary[..., None] * out.vertices[self.person, self.corners]).sum(1)


@dataclass(frozen=True)
class Probe:
    """One goal as a distance: of points of one person to a surface of another."""

    person: int
    points: Int[Tensor, "n"]
    other: int
    surface: MeshQuery
    """Of the other's vertices; its faces are those that count."""
    signed: bool
    """Whether inside counts as touching."""
    slack: float
    """Distance that is to be left [m]."""

    def measure(self, out: BodyOutput) -> tuple[Float[Tensor, "n"], Place]:
        """Distances beyond the slack [m], and the nearest places."""
        points = out.vertices[self.person, self.points].detach()
        self.surface.refit(out.vertices[self.other].detach())
        if self.signed:
            distance, nearest = self.surface.signed_closest(points)
        else:
            nearest = self.surface.closest_point(points)
            distance = nearest.distance
        return distance - self.slack, Place(self.other, self.surface.faces[nearest.face], nearest.bary)


def probes(problem: Problem, out: BodyOutput) -> list[Probe]:
    """The plan's goals in the order palms, clasps, touches."""
    from huddle3d.contact import MeshQuery

    plan, faces = problem.plan, problem.body.faces

    def part(other: int, rows: Tensor) -> MeshQuery:
        return MeshQuery(out.vertices[other].detach(), faces[torch.isin(faces, rows).all(1)], winding=False)

    found = [Probe(g.person, problem.palm[g.person, g.side], g.other, problem.surfaces.queries[g.other], True, 0.0) for g in plan.palms]
    for g in plan.clasps:
        hand = part(g.other, region_vertices(problem.body, f"{g.other_side}_hand"))
        found.append(Probe(g.person, problem.palm[g.person, g.side], g.other, hand, False, 0.0))
    found += [Probe(g.person, g.vertices, g.other, part(g.other, g.other_vertices), False, max(0.0, g.gap_m)) for g in plan.touches]
    return found


class OwnArm(NamedTuple):
    """Hand and forearm of a person, and the body without that arm."""

    person: int
    points: Int[Tensor, "n"]
    rest: MeshQuery


def own_arms(problem: Problem, out: BodyOutput) -> list[OwnArm]:
    """Both arms of everybody."""
    from huddle3d.contact import MeshQuery

    body, found = problem.body, []
    for side in ("left", "right"):
        arm = torch.isin(body.regions, torch.tensor([body.region_names.index(f"{side}_{n}") for n in ("upper_arm", "forearm", "hand")]))
        rest = body.faces[~arm[body.faces].any(1)]
        points = region_vertices(body, f"{side}_forearm", f"{side}_hand")
        found += [OwnArm(k, points, MeshQuery(v.detach(), rest)) for k, v in enumerate(out.vertices)]
    return found
