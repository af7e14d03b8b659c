"""`MeshQuery`: a mesh prepared for many distance queries; built once, refit as its vertices move."""

from __future__ import annotations

import functools
import math
import threading
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from huddle3d.compute import kernel_backend, launch_rows, warp
from huddle3d.contact import _twin
from huddle3d.contact._checks import check_faces, check_points, check_vertices
from huddle3d.errors import InputError, ShapeError

__all__ = ["Closest", "MeshQuery"]

_BLOCK = 32  # points per row of a launch; each row hands its last hit on as a bound for its next point
_SORT_FROM = 2048  # below this many points, ordering them costs more than it saves
_SPLIT_FROM = 2048  # below this many points, waking worker threads costs more than they save
_BUILD_LOCK = threading.Lock()  # Warp's mesh registry is not safe against two threads that build at once


@dataclass(frozen=True)
class Closest:
    """Nearest points on a mesh."""

    distance: Float[Tensor, "N"]
    """Unsigned [m]; differentiable in the points and the mesh vertices."""
    point: Float[Tensor, "N 3"]
    """On the mesh [m]; moves with the mesh vertices at fixed barycentrics."""
    face: Int[Tensor, "N"]
    """Face that holds it; -1 if none lies within ``max_distance`` (then point = the query point, distance = ``max_distance``)."""
    bary: Float[Tensor, "N 3"]
    """Barycentrics in that face; constants."""


class _Distance(torch.autograd.Function):
    """``sign * |p - c|`` with ``c = Σ bary · corner``. At its minimum the nearest point's own motion does not count (envelope theorem),
    so the gradient is ``sign (p - c)/|p - c|`` to the point and minus its barycentric shares to the corners."""  # noqa: D205, D209

    @staticmethod
    def forward(ctx: Any, points: Tensor, vertices: Tensor, corners: Tensor, bary: Tensor, sign: Tensor, signed: bool) -> Tensor:
        triangles = vertices[corners]
        offset = points - (bary[..., None] * triangles).sum(1)
        distance = offset.norm(dim=-1)
        if not any(ctx.needs_input_grad[:2]):
            return distance * sign
        # on the surface the offset has no direction: take the outward normal, the limit from both sides (unsigned: the subgradient 0)
        tiny = distance <= 16 * torch.finfo(points.dtype).eps * points.abs().amax(-1)
        direction = offset / torch.where(tiny, torch.ones_like(distance), distance)[:, None] * sign[:, None]
        if bool(tiny.any()):
            a, b, c = triangles[tiny].unbind(1)
            normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
            direction[tiny] = normal * sign[tiny].abs()[:, None] if signed else torch.zeros_like(normal)
        ctx.save_for_backward(direction, corners, bary)
        ctx.num_vertices = len(vertices)
        return distance * sign

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        direction, corners, bary = ctx.saved_tensors
        to_points = grad[:, None] * direction
        to_vertices = None
        if ctx.needs_input_grad[1]:
            share = -(bary[..., None] * to_points[:, None]).reshape(-1, 3)
            to_vertices = to_points.new_zeros(ctx.num_vertices, 3).index_add_(0, corners.reshape(-1), share)
        return to_points, to_vertices, None, None, None, None


