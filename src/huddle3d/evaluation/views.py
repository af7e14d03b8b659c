"""Orthographic pictures of the group and of each person at four azimuths relative to the photo's camera, and the measures on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.evaluation.images import mean_ssim, normal_l2, psnr, ssim_map
from huddle3d.evaluation.lpips import Lpips
from huddle3d.evaluation.unseen import SightMap
from huddle3d.geometry import Camera, look_at, vertex_normals
from huddle3d.scene import PersonMesh

__all__ = ["ImageMetrics", "evaluation_cameras", "image_metrics", "render_people"]


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
    lpips: float = math.nan
    """Perceptual distance of the whole picture, see :class:`huddle3d.evaluation.lpips.Lpips`; NaN without its weights."""
    unseen_normal_l2: float = math.nan
    """As ``normal_l2``, on pixels whose true surface the input view does not see; NaN without a camera or if all is seen."""
    unseen_psnr_db: float = math.nan
    """As ``psnr_db``, on the same pixels."""
    unseen_ssim: float = math.nan
    """As ``ssim``, on the same pixels."""


@dataclass(frozen=True)
class _Views:
    normals: Float[Tensor, "n height width 3"]
    colours: Float[Tensor, "n height width 3"]
    masks: Bool[Tensor, "n height width"]
    depth: Float[Tensor, "n height width"]
    unseen: Bool[Tensor, "n height width"]
    """Covered by a surface that the input view does not see (filled for the truth only)."""


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


def _render(mesh: PersonMesh, cameras: Camera, sight: SightMap | None = None) -> _Views:
    from huddle3d.render import interpolate, rasterize, texture_lookup

    raster = rasterize(mesh.vertices, mesh.faces, cameras)
    hit = raster.face_id >= 0
    normals = torch.nn.functional.normalize(interpolate(raster, mesh.faces, vertex_normals(mesh.vertices, mesh.faces)), dim=-1)
    colours = texture_lookup(raster, mesh.uv, mesh.faces_uv, mesh.texture)
    unseen = torch.zeros_like(hit)
    if sight is not None:
        unseen[hit] = ~sight.sees(interpolate(raster, mesh.faces, mesh.vertices)[hit], normals[hit])
    on = hit[..., None]
    depth = torch.where(hit, raster.depth, torch.inf)
    return _Views(torch.where(on, normals, 0.0), torch.where(on, colours, 1.0), hit, depth, unseen)


def _compose(people: Sequence[_Views]) -> _Views:
    """The group's pictures: the nearest person wins each pixel."""
    owner = torch.stack([v.depth for v in people]).argmin(0)

    def pick(name: str) -> Tensor:
        stack = torch.stack([getattr(v, name) for v in people])
        index = owner.reshape(1, *owner.shape, *[1] * (stack.ndim - 4)).expand(1, *stack.shape[1:])
        return stack.gather(0, index)[0]

    return _Views(pick("normals"), pick("colours"), pick("masks"), pick("depth"), pick("unseen"))


def render_people(people: Sequence[PersonMesh], cameras: Camera) -> tuple[Float[Tensor, "n height width 3"], Float[Tensor, "n height width 3"]]:
    """The pictures that the measures compare: unshaded colours on white, and world normals (zero on the background), of the whole group."""
    group = _compose([_render(m, cameras) for m in people])
    return group.colours, group.normals


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return math.fsum(known) / len(known) if known else math.nan


_Values = tuple[float, float, float]
_NO_VALUES: _Values = (math.nan, math.nan, math.nan)


def _values(p: _Views, t: _Views, view: int, mask: Bool[Tensor, "height width"] | None, local_ssim: Tensor | None) -> _Values:
    """Normal error, PSNR and SSIM of one view, within the mask; the last two are NaN without true colours, all are for an empty mask."""
    if mask is not None and not bool(mask.any()):
        return _NO_VALUES
    normal = normal_l2(p.normals[view], t.normals[view], mask)
    if local_ssim is None:
        return normal, math.nan, math.nan
    return normal, psnr(p.colours[view], t.colours[view], mask), mean_ssim(local_ssim, mask)


def _means(values: Sequence[_Values]) -> _Values:
    a, b, c = (_mean([v[i] for v in values]) for i in range(3))
    return a, b, c


def _compare(p: _Views, t: _Views, hidden: Bool[Tensor, "n height width"] | None, lpips: Lpips | None, textured: bool) -> ImageMetrics:
    views = range(len(t.masks))
    local = [ssim_map(p.colours[k], t.colours[k]) if textured else None for k in views]
    whole = _means([_values(p, t, k, None, local[k]) for k in views])
    occluded = _means([_values(p, t, k, hidden[k], local[k]) for k in views]) if hidden is not None else _NO_VALUES
    unseen = _means([_values(p, t, k, t.unseen[k], local[k]) for k in views])
    perceptual = _mean([lpips.distance(p.colours[k], t.colours[k]) for k in views]) if lpips is not None and textured else math.nan
    return ImageMetrics(*whole, *occluded, perceptual, *unseen)


def image_metrics(
    predicted: Sequence[PersonMesh],
    truth: Sequence[PersonMesh],
    *,
    camera: Camera | None = None,
    size: int = 512,
    sight: SightMap | None = None,
    lpips: Lpips | None = None,
    textured: bool = True,
) -> tuple[ImageMetrics, tuple[ImageMetrics, ...]]:
    """Picture measures of the group and of each person alone (entry k of both sequences is the same person).

    The occluded measures follow the paper: pixels of person i, rendered alone, that lie under another's silhouette in that view. The group's are
    the means over its people. The unseen measures are ours: pixels whose true surface point the input view does not show.

    Args:
        predicted: textured people [m].
        truth: in the same world.
        camera: of the photo; fixes the first azimuth.
        size: of the square pictures [px].
        sight: what the photo sees of the truth; without it the unseen measures are NaN.
        lpips: the network; without it that measure is NaN.
        textured: whether the truth has colours; without them all measures of colour are NaN.
    """
    if len(predicted) != len(truth) or not truth:
        raise InputError(f"Picture measures need matched people, got {len(predicted)} predicted and {len(truth)} true ones.")
    cameras = evaluation_cameras(torch.cat([m.vertices for m in truth]), camera, size=size)
    p, t = [_render(m, cameras) for m in predicted], [_render(m, cameras, sight) for m in truth]
    each = []
    for i in range(len(t)):
        others = [t[j].masks for j in range(len(t)) if j != i]
        hidden = torch.stack(others).any(0) & t[i].masks if others else None
        each.append(_compare(p[i], t[i], hidden, lpips, textured))
    group = _compare(_compose(p), _compose(t), None, lpips, textured)
    occluded = {name: _mean([getattr(m, name) for m in each]) for name in ("occluded_normal_l2", "occluded_psnr_db", "occluded_ssim")}
    return replace(group, **occluded), tuple(each)
