"""What the photo says about each person's outline, in a square window around that person."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.people._filters import distance_to, fill_background
from huddle3d.people._frame import person_crops
from huddle3d.render import rasterize

__all__ = ["CropTargets", "crop_targets", "cut", "hidden_by_others", "mask_points"]


@dataclass(frozen=True)
class CropTargets:
    """Outlines to match, one window of ``size``² per person."""

    cameras: Camera
    """Batch of K windows of the input camera."""
    windows: tuple[tuple[int, int, int], ...]
    """``(x0, y0, side)`` of each window in the photo [px]."""
    coverage: Float[Tensor, "K size size"]
    """Share of each pixel that the person covers."""
    weight: Float[Tensor, "K size size"]
    """0 where the photo does not tell: outside the picture, behind a nearer person, and where mask and body are too far apart to be the same
    outline (the body behind a table or a motorcycle, a mask that also covers a bag)."""
    trust: Float[Tensor, "K"]
    """1 where body and mask agree as a dressed body does, falling to 0.2 where they overlap so badly that the mask, or the body, is another's."""


def cut(image: Float[Tensor, "c H W"], window: tuple[int, int, int], size: int) -> Float[Tensor, "c size size"]:
    """A square window of an image (zero outside of it), area-averaged to ``size``."""
    x0, y0, side = window
    c, height, width = image.shape
    out = image.new_zeros(c, side, side)
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x0 + side, width), min(y0 + side, height)
    if right > left and bottom > top:
        out[:, top - y0 : bottom - y0, left - x0 : right - x0] = image[:, top:bottom, left:right]
    return torch.nn.functional.interpolate(out[None], size=(size, size), mode="area")[0]


def hidden_by_others(
    masks: Bool[Tensor, "K H W"], camera: Camera, vertices: Float[Tensor, "K V 3"], faces: Tensor, slack: float = 0.05
) -> Bool[Tensor, "K H W"]:
    """Pixels of another person's mask where that person's body is nearer, or as near within ``slack`` [m]: there a person may be present unseen."""
    shrink = min(1.0, 384 / max(camera.width, camera.height))
    small = camera.resized(max(1, round(camera.width * shrink)), max(1, round(camera.height * shrink)))
    depth = torch.stack([fill_background(rasterize(person, faces, small).depth[0]) for person in vertices])
    depth = torch.nn.functional.interpolate(depth[None], size=masks.shape[1:], mode="nearest")[0]
    owner = masks.int().argmax(0)
    front = torch.gather(depth, 0, owner[None])[0]
    other = masks.any(0) & ~masks
    return other & (front < depth + slack)


def crop_targets(
    masks: Bool[Tensor, "K H W"],
    camera: Camera,
    vertices: Float[Tensor, "K V 3"],
    faces: Tensor,
    size: int,
    *,
    slack: float = 0.05,
    outward: float = 0.08,
    inward: float = 0.03,
) -> CropTargets:
    """Targets of all people.

    Args:
        masks: visible pixels of each person; disjoint.
        camera: the input camera in the frame of ``vertices``, metric depth.
        vertices: bodies.
        faces: faces of one body.
        size: side of a window [px].
        slack: depth by which another body may lie behind and still count as hiding [m]: fitted depths are no better than this.
        outward: distance [m] from the body within which its mask is believed.
        inward: distance [m] from the mask within which its absence is believed.
    """
    K = len(masks)
    outline = [mask_points(mask, camera, person) for mask, person in zip(masks, vertices)]
    cameras, windows = person_crops(camera, torch.stack(outline), size)
    hidden = hidden_by_others(masks, camera, vertices, faces, slack)
    told = torch.stack([masks.float(), (~hidden).float()], 1)
    cuts = torch.stack([cut(told[k], windows[k], size) for k in range(K)])
    coverage, told_here = cuts[:, 0], cuts[:, 1] > 0.999
    body = rasterize(vertices, faces, cameras).face_id >= 0
    trust = _trust(coverage, body, told_here)
    for k in range(K):
        metres_per_px = float(camera.project(vertices[k])[1].median() / cameras.K[k, 0, 0])
        far_mask = (coverage[k] > 0.5) & (distance_to(body[k]) * metres_per_px > outward)
        far_body = body[k] & (distance_to(coverage[k] > 0.5) * metres_per_px > inward)
        told_here[k] &= ~(far_mask | far_body)
    return CropTargets(cameras, tuple(windows), coverage, told_here.float(), trust)


def _trust(coverage: Float[Tensor, "K s s"], body: Bool[Tensor, "K s s"], told: Bool[Tensor, "K s s"]) -> Float[Tensor, "K"]:
    """From the intersection over union where the photo tells: a naked body and its dressed mask reach 0.75 even in a skirt, a wrong mask about 0.5."""
    shared = (torch.minimum(coverage, body.float()) * told).sum((-2, -1))
    union = (torch.maximum(coverage, body.float()) * told).sum((-2, -1)).clamp_min(1)
    return ((shared / union - 0.5) / 0.2).clamp(0.2, 1)


def mask_points(mask: Bool[Tensor, "H W"], camera: Camera, person: Float[Tensor, "V 3"]) -> Float[Tensor, "n 3"]:
    """The body and the corners of its mask's box, as points in front of the camera (so that a window shows both)."""
    depth = camera.project(person)[1].median()
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    if len(rows) == 0:
        return torch.cat([person, person[:2]])
    corners = torch.tensor([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]]).to(person)
    return torch.cat([person, camera.unproject(corners, depth.expand(2))])
