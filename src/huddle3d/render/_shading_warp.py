"""Launches the shading kernels."""

from __future__ import annotations

import functools
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.compute import launch_rows, warp
from huddle3d.geometry import Camera
from huddle3d.render._colour import linear_from_srgb
from huddle3d.render._lamps import Lamps
from huddle3d.render._raster_torch import EMPTY
from huddle3d.render._surface import Merged

__all__ = ["ground_warp", "surfaces_warp"]


@functools.cache
def _decode(device: str) -> Tensor:
    from huddle3d.render._shading_kernels import DECODE_STEPS

    return linear_from_srgb(torch.linspace(0, 1, DECODE_STEPS + 1)).to(device)


def _vec(t: Tensor, kind: Any) -> Any:
    return warp().from_torch(t.detach().contiguous(), dtype=kind)


def _lamps(lamps: Lamps, keep: list[Tensor]) -> Any:
    from huddle3d.render import _shading_kernels as kernels

    wp, like = warp(), lamps.direction
    out = kernels.Lamps()
    soft = torch.tensor(lamps.soft or [(0.0, 0.0, 0.0)], dtype=torch.float32, device=like.device)
    shadow = torch.tensor(lamps.shadow or [-1], dtype=torch.int32, device=like.device)
    maps = lamps.maps
    rows, depth = (torch.zeros(1, 3, 4).to(like), torch.zeros(1, 1, 1).to(like)) if maps is None else (maps.rows, maps.depth.contiguous())
    places = lamps.places.contiguous()
    out.direction, out.colour = _vec(lamps.direction, wp.vec3f), _vec(lamps.colour, wp.vec3f)
    out.shadow, out.soft, out.rows = wp.from_torch(shadow), _vec(soft, wp.vec3f), _vec(rows, wp.vec4f)
    out.depth, out.disc = wp.from_torch(depth), _vec(places, wp.vec2f)
    out.lift, out.fade = (maps.lift, maps.fade) if maps is not None else (0.0, 1.0)
    keep += [soft, shadow, rows, depth, places, lamps.direction, lamps.colour]
    return out


def _surface(merged: Merged, ambient: Tensor, steps: tuple[int, ...], keep: list[Tensor]) -> Any:
    from huddle3d.render import _shading_kernels as kernels

    wp, device = warp(), merged.vertices.device
    entries, first = [], 0
    for index, mesh in enumerate(merged.meshes):
        if mesh.texture is None:
            entries.append((0, 0, 0))
            continue
        height, width = merged.texture(index, steps[index]).shape[:2]
        entries.append((first, height, width))
        first += height * width
    flat = merged.texels(steps)
    table = torch.tensor(entries, dtype=torch.int32, device=device)
    owner, faces, decode = merged.owner32, merged.faces32, _decode(str(device))
    out = kernels.Surface()
    out.faces, out.positions, out.normals = _vec(faces, wp.vec3i), _vec(merged.vertices, wp.vec3f), _vec(merged.normals, wp.vec3f)
    out.ambient, out.colours, out.gloss = _vec(ambient, wp.vec3f), _vec(merged.colours, wp.vec3f), _vec(merged.gloss, wp.vec2f)
    out.uv, out.owner, out.textures = _vec(merged.uv, wp.vec2f), wp.from_torch(owner), _vec(table, wp.vec3i)
    out.texels, out.decode = wp.from_torch(flat), wp.from_torch(decode)
    keep += [flat, table, owner, faces, decode, ambient]
    return out


def surfaces_warp(
    canvas: Float[Tensor, "height width 3"],
    key: Int[Tensor, "fine_h fine_w"],
    corner: Float[Tensor, "v 4"],
    merged: Merged,
    ambient: Float[Tensor, "v 3"],
    lamps: Lamps,
    camera: Camera,
    *,
    wrap: float,
    exposure: float,
) -> None:
    """The kernel's form of the surfaces, drawn over ``canvas`` in place, from the rasteriser's keys and corners."""
    from huddle3d.render import _shading_kernels as kernels

    wp, device, keep = warp(), canvas.device, []
    step = key.shape[0] // canvas.shape[0]
    seen = key[key != EMPTY] & 0x7FFFFFFF
    eye = camera.centre if camera.is_perspective else -camera.T_cam_world[2, :3]
    surface, lights = _surface(merged, ambient, merged.steps(seen), keep), _lamps(lamps, keep)
    inputs = [wp.from_torch(key), EMPTY, _vec(corner, wp.vec4f), surface, lights, wp.vec3f(*eye.tolist()), int(camera.is_perspective)]
    launch_rows(kernels.shade_pixels, len(canvas), canvas.shape[1], [*inputs, wrap, exposure, step, _vec(canvas, wp.vec3f)], device)


def ground_warp(
    canvas: Float[Tensor, "height width 3"],
    key: Int[Tensor, "fine_h fine_w"],
    rays: tuple[Float[Tensor, "3 3"], Float[Tensor, "3 3"]],
    place: tuple[float, Float[Tensor, "3"], float],
    ambient: tuple[Float[Tensor, "3"], Float[Tensor, "grid grid 3"], float],
    lamps: Lamps,
    albedo: Float[Tensor, "3"] | None,
    exposure: float,
) -> None:
    """The kernel's form of the ground, drawn on ``canvas`` in place; ``place`` = height, centre and radius of the scene."""
    from huddle3d.render import _shading_kernels as kernels

    wp, keep = warp(), []
    step = key.shape[0] // canvas.shape[0]
    start, ahead = (wp.mat33f(*m.flatten().tolist()) for m in rays)
    inputs = [start, ahead, place[0], wp.vec3f(*place[1].tolist()), place[2]]
    inputs += [wp.vec3f(*ambient[0].tolist()), _vec(ambient[1], wp.vec3f), ambient[2], _lamps(lamps, keep)]
    inputs += [wp.vec3f(*(albedo.tolist() if albedo is not None else (0.0, 0.0, 0.0))), int(albedo is not None), exposure]
    inputs += [wp.from_torch(key), EMPTY, step, _vec(canvas, wp.vec3f)]
    launch_rows(kernels.shade_ground, len(canvas), canvas.shape[1], inputs, canvas.device)
