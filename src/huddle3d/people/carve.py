"""HUG-GR: joint geometry of all people from group and instance normals, outlines, contact and visibility (HUG3D sections 3.3.1 and A.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.contact import PenetrationConfig, PenetrationPairs
from huddle3d.errors import ShapeError
from huddle3d.geometry import Camera, apply, edges, inverse, scale_of, vertex_normals
from huddle3d.people._adaptive import adaptive_rate, detail_points
from huddle3d.people._carve_losses import DepthOrder, depth_order, normal_loss, shrink_views
from huddle3d.people._frame import camera_in_frame
from huddle3d.people._partial import outline_loss
from huddle3d.people._separate import SeparateConfig, separate
from huddle3d.people._smooth import Membrane, SmoothAdam
from huddle3d.people._targets import CropTargets, crop_targets
from huddle3d.people._views import group_mesh, smooth_normals
from huddle3d.progress import Progress, silent
from huddle3d.render import EdgeTopology, antialias, interpolate, mask, rasterize
from huddle3d.scene import Bodies, CarvedBodies, CompletedViews, People2D, Photo, ViewSet

__all__ = ["CarveConfig", "SeparateConfig", "carve"]

_TERMS = ("total", "normal_group", "normal_inst", "silhouette", "outline", "penetration", "visibility", "smooth")


@dataclass(frozen=True)
class CarveConfig:
    """HUG-GR. Values with a source are the paper's (A.4)."""

    iterations: int = 200
    """Steps (A.4)."""
    lr: float = 0.01
    """Learning rate, relative to ``reference_length`` (A.4)."""
    reference_length: float = 0.05
    """Canonical units that a learning rate of 1 moves in a step."""
    start: Literal["body", "partial"] = "partial"
    """Mesh to start from: the fitted bodies, as section 3.3.1 says, or the partial meshes, which already cover the masks."""
    size: int = 256
    """Side of the rendered views [px]."""
    views_per_step: int = 2
    """Views rendered per step, in turn; 6 renders all of them each time (three times the cost)."""
    normal_group: float = 1.0
    """Weight of the group's normals (A.4)."""
    normal_inst: float = 0.2
    """Weight of each instance's normals (A.4)."""
    silhouette: float = 1.0
    """Weight of the L1 difference of alphas in the six views. Not in the paper: normals alone say nothing about how far out clothes and hair reach."""
    outline: float = 10.0
    """Weight of the L1 difference of outlines in the photo. Not in the paper: the mask is the one thing that was observed."""
    penetration: float = 30.0
    """Weight of L_pen (A.4; the main text prints 2.0)."""
    penetration_tolerance: float = 5e-4
    """``tol`` [m] of L_pen (A.4); its temperature is a quarter of it."""
    contact_radius: float = 0.02
    """Distance [m] within which vertices of two people count as pairs (the paper leaves it open)."""
    visibility: float = 1.0
    """Weight of L_vis (A.4)."""
    smooth: float = 0.02
    """Weight of the squared difference of neighbours' offsets, in units of 1 % of the frame. Not in the paper: its remesher smooths instead."""
    stiffness: float = 12.0
    """Stiffness of the membrane through which steps pass."""
    stop: float = 0.02
    """Stop early when the loss, averaged over 30 steps, fell by less than this share against the 30 steps before; 0 always does all steps."""
    refresh: int = 20
    """Steps between searches for near pairs and wrong depth order."""
    separate: SeparateConfig = field(default_factory=SeparateConfig)
    """Exact separation at the end."""


@dataclass(frozen=True)
class _Targets:
    cameras: Camera
    normals_group: Float[Tensor, "N S S 3"]
    normals_inst: Float[Tensor, "K N S S 3"]
    alpha_inst: Float[Tensor, "K N S S"]
    outline: CropTargets


@dataclass
class _Mesh:
    faces: Int[Tensor, "F 3"]
    merged_faces: Int[Tensor, "KF 3"]
    topology: EdgeTopology
    pairs: Int[Tensor, "e 2"]


