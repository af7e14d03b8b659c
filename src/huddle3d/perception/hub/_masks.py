"""One disjoint mask per person by a promptable network (SAM, SAM 2): boxes, then points, then hands and feet (HUG3D section 3.1, RoBUDDI).

The paper gives the order of the steps and no thresholds; the numbers here are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from huddle3d.perception.hub._assign import assign_masks, merge_duplicates
from huddle3d.perception.hub._load import Loaded
from huddle3d.perception.hub._pixels import Placement, prepare
from huddle3d.perception.hub._prompts import Points, extremities_outside, points_for

__all__ = ["PersonPrompt", "segment_people"]

_SURE = 0.5
"""Confidence of a key point that may speak for or against a mask."""
_PAD = -10
"""Label of a point that is none."""


@dataclass(frozen=True)
class PersonPrompt:
    """What is known of one person before the masks, in pixels of the picture."""

    box: Float[np.ndarray, "4"]
    """xyxy."""
    keypoints: Float[np.ndarray, "L 3"]
    """The landmark table: u, v, confidence."""


@dataclass(frozen=True)
class Segmentation:
    """Masks of all people."""

    masks: list[Bool[np.ndarray, "height width"] | None]
    """Disjoint; None for a person to whom none of the network's masks belongs."""
    notes: list[str] = field(default_factory=list)
    """What was unsure, in words; people are counted from 1."""


class _Segmenter:
    """A picture that the network has looked at, ready for prompts."""

    def __init__(self, image: UInt8[np.ndarray, "height width 3"], network: Loaded, batch: int) -> None:
        self.network, self.batch = network, batch
        pixels, self.placement = prepare(image, network.recipe)
        with torch.inference_mode():
            embedding = network.model.get_image_embeddings(network.pixels(pixels[None]))
        # SAM gives one map, SAM 2 a list from fine to coarse.
        self.maps: list[Tensor] = list(embedding) if isinstance(embedding, list | tuple) else [embedding]
        self.is_pyramid = isinstance(embedding, list | tuple)

    def __call__(
        self,
        *,
        boxes: Float[np.ndarray, "P 4"] | None = None,
        points: Sequence[Points] | None = None,
        logits: Float[Tensor, "P h w"] | None = None,
        choices: bool = True,
    ) -> tuple[Float[Tensor, "P m h w"], Float[Tensor, "P m"]]:
        """Low-resolution logits of the m candidates of each prompt, and the IoU that the network expects of them."""
        count = len(boxes) if boxes is not None else len(points or ())
        parts = [self._ask(slice(k, min(k + self.batch, count)), boxes, points, logits, choices) for k in range(0, count, self.batch)]
        return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])

    def _ask(
        self,
        rows: slice,
        boxes: Float[np.ndarray, "P 4"] | None,
        points: Sequence[Points] | None,
        logits: Float[Tensor, "P h w"] | None,
        choices: bool,
    ) -> tuple[Tensor, Tensor]:
        device, dtype = self.network.device, self.network.dtype
        count = rows.stop - rows.start
        maps = [m.expand(count, *m.shape[1:]) for m in self.maps]
        prompt: dict[str, Tensor] = {}
        if boxes is not None:
            prompt["input_boxes"] = self._pixels(boxes[rows].reshape(-1, 2, 2)).reshape(count, 1, 4)
        if points is not None:
            coordinates, labels = _padded(points[rows])
            prompt["input_points"] = self._pixels(coordinates)[:, None]
            prompt["input_labels"] = torch.from_numpy(labels)[:, None].to(device)
        if logits is not None:
            prompt["input_masks"] = logits[rows, None].to(device, dtype).clamp(-32, 32)
        with torch.inference_mode():
            out = self.network.model(image_embeddings=maps if self.is_pyramid else maps[0], multimask_output=choices, **prompt)
        return out.pred_masks[:, 0].float().cpu(), out.iou_scores[:, 0].float().cpu()

    def _pixels(self, points: Float[np.ndarray, "*n 2"]) -> Tensor:
        # The networks count pixel centres from 0 and add the half themselves.
        return torch.from_numpy(self.placement.to_network(points) - 0.5).to(self.network.device, self.network.dtype)


def segment_people(
    image: UInt8[np.ndarray, "height width 3"], people: Sequence[PersonPrompt], network: Loaded, *, passes: int = 2, batch: int = 8
) -> Segmentation:
    """Masks of all people of a picture.

    1. Each box gives candidates; the one that holds the person's own points and nobody else's is taken, with the network's own estimate.
    2. Masks that are one and the same thing are merged; the rest is given to people by their heads and feet (Hungarian assignment).
    3. ``passes`` times: each person is asked for again with own points for, the others' points against, and the mask so far.
    4. In the last pass, hands and feet that are still outside their mask are asked for alone and added.
    5. A pixel that several masks want goes to the one that is surest of it.

    Args:
        image: sRGB bytes.
        people: boxes and key points.
        network: for the task "masks".
        passes: rounds of points; 0 = boxes alone.
        batch: prompts at once.
    """
    if not people:
        return Segmentation([])
    segmenter = _Segmenter(image, network, batch)
    tables = [p.keypoints for p in people]
    boxes = np.stack([p.box for p in people])
    masks, scores = segmenter(boxes=boxes)
    low = torch.stack([masks[k, _best(masks[k], scores[k], k, tables, segmenter.placement)] for k in range(len(people))])
    quality = torch.stack([scores[k].max() for k in range(len(people))]).numpy()
    full = segmenter.placement.map_to_picture(low).numpy()
    kept = merge_duplicates([m > 0 for m in full], quality)
    owner = assign_masks([full[m] > 0 for m in kept], tables)
    chosen = [kept[m] if m is not None else None for m in owner]
    start = torch.stack([low[m] if m is not None else torch.full_like(low[0], -8.0) for m in chosen])
    found = [m is not None for m in chosen]
    for step in range(passes):
        start, found = _refine(segmenter, start, found, boxes, tables)
        if step == passes - 1:
            start = _with_extremities(segmenter, start, tables)
    full = segmenter.placement.map_to_picture(start).numpy()
    notes = [f"No mask of '{network.name}' belongs to person {k + 1}: it is grown from key points." for k, ok in enumerate(found) if not ok]
    return Segmentation(_disjoint(full, found), notes)


