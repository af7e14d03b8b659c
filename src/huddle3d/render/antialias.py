"""Antialiasing of silhouette edges, the part of rendering that carries gradients of visibility to the vertices.

After Laine et al. 2020 (section 3.4): where a silhouette edge crosses the segment between two neighbouring pixel centres, the pixel that it covers
in part is blended with its neighbour, linearly in the crossing's position. Unlike the paper we start from the silhouette edges and not from
pixel pairs: with body meshes many triangles are smaller than a pixel, and the edge between two pixel centres often belongs to a triangle that no
pixel centre sees. Steep edges are matched with horizontal pairs, flat edges with vertical pairs, so the covered area is exact along straight edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.compute import kernel_backend
from huddle3d.errors import ShapeError
from huddle3d.geometry import Camera
from huddle3d.render._corners import NEAR, check_mesh, corners, pixels
from huddle3d.render.raster import Raster, mask, rasterize

__all__ = ["EdgeTopology", "antialias", "silhouette"]

DEPTH_SLACK = 2e-3
"""Relative depth by which a silhouette edge may lie behind the pixel next to it and still count as visible."""


@dataclass(frozen=True)
class EdgeTopology:
    """The undirected edges of a mesh; build it once when the same faces are antialiased many times."""

    ends: Int[Tensor, "e 2"]
    """Vertex indices."""
    opposite: Int[Tensor, "e 2"]
    """The third vertex of the two faces that share the edge; twice the same at a border. Edges of more than two faces appear once per pair."""

    @staticmethod
    def from_faces(faces: Int[Tensor, "f 3"]) -> EdgeTopology:
        """Topology of a triangle list; orientation of the faces does not matter."""
        faces = faces.long()
        half = torch.cat([faces[:, [0, 1, 2]], faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]])
        low, high = half[:, :2].amin(-1), half[:, :2].amax(-1)
        stride = int(faces.max()) + 1 if len(faces) else 1
        code, order = (low * stride + high).sort(stable=True)
        third = half[order, 2]
        # neighbours in the sorted list with equal codes share an edge; a half-edge with no equal neighbour is a border
        same_next = torch.cat([code[1:] == code[:-1], code.new_zeros(1, dtype=torch.bool)])[: len(code)]
        same_last = torch.cat([code.new_zeros(1, dtype=torch.bool), code[1:] == code[:-1]])[: len(code)]
        keep = same_next | ~same_last
        partner = torch.where(same_next, third.roll(-1), third)
        return EdgeTopology(torch.stack([code // stride, code % stride], -1)[keep], torch.stack([third, partner], -1)[keep])


@dataclass(frozen=True)
class _Crossings:
    """Where visible silhouette edges cross segments between pixel centres: rows of ``(view, inner pixel, outer pixel)`` and the blend."""

    inner: Int[Tensor, "n"]
    outer: Int[Tensor, "n"]
    reach: Float[Tensor, "n"]
    """Position of the edge from the inner (0) to the outer (1) pixel centre; differentiable."""


def _silhouette_edges(corner: Float[Tensor, "views v 4"], topology: EdgeTopology) -> tuple[Tensor, Tensor, Tensor]:
    """View, edge and side (+1 or -1: on which side of ``ends[0] -> ends[1]`` the surface lies) of the edges with all their surface on one side.

    A face seen exactly edge-on (side 0) lies on no side: its edges count as silhouettes of their other face.
    """
    if kernel_backend() == "warp" and corner.dtype == torch.float32:
        from huddle3d.render._attribute_warp import silhouette_sides_warp

        side = silhouette_sides_warp(corner, topology.ends, topology.opposite)
    else:
        side = _silhouette_sides(corner, topology)
    view, edge = side.nonzero(as_tuple=True)
    return view, edge, side[view, edge]


def _silhouette_sides(corner: Float[Tensor, "views v 4"], topology: EdgeTopology) -> Int[Tensor, "views e"]:
    """The kernel's plain twin."""
    uv, z = pixels(corner), corner[..., 3]
    a, b = uv[:, topology.ends[:, 0]], uv[:, topology.ends[:, 1]]
    d = b - a

    def side(k: int) -> Tensor:
        o = uv[:, topology.opposite[:, k]] - a
        return (d[..., 0] * o[..., 1] - d[..., 1] * o[..., 0]).sign()

    s0, s1 = side(0), side(1)
    ahead = (z[:, topology.ends] > NEAR).all(-1) & (z[:, topology.opposite] > NEAR).all(-1)
    return ((s0 + s1).sign() * (ahead & (s0 * s1 >= 0))).to(torch.int8)


