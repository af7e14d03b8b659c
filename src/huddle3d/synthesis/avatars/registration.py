"""A body model laid into somebody else's surface (a rigged person, a scan): shape and pose by descent on distances of surfaces and joints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.geometry import face_normals, sample_surface, vertex_normals
from huddle3d.progress import Progress, silent
from huddle3d.scene import BodyParams
from huddle3d.synthesis.poses.goals import region_vertices

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["RegisterConfig", "Registration", "register_body", "surface_residual_mm"]


@dataclass(frozen=True)
class RegisterConfig:
    """How a body is laid into a surface."""

    steps: int = 140
    """Iterations."""
    learning_rate: float = 0.03
    """Of joint angles [rad] and shape; falls to a tenth."""
    points: int = 2500
    """Samples of the surface."""
    reach_m: float = 0.08
    """Pairs of points farther apart than this have no pull [m]."""
    joint: float = 4.0
    """Weight of squared distances of joints, relative to those of the surfaces."""
    stay: float = 2e-5
    """Weight of squared changes of joint angles [m²/rad²]."""
    shape: bool = True
    """Whether the shape moves, or only pose and place."""
    every: int = 5
    """Partners on the two surfaces are looked up anew after so many iterations."""
    seed: int = 0
    """Of the samples."""


@dataclass(frozen=True)
class Registration:
    """A body laid into a surface."""

    params: BodyParams
    """K = 1."""
    median_mm: float
    """Median distance of the surface's samples to the body's skin [mm]."""
    mean_mm: float
    """The mean [mm]."""


def surface_residual_mm(
    body: BodyModel, vertices: Float[Tensor, "B 3"], target: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], *, samples: int = 4000
) -> Float[Tensor, "samples"]:
    """Distances of area-uniform samples of a target surface to a posed body's outer skin [mm]."""
    from huddle3d.contact import MeshQuery

    points = sample_surface(target, faces, samples, generator=torch.Generator().manual_seed(1))[0]
    return 1000 * MeshQuery(vertices, body.faces, winding=False).closest_point(points).distance


class _Partners:
    """Pairs of points, looked up anew now and then: skin to target and target to skin, only where the normals agree."""

    def __init__(self, body: BodyModel, target: Tensor, faces: Tensor, config: RegisterConfig) -> None:
        self.body, self.reach = body, config.reach_m
        self.rows = region_vertices(body, *body.region_names)[::3]
        generator, flat = torch.Generator().manual_seed(config.seed), face_normals(target, faces)
        self.points, face, _ = sample_surface(target, faces, config.points, generator=generator)
        self.normals = flat[face]
        self.dense, face, _ = sample_surface(target, faces, 6 * config.points, generator=generator)
        self.dense_normals = flat[face]
        self.tree = KDTree(self.dense.double().numpy())

    def look(self, vertices: Float[Tensor, "V 3"]) -> None:
        """Partners for the body as it is."""
        normals = vertex_normals(vertices, self.body.faces)[self.rows]
        skin = vertices[self.rows].double().numpy()
        _, to_target = self.tree.query(skin)
        _, to_skin = KDTree(skin).query(self.points.double().numpy())
        self.to_target, self.to_skin = torch.from_numpy(to_target), torch.from_numpy(to_skin)
        self.agree = (normals * self.dense_normals[self.to_target]).sum(-1) > 0.3, (normals[self.to_skin] * self.normals).sum(-1) > 0.3

    def loss(self, vertices: Float[Tensor, "V 3"]) -> Tensor:
        """Mean of both directions: along the target's normal, and a little in every direction [m²]."""
        skin = vertices[self.rows]
        total = vertices.new_zeros(())
        pairs = (
            (skin, self.dense[self.to_target], self.dense_normals[self.to_target]),
            (skin[self.to_skin], self.points, self.normals),
        )
        for (own, other, normal), agree in zip(pairs, self.agree, strict=True):
            offset = own - other
            near = (agree & (offset.detach().norm(dim=-1) < self.reach)).float()
            total = total + (near * ((offset * normal).sum(-1).square() + 0.1 * offset.square().sum(-1))).mean()
        return total


def register_body(
    body: BodyModel,
    target: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    start: BodyParams,
    *,
    joints: Mapping[str, Tensor] | None = None,
    config: RegisterConfig = RegisterConfig(),
    progress: Progress = silent,
) -> Registration:
    """Lay the body into a surface. What the surface has and a body has not (hair, loose cloth) is best left out of it.

    Args:
        body: the model.
        target: vertices of the surface [m], the body's world (y up).
        faces: its triangles, counter-clockwise from outside.
        start: K = 1, near enough that most of the skin finds its partner (limbs within some 8 cm), or with joints to lead it.
        joints: places of joints of the model [m], by name; their definitions differ between skeletons, so they only lead.
        config: see there.
        progress: receives the fraction done.

    Raises:
        InputError: a surface without faces, or a joint that the model lacks.
    """
    if not len(faces) or len(start.pose) != 1:
        raise InputError("A registration needs a surface with faces and one body to start from.")
    unknown = [n for n in joints or {} if n not in body.joint_names]
    if unknown:
        raise InputError(f"The body model '{body.name}' has no joint '{unknown[0]}'.")
    led = torch.tensor([body.joint_names.index(n) for n in joints], dtype=torch.long) if joints else None
    places = torch.stack(list(joints.values())) if joints else None
    partners = _Partners(body, target, faces, config)
    moving = body.fit_joints[body.fit_joints > 0]
    angles, root = start.pose[:, moving].clone().requires_grad_(), start.pose[:, :1].clone().requires_grad_()
    place, shape = start.translation.clone().requires_grad_(), start.shape.clone().requires_grad_(config.shape)
    groups = [{"params": [angles, root], "pace": 1.0}, {"params": [place], "pace": 0.3}, {"params": [shape], "pace": 1.0 if config.shape else 0.0}]
    optimiser = torch.optim.Adam(groups, lr=config.learning_rate, betas=(0.8, 0.95))
    limits, shapes = body.joint_limits[moving], body.shape_limits

    def params() -> BodyParams:
        pose = torch.cat([root, start.pose[:, 1:]], 1).index_copy(1, moving, angles)
        return replace(start, shape=shape, pose=pose, translation=place)

    for step in range(config.steps):
        out = body(params())
        if step % config.every == 0:
            partners.look(out.vertices[0].detach())
        loss = partners.loss(out.vertices[0]) + config.stay * (angles - start.pose[:, moving]).square().sum()
        if led is not None and places is not None:
            loss = loss + config.joint * (out.joints[0, led] - places).square().sum(-1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * group["pace"] * 0.1 ** (step / config.steps)
        optimiser.step()
        with torch.no_grad():
            angles.copy_(torch.maximum(torch.minimum(angles, limits[..., 1]), limits[..., 0]))
            shape.copy_(torch.maximum(torch.minimum(shape, shapes[:, 1]), shapes[:, 0]))
        progress((step + 1) / config.steps, "registering")
    with torch.no_grad():
        done = BodyParams(*(getattr(params(), f).detach().clone() for f in ("shape", "pose", "translation", "expression")))
        distance = surface_residual_mm(body, body(done).vertices[0], target, faces)
    return Registration(done, float(distance.median()), float(distance.mean()))