def _best(masks: Tensor, scores: Tensor, person: int, tables: Sequence[np.ndarray], placement: Placement) -> int:
    """The candidate that explains the person's points best; the network's estimate decides among equals."""
    full = placement.map_to_picture(masks).numpy() > 0
    return int(np.argmax([s + _worth(m, person, tables) for m, s in zip(full, scores.tolist(), strict=True)]))


def _worth(mask: Bool[np.ndarray, "height width"], person: int, tables: Sequence[np.ndarray]) -> float:
    """Share of the person's points in a mask, less the largest share of another's."""
    others = (points_share(mask, t, tables[person]) for j, t in enumerate(tables) if j != person)
    return points_share(mask, tables[person]) - max(others, default=0.0)


def points_share(mask: Bool[np.ndarray, "height width"], table: Float[np.ndarray, "L 3"], apart_from: np.ndarray | None = None) -> float:
    """Share of a person's sure body points that lie in a mask; of those only that are not also beside the points of ``apart_from``."""
    body = table[:17]
    sure = body[:, 2] >= _SURE
    if apart_from is not None:
        near = apart_from[:17][apart_from[:17, 2] >= _SURE, :2]
        reach = 0.06 * float(np.ptp(body[sure, :2], axis=0).max(initial=1.0)) if sure.any() else 0.0
        if len(near):
            sure = sure & (np.linalg.norm(body[:, None, :2] - near[None], axis=-1).min(-1) > reach)
    if not sure.any():
        return 0.0
    cells = np.clip(body[sure, :2].astype(int), 0, np.array(mask.shape)[::-1] - 1)
    return float(mask[cells[:, 1], cells[:, 0]].mean())


def _refine(segmenter: _Segmenter, low: Tensor, found: list[bool], boxes: np.ndarray, tables: Sequence[np.ndarray]) -> tuple[Tensor, list[bool]]:
    """One round of points. A new mask is taken only if it explains the person's points at least as well as the old one."""
    prompts = [points_for(k, tables) for k in range(len(tables))]
    masks = low[:, None].clone()
    for known in (True, False):  # a mask "so far" that is nobody's would tell the network that nothing is there
        rows = [k for k, f in enumerate(found) if f is known]
        if rows:
            masks[rows] = segmenter(boxes=boxes[rows], points=[prompts[k] for k in rows], logits=low[rows] if known else None, choices=False)[0]
    old = segmenter.placement.map_to_picture(low).numpy() > 0
    new = segmenter.placement.map_to_picture(masks[:, 0]).numpy() > 0
    out, good = low.clone(), list(found)
    for k in range(len(tables)):
        if new[k].any() and (_worth(new[k], k, tables) >= _worth(old[k], k, tables) if found[k] else _worth(new[k], k, tables) > 0.3):
            out[k], good[k] = masks[k, 0], True
    return out, good


def _with_extremities(segmenter: _Segmenter, low: Tensor, tables: Sequence[np.ndarray]) -> Tensor:
    """Hands and feet outside their person's mask, each asked for alone; added where the answer is as small as a hand or foot may be."""
    full = segmenter.placement.map_to_picture(low).numpy() > 0
    asked = [(k, e) for k in range(len(tables)) for e in extremities_outside(full[k], k, tables)]
    if not asked:
        return low
    masks, scores = segmenter(boxes=np.stack([e.window for _, e in asked]), points=[e.points for _, e in asked])
    out = low.clone()
    for row, (k, e) in enumerate(asked):
        pieces = segmenter.placement.map_to_picture(masks[row]).numpy() > 0
        x, y = np.clip(e.points.coordinates[0].astype(int), 0, np.array(full.shape[:0:-1]) - 1)
        fits = [i for i, p in enumerate(pieces) if p[y, x] and p.sum() <= 1.5 * e.area]
        if fits:
            best = max(fits, key=lambda i: float(scores[row, i]))
            out[k] = torch.maximum(out[k], masks[row, best])
            for j in range(len(tables)):  # what one person gains there, another loses
                if j != k:
                    out[j] = torch.where(masks[row, best] > 0, torch.minimum(out[j], -masks[row, best].abs()), out[j])
    return out


def _disjoint(logits: Float[np.ndarray, "K height width"], found: Sequence[bool]) -> list[Bool[np.ndarray, "height width"] | None]:
    usable = np.where(np.array(found)[:, None, None], logits, -np.inf)
    owner = usable.argmax(0)
    return [(logits[k] > 0) & (owner == k) if found[k] else None for k in range(len(logits))]


def _padded(points: Sequence[Points]) -> tuple[Float[np.ndarray, "P n 2"], np.ndarray]:
    """Prompts of one length; what is filled up is marked as no point."""
    longest = max(1, *(len(p.labels) for p in points))
    coordinates, labels = np.zeros((len(points), longest, 2)), np.full((len(points), longest), _PAD, np.int32)
    for row, p in enumerate(points):
        coordinates[row, : len(p.labels)], labels[row, : len(p.labels)] = p.coordinates, p.labels
    return coordinates, labels
