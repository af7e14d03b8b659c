"""Pictures of a reconstruction for the report and for eyes: overlays, turned views, normals, contact heat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.contact import MeshQuery
from huddle3d.geometry import Camera, look_at
from huddle3d.people._draw import fit_width, overlay_points, person_colour
from huddle3d.people.pipeline import Reconstruction
from huddle3d.render import RenderMesh, ShadeConfig, clay, merge_meshes, orbit_cameras, shade, to_uint8
from huddle3d.scene import Bodies, CompletedViews, PersonMesh, Photo, ViewSet
from huddle3d.scene.landmarks import BODY

__all__ = ["around", "bodies_on_photo", "canonical_sheet", "contact_heat", "from_above", "result_on_photo"]

_PLAIN = ShadeConfig(ambient_directions=0, supersample=2)
_TURNS = (0.0, 60.0, 120.0, 180.0, 240.0, 300.0)


def _camera(camera: Camera, width: int) -> Camera:
    width = min(width, camera.width)
    return camera.resized(width, max(1, round(camera.height * width / camera.width)))


def _coloured(people: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    vertices, faces, _ = merge_meshes(list(people))
    colours = [torch.tensor(person_colour(k), dtype=torch.float32).div(255).mul(0.7).add(0.25).expand(len(v), 3) for k, (v, _) in enumerate(people)]
    return vertices, faces, torch.cat(colours)


def bodies_on_photo(photo: Photo, bodies: Bodies, faces: Tensor, *, width: int = 640) -> np.ndarray:
    """The fitted bodies, half transparent, and their joints over the photo."""
    camera = _camera(bodies.camera, width)
    vertices, all_faces, colours = _coloured([(v, faces) for v in bodies.vertices])
    base = torch.from_numpy(fit_width(to_uint8(photo.image), camera.width).copy()).float() / 255
    base = torch.nn.functional.interpolate(base.permute(2, 0, 1)[None], (camera.height, camera.width), mode="bilinear")[0].permute(1, 2, 0)
    picture = to_uint8(clay(vertices, all_faces, camera, colours=colours, background=base, opacity=0.7)[0])
    points, depth = camera.project(bodies.landmarks.reshape(-1, 3))
    points, depth = points.reshape(*bodies.landmarks.shape[:2], 2), depth.reshape(bodies.landmarks.shape[:2])
    shown = torch.zeros_like(depth)
    shown[:, BODY] = (depth[:, BODY] > 0).float()
    return overlay_points(picture, points, shown)


def result_on_photo(photo: Photo, camera: Camera, people: Sequence[PersonMesh], *, width: int = 640) -> np.ndarray:
    """The textured people rendered in the input camera on a light grey ground: to compare with the photo beside it."""
    camera = _camera(camera, width)
    meshes = [RenderMesh.of(p) for p in people]
    flat = ShadeConfig(lights=(), ambient=1.0, sky=(1, 1, 1), bounce=(1, 1, 1), ambient_directions=0)
    return to_uint8(shade(meshes, camera, flat))


def around(people: Sequence[PersonMesh], *, size: int = 320) -> list[np.ndarray]:
    """Six shaded views around the textured people, starting in front."""
    meshes = [RenderMesh.of(p) for p in people]
    cameras = orbit_cameras(torch.cat([m.vertices for m in meshes]), _TURNS, size, size)
    return [to_uint8(shade(meshes, cameras[k], _PLAIN)) for k in range(len(_TURNS))]


def geometry_around(people: Sequence[PersonMesh], *, size: int = 320) -> list[np.ndarray]:
    """The same six views without texture, one colour per person."""
    vertices, faces, colours = _coloured([(p.vertices, p.faces) for p in people])
    return [to_uint8(image) for image in clay(vertices, faces, orbit_cameras(vertices, _TURNS, size, size), colours=colours)]


def from_above(people: Sequence[PersonMesh], *, size: int = 320) -> np.ndarray:
    """Bird's-eye view, the input camera below the picture: who stands where."""
    vertices, faces, colours = _coloured([(p.vertices, p.faces) for p in people])
    low, high = vertices.amin(0), vertices.amax(0)
    centre = (low + high) / 2
    half = float((high - low)[[0, 2]].max()) / 2 * 1.1
    eye = centre + torch.tensor([0.0, 5.0, 0.0])
    up = torch.tensor([0.0, 0.0, -1.0])
    camera = Camera.orthographic(half, size, size, look_at(eye, centre, up))
    return to_uint8(clay(vertices, faces, camera, colours=colours)[0])


def _heat(distance: Float[Tensor, "V"], radius: float) -> Float[Tensor, "V 3"]:
    """Grey far away, yellow to red towards contact, violet inside."""
    t = (1 - distance / radius).clamp(0, 1)[:, None]
    near = torch.tensor([1.0, 0.85, 0.1]) * (1 - t) + torch.tensor([0.9, 0.1, 0.05]) * t
    base = torch.full_like(near, 0.78)
    colour = torch.where(t > 0, near, base)
    return torch.where((distance < 0)[:, None], torch.tensor([0.45, 0.1, 0.75]), colour)


def contact_heat(people: Sequence[PersonMesh], *, size: int = 320, radius: float = 0.05) -> list[tuple[str, np.ndarray]]:
    """Caption and picture of each person alone from the front and the back: distance to the nearest other person.

    Yellow 5 cm … red touching, violet inside.
    """
    pictures: list[tuple[str, np.ndarray]] = []
    for k, person in enumerate(people):
        others = [(p.vertices, p.faces) for j, p in enumerate(people) if j != k]
        if not others:
            continue
        vertices, faces, _ = merge_meshes(others)
        distance = MeshQuery(vertices, faces).signed_distance(person.vertices, max_distance=radius)
        cameras = orbit_cameras(person.vertices, (0.0, 180.0), size, size)
        views = clay(person.vertices, person.faces, cameras, colours=_heat(distance, radius))
        pictures += [(f"{person.name}, {side}", to_uint8(image)) for side, image in zip(("front", "back"), views, strict=True)]
    return pictures


def canonical_sheet(views: ViewSet, completed: CompletedViews, *, size: int = 192) -> list[np.ndarray]:
    """Rows of six canonical views: body normals, reprojected colours, completed normals, completed colours."""

    def small(images: Float[Tensor, "n h w 3"]) -> list[np.ndarray]:
        shrunk = torch.nn.functional.interpolate(images.permute(0, 3, 1, 2), (size, size), mode="area").permute(0, 2, 3, 1)
        return [to_uint8(image) for image in shrunk]

    def coded(normals: Float[Tensor, "n h w 3"]) -> Float[Tensor, "n h w 3"]:
        return torch.where((normals.abs().sum(-1, keepdim=True) > 0), (normals + 1) / 2, 1.0)

    seen = torch.where(views.seen_group[..., None], views.rgb_group, (views.ids >= 0)[..., None].logical_not().float())
    alpha = completed.alpha_group[..., None]
    filled = completed.rgb_group * alpha + (1 - alpha)
    return small(coded(views.normals_group)) + small(seen) + small(coded(completed.normals_group)) + small(filled)


def comparison(result: Reconstruction, *, width: int = 640) -> tuple[np.ndarray, np.ndarray]:
    """The photo and the textured result from the same camera."""
    photo = result.photo
    return fit_width(to_uint8(photo.image), width), result_on_photo(photo, result.bodies.camera, result.meshes, width=width)
