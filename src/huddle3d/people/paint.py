"""Occlusion- and view-aware texture fusion, one atlas per person (HUG3D sections 3.3.2 and A.5)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.geometry import Camera, apply, scale_of, vertex_normals
from huddle3d.people._atlas import Atlas, build_atlas, pad_texture
from huddle3d.people._faces import codeformer_restorer, restore_faces
from huddle3d.people._fill import fill_colours
from huddle3d.people._filters import EdgeFilter, confident, depth_edges, erode
from huddle3d.people._frame import camera_in_frame
from huddle3d.people._lookup import Picture, inner_distance, look_up
from huddle3d.people._materials import SurfaceLinks, surface_links
from huddle3d.people._views import group_mesh
from huddle3d.progress import Progress, silent
from huddle3d.render import rasterize
from huddle3d.scene import Bodies, CarvedBodies, CompletedViews, People2D, PersonMesh, Photo, ViewSet

__all__ = ["PaintConfig", "paint"]

_FIGURE_PX = 729
"""Height of a standing adult in the 768² views for which the paper states its kernels."""


@dataclass(frozen=True)
class PaintConfig:
    """Texture fusion. Values with a source are the paper's or those of the fusion it builds on."""

    texture_size: int = 1024
    """Side of the texture [px]; an atlas that is not square gets as many texels."""
    atlas: Literal["xatlas", "body"] = "xatlas"
    """``"xatlas"``: new charts; ``"body"``: the body model's own layout (fewer and larger charts, if it has one)."""
    photo: float = 20.0
    """Weight of the photo itself against a completed view: where the photo shows the surface, it decides."""
    power: float = 2.0
    """Exponent of the cosine of the view angle in a source's weight (cos²)."""
    confidence: float = 0.2
    """Total weight below which a texel fades into the fill (0.2 in the fusion that the paper adopts)."""
    view_edges: EdgeFilter = field(default_factory=lambda: EdgeFilter(dilation_px=21))
    """Depth-edge confidence in the completed views; kernels for a person 729 px tall (A.5: 21), scaled to the person's real height there."""
    photo_edges: EdgeFilter = field(default_factory=EdgeFilter)
    """Depth-edge filter in the photo, kernels scaled alike. Its pixels are observed, only its edges mix two surfaces: the narrow kernel of A.2 is enough."""
    slack: float = 0.01
    """Depth difference [m] at which a point still counts as the one that a view sees."""
    crossing: float = 0.02
    """How willingly fill colours cross from one material to another."""
    max_photo_side: int = 2048
    """Larger photos are reduced to this side for the fusion [px]."""
    faces: str = "none"
    """Restores faces that the photo does not show: ``none``, or a file of your own made by ``huddle3d models convert codeformer``."""


def paint(
    photo: Photo,
    people2d: People2D,
    bodies: Bodies,
    views: ViewSet,
    completed: CompletedViews,
    carved: CarvedBodies,
    config: PaintConfig | None = None,
    *,
    body: BodyModel,
    progress: Progress = silent,
) -> tuple[PersonMesh, ...]:
    """Bake one texture per person from the photo and that person's completed views.

    Args:
        photo: the picture; the sharpest source.
        people2d: masks.
        bodies: camera.
        views: canonical frame and cameras.
        completed: colours of each person in six views.
        carved: final geometry, world.
        config: weights.
        body: the body model: atlas, materials.
        progress: hears how far it is.

    Raises:
        InputError: ``config.faces`` names no file, or one of another kind.

    Returns:
        Textured meshes, world; per-vertex confidence = how well the photo shows the vertex.
    """
    config = config or PaintConfig()
    atlas = build_atlas(body, config.texture_size, config.atlas)
    links = surface_links(body, crossing=config.crossing)
    vertices, faces = apply(views.T_canon_world, carved.vertices), carved.faces.long()
    source = _photo_source(photo, people2d, bodies, views, vertices, faces, config)
    if config.faces != "none":
        completed, _ = restore_faces(views, completed, bodies, codeformer_restorer(config.faces))
    people = []
    for k in range(len(vertices)):
        first = _photo_picture(source, people2d, k, vertices[k], config)
        others = _view_pictures(views, completed, k, vertices[k], faces, config)
        texture, seen = _bake(first, others, vertices[k], faces, atlas, links, config)
        people.append(PersonMesh(carved.names[k], carved.vertices[k], faces, atlas.uv, atlas.faces_uv, texture, seen))
        progress((k + 1) / len(vertices), carved.names[k])
    return tuple(people)