def _scan(a: Tensor, b: Tensor, axis: int, lines: int) -> tuple[Tensor, Tensor]:
    """The pixel lines (rows for axis 0, columns for axis 1) whose centres each edge crosses: edge index and line."""
    low, high = torch.minimum(a[:, 1 - axis], b[:, 1 - axis]), torch.maximum(a[:, 1 - axis], b[:, 1 - axis])
    first = (low - 0.5).ceil().clamp(0, lines).long()
    count = ((high - 0.5).ceil().clamp(0, lines).long() - first).clamp_min(0)
    edge = torch.repeat_interleave(torch.arange(len(a), device=a.device), count)
    return edge, first[edge] + torch.arange(len(edge), device=a.device) - (count.cumsum(0) - count)[edge]


def _crossings(corner: Tensor, raster: Raster, topology: EdgeTopology, silhouettes: tuple[Tensor, Tensor, Tensor], axis: int) -> _Crossings:
    """Crossings of silhouette edges with horizontal (axis 0) or vertical (axis 1) pixel pairs."""
    views, height, width = raster.face_id.shape
    size, lines = (width, height) if axis == 0 else (height, width)
    with torch.no_grad():
        view, edge, side = silhouettes
        ends = pixels(corner.detach()[view[:, None], topology.ends[edge]])
        d = (ends[:, 1] - ends[:, 0]).abs()
        steep = d[:, 1] >= d[:, 0] if axis == 0 else d[:, 1] < d[:, 0]
        view, edge, side, ends = view[steep], edge[steep], side[steep], ends[steep]
        pick, line = _scan(ends[:, 0], ends[:, 1], axis, lines)
        view, edge, side, ends = view[pick], edge[pick], side[pick], ends[pick]
    c = corner[view[:, None], topology.ends[edge]]
    uv = pixels(c)
    a, b = uv[:, 0], uv[:, 1]
    t = (line + 0.5 - a[:, 1 - axis]) / (b[:, 1 - axis] - a[:, 1 - axis])
    position = a[:, axis] + t * (b[:, axis] - a[:, axis])
    with torch.no_grad():
        # the surface is at larger coordinates (to the right, or below) if its side and the edge's direction say so
        up = (b - a)[:, 1 - axis] > 0
        after = (side < 0) == up if axis == 0 else (side > 0) == up
        # an edge exactly on a pixel centre covers that pixel, as in the rasteriser: it is the inner one
        left = torch.where(after, (position - 0.5).ceil() - 1, (position - 0.5).floor()).long()
        inner_at, outer_at = torch.where(after, left + 1, left), torch.where(after, left, left + 1)
        valid = (left >= 0) & (left + 1 < size)

        def pixel(at: Tensor) -> Tensor:
            at = at.clamp(0, size - 1)
            y, x = (line, at) if axis == 0 else (at, line)
            return (view * height + y) * width + x

        inner, outer = pixel(inner_at), pixel(outer_at)
        # depth of the edge at the crossing, by inverse depth for a perspective camera (w = z) and by depth for an orthographic one (w = 1)
        w, z = c[..., 2], c[..., 3]
        wa, wb = (1 - t) / w[:, 0], t / w[:, 1]
        z_edge = (wa * z[:, 0] + wb * z[:, 1]) / (wa + wb)
        depth = torch.where(raster.face_id < 0, torch.inf, raster.depth.detach()).flatten()
        valid &= (depth[outer] > depth[inner]) & (depth[outer] >= z_edge * (1 - DEPTH_SLACK))
        reach = torch.where(after, left + 1.5 - position, position - left - 0.5)
        keep = _outermost(view, inner, outer, reach, valid)
    reach = torch.where(after, left + 1.5 - position, position - left - 0.5)
    return _Crossings(inner[keep], outer[keep], reach[keep])