class MeshQuery:
    """Distances to one triangle mesh, by a bounding-volume hierarchy (Warp) or by brute force (the torch twin).

    Build and drop it on one thread (Warp's limit); queries may come from any thread. The mesh may be open, non-manifold or
    self-intersecting; faces without area are passed over. Inside means a generalised winding number above one half.

    Args:
        vertices: ``(V, 3)`` [m]; any floating type and device. Gradients of :meth:`signed_distance` flow to this tensor.
        faces: ``(F, 3)`` integers, F ≥ 1; counter-clockwise faces point outwards.
        winding: prepare signs and winding numbers (about doubles the build time).
        backend: ``"warp"`` or ``"torch"``; default ``HUDDLE3D_KERNELS``.
    """

    def __init__(
        self,
        vertices: Float[Tensor, "V 3"],
        faces: Int[Tensor, "F 3"],
        *,
        winding: bool = True,
        backend: Literal["warp", "torch"] | None = None,
    ) -> None:
        check_vertices(vertices)
        check_faces(faces, len(vertices))
        self.vertices = vertices
        self.faces = faces.to(vertices.device, torch.long)
        if bool(_twin.is_sliver(vertices.detach()[self.faces]).all()):
            raise InputError("All faces of the mesh are degenerate.", why="None of them has an area.")
        self.backend = backend or kernel_backend()
        self._winding = winding
        if self.backend == "warp":
            wp = warp()
            self._buffer = vertices.detach().to(torch.float32, copy=True).contiguous()
            self._indices = self.faces.to(torch.int32).reshape(-1).contiguous()
            with _BUILD_LOCK:
                self._mesh = wp.Mesh(wp.from_torch(self._buffer, dtype=wp.vec3), wp.from_torch(self._indices), support_winding_number=winding)

    def refit(self, vertices: Float[Tensor, "V 3"]) -> MeshQuery:
        """Take new positions of the same mesh (some 10 × cheaper than building); gradients flow to the new tensor from now on."""
        check_vertices(vertices)
        if vertices.shape != self.vertices.shape:
            raise ShapeError("vertices", vertices.shape, self.vertices.shape)
        self.vertices = vertices
        if self.backend == "warp":
            self._buffer.copy_(vertices.detach())
            self._mesh.refit()
        return self

    def closest_point(self, points: Float[Tensor, "N 3"], *, max_distance: float = math.inf) -> Closest:
        """Nearest point of the mesh to each query point; N may be 0."""
        points = self._prepare(points)
        face, bary, _ = self._nearest(points, max_distance, signed=False)
        found = face >= 0
        corners = self.faces[face.clamp_min(0)]
        distance = _Distance.apply(points, self.vertices, corners, bary, found.to(points.dtype), False)
        point = (bary[..., None] * self.vertices[corners]).sum(1)
        if max_distance < math.inf:
            distance = torch.where(found, distance, max_distance)
            point = torch.where(found[:, None], point, points.detach())
        return Closest(distance, point, face, bary)

    def signed_distance(self, points: Float[Tensor, "N 3"], *, max_distance: float = math.inf, truncate_inside: bool = False) -> Float[Tensor, "N"]:
        """Signed distance [m], negative inside; differentiable once in the points and in ``vertices`` (closed form).

        On the surface itself the gradient is the outward normal. Where the nearest point jumps (medial axis, edges seen from inside)
        it is that of the face that was found.

        Args:
            points: ``(N, 3)`` [m]; N may be 0.
            max_distance: points farther outside give ``max_distance`` and no gradient (much faster for far points).
            truncate_inside: the same for points deeper inside: ``-max_distance``. Otherwise depths are always exact.
        """
        return self.signed_closest(points, max_distance=max_distance, truncate_inside=truncate_inside)[0]

    def signed_closest(
        self, points: Float[Tensor, "N 3"], *, max_distance: float = math.inf, truncate_inside: bool = False
    ) -> tuple[Float[Tensor, "N"], Closest]:
        """:meth:`signed_distance` together with the nearest points (whose fields carry no gradient)."""
        self._need_winding()
        points = self._prepare(points)
        face, bary, sign = self._nearest(points, max_distance, signed=True, search_inside=not truncate_inside)
        found = face >= 0
        corners = self.faces[face.clamp_min(0)]
        distance = _Distance.apply(points, self.vertices, corners, bary, sign * found, True)
        point = (bary[..., None] * self.vertices.detach()[corners]).sum(1)
        if max_distance < math.inf:
            distance = torch.where(found, distance, sign * max_distance)
            point = torch.where(found[:, None], point, points.detach())
        return distance, Closest(distance.detach().abs(), point, face, bary)

    def winding_number(self, points: Float[Tensor, "N 3"]) -> Float[Tensor, "N"]:
        """Generalised winding number: 1 inside, 0 outside a closed mesh, in between near the holes of an open one; error below 1e-3."""
        self._need_winding()
        points = self._prepare(points).detach()
        if self.backend == "torch":
            return _twin.winding_numbers(points, self.vertices.detach(), self.faces)
        from huddle3d.contact import _kernels

        out = torch.zeros(len(points), device=points.device)
        self._launch(_kernels.winding_kernel, points, 4.0, warp().from_torch(out))
        return out.to(points.dtype)

    def inside(self, points: Float[Tensor, "N 3"]) -> Bool[Tensor, "N"]:
        """Winding number above one half."""
        self._need_winding()
        points = self._prepare(points).detach()
        if self.backend == "torch":
            return self.winding_number(points) > 0.5
        from huddle3d.contact import _kernels

        out = torch.zeros(len(points), dtype=torch.uint8, device=points.device)
        self._launch(_kernels.inside_kernel, points, warp().from_torch(out))
        return out.bool()

    def _prepare(self, points: Tensor) -> Tensor:
        check_points(points)
        return points.to(self.vertices)

    @functools.cached_property
    def _closed(self) -> bool:
        """Whether each directed edge meets as many opposite ones: the mesh has no boundary, so its winding numbers are whole."""
        start, end = self.faces.reshape(-1), self.faces.roll(-1, dims=1).reshape(-1)
        count = len(self.vertices)
        return torch.equal((start * count + end).sort().values, (end * count + start).sort().values)

    def _need_winding(self) -> None:
        if not self._winding:
            raise InputError("This MeshQuery was built without winding numbers.", next_step="Build it with winding=True.")

    def _nearest(self, points: Tensor, max_distance: float, *, signed: bool, search_inside: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Face (-1 = none within reach), barycentrics and sign (+1 outside or not asked for)."""
        with torch.no_grad():
            if self.backend == "torch":
                return self._nearest_twin(points, max_distance, signed, search_inside)
            from huddle3d.contact import _kernels

            wp = warp()
            order = _spatial_order(points) if len(points) >= _SORT_FROM and points.device.type == "cpu" else None
            queries = points if order is None else points[order]
            face = torch.full((len(points),), -1, dtype=torch.int32, device=points.device)
            bary = torch.zeros(len(points), 3, device=points.device)
            sign = torch.ones(len(points), device=points.device)
            reach = min(max_distance, 1.0e18)
            outputs = [wp.from_torch(face), wp.from_torch(bary, dtype=wp.vec3)]
            if signed:
                self._launch(_kernels.signed_kernel, queries, reach, int(search_inside), int(self._closed), *outputs, wp.from_torch(sign))
            else:
                self._launch(_kernels.closest_kernel, queries, reach, *outputs)
            if order is not None:
                back = torch.empty_like(order)
                back[order] = torch.arange(len(order), device=order.device)
                face, bary, sign = face[back], bary[back], sign[back]
            return face.long(), bary.to(points.dtype), sign.to(points.dtype)

    def _nearest_twin(self, points: Tensor, max_distance: float, signed: bool, search_inside: bool) -> tuple[Tensor, Tensor, Tensor]:
        vertices = self.vertices.detach()
        face, bary = _twin.closest_points(points, vertices, self.faces)
        winding = _twin.winding_numbers(points, vertices, self.faces) if signed else torch.zeros_like(points[:, 0])
        sign = torch.where(winding > 0.5, -1.0, 1.0).to(points.dtype)
        nearest = (bary[..., None] * vertices[self.faces[face]]).sum(1)
        beyond = (points - nearest).norm(dim=-1) >= max_distance
        if search_inside:
            beyond &= sign > 0
        return torch.where(beyond, -1, face), bary, sign

    def _launch(self, kernel: Any, points: Tensor, *arguments: Any) -> None:
        wp = warp()
        queries = points.detach().to(torch.float32).contiguous()
        inputs = [self._mesh.id, wp.from_torch(queries, dtype=wp.vec3), *arguments, _BLOCK]
        rows = -(-len(points) // _BLOCK)
        if points.device.type == "cpu" and 0 < len(points) < _SPLIT_FROM:
            wp.launch(kernel, (rows, 1), [*inputs, 0, 1], device="cpu")
        else:
            launch_rows(kernel, rows, _BLOCK, inputs, points.device)


def _spatial_order(points: Float[Tensor, "N 3"]) -> Int[Tensor, "N"]:
    """Order along a Z-curve of 1024³ cells: neighbours share the tree nodes that are in the cache."""
    low = points.amin(0)
    cell = ((points - low) * (1023 / (points.amax(0) - low).amax().clamp_min(1e-12))).to(torch.int64)
    for shift, mask in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
        cell = (cell | (cell << shift)) & mask
    return torch.argsort(cell[:, 0] | (cell[:, 1] << 1) | (cell[:, 2] << 2), stable=True)
