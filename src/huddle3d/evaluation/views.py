"""Orthographic pictures of the group and of each person at four azimuths relative to the photo's camera, and the measures on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.evaluation.images import normal_l2, psnr, ssim
from huddle3d.geometry import Camera, look_at, vertex_normals
from huddle3d.scene import PersonMesh

__all__ = ["ImageMetrics", "evaluation_cameras", "image_metrics"]


@dataclass(frozen=True)
class ImageMetrics:
    """Means over four orthographic views (0, 90, 180, 270° from the photo's camera). Colours are unshaded on white."""

    normal_l2: float
    """Mean squared normal error, see :func:`huddle3d.evaluation.images.normal_l2`."""
    psnr_db: float
    """Peak signal-to-noise ratio [dB] of the whole picture."""
    ssim: float
    """Structural similarity of the whole picture."""
    occluded_normal_l2: float
    """As ``normal_l2``, on what the others hide: pixels of a person under another's true silhouette; NaN if nothing is hidden."""
    occluded_psnr_db: float
    """As ``psnr_db``, on the same pixels; NaN if nothing is hidden."""
    occluded_ssim: float
    """As ``ssim``, on the same pixels; NaN if nothing is hidden."""


@dataclass(frozen=True)
class _Views:
    normals: Float[Tensor, "n height width 3"]
    colours: Float[Tensor, "n height width 3"]
    masks: Bool[Tensor, "n height width"]
    depth: Float[Tensor, "n height width"]


def evaluation_cameras(vertices: Float[Tensor, "v 3"], camera: Camera | None, *, size: int = 512) -> Camera:
    """Four orthographic cameras around the box of ``vertices`` [m], at the elevation 0; the first looks as the photo's ``camera`` does.

    Without a camera the first view looks along world -z. A camera that looks straight down has no azimuth; world -z is used then, too.
    """
    centre = (vertices.amin(0) + vertices.amax(0)) / 2
    extent = float((vertices.amax(0) - vertices.amin(0)).norm()) / 2 * 1.02
    azimuth = 0.0
    if camera is not None:
        back = -camera.T_world_cam[:3, 2]
        azimuth = math.atan2(float(back[0]), float(back[2])) if float(back[[0, 2]].norm()) > 1e-4 else 0.0
    a = azimuth + torch.arange(4, dtype=torch.float64) * (math.pi / 2)
    c = centre.double().cpu()
    eye = c + 3 * extent * torch.stack([a.sin(), torch.zeros_like(a), a.cos()], -1)
    return Camera.orthographic(extent, size, size, look_at(eye, c.expand_as(eye)).to(vertices.dtype)).to(vertices.device)


def _render(mesh: PersonMesh, cameras: Camera) -> _Views:
    from huddle3d.render import interpolate, rasterize, texture_lookup

    raster = rasterize(mesh.vertices, mesh.faces, cameras)
    hit = raster.face_id >= 0
    normals = torch.nn.functional.normalize(interpolate(raster, mesh.faces, vertex_normals(mesh.vertices, mesh.faces)), dim=-1)
    colours = texture_lookup(raster, mesh.uv, mesh.faces_uv, mesh.texture)
    on = hit[..., None]
    depth = torch.where(hit, raster.depth, torch.inf)
    return _Views(torch.where(on, normals, 0.0), torch.where(on, colours, 1.0), hit, depth)


def _compose(people: Sequence[_Views]) -> _Views:
    """The group's pictures: the nearest person wins each pixel."""
    owner = torch.stack([v.depth for v in people]).argmin(0)

    def pick(name: str) -> Tensor:
        stack = torch.stack([getattr(v, name) for v in people])
        index = owner.reshape(1, *owner.shape, *[1] * (stack.ndim - 4)).expand(1, *stack.shape[1:])
        return stack.gather(0, index)[0]

    return _Views(pick("normals"), pick("colours"), pick("masks"), pick("depth"))


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return math.fsum(known) / len(known) if known else math.nan


def _compare(p: _Views, t: _Views, hidden: Bool[Tensor, "n height width"] | None) -> ImageMetrics:
    whole: list[tuple[float, float, float]] = []
    occluded: list[tuple[float, float, float]] = []
    for k in range(len(t.masks)):
        whole.append((normal_l2(p.normals[k], t.normals[k]), psnr(p.colours[k], t.colours[k]), ssim(p.colours[k], t.colours[k])))
        if hidden is not None and bool(hidden[k].any()):
            h = hidden[k]
            values = (normal_l2(p.normals[k], t.normals[k], h), psnr(p.colours[k], t.colours[k], h), ssim(p.colours[k], t.colours[k], h))
            occluded.append(values)
    return ImageMetrics(*(_mean([w[i] for w in whole]) for i in range(3)), *(_mean([o[i] for o in occluded]) for i in range(3)))


def image_metrics(
    predicted: Sequence[PersonMesh], truth: Sequence[PersonMesh], *, camera: Camera | None = None, size: int = 512
) -> tuple[ImageMetrics, tuple[ImageMetrics, ...]]:
    """Picture measures of the group and of each person alone (entry k of both sequences is the same person).

    The occluded measures follow the paper: pixels of person i, rendered alone, that lie under another's silhouette in that view. The group's are
    the means over its people.
    """
    cameras = evaluation_cameras(torch.cat([m.vertices for m in truth]), camera, size=size)
    p, t = [_render(m, cameras) for m in predicted], [_render(m, cameras) for m in truth]
    each = []
    for i in range(len(t)):
        others = [t[j].masks for j in range(len(t)) if j != i]
        hidden = torch.stack(others).any(0) & t[i].masks if others else None
        each.append(_compare(p[i], t[i], hidden))
    group = _compare(_compose(p), _compose(t), None)
    occluded = (_mean([getattr(m, name) for m in each]) for name in ("occluded_normal_l2", "occluded_psnr_db", "occluded_ssim"))
    return ImageMetrics(group.normal_l2, group.psnr_db, group.ssim, *occluded), tuple(each)