def _outermost(view: Tensor, inner: Tensor, outer: Tensor, reach: Tensor, valid: Tensor) -> Tensor:
    """Indices of the crossings to keep: of several on one pixel pair in one direction only the farthest out (folds make more than one)."""
    candidates = valid.nonzero()[:, 0]
    # an inner pixel has at most four partners, so its index and the sign and stride of the step name the pair
    step = outer - inner
    code = inner * 4 + (step > 0).long() * 2 + (step.abs() > 1).long()
    order = candidates[reach[candidates].argsort(descending=True, stable=True)]
    order = order[code[order].argsort(stable=True)]
    first = torch.ones(len(order), dtype=torch.bool, device=order.device)
    first[1:] = code[order][1:] != code[order][:-1]
    return order[first]


def antialias(
    image: Float[Tensor, "batch height width c"],
    raster: Raster,
    vertices: Float[Tensor, "*batch v 3"],
    faces: Int[Tensor, "f 3"],
    camera: Camera,
    *,
    topology: EdgeTopology | None = None,
) -> Float[Tensor, "batch height width c"]:
    """Blend pixels across visible silhouette edges (Laine et al. 2020, section 3.4); gradients flow to the image and to the vertices.

    An edge that crosses midway between two pixel centres changes nothing; at a pixel centre it mixes that pixel half and half with its neighbour.
    Edges with a vertex or neighbour at or behind the near plane are left as they are.

    Args:
        image: any per-pixel values made with ``raster``.
        raster: from :func:`rasterize` with the same mesh and camera.
        vertices: as given to :func:`rasterize`.
        faces: as given to :func:`rasterize`.
        camera: as given to :func:`rasterize`.
        topology: :meth:`EdgeTopology.from_faces` of the faces, if it is at hand (it costs about as much as the blending).
    """
    if image.ndim != 4 or image.shape[:3] != raster.face_id.shape:
        raise ShapeError("image", image.shape, (*raster.face_id.shape, "C"))
    check_mesh(vertices, faces, len(raster.face_id))
    topology = EdgeTopology.from_faces(faces.to(vertices.device)) if topology is None else topology
    corner = corners(vertices, camera)
    with torch.no_grad():
        silhouettes = _silhouette_edges(corner.detach(), topology)
    flat = out = image.reshape(-1, image.shape[-1])
    for axis in (0, 1):
        hit = _crossings(corner, raster, topology, silhouettes, axis)
        # beyond the midpoint the inner colour enters the outer pixel, before it the outer colour enters the inner pixel
        spill = hit.reach.to(flat.dtype) - 0.5
        source = torch.where(spill > 0, hit.inner, hit.outer)
        target = torch.where(spill > 0, hit.outer, hit.inner)
        out = out.index_add(0, target, spill.abs()[:, None] * (flat.index_select(0, source) - flat.index_select(0, target)))
    return out.reshape(image.shape)


def silhouette(
    vertices: Float[Tensor, "*batch v 3"], faces: Int[Tensor, "f 3"], camera: Camera, *, topology: EdgeTopology | None = None
) -> Float[Tensor, "batch height width"]:
    """Antialiased coverage in [0, 1] of each pixel, differentiable in the vertices and the camera."""
    with torch.no_grad():
        raster = rasterize(vertices, faces, camera)
    image = mask(raster).to(vertices.dtype)[..., None]
    return antialias(image, raster, vertices, faces, camera, topology=topology)[..., 0].clamp(0, 1)
