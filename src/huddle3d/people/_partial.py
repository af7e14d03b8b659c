"""The partial mesh of Pers2Ortho: the fitted body, pulled towards what the input view shows (HUG3D eq. 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera, edges, scale_of, vertex_normals
from huddle3d.people._clothing import ClothingPrior
from huddle3d.people._smooth import Membrane, SmoothAdam
from huddle3d.people._surface import WindowSurface
from huddle3d.people._targets import CropTargets, cut
from huddle3d.people._views import smooth_normals
from huddle3d.render import EdgeTopology, Raster, antialias, mask, rasterize
from huddle3d.scene import People2D

__all__ = [
    "NormalsDepth",
    "PartialConfig",
    "SeenSurface",
    "affine_invariant",
    "fit_partial",
    "geometry_loss",
    "observed_surface",
    "seen_in_photo",
    "seen_in_windows",
]


@dataclass(frozen=True)
class NormalsDepth:
    """Normals and depth of the photo from a network: the observation of L_geo."""

    normals: Float[Tensor, "H W 3"]
    """Unit vectors in the canonical frame."""
    depth: Float[Tensor, "H W"]
    """Any affine function (positive slope) of camera z: larger is farther."""
    valid: Bool[Tensor, "H W"]
    """Where both are observed."""


@dataclass(frozen=True)
class SeenSurface:
    """The same in the window of one person."""

    normals: Float[Tensor, "s s 3"]
    """Unit vectors in the canonical frame."""
    depth: Float[Tensor, "s s"]
    """Any affine function (positive slope) of camera z."""
    valid: Bool[Tensor, "s s"]
    """Where both are observed."""


def observed_surface(people2d: People2D, camera: Camera, T_canon_world: Float[Tensor, "4 4"]) -> NormalsDepth | None:
    """What perception saw of the surface, turned from the camera's axes into the canonical frame's; None unless it gave normals and depth."""
    if people2d.normals is None or people2d.depth is None:
        return None
    R_canon_cam = T_canon_world[:3, :3] / scale_of(T_canon_world) @ camera.T_cam_world[:3, :3].T
    flip = torch.tensor([1.0, -1.0, -1.0], device=R_canon_cam.device)  # y up and z towards the camera → OpenCV
    normals = people2d.normals.to(R_canon_cam) * flip @ R_canon_cam.T
    depth = people2d.depth.to(R_canon_cam)
    valid = torch.isfinite(depth) & (normals.norm(dim=-1) > 0.5)
    return NormalsDepth(normals, torch.where(valid, depth, 0), valid)


@dataclass(frozen=True)
class PartialConfig:
    """Optimisation of the partial mesh. Iterations and learning rate are the paper's (A.2); it says nothing of the rest."""

    iterations: int = 200
    """Adam steps."""
    lr: float = 0.02
    """Learning rate, relative to ``reference_length`` (as in the remeshing optimiser that the paper adopts)."""
    reference_length: float = 0.05
    """Canonical units that a learning rate of 1 moves in a step."""
    size: int = 224
    """Side of the square window in which each person is compared with the photo [px]."""
    silhouette: float = 1.0
    """Weight of the outline term."""
    geometry: float = 0.05
    """Weight of L_geo, where normals and depth are observed."""
    stay: float = 0.5
    """Weight of the squared offset from the body (mean over vertices, in units of 1 % of the canonical frame)."""
    smooth: float = 5.0
    """Weight of the squared difference of neighbours' offsets, in the same units."""
    spread: float = 150.0
    """Stiffness of the membrane for offsets along the normal: what the outline shows of the clothes' thickness spreads over √spread edges."""
    detail: float = 10.0
    """Stiffness of the membrane for free offsets."""
    clothing: float = 1.0
    """Weight of the squared coefficients of the clothing model (1 = one standard deviation), in pixels of the window that the outline may miss."""
    clothing_lr: float = 0.1
    """Learning rate of these coefficients (Adam)."""
    max_clothing: float = 2.5
    """Largest coefficient [standard deviations], times the trust in the mask: an umbrella in a mask must not become trousers."""
    max_offset: float = 0.06
    """Largest offset along the normal [m], beyond which only usual clothes reach: a mask that also covers a bag must not become a belly. All bounds shrink
    with the trust in the mask."""
    min_offset: float = -0.01
    """Smallest offset along the normal [m]: a body that is too thick by more was fitted wrongly, and shrinking would starve its limbs."""
    max_free: float = 0.015
    """Longest free offset [m], without observed normals and depth."""
    max_seen: float = 0.0
    """The same with them; 0 for no limit."""


