"""One disjoint mask per person, from soft masks, skeletons and the picture's colours (GrabCut, Rother et al. 2004)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from huddle3d.perception._config import PerceiveConfig
from huddle3d.perception._limbs import limb_distance_map

__all__ = ["MaskPrior", "colour_likelihoods", "owners", "person_masks"]


@dataclass(frozen=True)
class MaskPrior:
    """What is known of one person's mask before the colours are looked at."""

    probability: Float[np.ndarray, "height width"]
    """Soft mask in [0, 1]; may cover neighbours."""
    keypoints: Float[np.ndarray, "L 3"]
    """u, v [px] and confidence, in the same picture."""
    scale: float
    """Body scale [px]."""
    given: Bool[np.ndarray, "height width"] | None = None
    """A mask from the user, which stands as it is where nobody else claims the pixel."""


def person_masks(
    image: UInt8[np.ndarray, "height width 3"], priors: Sequence[MaskPrior], config: PerceiveConfig
) -> list[Bool[np.ndarray, "height width"]]:
    """Disjoint masks of all people, in order; a mask may be empty if others cover the person."""
    height, width = image.shape[:2]
    distances = [limb_distance_map(p.keypoints, p.scale, height, width) for p in priors]
    claimed = np.logical_or.reduce([p.given for p in priors if p.given is not None] or [np.zeros((height, width), bool)])
    soft = [p.probability * ~claimed if p.given is None else np.where(p.given, 1.0, 0.0) for p in priors]
    colours = colour_likelihoods(image, soft, distances)
    owner = owners(soft, distances, colours)
    masks = [owner == k for k in range(len(priors))]
    if config.grabcut:
        masks = [
            m if p.given is not None else _grabcut(image, soft[k], distances[k], owner, k, config)
            for k, (p, m) in enumerate(zip(priors, masks, strict=True))
        ]
        masks = _disjoint(masks, soft, distances, colours)
    return [m if p.given is not None else _clean(m, d) for p, m, d in zip(priors, masks, distances, strict=True)]


def owners(
    probabilities: Sequence[Float[np.ndarray, "height width"]],
    distances: Sequence[Float[np.ndarray, "height width"]],
    colours: Sequence[Float[np.ndarray, "height width"]] | None = None,
) -> Int[np.ndarray, "height width"]:
    """Index of the person each pixel belongs to, -1 = nobody.

    A pixel belongs to somebody if any soft mask says so; to whom, the nearest limb and the colours decide: soft masks of people who touch
    cover both.
    """
    scores = np.stack([p * np.exp(-(np.minimum(d, 12.0) ** 2) / 4.5) for p, d in zip(probabilities, distances, strict=True)])
    if colours is not None:
        scores *= np.stack(colours)
        # Single pixels know little of whose they are; their neighbourhood knows more.
        radius = max(1.0, 0.004 * max(scores.shape[1:]))
        scores = np.stack([cv2.GaussianBlur(s.astype(np.float32), (0, 0), radius) for s in scores])
    # Far from all limbs (hair, skirts, bags) the exponential vanishes for all alike; the soft mask then decides alone.
    scores += 1e-3 * np.stack(probabilities)
    owner = scores.argmax(axis=0).astype(np.int16)
    owner[np.max(probabilities, axis=0) < 0.5] = -1
    # A soft mask counts for its own person only where that person is the winner or nobody else is near.
    own = np.take_along_axis(np.stack(probabilities), np.maximum(owner, 0)[None].astype(np.int64), axis=0)[0]
    owner[own < 0.3] = -1
    return owner


def colour_likelihoods(
    image: UInt8[np.ndarray, "height width 3"],
    probabilities: Sequence[Float[np.ndarray, "height width"]],
    distances: Sequence[Float[np.ndarray, "height width"]],
    bins: int = 12,
) -> list[Float[np.ndarray, "height width"]]:
    """How typical each pixel's colour is of each person, in [0.05, 1], relative to the person it is most typical of.

    Each person's colours are learnt where only that person's soft mask is sure, near the limbs; people with few such pixels stay neutral.
    """
    height, width = image.shape[:2]
    lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB)
    cells = (lab.astype(np.int32) * bins) // 256
    index = (cells[..., 0] * bins + cells[..., 1]) * bins + cells[..., 2]
    likelihoods: list[np.ndarray | None] = []
    for k, (p, d) in enumerate(zip(probabilities, distances, strict=True)):
        rivals = [q for j, q in enumerate(probabilities) if j != k]
        alone = np.max(rivals, axis=0) < 0.3 if rivals else np.ones((height, width), bool)
        own = (p > 0.8) & (d < 1.5) & alone
        if own.sum() < 0.0005 * height * width:
            likelihoods.append(None)
            continue
        histogram = np.bincount(index[own], minlength=bins**3).reshape(bins, bins, bins).astype(np.float32)
        smooth = cv2.GaussianBlur(histogram.reshape(bins, bins * bins), (1, 3), 0.8).reshape(bins, bins, bins)
        smooth = np.stack([cv2.GaussianBlur(plane, (3, 3), 0.8) for plane in smooth])
        likelihoods.append((smooth / smooth.sum()).reshape(-1)[index])
    known = [x for x in likelihoods if x is not None]
    if len(known) < 2:
        return [np.ones((height, width), np.float32) for _ in likelihoods]
    best = np.maximum(np.max(known, axis=0), 1e-5)
    middle = np.full((height, width), 0.3, np.float32)
    return [middle if x is None else np.clip(x / best, 0.05, 1).astype(np.float32) for x in likelihoods]


