"""Pers2Ortho: the perspective photo as consistent orthographic views of an upright, normalised group (HUG3D sections 3.1 and A.2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.geometry import Camera, apply, canonical_cameras, scale_of
from huddle3d.people._adaptive import adaptive_rate, detail_points
from huddle3d.people._clothing import clothing_model, clothing_prior
from huddle3d.people._filters import EdgeFilter
from huddle3d.people._frame import camera_in_frame, canonical_frame
from huddle3d.people._partial import NormalsDepth, PartialConfig, SeenSurface, fit_partial, observed_surface, seen_in_photo, seen_in_windows
from huddle3d.people._reproject import paste_photo, photo_points, splat_views
from huddle3d.people._skirt import SkirtConfig, dress_legs
from huddle3d.people._surface_network import observe_surface, surface_network
from huddle3d.people._targets import CropTargets, crop_targets
from huddle3d.people._views import render_group, render_person
from huddle3d.progress import Progress, silent
from huddle3d.scene import Bodies, People2D, Photo, ViewSet

__all__ = ["CanonicalConfig", "EdgeFilter", "NormalsDepth", "PartialConfig", "canonicalise"]


@dataclass(frozen=True)
class CanonicalConfig:
    """Pers2Ortho. Numbers without a source are ours: the paper gives none."""

    size: int = 512
    """Side of the canonical views [px] (paper: 768, the size of its diffusion model)."""
    padding: float = 0.1
    """Share of the group's size that is kept free for clothes and hair."""
    skirt: SkirtConfig = field(default_factory=SkirtConfig)
    """Skirts, dresses and coats: cloth between the legs."""
    partial: PartialConfig = field(default_factory=PartialConfig)
    """Optimisation of the partial mesh."""
    surface: str = "none"
    """Who tells normals and depth of the dressed people if perception did not: ``none`` (nobody: those of the dressed body remain), ``embedded``, or a file of
    ``huddle3d train surface``."""
    clothing: str = "embedded"
    """Clothing model that the partial mesh starts from: ``embedded`` (Anny's bodies; others stay naked), ``none`` (naked bodies), or a file of
    ``huddle3d train clothing``."""
    edges: EdgeFilter = field(default_factory=EdgeFilter)
    """Filter A: pixels near depth edges are not reprojected."""
    tau: float = 0.02
    """Filter B: largest depth difference to the mesh, canonical units (S11)."""
    reprojection: Literal["surface", "none"] = "surface"
    """``"surface"``: the photo's pixels are lifted onto the partial mesh and seen from ``colour_views`` (Pers2Ortho). ``"none"``: the photo itself stands for the
    front view, as if an orthographic camera had taken it, and no other view is seen (an ablation)."""
    colour_views: tuple[int, ...] = (0, 1, 5)
    """Views that receive the photo's pixels: 0°, 45°, 315°."""
    max_photo_side: int = 1536
    """The photo is reprojected at this size at most [px]."""


def canonicalise(
    photo: Photo,
    people2d: People2D,
    bodies: Bodies,
    config: CanonicalConfig | None = None,
    *,
    body: BodyModel,
    observed: NormalsDepth | None = None,
    progress: Progress = silent,
) -> ViewSet:
    """Build the canonical frame, the partial mesh, the six body-normal views and the reprojected photo.

    Args:
        photo: the picture.
        people2d: its masks.
        bodies: fitted bodies and camera, upright world.
        config: sizes and weights.
        body: the body model (its faces).
        observed: normals and depth of the photo from a network, for the real L_geo; default those of ``people2d``, if it has both, then those of the
            network that the configuration names. Without any the outline is the only observation, and inside of it the partial mesh
            keeps the relief of the dressed body.
        progress: hears how far it is.

    Returns:
        The views; colours only where the photo shows a person's surface.
    """
    config = config or CanonicalConfig()
    faces = body.faces.long()
    T = canonical_frame(bodies.vertices, bodies.camera, padding=config.padding)
    start = apply(T, bodies.vertices)
    camera = camera_in_frame(bodies.camera, T)
    rate = adaptive_rate(start, detail_points(apply(T, bodies.landmarks)))
    dressed, skirts = dress_legs(people2d, bodies, config.skirt, body=body)
    clothed = apply(T, dressed)
    targets = crop_targets(people2d.masks, camera, clothed, faces, config.partial.size)
    steps = config.partial.iterations
    seen = _seen(photo, people2d, bodies.camera, camera, T, start, faces, targets, config, observed)
    usual = clothing_model(config.clothing, body)
    worn = None if usual is None else clothing_prior(usual, start, clothed, faces, float(scale_of(T)))
    partial = fit_partial(
        clothed,
        faces,
        targets,
        rate,
        float(scale_of(T)),
        config.partial,
        seen=seen,
        clothing=worn,
        tick=lambda i: progress(0.75 * (i + 1) / steps, "partial mesh"),
    )
    progress(0.75, "views")
    hems = tuple(0.0 if skirt is None else skirt.hem for skirt in skirts)
    return replace(_views(photo, people2d, camera, T, start, partial, faces, config, progress), skirt_hems=hems)