def affine_invariant(depth: Float[Tensor, "*n"], valid: Bool[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Depth without its unknown scale and shift: zero mean and unit variance over the valid pixels, zero elsewhere; differentiable."""
    count = valid.sum().clamp_min(1)
    mean = (depth * valid).sum() / count
    centred = (depth - mean) * valid
    return centred / (centred.square().sum() / count + 1e-12).sqrt()


def geometry_loss(
    normals: Float[Tensor, "H W 3"],
    depth: Float[Tensor, "H W"],
    seen_normals: Float[Tensor, "H W 3"],
    seen_depth: Float[Tensor, "H W"],
    valid: Bool[Tensor, "H W"],
) -> Float[Tensor, ""]:
    """L_geo of one person (HUG3D eq. 1): squared difference of affine-invariant depths plus ``1 - cos`` of the normals, mean over valid pixels."""
    count = valid.sum().clamp_min(1)
    d = (affine_invariant(depth, valid) - affine_invariant(seen_depth, valid)).square().sum() / count
    n = ((1 - (normals * seen_normals).sum(-1)) * valid).sum() / count
    return d + n


def seen_in_photo(observed: NormalsDepth, targets: CropTargets) -> list[SeenSurface]:
    """Observations of the whole photo, cut to each person's window and to what the masks give to that person."""
    size = targets.cameras.width
    stack = torch.cat([observed.normals.permute(2, 0, 1) * observed.valid, (observed.depth * observed.valid)[None], observed.valid[None].float()])
    out = []
    for window, coverage in zip(targets.windows, targets.coverage):
        piece = cut(stack, window, size)
        valid = (piece[4] > 0.999) & (coverage > 0.999)
        out.append(SeenSurface(torch.nn.functional.normalize(piece[:3], dim=0).permute(1, 2, 0), piece[3], valid))
    return out


def seen_in_windows(surface: WindowSurface, targets: CropTargets, R_canon_cam: Float[Tensor, "3 3"]) -> list[SeenSurface]:
    """What a surface network said in the same windows, at their size; valid where mask and network agree that the person is seen."""
    size = targets.cameras.width
    stack = torch.cat([surface.normals.permute(0, 3, 1, 2), surface.depth[:, None], surface.mask[:, None]], 1)
    stack = torch.nn.functional.interpolate(stack, (size, size), mode="bilinear", align_corners=False)
    normals = torch.nn.functional.normalize(stack[:, :3], dim=1).permute(0, 2, 3, 1) @ R_canon_cam.T
    valid = (stack[:, 4] > 0.5) & (targets.coverage > 0.999) & (stack[:, 3] > 0)
    return [SeenSurface(n, d, v) for n, d, v in zip(normals, stack[:, 3], valid)]


def outline_loss(
    vertices: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"], targets: CropTargets, topology: EdgeTopology
) -> tuple[Float[Tensor, "K"], Raster]:
    """Mean absolute difference of each person's antialiased coverage and mask, where the photo tells, times its trust; and the raster it was made with."""
    raster = rasterize(vertices, faces, targets.cameras)
    flat = mask(raster).to(vertices.dtype)[..., None]
    coverage = antialias(flat, raster, vertices, faces, targets.cameras, topology=topology)[..., 0]
    return targets.trust * ((coverage - targets.coverage).abs() * targets.weight).mean((-2, -1)), raster


def fit_partial(
    vertices: Float[Tensor, "K V 3"],
    faces: Int[Tensor, "F 3"],
    targets: CropTargets,
    rate: Float[Tensor, "K V"],
    metre: float,
    config: PartialConfig,
    *,
    seen: Sequence[SeenSurface] | None = None,
    clothing: ClothingPrior | None = None,
    tick: Callable[[int], None] = lambda step: None,
) -> Float[Tensor, "K V 3"]:
    """Optimise vertex offsets so that the mesh covers its mask and, where they are given, agrees with observed normals and depth.

    An offset has two parts: a length along the body's normal that spreads widely (clothes stand off the body on all sides, though
    only the outline shows by how much) and a free vector that spreads little. With a clothing model a third part comes first: what people
    who look so usually wear, whose coefficients the outline chooses, too. Where nothing is observed that remains, or the body's own shape.

    Args:
        vertices: fitted bodies, canonical.
        faces: of one body.
        targets: outlines.
        rate: factor of each vertex's update (hands and faces stay).
        metre: canonical units per metre.
        config: weights.
        seen: normals and depth in the targets' windows, if a network gave them.
        clothing: what people usually wear.
        tick: hears the index of each step.
    """
    start, normals = vertices.detach(), vertex_normals(vertices.detach(), faces)
    pairs, topology = edges(faces), EdgeTopology.from_faces(faces)
    V = start.shape[1]
    lr = config.lr * config.reference_length
    wide = SmoothAdam(Membrane(faces, V, config.spread), lr)
    narrow = SmoothAdam(Membrane(faces, V, config.detail), lr * (0.25 if seen is None else 1.0))
    along, free = start.new_zeros(*start.shape[:2], 1), torch.zeros_like(start)
    bound = metre * targets.trust[:, None, None]
    worn = _Worn(clothing, metre, targets.trust, config)
    for step in range(config.iterations):
        along.requires_grad_(True)
        free.requires_grad_(True)
        offset = along * normals + free
        now = start + worn() * normals + offset
        loss, raster = outline_loss(now, faces, targets, topology)
        total = config.silhouette * loss.sum()
        if seen is not None:
            total = total + config.geometry * _geometry(now, faces, raster, seen)
        percent = offset * 100
        difference = percent[:, pairs[:, 0]] - percent[:, pairs[:, 1]]
        scale = 1 / (config.size * config.size)
        total = total + scale * (config.stay * percent.square().sum(-1).mean(-1) + config.smooth * difference.square().sum(-1).mean(-1)).sum()
        total = total + scale * worn.energy()
        g_along, g_free, *g_worn = torch.autograd.grad(total, [along, free, *worn.free])
        fade = min(1.0, 2 * (1 - step / config.iterations))
        worn.step(g_worn, fade)
        along = along.detach() + rate[..., None] * wide.step(g_along, rate=fade)
        told = worn.now()  # both parts together keep the bounds; what is usual stays where the mask is not trusted
        along = torch.maximum(
            torch.minimum(along, (config.max_offset * bound - told).clamp_min(0)), config.min_offset * bound - targets.trust[:, None, None] * told
        )
        free = free.detach() + rate[..., None] * narrow.step(g_free, rate=fade)
        longest = config.max_free if seen is None else config.max_seen
        if longest > 0:
            free = free * (longest * bound / free.norm(dim=-1, keepdim=True).clamp_min(1e-12)).clamp_max(1)
        tick(step)
    return (start + (worn() + along) * normals + free).detach()


class _Worn:
    """The part of the offsets that the clothing model tells, in canonical units, and its coefficients."""

    def __init__(self, prior: ClothingPrior | None, metre: float, trust: Float[Tensor, "K"], config: PartialConfig) -> None:
        self._prior, self._metre, self._config = prior, metre, config
        self._most = config.max_clothing * trust[:, None]
        self.free: list[Tensor] = []
        if prior is not None:
            self.free = [prior.model.mean.new_zeros(len(trust), len(prior.model.basis), requires_grad=True)]
            self._adam = torch.optim.Adam(self.free, lr=config.clothing_lr)

    def __call__(self) -> Float[Tensor, "K V 1"] | float:
        """Offsets along the normals."""
        if self._prior is None:
            return 0.0
        return self._metre * self._prior(self.free[0])[..., None]

    def now(self) -> Tensor:
        """The same, without gradients."""
        with torch.no_grad():
            return torch.as_tensor(self())

    def energy(self) -> Tensor | float:
        """How unusual the clothes are."""
        return sum((c.square().sum() for c in self.free), 0.0) * self._config.clothing

    def step(self, gradients: Sequence[Tensor], fade: float) -> None:
        if not gradients:
            return
        self.free[0].grad = gradients[0]
        self._adam.param_groups[0]["lr"] = self._config.clothing_lr * fade
        self._adam.step()
        with torch.no_grad():
            self.free[0].copy_(torch.maximum(torch.minimum(self.free[0], self._most), -self._most))


def _geometry(vertices: Tensor, faces: Tensor, raster: Raster, seen: Sequence[SeenSurface]) -> Float[Tensor, ""]:
    normals = smooth_normals(raster, faces, vertex_normals(vertices, faces))
    covered = mask(raster)
    terms = [geometry_loss(normals[k], raster.depth[k], s.normals, s.depth, s.valid & covered[k]) for k, s in enumerate(seen)]
    return torch.stack(terms).sum()
