"""Pictures for reports: turntables, clay and normal-colour views, contact sheets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.geometry import Camera, look_at
from huddle3d.progress import Progress, silent
from huddle3d.render.interpolate import interpolate, normal_map
from huddle3d.render.lights import RenderMesh, ShadeConfig
from huddle3d.render.raster import mask, rasterize
from huddle3d.render.shading import LitScene

__all__ = ["clay", "contact_sheet", "orbit_cameras", "to_uint8", "turntable"]


def orbit_cameras(
    vertices: Float[Tensor, "v 3"],
    azimuths_deg: Sequence[float],
    width: int,
    height: int,
    *,
    elevation_deg: float = 8.0,
    fov_deg: float = 28.0,
    margin: float = 1.04,
) -> Camera:
    """Perspective cameras on a circle that all see the whole of a point set.

    Args:
        vertices: world points.
        azimuths_deg: angles [deg], 0 = in front (on world +z), positive towards world +x.
        width: image width [px].
        height: image height [px].
        elevation_deg: height of the cameras above the horizon [deg].
        fov_deg: field of view of the shorter side [deg].
        margin: free border as a factor on the size.
    """
    centre = ((vertices.amin(0) + vertices.amax(0)) / 2).double().cpu()
    radius = max(float((vertices.double().cpu() - centre).norm(dim=-1).max()), 1e-6) * margin
    a, e = torch.deg2rad(torch.tensor(list(azimuths_deg), dtype=torch.float64)), math.radians(elevation_deg)
    ring = torch.stack([torch.sin(a) * math.cos(e), torch.full_like(a, math.sin(e)), torch.cos(a) * math.cos(e)], -1)
    T = look_at(centre + ring * radius / math.sin(math.radians(fov_deg) / 2), centre.expand_as(ring)).float()
    focal = min(width, height) / 2 / math.tan(math.radians(fov_deg) / 2)
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera("perspective", K.expand(len(T), 3, 3).contiguous(), T, width, height).to(vertices.device)


def turntable(
    meshes: Sequence[RenderMesh],
    *,
    frames: int = 72,
    width: int = 512,
    height: int = 512,
    config: ShadeConfig | None = None,
    elevation_deg: float = 8.0,
    progress: Progress = silent,
) -> Iterator[NDArray[np.uint8]]:
    """Frames ``(height, width, 3)`` of one turn of the camera around the meshes, starting in front; the last frame is one step before the first.

    Args:
        meshes: at least one, with vertices.
        frames: number of frames.
        width: frame width [px].
        height: frame height [px].
        config: lights and quality; the studio lights turn with the camera.
        elevation_deg: height of the camera above the horizon [deg].
        progress: called after each frame.
    """
    if not any(len(mesh.faces) for mesh in meshes):
        raise InputError("A turntable needs at least one mesh with faces.")
    scene = LitScene.prepare(meshes, ShadeConfig() if config is None else config)
    azimuths = [360 * k / frames for k in range(frames)]
    cameras = orbit_cameras(scene.merged.vertices, azimuths, width, height, elevation_deg=elevation_deg)
    for k in range(frames):
        yield to_uint8(scene.render(cameras[k]))
        progress((k + 1) / frames, f"turntable frame {k + 1} of {frames}")


@torch.no_grad()
def clay(
    vertices: Float[Tensor, "*batch v 3"],
    faces: Int[Tensor, "f 3"],
    camera: Camera,
    *,
    style: Literal["clay", "normals"] = "clay",
    colours: Float[Tensor, "v 3"] | None = None,
    background: float | Float[Tensor, "height width 3"] = 1.0,
    opacity: float = 1.0,
    supersample: int = 2,
) -> Float[Tensor, "batch height width 3"]:
    """Quick pictures of a shape, sRGB in [0, 1], for any batch of cameras.

    Args:
        vertices: ``(V, 3)`` or ``(B, V, 3)``.
        faces: counter-clockwise seen from outside.
        camera: unbatched (then B = 1) or batched.
        style: ``"clay"`` = lit from the camera; ``"normals"`` = ``(n + 1) / 2`` in the vertices' frame.
        colours: base colours by vertex for the clay style, sRGB.
        background: grey value, or a picture.
        opacity: of the shape over the background.
        supersample: samples per pixel and axis.
    """
    camera = camera.batched().to(vertices.dtype).to(vertices.device)
    fine = camera.resized(camera.width * supersample, camera.height * supersample)
    raster = rasterize(vertices, faces, fine)
    normal = normal_map(raster, vertices, faces)
    if style == "normals":
        image = (normal + 1) / 2
    else:
        R = camera.T_cam_world[:, :3, :3]
        light = torch.nn.functional.normalize(torch.tensor([-0.35, -0.5, -1.0], dtype=normal.dtype, device=normal.device), dim=0)
        seen = (normal.flatten(1, 2) @ R.transpose(1, 2)).reshape(normal.shape)
        tone = (seen @ light).abs() * 0.72 + 0.14 + 0.12 * (0.5 - 0.5 * seen[..., 1])
        base = torch.tensor([0.86, 0.82, 0.78], dtype=normal.dtype, device=normal.device)
        image = (base if colours is None else interpolate(raster, faces, colours.to(normal.dtype))) * tone[..., None]
    behind = image.new_tensor(background) if isinstance(background, float | int) else background.to(image)
    if behind.ndim == 3:
        behind = behind.repeat_interleave(supersample, 0).repeat_interleave(supersample, 1)
    image = torch.where(mask(raster)[..., None], torch.lerp(behind, image, opacity), behind)
    image = image.reshape(len(image), camera.height, supersample, camera.width, supersample, 3).mean((2, 4))
    return image.clamp(0, 1)


def contact_sheet(images: Float[Tensor, "n height width 3"], columns: int = 6) -> Float[Tensor, "sheet_height sheet_width 3"]:
    """Images side by side in rows of ``columns``; missing places are white."""
    rows = -(-len(images) // columns)
    blank = torch.ones(rows * columns - len(images), *images.shape[1:], dtype=images.dtype, device=images.device)
    grid = torch.cat([images, blank]).reshape(rows, columns, *images.shape[1:])
    return grid.permute(0, 2, 1, 3, 4).reshape(rows * images.shape[1], columns * images.shape[2], 3)


def to_uint8(image: Float[Tensor, "*batch height width c"]) -> NDArray[np.uint8]:
    """[0, 1] to 0…255, rounded."""
    return (image.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