def carve(
    photo: Photo,
    people2d: People2D,
    bodies: Bodies,
    views: ViewSet,
    completed: CompletedViews,
    config: CarveConfig | None = None,
    *,
    body: BodyModel,
    progress: Progress = silent,
) -> CarvedBodies:
    """Optimise all people's vertices together; topology, hands and faces stay those of the body.

    Args:
        photo: the picture (its size must be that of the masks).
        people2d: masks.
        bodies: fitted bodies and camera.
        views: canonical frame and partial meshes.
        completed: normals and alphas to match.
        config: weights.
        body: the body model: faces, regions.
        progress: hears how far it is.

    Returns:
        World meshes and the history of the losses (weighted, one row per step).
    """
    config = config or CarveConfig()
    if people2d.masks.shape[1:] != photo.image.shape[:2]:
        raise ShapeError("masks", people2d.masks.shape, ("K", *photo.image.shape[:2]))
    faces = views.faces.long()
    mesh = _Mesh(faces, group_mesh(views.body_vertices, faces)[1], EdgeTopology.from_faces(faces), edges(faces))
    T = views.T_canon_world
    camera = camera_in_frame(bodies.camera, T)
    start = views.partial_vertices if config.start == "partial" else views.body_vertices
    rate = adaptive_rate(views.body_vertices, detail_points(apply(T, bodies.landmarks)))
    targets = _targets(people2d, camera, views, completed, faces, config)
    optimiser = SmoothAdam(Membrane(faces, start.shape[1], config.stiffness), config.lr * config.reference_length)
    metre = float(scale_of(T))
    offset, history = torch.zeros_like(start), []
    pairs, order = None, None
    for step in range(config.iterations):
        now = (start + offset).detach().requires_grad_(True)
        if pairs is None or order is None or step % config.refresh == 0:
            pairs = PenetrationPairs.freeze(now.detach() / metre, faces, config.contact_radius)
            order = depth_order(people2d.masks, camera, now, faces, body.regions)
        terms = _losses(now, start, mesh, targets, pairs, order, metre, step, config)
        total = torch.stack(terms).sum()
        (gradient,) = torch.autograd.grad(total, now)
        fade = min(1.0, 2 * (1 - step / config.iterations))
        offset = offset + rate[..., None] * optimiser.step(gradient, rate=fade)
        history.append(torch.stack([total, *terms]).detach())
        progress(0.95 * (step + 1) / config.iterations, "geometry")
        if _settled(history, config.stop):
            break
    world = separate(apply(inverse(T), start + offset), faces, rate, config.separate)
    progress(1.0, "separation")
    rows = torch.stack(history) if history else start.new_zeros(0, len(_TERMS))
    return CarvedBodies(bodies.names, world, faces, rows, _TERMS)


def _settled(history: list[Float[Tensor, "terms"]], share: float) -> bool:
    """Whether the total hardly fell over the last window. The window is a multiple of every number of steps in which the six views take turns."""
    window = 30
    if share <= 0 or len(history) < 2 * window or len(history) % window:
        return False
    before = torch.stack(history[-2 * window : -window])[:, 0].mean()
    now = torch.stack(history[-window:])[:, 0].mean()
    return bool(now > (1 - share) * before)


def _targets(people2d: People2D, camera: Camera, views: ViewSet, completed: CompletedViews, faces: Tensor, config: CarveConfig) -> _Targets:
    def normals(image: Tensor) -> Tensor:
        return torch.nn.functional.normalize(shrink_views(image, config.size), dim=-1)

    return _Targets(
        views.cameras.resized(config.size, config.size),
        normals(completed.normals_group),
        normals(completed.normals_inst),
        shrink_views(completed.alpha_inst[..., None], config.size)[..., 0],
        crop_targets(people2d.masks, camera, views.partial_vertices, faces, config.size),
    )


def _losses(
    now: Float[Tensor, "K V 3"],
    start: Float[Tensor, "K V 3"],
    mesh: _Mesh,
    targets: _Targets,
    pairs: PenetrationPairs,
    order: DepthOrder,
    metre: float,
    step: int,
    config: CarveConfig,
) -> list[Float[Tensor, ""]]:
    """The weighted terms, in the order of ``_TERMS`` without the total."""
    K, N = now.shape[0], len(targets.normals_group)
    n = min(config.views_per_step, N)
    turns = -(-N // n)
    chosen = torch.arange(N, device=now.device)[step % turns :: turns]
    whole = N / len(chosen)  # the paper sums over all views
    cameras = targets.cameras[chosen]
    vertex_normal = vertex_normals(now, mesh.faces)

    group = rasterize(now.reshape(-1, 3), mesh.merged_faces, cameras)
    shown = smooth_normals(group, mesh.merged_faces, vertex_normal.reshape(-1, 3))
    target = targets.normals_group[chosen]
    l_group = normal_loss(target, shown, mask(group) & (target.abs().sum(-1) > 0))

    rows = torch.arange(K, device=now.device).repeat_interleave(len(chosen))
    many, cameras_many = now[rows], cameras[torch.arange(len(chosen), device=now.device).repeat(K)]
    alone = rasterize(many, mesh.faces, cameras_many)
    shown = torch.nn.functional.normalize(interpolate(alone, mesh.faces, vertex_normal[rows]), dim=-1)
    target = targets.normals_inst[:, chosen].flatten(0, 1)
    l_inst = normal_loss(target, shown, mask(alone) & (target.abs().sum(-1) > 0))
    alpha = antialias(mask(alone).to(now.dtype)[..., None], alone, many, mesh.faces, cameras_many, topology=mesh.topology)[..., 0]
    wanted = targets.alpha_inst[:, chosen].flatten(0, 1)
    l_silhouette = ((alpha - wanted).abs().sum((-2, -1)) / wanted.sum((-2, -1)).clamp_min(1)).sum()

    outline, _ = outline_loss(now, mesh.faces, targets.outline, mesh.topology)
    difference = 100 * (now - start)
    bend = (difference[:, mesh.pairs[:, 0]] - difference[:, mesh.pairs[:, 1]]).square().sum(-1).mean(-1).sum()
    return [
        config.normal_group * whole * l_group,
        config.normal_inst * whole * l_inst,
        config.silhouette * whole * l_silhouette,
        config.outline * outline.sum(),
        pairs.loss(now / metre, PenetrationConfig(config.penetration, config.penetration_tolerance)),
        config.visibility * order.loss(now),
        config.smooth * bend,
    ]
