"""How good completed views are, next to the baseline on the same photographs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.people import ViewMaps, picture_of
from huddle3d.training.mvd.batches import ViewBatch, clean_of, network_space
from huddle3d.training.views import TrueMaps

__all__ = ["Scores", "Tally", "baseline_pictures", "completed_pictures", "picture_sheet"]


@dataclass(frozen=True)
class Scores:
    """Of all photographs together, at the network's size."""

    psnr_unseen_db: float
    """Colours on white where somebody is and no colour was given [dB], of the pooled squared error."""
    psnr_seen_db: float
    """The same where a colour was given."""
    normal_deg: float
    """Mean angle between normals where both have one [deg]."""
    normal_unseen_deg: float
    """The same where no colour was given."""
    outline_iou: float
    """Intersection over union of the opacities."""


class Tally:
    """Sums from which scores are made."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}

    def _add(self, name: str, values: Tensor) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(values.double().sum())
        self.sums[f"n_{name}"] = self.sums.get(f"n_{name}", 0.0) + values.numel()

    def add(self, pictures: Float[Tensor, "B 2 V 4 h h"], given: ViewMaps, truth: TrueMaps) -> None:
        """Some sets; pictures not mirrored."""
        true = clean_of(truth)
        inside = truth.alpha > 0.5
        unseen, seen = inside & (given.seen < 0.05), inside & (given.seen > 0.5)
        error = ((pictures[:, 1, :, :3] - true[:, 1, :, :3]) / 2).square().mean(2)
        self._add("unseen", error[unseen])
        self._add("seen", error[seen])
        for name, mask in (("angle", inside), ("angle_unseen", unseen)):
            self._add(name, _angles(pictures[:, 0, :, :3], true[:, 0, :, :3], mask))
        a, b = ((pictures[:, 0, :, 3] + 1) / 2).clamp(0, 1), truth.alpha
        self._add("shared", torch.minimum(a, b))
        self._add("union", torch.maximum(a, b))

    def _mean(self, name: str) -> float:
        return self.sums[name] / self.sums[f"n_{name}"] if self.sums.get(f"n_{name}") else math.nan

    def scores(self) -> Scores:
        """Means; NaN for what never occurred."""

        def db(name: str) -> float:
            return -10 * math.log10(max(self._mean(name), 1e-10)) if self.sums.get(f"n_{name}") else math.nan

        iou = self.sums["shared"] / max(self.sums["union"], 1e-9) if "union" in self.sums else math.nan
        return Scores(db("unseen"), db("seen"), self._mean("angle"), self._mean("angle_unseen"), iou)


def _angles(a: Float[Tensor, "B V 3 h h"], b: Float[Tensor, "B V 3 h h"], mask: Bool[Tensor, "B V h h"]) -> Float[Tensor, "n"]:
    """Angles [deg] where both are longer than nothing; 90 where the first one is missing."""
    p, q = a.movedim(2, -1)[mask], b.movedim(2, -1)[mask]
    known = q.norm(dim=-1) > 0.3
    p, q = p[known], q[known]
    cosine = torch.nn.functional.cosine_similarity(p, q, dim=-1).clamp(-1, 1)
    return torch.where(p.norm(dim=-1) > 0.05, torch.rad2deg(torch.arccos(cosine)), 90.0)


def completed_pictures(x: Float[Tensor, "B 2 V 4 h h"]) -> Float[Tensor, "B 2 V 4 h h"]:
    """The network's output as pictures, not mirrored, in [-1, 1]."""
    return network_space(x.float().cpu()).clamp(-1, 1)


def picture_sheet(batch: ViewBatch, rows: list[tuple[str, Float[Tensor, "B 2 V 4 h h"]]], *, most: int = 4) -> Float[Tensor, "H W 3"]:
    """A contact sheet in [0, 1]: of each set what was given, each of ``rows`` and the truth; colours, then normals; six views side by side.

    Args:
        batch: what was given, and the truth.
        rows: pictures, not mirrored.
        most: sets that are drawn.
    """
    side = batch.clean.shape[-1]
    partial = network_space(batch.condition.cpu())[:, 1, :, 3:6]
    true = clean_of(batch.truth)
    lines: list[Tensor] = []
    for b in range(min(most, len(batch))):
        strips = [partial[b], *(r[b, 1, :, :3] for _, r in rows), true[b, 1, :, :3], *(r[b, 0, :, :3] for _, r in rows), true[b, 0, :, :3]]
        lines += [torch.cat(list((s + 1) / 2), -1) for s in strips]
        lines.append(torch.ones(3, max(2, side // 16), lines[-1].shape[-1]))
    return torch.cat(lines, 1).permute(1, 2, 0).clamp(0, 1)


def baseline_pictures(given: ViewMaps) -> Float[Tensor, "B 2 V 4 h h"]:
    """The baseline's own completion, not mirrored."""
    opacity = 2 * given.prior_alpha[..., None] - 1
    both = [torch.cat([given.prior_normals, opacity], -1), torch.cat([picture_of(given.prior_rgb, given.prior_alpha), opacity], -1)]
    return torch.stack(both, 1).movedim(-1, -3)
