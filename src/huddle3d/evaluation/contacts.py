"""Do the right places touch, and does anything pass through: contact precision and recall, penetration depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.evaluation.surface import nearest

__all__ = ["ContactMetrics", "contact_metrics", "contact_vertices", "group_penetration"]

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
    """The same of the truth [mm], to judge the two above."""


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


def group_penetration(people: Sequence[Mesh]) -> tuple[float, float]:
    """Largest depth, and mean depth over penetrating vertices, over all ordered pairs of people [mm]."""
    from huddle3d.contact import penetration

    deepest, depth_sum, count = 0.0, 0.0, 0
    for i, a in enumerate(people):
        for j, b in enumerate(people):
            if i != j:
                result = penetration(*a, *b)
                inside = int(result.inside.sum())
                deepest = max(deepest, float(result.max_mm))
                depth_sum += float(result.mean_mm) * inside
                count += inside
    return deepest, depth_sum / count if count else 0.0


def contact_metrics(predicted: Sequence[Mesh], truth: Sequence[Mesh], *, radius_m: float = 0.01) -> ContactMetrics:
    """Contact and penetration metrics of matched people (entry k of both is the same person), meshes in metres in one world."""
    contacts_p, contacts_t = contact_vertices(predicted, radius_m=radius_m), contact_vertices(truth, radius_m=radius_m)
    deepest, mean = group_penetration(predicted)
    return ContactMetrics(
        precision=_hit_rate(predicted, contacts_p, truth, contacts_t),
        recall=_hit_rate(truth, contacts_t, predicted, contacts_p),
        predicted_vertices=sum(int(c.sum()) for c in contacts_p),
        true_vertices=sum(int(c.sum()) for c in contacts_t),
        penetration_max_mm=deepest,
        penetration_mean_mm=mean,
        true_penetration_max_mm=group_penetration(truth)[0],
    )
