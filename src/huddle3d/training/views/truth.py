"""What the six canonical cameras would see of the true, dressed people: the pictures that a view-completion network is to paint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.geometry import Camera, apply, canonical_cameras, vertex_normals
from huddle3d.people import shrink
from huddle3d.scene import PersonMesh

__all__ = ["TrueMaps", "TrueViews", "true_maps", "true_views"]


@dataclass(frozen=True)
class TrueMaps:
    """S = 1 + K sets of views: the group, then each person alone; N = 6 views."""

    normals: Float[Tensor, "S N h h 3"]
    """Mean normal, canonical frame; shorter than 1 at the outline, 0 on the background."""
    colours: Float[Tensor, "S N h h 3"]
    """Mean colour of the surface itself (no light in it), over what is covered."""
    alpha: Float[Tensor, "S N h h"]
    """Share that is covered."""
    contact: Float[Tensor, "S N h h"]
    """Share of the covered part that touches another person."""

    def map(self, change: Callable[[Tensor], Tensor]) -> TrueMaps:
        """Each map changed by a function."""
        return TrueMaps(**{f.name: change(getattr(self, f.name)) for f in fields(self)})


@dataclass(frozen=True)
class TrueViews:
    """Unfiltered renders, one sample a pixel; sets and views as in :class:`TrueMaps`."""

    normals: Float[Tensor, "S N H W 3"]
    colours: Float[Tensor, "S N H W 3"]
    covered: Float[Tensor, "S N H W"]
    contact: Float[Tensor, "S N H W"]


def _render(mesh: PersonMesh, touching: Bool[Tensor, "V"], vertices: Float[Tensor, "V 3"], cameras: Camera) -> tuple[Tensor, Tensor]:
    """Normals, colours, cover and contact as eight channels; and depth, infinite where nobody is."""
    from huddle3d.render import interpolate, mask, rasterize, texture_lookup

    raster = rasterize(vertices, mesh.faces, cameras)
    hit = mask(raster)
    attributes = torch.cat([vertex_normals(vertices, mesh.faces), touching.float()[:, None]], -1)
    found = interpolate(raster, mesh.faces, attributes)
    normals = torch.nn.functional.normalize(found[..., :3], dim=-1) * hit[..., None]
    colours = texture_lookup(raster, mesh.uv, mesh.faces_uv, mesh.texture) * hit[..., None]
    return torch.cat([normals, colours, hit.float()[..., None], found[..., 3:]], -1), torch.where(hit, raster.depth, torch.inf)


@torch.no_grad()
def true_views(meshes: Sequence[PersonMesh], touching: Sequence[Bool[Tensor, "V"]], T_canon_world: Float[Tensor, "4 4"], size: int) -> TrueViews:
    """Orthographic pictures of the group and of each person alone.

    Args:
        meshes: dressed people, world.
        touching: vertices of each that touch another person.
        T_canon_world: the canonical frame.
        size: side of the pictures [px].
    """
    cameras = canonical_cameras(size)
    rendered = [_render(m, t, apply(T_canon_world, m.vertices.float()), cameras) for m, t in zip(meshes, touching, strict=True)]
    each = torch.stack([r[0] for r in rendered])
    nearest = torch.stack([r[1] for r in rendered]).argmin(0)
    group = each.gather(0, nearest[None, ..., None].expand(1, *each.shape[1:]))
    both = torch.cat([group, each])
    return TrueViews(both[..., :3], both[..., 3:6], both[..., 6], both[..., 7])


def true_maps(views: TrueViews, size: int) -> TrueMaps:
    """Renders reduced to a network's size by area averages."""
    return TrueMaps(
        shrink(views.normals, size),
        shrink(views.colours, size, views.covered),
        shrink(views.covered[..., None], size)[..., 0],
        shrink(views.contact[..., None], size, views.covered)[..., 0],
    )
