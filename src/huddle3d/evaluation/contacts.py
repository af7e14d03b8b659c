"""Do the right places touch, and does anything pass through: contact precision and recall, penetration depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.evaluation.surface import check_mesh, nearest

__all__ = ["ContactMetrics", "GroupPenetration", "contact_metrics", "contact_vertices", "group_penetration"]

Mesh = tuple[Float[Tensor, "v 3"], Int[Tensor, "f 3"]]


@dataclass(frozen=True)
class ContactMetrics:
    """Contacts and interpenetration of a group."""

    precision: float
    """CP: share of the predicted contact vertices whose nearest true vertex of the same person is a true contact; 0 if none is predicted."""
    recall: float
    """The same with the roles exchanged; 0 if there is no true contact."""
    predicted_vertices: int
    """Number of predicted contact vertices."""
    true_vertices: int
    """Number of true contact vertices."""
    penetration_max_mm: float
    """Deepest predicted vertex inside another predicted person [mm]."""
    penetration_mean_mm: float
    """Mean depth over the penetrating vertices [mm]; 0 without any."""
    true_penetration_max_mm: float
    """Deepest vertex of the truth [mm], to judge the two above."""
    penetration_volume_cm3: float
    """Volume that two predicted people share, summed over pairs [cm³]; sampled, see :func:`huddle3d.contact.intersection_volume`."""


class GroupPenetration(NamedTuple):
    """How deep and how much people of one group pass through each other."""

    max_mm: float
    """Deepest vertex of anybody inside anybody else [mm]; 0 without penetration."""
    mean_mm: float
    """Mean depth over the penetrating vertices of all ordered pairs [mm]; 0 without penetration."""
    volume_cm3: float
    """Shared volume, summed over unordered pairs [cm³]."""


def contact_vertices(people: Sequence[Mesh], *, radius_m: float = 0.01) -> list[Bool[Tensor, "v"]]:
    """For each person, the vertices within ``radius_m`` (unsigned, as in the paper) of the surface of anybody else."""
    from huddle3d.contact import closest_point

    out = []
    for i, (vertices, _) in enumerate(people):
        touching = torch.zeros(len(vertices), dtype=torch.bool, device=vertices.device)
        for j, (others, faces) in enumerate(people):
            if i == j:
                continue
            # Vertices outside the other's box, grown by the radius, cannot touch: most queries end here.
            near = ((vertices > others.amin(0) - radius_m) & (vertices < others.amax(0) + radius_m)).all(-1).nonzero()[:, 0]
            if len(near):
                touching[near[closest_point(vertices[near], others, faces).distance <= radius_m]] = True
        out.append(touching)
    return out


def _hit_rate(a: Sequence[Mesh], contacts_a: Sequence[Tensor], b: Sequence[Mesh], contacts_b: Sequence[Tensor]) -> float:
    """Share of the contacts of ``a``, pooled over people, whose nearest vertex of ``b`` is a contact."""
    hits = total = 0
    for (va, _), ca, (vb, _), cb in zip(a, contacts_a, b, contacts_b):
        if bool(ca.any()):
            _, index = nearest(va[ca], vb)
            hits += int(cb.cpu()[index].sum())
            total += int(ca.sum())
    return hits / total if total else 0.0


def group_penetration(people: Sequence[Mesh]) -> GroupPenetration:
    """Depths and volume over all pairs of people, meshes in metres; zeros for fewer than two people."""
    from huddle3d.contact import penetration

    deepest, depth_sum, count, volume = 0.0, 0.0, 0, 0.0
    for i, a in enumerate(people):
        for j, b in enumerate(people):
            if i != j:
                result = penetration(*a, *b)
                inside = int(result.inside.sum())
                deepest = max(deepest, float(result.max_mm))
                depth_sum += float(result.mean_mm) * inside
                count += inside
                volume += result.volume_cm3 if i < j else 0.0
    return GroupPenetration(deepest, depth_sum / count if count else 0.0, volume)


def contact_metrics(predicted: Sequence[Mesh], truth: Sequence[Mesh], *, radius_m: float = 0.01) -> ContactMetrics:
    """Contact and penetration metrics of matched people (entry k of both is the same person), meshes in metres in one world.

    Raises:
        InputError: fewer than two people, different numbers of people, an empty mesh or one that holds NaN.
    """
    if len(predicted) != len(truth) or len(truth) < 2:
        raise InputError(
            f"Contacts need two or more matched people, got {len(predicted)} predicted and {len(truth)} true ones.",
            next_step="Match the people first; a single person has no contact metrics.",
        )
    for vertices, faces in (*predicted, *truth):
        check_mesh(vertices, faces)
    contacts_p, contacts_t = contact_vertices(predicted, radius_m=radius_m), contact_vertices(truth, radius_m=radius_m)
    found = group_penetration(predicted)
    return ContactMetrics(
        precision=_hit_rate(predicted, contacts_p, truth, contacts_t),
        recall=_hit_rate(truth, contacts_t, predicted, contacts_p),
        predicted_vertices=sum(int(c.sum()) for c in contacts_p),
        true_vertices=sum(int(c.sum()) for c in contacts_t),
        penetration_max_mm=found.max_mm,
        penetration_mean_mm=found.mean_mm,
        true_penetration_max_mm=group_penetration(truth).max_mm,
        penetration_volume_cm3=found.volume_cm3,
    )
