"""Masks against the rendered bodies: two people's masks exchanged, and parts of a mask that lie on somebody else's body."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.people.identity._changes import IdentityChange
from huddle3d.people.identity._rendered_ids import RenderedIds, grown, looked_up
from huddle3d.perception.hub import anchors_held, assign_masks
from huddle3d.scene import People2D
from huddle3d.scene.landmarks import BODY

__all__ = ["MaskRules", "exchange_masks", "move_parts"]

_SURE = 0.3
"""Confidence from which a key point holds on to the pixels around it."""


@dataclass(frozen=True)
class MaskRules:
    """When pixels are taken away from a person."""

    anchors: float = 0.5
    """How much more of the anchors (head and feet) exchanged masks must hold, summed over the people."""
    margin: float = 0.06
    """Pixels within this distance [m] of a person's own body stay: clothes and hair are wider than bodies."""
    least: float = 0.025
    """Smallest part that is moved, in shares of what the other body would show alone."""


def exchange_masks(people: People2D, seen: RenderedIds, rules: MaskRules, number: int) -> tuple[People2D, list[IdentityChange]]:
    """The people with the masks that hold their bodies' visible heads and feet, and whose masks were exchanged; people without a mask take no part.

    Args:
        people: as observed.
        seen: the bodies fitted to them.
        rules: thresholds.
        number: of the round, for the changes.
    """
    masks = people.masks.cpu().numpy()
    rows = [k for k in range(len(masks)) if masks[k].any()]
    visible = torch.cat([seen.joints, seen.in_front[..., None].float()], -1).numpy()
    own, tables = [masks[k] for k in rows], [visible[k] for k in rows]
    taken = assign_masks(own, tables)
    if sorted(t for t in taken if t is not None) != list(range(len(rows))):
        return people, []
    swapped = [i for i, t in enumerate(taken) if t != i]
    gain = sum(anchors_held(own[taken[i]], tables[i]) - anchors_held(own[i], tables[i]) for i in swapped)  # type: ignore[index]
    if not swapped or gain < rules.anchors:
        return people, []
    out, boxes = people.masks.clone(), people.boxes.clone()
    changes = []
    for i in swapped:
        person, source = rows[i], rows[taken[i]]  # type: ignore[index]
        out[person] = people.masks[source]
        boxes[person] = box_around(out[person], people.keypoints[person], people.boxes[person])
        changes.append(IdentityChange(number, people.names[person], "mask", "exchanged", people.names[source], "mask", int(out[person].sum())))
    return replace(people, masks=out, boxes=boxes), changes


def move_parts(people: People2D, seen: RenderedIds, rules: MaskRules, number: int) -> tuple[People2D, list[IdentityChange]]:
    """The people with those parts of masks given away that lie on another's body alone, and what was given.

    A part must be beside that one's mask, and hold no sure key point of the person who had it; one that does is named, and left.

    Args:
        people: as observed.
        seen: the bodies fitted to them.
        rules: thresholds.
        number: of the round, for the changes.
    """
    small = _shrunk(people.masks.cpu(), seen.ids.shape)
    out, boxes = people.masks.clone(), people.boxes.clone()
    changes = []
    for a in range(len(small)):
        beyond = small[a] & ~grown(seen.alone[a], seen.reach(rules.margin, a))
        for b in range(len(small)):
            if a == b or not bool(small[a].any()) or not bool(small[b].any()):
                continue
            least = rules.least * float(seen.alone[b].sum())
            for part in _connected(beyond & (seen.ids == b)):
                if float(part.sum()) < least or not bool((grown(part, 2) & small[b]).any()):
                    continue
                pixels = out[a] & _enlarged(part, out.shape[1:]).to(out.device)
                held = _holds(part, people.keypoints[a], seen.scale)
                change = IdentityChange(
                    number, people.names[a], "part of the mask", "left" if held else "given", people.names[b], "", int(pixels.sum())
                )
                changes.append(change)
                if not held:
                    out[a] &= ~pixels
                    out[b] |= pixels
    moved = {n for c in changes if c.action == "given" for n in (c.person, c.other)}
    for k, name in enumerate(people.names):
        if name in moved:
            boxes[k] = box_around(out[k], people.keypoints[k], people.boxes[k])
    return (replace(people, masks=out, boxes=boxes) if moved else people), changes


def _connected(mask: Bool[Tensor, "h w"]) -> list[Bool[Tensor, "h w"]]:
    """The connected parts of a mask."""
    count, labels = cv2.connectedComponents(mask.numpy().astype(np.uint8), connectivity=4)
    return [torch.from_numpy(labels == k) for k in range(1, count)]


def _holds(part: Bool[Tensor, "h w"], keypoints: Float[Tensor, "L 3"], scale: float) -> bool:
    """Whether a sure body key point lies in the part."""
    points = keypoints[BODY].float().cpu()
    return bool((looked_up(grown(part, 1), points[:, :2] * scale) & (points[:, 2] > _SURE)).any())


def _shrunk(masks: Bool[Tensor, "K H W"], size: torch.Size) -> Bool[Tensor, "K h w"]:
    if not len(masks):
        return masks
    return torch.nn.functional.interpolate(masks[:, None].float(), size=tuple(size), mode="area")[:, 0] > 0.5


def _enlarged(part: Bool[Tensor, "h w"], size: torch.Size) -> Bool[Tensor, "H W"]:
    return torch.nn.functional.interpolate(part[None, None].float(), size=tuple(size), mode="bilinear", align_corners=False)[0, 0] > 0.5


def box_around(mask: Bool[Tensor, "H W"], keypoints: Float[Tensor, "L 3"], old: Float[Tensor, "4"]) -> Float[Tensor, "4"]:
    """Box xyxy [px] around a mask and the sure key points, inside the photo; the old one if there are neither."""
    ys, xs = np.nonzero(mask.cpu().numpy())
    corners = [keypoints[keypoints[:, 2] > _SURE, :2].float().cpu().numpy()]
    if len(xs):
        corners.append(np.array([[xs.min(), ys.min()], [xs.max() + 1, ys.max() + 1]], np.float32))
    points = np.concatenate(corners)
    if not len(points):
        return old
    low, high = points.min(0), points.max(0)
    box = np.clip(np.concatenate([low, high]), 0, [mask.shape[1], mask.shape[0]] * 2)
    return torch.from_numpy(box.astype(np.float32)).to(old)
