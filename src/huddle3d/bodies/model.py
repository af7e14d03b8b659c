"""One interface for every parametric body: shape, pose, hands and face to a surface, joints and landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.bodies._landmarks import LandmarkTable
from huddle3d.bodies._phenotypes import ShapeSpace
from huddle3d.bodies._points import SkinnedPoints
from huddle3d.bodies._skeleton import Skeleton, SkeletonPose
from huddle3d.bodies.types import BodyOutput
from huddle3d.errors import InputError, ShapeError
from huddle3d.geometry import se3
from huddle3d.scene import BodyParams

__all__ = ["BodyModel", "Garment", "Proxy"]


@dataclass(frozen=True)
class Garment:
    """A helper mesh around the body that follows its shape and pose: tights and skirt are open shells, hair is strips, some over the face."""

    points: SkinnedPoints
    faces: Int[Tensor, "G 3"]
    """Counter-clockwise seen from outside."""
    uv: Float[Tensor, "T 2"]
    faces_uv: Int[Tensor, "G 3"]


@dataclass(frozen=True)
class Proxy:
    """A coarse closed surface tied to the full one, for contact queries."""

    rows: Int[Tensor, "P 3"]
    """Three vertices of the full surface for each proxy vertex."""
    weights: Float[Tensor, "P 3"]
    """Their barycentric weights."""
    faces: Int[Tensor, "Q 3"]
    regions: Int[Tensor, "P"]
    """Body region of each proxy vertex."""


@dataclass(frozen=True, eq=False, repr=False)
class BodyModel:
    """A parametric body; immutable, built by :func:`huddle3d.bodies.load_body`.

    Body frame at identity pose: y up, facing +z, the subject's left at +x, metres. ``pose[:, 0]`` is the global orientation about the root
    joint, ``translation`` the root joint's position; the other rotation vectors turn about the body's axes as they lie at rest and are
    handed down the tree. Everything is differentiable (first order) in all parameters.
    """

    name: str
    """Name for :func:`load_body` and :class:`huddle3d.scene.Bodies`."""
    faces: Int[Tensor, "F 3"]
    """Triangles, counter-clockwise from outside."""
    uv: Float[Tensor, "T 2"]
    """Texture coordinates, v up; empty for models without."""
    faces_uv: Int[Tensor, "F 3"]
    """Rows of ``uv`` at each face corner."""
    part_names: tuple[str, ...]
    parts: Int[Tensor, "V"]
    """Anatomical part of each vertex (skin, eyes, cavities of mouth and eyes, tongue)."""
    region_names: tuple[str, ...]
    regions: Int[Tensor, "V"]
    """Region of each vertex, for contact reports."""
    joint_names: tuple[str, ...]
    joint_limits: Float[Tensor, "J 3 2"]
    """Lower and upper bound of each component of the rotation vectors [rad]; joint 0 is free (±π)."""
    fit_joints: Int[Tensor, "n"]
    """Joints worth optimising on keypoints: all but twist bones, toes, eyes and metacarpals. Includes joint 0."""
    mirror: Int[Tensor, "V"]
    """Left-right twin of each vertex; exact for Anny, the nearest vertex of the reflected template for models that are not symmetric."""
    mirror_joints: Int[Tensor, "J"]
    """Left-right twin of each joint."""
    shape_names: tuple[str, ...]
    shape_limits: Float[Tensor, "S 2"]
    """Range in which each shape parameter is meaningful."""
    neutral_shape: Float[Tensor, "S"]
    """An average adult."""
    expression_names: tuple[str, ...]
    shape_space: ShapeSpace
    skeleton: Skeleton
    surface: SkinnedPoints
    landmark_table: LandmarkTable
    garments: dict[str, Garment]
    proxy: Proxy | None

    def __repr__(self) -> str:
        return f"BodyModel({self.name!r}, V={self.num_vertices}, J={self.num_joints}, {self.dtype}, {self.device})"

    # --- sizes

    @property
    def joint_parents(self) -> tuple[int, ...]:
        """Parent of each joint; -1 for the root."""
        return self.skeleton.parents

    @property
    def num_joints(self) -> int:
        """J."""
        return len(self.joint_names)

    @property
    def num_vertices(self) -> int:
        """V."""
        return len(self.surface.template)

    @property
    def num_shape(self) -> int:
        """S."""
        return len(self.shape_names)

    @property
    def num_expression(self) -> int:
        """E; parameters may also come without any expression columns."""
        return len(self.expression_names)

    @property
    def device(self) -> torch.device:
        """Where the model's tensors live."""
        return self.surface.template.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the model."""
        return self.surface.template.dtype

    @property
    def landmark_valid(self) -> Bool[Tensor, "L"]:
        """Landmarks that this model defines; the others are copies of the root joint."""
        return self.landmark_table.valid

    # --- evaluation

    def neutral(self, count: int = 1) -> BodyParams:
        """``count`` average adults in rest pose with the root at the origin, without expression columns."""
        return BodyParams(
            shape=self.neutral_shape.expand(count, -1).clone(),
            pose=self.surface.template.new_zeros(count, self.num_joints, 3),
            translation=self.surface.template.new_zeros(count, 3),
            expression=self.surface.template.new_zeros(count, 0),
        )

    def __call__(self, params: BodyParams) -> BodyOutput:
        """Surface, joints, joint frames and landmarks."""
        coefficients, pose = self._solve(params)
        vertices = self.surface.posed(coefficients, params.expression, pose)
        landmarks = self.landmark_table(vertices[:, self.landmark_table.vertices], pose.t)
        return BodyOutput(vertices=vertices, joints=pose.t, landmarks=landmarks, T_world_joint=se3(pose.R, pose.t))

    def landmarks(self, params: BodyParams) -> Float[Tensor, "K L 3"]:
        """The landmarks alone: skins only the vertices that they need, equal to ``self(params).landmarks``."""
        coefficients, pose = self._solve(params)
        return self.landmark_table(self._landmark_points.posed(coefficients, params.expression, pose), pose.t)

    def joints(self, params: BodyParams) -> Float[Tensor, "K J 3"]:
        """Joint centres alone."""
        return self._solve(params)[1].t

    def landmark_joints(self, params: BodyParams) -> tuple[Float[Tensor, "K L 3"], Float[Tensor, "K J 4 4"]]:
        """Landmarks and joint frames without the full surface."""
        coefficients, pose = self._solve(params)
        landmarks = self.landmark_table(self._landmark_points.posed(coefficients, params.expression, pose), pose.t)
        return landmarks, se3(pose.R, pose.t)

    def garment_faces(self, name: str) -> Int[Tensor, "G 3"]:
        """Triangles of a helper mesh; names in ``garments``."""
        return self._garment(name).faces

    def garment_vertices(self, name: str, params: BodyParams) -> Float[Tensor, "K N 3"]:
        """A helper mesh on the posed bodies."""
        garment = self._garment(name)
        coefficients, pose = self._solve(params)
        return garment.points.posed(coefficients, params.expression, pose)

    @property
    def proxy_faces(self) -> Int[Tensor, "Q 3"]:
        """Triangles of the contact proxy."""
        return self._proxy().faces

    @property
    def proxy_regions(self) -> Int[Tensor, "P"]:
        """Region of each proxy vertex."""
        return self._proxy().regions

    def proxy_vertices(self, vertices: Float[Tensor, "K V 3"]) -> Float[Tensor, "K P 3"]:
        """Proxy of posed (or carved) full surfaces."""
        proxy = self._proxy()
        return (vertices[..., proxy.rows, :] * proxy.weights[..., None]).sum(-2)

    def proxy_skinned(self, params: BodyParams) -> Float[Tensor, "K P 3"]:
        """Proxy straight from the parameters: skins only the vertices that it needs."""
        proxy = self._proxy()
        coefficients, pose = self._solve(params)
        points, place = self._proxy_points
        posed = points.posed(coefficients, params.expression, pose)
        return (posed[:, place] * proxy.weights[..., None]).sum(-2)

    # --- internals

    def _solve(self, params: BodyParams) -> tuple[Tensor, SkeletonPose]:
        self._check(params)
        coefficients = self.shape_space.coefficients(params.shape, params.expression)
        return coefficients, self.skeleton.pose(coefficients, params.pose, params.translation)

    def _check(self, params: BodyParams) -> None:
        count = len(params.shape)
        expected = {"shape": (count, self.num_shape), "pose": (count, self.num_joints, 3), "translation": (count, 3)}
        for name, shape in expected.items():
            actual = getattr(params, name).shape
            if tuple(actual) != shape:
                raise ShapeError(name, actual, ("K", *shape[1:]))
        if params.expression.ndim != 2 or len(params.expression) != count or params.expression.shape[1] not in (0, self.num_expression):
            raise ShapeError("expression", params.expression.shape, ("K", f"0 or {self.num_expression}"))

    def _garment(self, name: str) -> Garment:
        if name not in self.garments:
            raise InputError(f"{self.name} has no garment {name!r}.", next_step=f"It has: {', '.join(self.garments) or 'none'}.")
        return self.garments[name]

    def _proxy(self) -> Proxy:
        if self.proxy is None:
            raise InputError(f"{self.name} has no contact proxy.", next_step="Use the full surface.")
        return self.proxy

    @cached_property
    def _landmark_points(self) -> SkinnedPoints:
        return self.surface.select(self.landmark_table.vertices)

    @cached_property
    def _proxy_points(self) -> tuple[SkinnedPoints, Int[Tensor, "P 3"]]:
        used, place = torch.unique(self._proxy().rows, return_inverse=True)
        return self.surface.select(used), place