def _disjoint(
    masks: Sequence[Bool[np.ndarray, "h w"]],
    probabilities: Sequence[Float[np.ndarray, "h w"]],
    distances: Sequence[Float[np.ndarray, "h w"]],
    colours: Sequence[Float[np.ndarray, "h w"]],
) -> list[Bool[np.ndarray, "h w"]]:
    owner = owners([np.maximum(p, 0.5) * m for m, p in zip(masks, probabilities, strict=True)], distances, colours)
    return [owner == k for k in range(len(masks))]


def _grabcut(
    image: UInt8[np.ndarray, "height width 3"],
    probability: Float[np.ndarray, "height width"],
    distance: Float[np.ndarray, "height width"],
    owner: Int[np.ndarray, "height width"],
    index: int,
    config: PerceiveConfig,
) -> Bool[np.ndarray, "height width"]:
    """One person against everything else, other people included, inside a window around them."""
    mine = owner == index
    window = _window(mine, 0.15)
    if window is None:
        return mine
    x0, y0, x1, y1 = window
    cut = np.s_[y0:y1, x0:x1]
    factor = min(1.0, config.grabcut_side / max(x1 - x0, y1 - y0))
    size = (max(8, round((x1 - x0) * factor)), max(8, round((y1 - y0) * factor)))
    p, d, own = (cv2.resize(np.ascontiguousarray(a[cut], np.float32), size, interpolation=cv2.INTER_AREA) for a in (probability, distance, mine))
    other = cv2.resize(((owner[cut] >= 0) & ~mine[cut]).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    labels = np.full(p.shape, cv2.GC_PR_BGD, np.uint8)
    labels[own > 0.5] = cv2.GC_PR_FGD
    labels[(p < 0.05) | other & (p < 0.95)] = cv2.GC_BGD
    labels[(p > 0.8) & (own > 0.99) & (d < 0.5)] = cv2.GC_FGD
    small = cv2.resize(np.ascontiguousarray(image[cut]), size, interpolation=cv2.INTER_AREA)
    if not ((labels == cv2.GC_FGD).any() and (labels == cv2.GC_BGD).any()):
        return mine
    cv2.setRNGSeed(0)
    labels, _, _ = cv2.grabCut(small, labels, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), config.grabcut_rounds, cv2.GC_INIT_WITH_MASK)
    sharp = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.float32)
    # Colours that foreground and background share make GrabCut drop or add whole parts; the soft mask then knows better.
    sharp = np.where(p > 0.97, np.maximum(sharp, own), sharp) * (p > 0.1)
    result = np.zeros(mine.shape, bool)
    result[cut] = cv2.resize(sharp.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR) > 0.5
    overlap = (result & mine).sum() / max((result | mine).sum(), 1)
    return result if overlap > 0.5 else mine


def _window(mask: Bool[np.ndarray, "height width"], margin: float) -> tuple[int, int, int, int] | None:
    ys, xs = np.nonzero(mask)
    if len(xs) < 16:
        return None
    pad = 4 + int(margin * max(np.ptp(xs), np.ptp(ys)))
    x0, y0, x1, y1 = int(xs.min()) - pad, int(ys.min()) - pad, int(xs.max()) + 1 + pad, int(ys.max()) + 1 + pad
    return max(0, x0), max(0, y0), min(mask.shape[1], x1), min(mask.shape[0], y1)


def _clean(mask: Bool[np.ndarray, "height width"], distance: Float[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Drops islands that lie off the skeleton or are tiny, so that a mask is one person and no confetti."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    on_body = np.isin(np.arange(count), labels[mask & (distance < 0.6)])
    keep = (areas > 0.005 * areas.sum()) & on_body | (areas > 0.2 * areas.sum())
    return keep[labels] & mask
