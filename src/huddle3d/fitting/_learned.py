"""The regressor's view of the people of a photo: what it reads, and what it adds to the observations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.fitting._config import FitConfig
from huddle3d.fitting._observations import Observations
from huddle3d.fitting._state import Frame, Variables
from huddle3d.fitting.regressor import MAP, POINTS, Answer, Regressor, Sights, load_regressor, read_regressor
from huddle3d.scene import People2D, Photo

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["Learned", "choose_regressor", "partners", "sights_of"]

_NEAR = 0.35
"""People are looked at together if the gap between their boxes is at most this share of the larger box's longer side."""
_LIKE = 2.0
"""And if their boxes' longer sides differ at most by this factor."""
_MARGIN = 1.05


def choose_regressor(body: BodyModel, config: FitConfig, regressor: Regressor | None = None) -> Regressor | None:
    """The regressor of this fit; None if it is switched off, or for other bodies."""
    if config.weight_regressor <= 0:
        return None
    if regressor is None:
        if body.name != "anny" and not config.regressor_file:
            return None
        regressor = read_regressor(config.regressor_file) if config.regressor_file else load_regressor()
    fits = regressor.model == body.name and max(regressor.joints) < body.num_joints and regressor.shape == body.num_shape
    return regressor if fits else None


def partners(boxes: Float[Tensor, "K 4"]) -> Int[Tensor, "K"]:
    """For each person the one whose box is nearest (of overlapping ones that with the largest common area); -1 if nobody is near."""
    count = len(boxes)
    out = torch.full((count,), -1)
    if count < 2:
        return out
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = (high - low).clamp_min(0).prod(-1)
    gap = (low - high).clamp_min(0).amax(-1)
    side = (boxes[:, 2:] - boxes[:, :2]).amax(-1).clamp_min(1)
    larger, smaller = torch.maximum(side[:, None], side), torch.minimum(side[:, None], side)
    score = common / larger.square() - gap / larger
    score[(gap > _NEAR * larger) | (larger > _LIKE * smaller)] = -torch.inf
    score.fill_diagonal_(-torch.inf)
    best = score.argmax(-1)
    return torch.where(score.gather(1, best[:, None])[:, 0] > -torch.inf, best, out)


def sights_of(photo: Photo, people: People2D, observed: Observations, focal_px: float, other: Int[Tensor, "K"]) -> Sights:
    """What the regressor reads: each person first, ``other`` second (-1: nobody)."""
    count = len(people.names)
    paired = other >= 0
    pair = torch.stack([torch.arange(count), torch.where(paired, other, torch.arange(count))], 1)
    boxes = people.boxes.float().cpu()[pair]
    low, high = boxes[..., :2].amin(1), boxes[..., 2:].amax(1)
    half = ((high - low).amax(-1) / 2).clamp_min(2.0) * _MARGIN
    centre = torch.tensor([photo.width / 2, photo.height / 2])
    middle = (low + high) / 2
    rows = list(POINTS)
    flip = torch.tensor([1.0, -1.0, -1.0])  # view axes to OpenCV
    return Sights(
        ((observed.uv[:, rows] - centre) / focal_px)[pair],
        observed.confidence[:, rows][pair],
        (observed.points3d[:, rows] * flip)[pair],
        observed.points3d_weight[:, rows][pair],
        _maps(people, pair, middle, half),
        torch.cat([(middle - centre) / focal_px, (half / focal_px)[:, None]], -1),
        paired,
    )


def _maps(people: People2D, pair: Int[Tensor, "K 2"], middle: Float[Tensor, "K 2"], half: Float[Tensor, "K"]) -> Float[Tensor, "K 2 s s"]:
    masks = people.masks.cpu()
    height, width = masks.shape[-2:]
    fine = 4 * MAP  # four samples across a pixel of the window
    at = ((torch.arange(fine) + 0.5) / fine * 2 - 1) * half[:, None]
    column, row = (middle[:, :1] + at).floor().long(), (middle[:, 1:] + at).floor().long()
    inside = ((column >= 0) & (column < width))[:, None, :] & ((row >= 0) & (row < height))[:, :, None]
    column, row = column.clamp(0, width - 1), row.clamp(0, height - 1)
    out = torch.stack([masks[pair[k]][:, row[k][:, None], column[k][None]] & inside[k] for k in range(len(pair))]).float()
    return torch.nn.functional.avg_pool2d(out, 4)


@dataclass(frozen=True)
class Learned:
    """What the regressor said of all people of a photo."""

    answer: Answer
    joints: tuple[int, ...]
    """Rows of the pose that are told."""
    other: Int[Tensor, "K"]
    """With whom each person was looked at; -1 = alone."""

    @staticmethod
    def of(regressor: Regressor, photo: Photo, people: People2D, observed: Observations, frame: Frame) -> Learned:
        """Ask it."""
        other = partners(people.boxes.float().cpu())
        return Learned(regressor(sights_of(photo, people, observed, frame.focal_px, other)), regressor.joints, other)

    def pose(self, frame: Frame) -> Float[Tensor, "K F 3"]:
        """Told rotation vectors at the rows of the fit; 0 for joints that are not told (fingers)."""
        pose = torch.zeros(len(self.other), frame.num_joints, 3).index_copy(1, torch.tensor(self.joints), self.answer.pose)
        return pose[:, frame.fit_joints]

    def start(self, frame: Frame, neutral: Variables) -> Variables:
        """The told bodies as a place to begin."""
        root = self.answer.root_view
        depth = (-root[:, 2]).clamp_min(0.3)
        ray = root[:, :2] * torch.tensor([1.0, -1.0]) / depth[:, None]
        low, high = frame.shape_limits.unbind(-1)
        told = frame.neutral_shape - frame.shape_offset + self.answer.shape  # told about the model's own middle
        shape = (told.clamp(low, high) - frame.neutral_shape) * frame.shape_free
        return replace(neutral, R_view_base=self.answer.R_view_root, base_ray=ray, base_depth=depth, pose=self.pose(frame), shape=shape)

    def fused(self, observed: Observations, config: FitConfig) -> Observations:
        """The observations with the told bone directions beside the given ones.

        ``w (1 - b·p) + v (1 - c·p)`` is a constant plus ``(w + v) (1 - m·p)`` with the weighted mean m of both directions; m is shorter than 1
        where they disagree, so that what is unsure pulls less.
        """
        sigma = math.radians(config.direction_sigma_deg)
        told = config.weight_regressor * (sigma / self.answer.bone_sigma.clamp_min(math.radians(config.regressor_sigma_deg))).square()
        weight = observed.bone_weight + told
        mean = (observed.bone_weight[..., None] * observed.bones + told[..., None] * self.answer.bones) / weight[..., None].clamp_min(1e-9)
        return replace(observed, bones=mean, bone_weight=weight)

    def depth_energy(self, root_view: Float[Tensor, "K 3"], config: FitConfig) -> Float[Tensor, ""]:
        """How far each pair's roots are from standing behind each other as told, over the told spread; robust."""
        rows = (self.other >= 0).nonzero()[:, 0]
        if not len(rows):
            return root_view.new_zeros(())
        offset = ((root_view[self.other[rows]] - root_view[rows]) * self.answer.axis[rows]).sum(-1)
        spread = (self.answer.behind_sigma[rows].square() + config.regressor_depth_sigma**2).sqrt()
        ratio = ((offset - self.answer.behind[rows]) / spread).square()
        # both orders of a pair say nearly the same twice
        return 0.5 * config.weight_regressor_depth * (ratio / (1 + ratio / 9)).sum()
