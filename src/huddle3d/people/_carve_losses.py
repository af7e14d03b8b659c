"""Loss terms of HUG-GR: normals of group and instances, outlines, and depth order where the photo contradicts it (HUG3D eqs. 5, 6, 8)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.people._views import group_mesh
from huddle3d.render import instance_ids, rasterize

__all__ = ["DepthOrder", "depth_order", "normal_loss", "shrink_views"]


def normal_loss(target: Float[Tensor, "N H W 3"], rendered: Float[Tensor, "N H W 3"], valid: Bool[Tensor, "N H W"]) -> Float[Tensor, ""]:
    """``Σ_views mean_valid (1 - <target, rendered>)`` (eq. 6; the paper leaves the mean over pixels open). A view without valid pixels counts 0."""
    missing = (1 - (target * rendered).sum(-1)) * valid
    return (missing.sum((-2, -1)) / valid.sum((-2, -1)).clamp_min(1)).sum()


def shrink_views(image: Float[Tensor, "*n H W c"], size: int) -> Float[Tensor, "*n size size c"]:
    """Area-averaged pictures of side ``size``; larger than they are, their pixels are repeated."""
    lead, (h, w, c) = image.shape[:-3], image.shape[-3:]
    flat = image.reshape(-1, h, w, c).permute(0, 3, 1, 2)
    return torch.nn.functional.interpolate(flat, size=(size, size), mode="area").permute(0, 2, 3, 1).reshape(*lead, size, size, c)


@dataclass(frozen=True)
class DepthOrder:
    """Pixels whose mask belongs to one person while another person's surface lies in front: pairs of surface points, frozen.

    The paper's L_vis (eqs. 8, S16) counts such pixels, and a count has no gradient. This is its hinge: each wrong pixel pulls the two
    points on its ray into the right order, divided as in the paper by the body part's visible pixels and by the number of parts and people.
    """

    corners: Int[Tensor, "n 2 3"]
    """Rows in ``vertices.reshape(-1, 3)``: of the person that should be seen, and of the one in front."""
    bary: Float[Tensor, "n 2 3"]
    share: Float[Tensor, "n"]
    """``1 / (K B (M + 1))``."""
    row: Float[Tensor, "4"]
    """Gives camera z [m] of a point."""
    scale: float
    """Depth error [m] that costs as much as one wrong pixel of the paper."""

    def loss(self, vertices: Float[Tensor, "K V 3"]) -> Float[Tensor, ""]:
        """The hinge at new vertices."""
        points = (vertices.reshape(-1, 3)[self.corners] * self.bary[..., None]).sum(-2)
        z = points @ self.row[:3] + self.row[3]
        return (torch.nn.functional.softplus((z[:, 0] - z[:, 1]) / self.scale) * self.share).sum()


def depth_order(
    masks: Bool[Tensor, "K H W"],
    camera: Camera,
    vertices: Float[Tensor, "K V 3"],
    faces: Int[Tensor, "F 3"],
    regions: Int[Tensor, "V"],
    *,
    max_side: int = 320,
    reach: float = 0.15,
    scale: float = 0.01,
) -> DepthOrder:
    """Find the pixels in the wrong depth order.

    Args:
        masks: visible pixels of each person.
        camera: the input camera in the frame of ``vertices``, metric depth.
        vertices: of all people.
        faces: of one body.
        regions: body part of each vertex (the B parts of the paper, whose number it does not give).
        max_side: the photo is looked at in this size [px].
        reach: larger depth errors [m] are left alone: no local deformation mends a wrongly placed body.
        scale: see :class:`DepthOrder`.
    """
    shrink = min(1.0, max_side / max(camera.width, camera.height))
    small = camera.resized(max(1, round(camera.width * shrink)), max(1, round(camera.height * shrink)))
    centre = (small.pixel_centres() / shrink).long()
    owned = masks[:, centre[..., 1].clamp_max(masks.shape[1] - 1), centre[..., 0].clamp_max(masks.shape[2] - 1)]
    moved, V, K = vertices.detach(), vertices.shape[1], len(vertices)
    merged, merged_faces, owner_of_face = group_mesh(moved, faces)
    front = rasterize(merged, merged_faces, small)
    ids = instance_ids(front, owner_of_face)[0]
    parts = int(regions.max()) + 1
    corners, barys, shares = [], [], []
    for k in range(K):
        alone = rasterize(moved[k], faces, small)
        region = regions[faces[alone.face_id[0].clamp_min(0).long(), 0]]
        visible = owned[k] & (alone.face_id[0] >= 0)
        count = torch.bincount(region[visible], minlength=parts)
        wrong = visible & (ids >= 0) & (ids != k) & (alone.depth[0] - front.depth[0] < reach)
        here = faces[alone.face_id[0][wrong].long()] + k * V
        there = merged_faces[front.face_id[0][wrong].long()]
        corners.append(torch.stack([here, there], 1))
        barys.append(torch.stack([alone.bary[0][wrong], front.bary[0][wrong]], 1))
        shares.append(1 / (K * parts * (count[region[wrong]] + 1)))
    return DepthOrder(torch.cat(corners), torch.cat(barys), torch.cat(shares), small.T_cam_world[2], scale)