def _scaled(edges: EdgeFilter, camera: Camera, person: Float[Tensor, "V 3"]) -> EdgeFilter:
    """Kernels in proportion to the person's height in the picture (odd, at least 3)."""
    uv, _ = camera.project(person)
    share = float((uv[:, 1].max() - uv[:, 1].min()).clamp(1, 4096)) / _FIGURE_PX
    erosion, dilation = (max(3, 2 * round(px * share / 2) + 1) for px in (edges.erosion_px, edges.dilation_px))
    return replace(edges, erosion_px=erosion, dilation_px=dilation)


@dataclass(frozen=True)
class _PhotoSource:
    camera: Camera
    image: Float[Tensor, "H W 3"]
    depth: Float[Tensor, "H W"]


def _photo_source(
    photo: Photo, people2d: People2D, bodies: Bodies, views: ViewSet, vertices: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"], config: PaintConfig
) -> _PhotoSource:
    camera, image = camera_in_frame(bodies.camera, views.T_canon_world), photo.image
    shrink = config.max_photo_side / max(camera.width, camera.height)
    if shrink < 1:
        size = (max(1, round(camera.height * shrink)), max(1, round(camera.width * shrink)))
        image = torch.nn.functional.interpolate(image.permute(2, 0, 1)[None], size=size, mode="area")[0].permute(1, 2, 0)
        camera = camera.resized(size[1], size[0])
    merged, merged_faces, _ = group_mesh(vertices, faces)
    return _PhotoSource(camera, image, rasterize(merged, merged_faces, camera).depth[0])


def _photo_picture(source: _PhotoSource, people2d: People2D, k: int, person: Float[Tensor, "V 3"], config: PaintConfig) -> Picture:
    size = (source.camera.height, source.camera.width)
    mask = torch.nn.functional.interpolate(people2d.masks[k].float()[None, None], size=size, mode="area")[0, 0] > 0.999
    edges = _scaled(config.photo_edges, source.camera, person)
    owned = erode(mask, edges.erosion_px) & ~depth_edges(source.depth, edges)
    return Picture(source.camera, source.image, inner_distance(owned, edges.dilation_px), source.depth, config.slack)


def _view_pictures(
    views: ViewSet, completed: CompletedViews, k: int, person: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], config: PaintConfig
) -> list[Picture]:
    metre = float(scale_of(views.T_canon_world))
    depth = rasterize(person, faces, views.cameras).depth
    pictures = []
    for i in range(len(depth)):
        camera = views.cameras[i]
        edges = _scaled(config.view_edges, camera, person)
        good = confident(depth[i] / metre, edges) & (completed.alpha_inst[k, i] > 0.999)
        pictures.append(Picture(camera, completed.rgb_inst[k, i], inner_distance(good, 2.0), depth[i], config.slack * metre))
    return pictures


def _fuse(
    first: Picture, others: list[Picture], points: Float[Tensor, "P 3"], normals: Float[Tensor, "P 3"], config: PaintConfig
) -> tuple[Float[Tensor, "P 3"], Float[Tensor, "P"], Float[Tensor, "P"]]:
    """Colour, total weight, and the photo's own weight (before its factor)."""
    colour, seen = look_up(first, points, normals, power=config.power)
    total = config.photo * seen
    colour = colour * total[:, None]
    for picture in others:
        c, w = look_up(picture, points, normals, power=config.power)
        colour, total = colour + c * w[:, None], total + w
    return colour / total.clamp_min(1e-9)[:, None], total, seen


def _bake(
    first: Picture,
    others: list[Picture],
    vertices: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    atlas: Atlas,
    links: SurfaceLinks,
    config: PaintConfig,
) -> tuple[Float[Tensor, "H W 3"], Float[Tensor, "V"]]:
    normals = vertex_normals(vertices, faces)
    known, weight, seen = _fuse(first, others, vertices, normals, config)
    filled = fill_colours(links.pairs, links.strength, known, 50 * (weight / config.confidence).clamp(0, 1))
    where = atlas.covered
    corner, bary = faces[atlas.face[where]], atlas.bary[where]

    def at(values: Tensor) -> Tensor:
        return (values[corner] * bary[..., None]).sum(-2)

    colour, total, _ = _fuse(first, others, at(vertices), torch.nn.functional.normalize(at(normals), dim=-1), config)
    colour = torch.lerp(at(filled), colour, (total / config.confidence).clamp(0, 1)[:, None])
    texture = colour.new_zeros(*atlas.face.shape, 3)
    texture[where] = colour.clamp(0, 1)
    # cos² of 45° and full trust count as fully seen
    return pad_texture(texture, atlas), (2 * seen).clamp(0, 1)
