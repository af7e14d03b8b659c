"""The variables of the fit and the bodies they stand for.

During the fit everything lives in *view axes*: the camera's own frame with x right, y up and z towards the camera (OpenCV turned by half a
turn about x). The upright world is derived at the end from the camera's tilt.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.fitting._config import FitConfig
from huddle3d.geometry import rotation_x, rotation_z, so3_exp
from huddle3d.scene import BodyParams, Photo

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["Frame", "Variables", "project_view"]

_AVERAGE = {"anny": {"height": -0.127}}
"""Where the average adult is not the middle of a model's shape entries: Anny's middle is 1.84 m tall, adults are 1.70 m (women 1.63, men 1.77)."""


@dataclass(frozen=True)
class Frame:
    """What stays fixed while the variables of B bodies move."""

    fit_joints: Int[Tensor, "F"]
    """Joints that rotate (never the root)."""
    num_joints: int
    """J."""
    neutral_shape: Float[Tensor, "S"]
    """Average adult."""
    shape_free: Float[Tensor, "S"]
    """1 for shape entries that are fitted, else 0."""
    shape_limits: Float[Tensor, "S 2"]
    """Range of the shape entries."""
    focal_px: float
    """Focal length at ``log_focal = 0`` [px]."""
    centre: Float[Tensor, "2"]
    """Principal point [px]."""
    shape_offset: Float[Tensor, "S"] = field(default_factory=lambda: torch.zeros(()))
    """The average adult less the middle of the model's own shape entries."""

    @staticmethod
    def build(body: BodyModel, photo: Photo, config: FitConfig) -> Frame:
        """Which joints and shape entries of ``body`` move, and the assumed camera of ``photo``."""
        names = [body.joint_names[j] for j in body.fit_joints.tolist()]
        moves = [j for j, name in zip(body.fit_joints.tolist(), names, strict=True) if j != 0 and (config.optimise_hands or not _is_finger(name))]
        free = torch.tensor([float(name != "age" or config.optimise_age) for name in body.shape_names])
        offset = torch.tensor([_AVERAGE.get(body.name, {}).get(name, 0.0) for name in body.shape_names])
        return Frame(
            torch.tensor(moves),
            len(body.joint_names),
            body.neutral_shape + offset,
            free * float(config.optimise_shape),
            body.shape_limits,
            photo.focal_px or config.default_focal_ratio * max(photo.width, photo.height),
            torch.tensor([photo.width / 2, photo.height / 2]),
            offset,
        )


def _is_finger(name: str) -> bool:
    return any(part in name.lower() for part in ("finger", "thumb", "index", "middle", "ring", "pinky"))


@dataclass(frozen=True)
class Variables:
    """Optimised tensors of B bodies and the camera."""

    R_view_base: Float[Tensor, "B 3 3"]
    """Orientation at ``turn = 0``; constant during a stage, so that the optimised turn stays small and well conditioned."""
    base_ray: Float[Tensor, "B 2"]
    """``x/z, y/z`` (OpenCV) of the root at ``shift = 0``."""
    base_depth: Float[Tensor, "B"]
    """Root depth [m] at ``log_depth = 0``."""
    turn: Float[Tensor, "B 3"]
    """Rotation vector [rad] applied to the base orientation, in view axes."""
    pose: Float[Tensor, "B F 3"]
    """Rotation vectors [rad] of the fitted joints."""
    shape: Float[Tensor, "B S"]
    """Deviation from the average adult."""
    shift: Float[Tensor, "B 2"]
    """Sideways motion of the root [m at base depth], OpenCV axes."""
    log_depth: Float[Tensor, "B"]
    """Logarithm of root depth / base depth."""
    tilt: Float[Tensor, "2"]
    """Camera pitch (positive = looks down) and roll [rad]."""
    camera_height: Float[Tensor, "1"]
    """Height of the camera above the floor [m]."""
    log_focal: Float[Tensor, "1"]
    """Logarithm of focal length / assumed focal length."""

    def take(self, rows: Int[Tensor, "k"]) -> Variables:
        """The bodies ``rows``; the camera is kept."""
        shared = ("tilt", "camera_height", "log_focal")
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in shared})

    def detached(self) -> Variables:
        """Without gradients."""
        return replace(self, **{f.name: getattr(self, f.name).detach().clone() for f in fields(self)})

    def rebased(self) -> Variables:
        """The same state with ``turn``, ``shift`` and ``log_depth`` at zero."""
        v = self.detached()
        return replace(
            v,
            R_view_base=so3_exp(v.turn) @ v.R_view_base,
            base_ray=v.base_ray + v.shift / v.base_depth[:, None],
            base_depth=v.base_depth * v.log_depth.exp(),
            turn=torch.zeros_like(v.turn),
            shift=torch.zeros_like(v.shift),
            log_depth=torch.zeros_like(v.log_depth),
        )

    def R_view_root(self) -> Float[Tensor, "B 3 3"]:
        """Global orientation in view axes."""
        return so3_exp(self.turn) @ self.R_view_base

    def root_view(self) -> Float[Tensor, "B 3"]:
        """Root joint in view axes [m]."""
        z = self.base_depth * self.log_depth.exp()
        ray = self.base_ray + self.shift / self.base_depth[:, None]
        return torch.stack([ray[:, 0] * z, -ray[:, 1] * z, -z], -1)

    def R_world_view(self) -> Float[Tensor, "3 3"]:
        """Undoes the camera's tilt: world up is y."""
        return rotation_x(-self.tilt[0]) @ rotation_z(self.tilt[1])

    def full_shape(self, frame: Frame) -> Float[Tensor, "B S"]:
        """Shape entries inside their bounds."""
        return (frame.neutral_shape + self.shape * frame.shape_free).clamp(frame.shape_limits[:, 0], frame.shape_limits[:, 1])

    def local_params(self, frame: Frame) -> BodyParams:
        """Parameters with the root joint at the origin and identity orientation; place the result with :meth:`place`."""
        count = len(self.turn)
        pose = torch.zeros(count, frame.num_joints, 3, dtype=self.pose.dtype, device=self.pose.device).index_copy(1, frame.fit_joints, self.pose)
        zero = torch.zeros(count, 3, dtype=self.pose.dtype, device=self.pose.device)
        return BodyParams(self.full_shape(frame), pose, zero, zero[:, :0])

    def place(self, local: Float[Tensor, "B n 3"]) -> Float[Tensor, "B n 3"]:
        """Points of the local bodies, in view axes."""
        return local @ self.R_view_root().transpose(-1, -2) + self.root_view()[:, None]

    def landmarks(self, body: BodyModel, frame: Frame) -> Float[Tensor, "B L 3"]:
        """Landmarks in view axes [m]."""
        return self.place(body.landmarks(self.local_params(frame)))

    def vertices(self, body: BodyModel, frame: Frame) -> Float[Tensor, "B V 3"]:
        """Vertices in view axes [m]."""
        return self.place(body(self.local_params(frame)).vertices)


def project_view(points: Float[Tensor, "*b n 3"], focal: Float[Tensor, "1"] | float, centre: Float[Tensor, "2"]) -> Float[Tensor, "*b n 2"]:
    """Pixels of points in view axes; points behind the camera are projected as if 0.1 m in front of it."""
    z = (-points[..., 2:]).clamp_min(0.1)
    return focal * points[..., :2] * torch.tensor([1.0, -1.0], dtype=points.dtype, device=points.device) / z + centre