def _seen(
    photo: Photo,
    people2d: People2D,
    camera: Camera,
    camera_canon: Camera,
    T: torch.Tensor,
    start: torch.Tensor,
    faces: torch.Tensor,
    targets: CropTargets,
    config: CanonicalConfig,
    observed: NormalsDepth | None,
) -> list[SeenSurface] | None:
    """The observation of L_geo, by whoever gives it first."""
    observed = observed or observed_surface(people2d, camera, T)
    if observed is not None:
        return seen_in_photo(observed, targets)
    if config.surface == "none":
        return None
    model = surface_network(config.surface)
    surface, _ = observe_surface(model, photo, people2d.masks, camera_canon, start, faces)
    R_canon_cam = T[:3, :3] / scale_of(T) @ camera.T_cam_world[:3, :3].T
    return seen_in_windows(surface, targets, R_canon_cam.to(start))


def _views(
    photo: Photo,
    people2d: People2D,
    camera: Camera,
    T: torch.Tensor,
    start: torch.Tensor,
    partial: torch.Tensor,
    faces: torch.Tensor,
    config: CanonicalConfig,
    progress: Progress,
) -> ViewSet:
    cameras = canonical_cameras(config.size).to(start.device)
    rgb, seen = _coloured(photo, people2d, camera, partial, faces, cameras, config)
    normals = []
    for k in range(len(start)):
        normals.append(render_person(start[k], faces, cameras)[1])
        progress(0.85 + 0.15 * (k + 1) / len(start), "views")
    group = render_group(start, faces, cameras)
    return ViewSet(
        cameras=cameras,
        T_canon_world=T,
        faces=faces,
        body_vertices=start,
        partial_vertices=partial,
        ids=group.ids,
        normals_group=group.normals,
        normals_inst=torch.stack(normals),
        rgb_group=rgb[0],
        seen_group=seen[0],
        rgb_inst=rgb[1:],
        seen_inst=seen[1:],
    )


def _coloured(
    photo: Photo,
    people2d: People2D,
    camera: Camera,
    partial: Float[Tensor, "K V 3"],
    faces: Int[Tensor, "F 3"],
    cameras: Camera,
    config: CanonicalConfig,
) -> tuple[Float[Tensor, "S N H W 3"], Bool[Tensor, "S N H W"]]:
    """What the photo shows of the group and of each person, in the canonical views."""
    if config.reprojection == "none":
        return paste_photo(photo.image, people2d.masks, camera, partial, cameras)
    cloud = photo_points(photo.image, people2d.masks, camera, partial, faces, config.edges, max_side=config.max_photo_side)
    depths = [render_group(partial, faces, cameras).group.depth, *(render_person(p, faces, cameras)[0].depth for p in partial)]
    sets = [torch.ones_like(cloud.owner, dtype=torch.bool), *(cloud.owner == k for k in range(len(partial)))]
    made = [splat_views(cloud, chosen, cameras, config.colour_views, depth, config.tau) for chosen, depth in zip(sets, depths)]
    return torch.stack([rgb for rgb, _ in made]), torch.stack([seen for _, seen in made])
