"""Terms that need landmarks only: keypoints, bone directions, joint limits, pose and shape priors, floor and gravity.

Each term returns one energy per body, so that hypotheses of one person can be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.fitting._config import FitConfig
from huddle3d.fitting._observations import Observations, bone_matrix
from huddle3d.fitting._state import Frame, Variables, project_view
from huddle3d.scene.landmarks import LANDMARK_INDEX

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = [
    "FOOT_POINTS",
    "LandmarkTerms",
    "balance_term",
    "floor_term",
    "geman_mcclure",
    "gravity_term",
    "keypoint_term",
    "limit_term",
    "shape_spread",
]

FOOT_POINTS = tuple(LANDMARK_INDEX[f"{s}_{n}"] for s in ("left", "right") for n in ("big_toe", "small_toe", "heel"))
_SHOULDERS = tuple(LANDMARK_INDEX[f"{s}_shoulder"] for s in ("left", "right"))
_HIPS = tuple(LANDMARK_INDEX[f"{s}_hip"] for s in ("left", "right"))
_KNEES = tuple(LANDMARK_INDEX[f"{s}_knee"] for s in ("left", "right"))
_ANKLES = tuple(LANDMARK_INDEX[f"{s}_ankle"] for s in ("left", "right"))

_SHAPE_SPREAD = {"gender": 0.35, "age": 0.06, "muscle": 0.2, "weight": 0.2, "height": 0.15, "proportions": 0.2}


def shape_spread(names: tuple[str, ...]) -> Float[Tensor, "S"]:
    """Standard deviation of each shape entry: Anny's phenotypes by name, 1 for the betas of the SMPL family."""
    return torch.tensor([_SHAPE_SPREAD.get(name, 1.0) for name in names])


def geman_mcclure(squared: Tensor, cutoff: float) -> Tensor:
    """``x² / (1 + x² / c²)``: quadratic near zero, at most ``c²``."""
    return squared / (1 + squared / cutoff**2)


def keypoint_term(uv: Float[Tensor, "B L 2"], observed: Observations, metres_per_pixel: Float[Tensor, "B"], config: FitConfig) -> Float[Tensor, "B"]:
    """L_kp: robust weighted squared reprojection distances, in metres at the person's depth over the landmarks' sigma."""
    squared = (uv - observed.uv).square().sum(-1) * metres_per_pixel[:, None].square()
    return (observed.weight * geman_mcclure(squared, config.keypoint_cutoff) / observed.sigma.square()).sum(-1)


def direction_term(landmarks: Float[Tensor, "B L 3"], observed: Observations, matrix: Float[Tensor, "bones L"], sigma: float) -> Float[Tensor, "B"]:
    """Bone directions against the 3D landmarks: ``2 (1 - cos) / sigma²`` is the squared angle for small errors and bounded for large ones."""
    predicted = torch.nn.functional.normalize(matrix @ landmarks, dim=-1)
    cosine = (predicted * observed.bones).sum(-1)
    return (observed.bone_weight * 2 * (1 - cosine)).sum(-1) / sigma**2


def limit_term(pose: Float[Tensor, "B F 3"], limits: Float[Tensor, "F 3 2"]) -> Float[Tensor, "B"]:
    """Squared violation of the joint limits in units of 0.1 rad; zero inside."""
    below, above = (limits[..., 0] - pose).clamp_min(0), (pose - limits[..., 1]).clamp_min(0)
    return ((below + above) / 0.1).square().sum((-1, -2))


def pose_spread(limits: Float[Tensor, "F 3 2"]) -> Float[Tensor, "F 3"]:
    """Spread of each rotation [rad]: half of its range, and less about the narrow axes of a wide joint (a hip rather bends than spreads)."""
    half = (limits[..., 1] - limits[..., 0]).clamp_min(0.05) / 2
    return half * (half / half.amax(-1, keepdim=True)).sqrt()


def pose_term(
    pose: Float[Tensor, "B F 3"], spread: Float[Tensor, "F 3"], stiffness: Float[Tensor, "B F"], rest: Float[Tensor, "B F 3"] | float = 0.0
) -> Float[Tensor, "B"]:
    """Squared rotation from ``rest`` in units of its spread: a narrow joint (spine, neck, clavicle) is stiff, a wide one nearly free."""
    return (stiffness * ((pose - rest) / spread).square().sum(-1)).sum(-1)


def moved_landmarks(body: BodyModel, frame: Frame) -> Bool[Tensor, "F L"]:
    """Which landmarks each fitted joint moves (by 1 cm or more for 0.2 rad)."""
    count = len(frame.fit_joints)
    neutral = body.neutral(count)
    pose = neutral.pose.clone()
    pose[torch.arange(count), frame.fit_joints] = 0.2 / math.sqrt(3)
    with torch.no_grad():
        return (body.landmarks(replace(neutral, pose=pose)) - body.landmarks(neutral)).norm(dim=-1) > 0.01


def evidence(moved: Bool[Tensor, "F L"], confidence: Float[Tensor, "B L"]) -> Float[Tensor, "B F"]:
    """How well each joint is observed, in [0, 1]: the best confidence among the landmarks that it moves."""
    return (confidence[:, None] * moved).amax(-1)


def floor_term(
    landmarks: Float[Tensor, "B L 3"], variables: Variables, foot_weight: Float[Tensor, "B"], sigma: float, cutoff: float
) -> Float[Tensor, "B"]:
    """Lowest foot point of each person against the common floor over ``sigma`` [m]; robust, so that who jumps or sits is let go.

    A foot below the floor is let go at twice that distance: the floor is solid, but a false detection must not tilt it.
    """
    up = variables.R_world_view()[1]
    heights = landmarks[:, FOOT_POINTS] @ up + variables.camera_height
    lowest = heights.amin(-1)
    below = geman_mcclure(lowest.clamp_max(0).square(), 2 * cutoff)
    above = geman_mcclure(lowest.clamp_min(0).square(), cutoff)
    return foot_weight * (below + above) / sigma**2


def gravity_term(landmarks: Float[Tensor, "B L 3"], variables: Variables, sigma: float) -> Float[Tensor, "B"]:
    """Angle [rad] between each torso (hips to shoulders) and the vertical over ``sigma``; robust against who bends or lies."""
    up = variables.R_world_view()[1]
    torso = landmarks[:, _SHOULDERS].mean(1) - landmarks[:, _HIPS].mean(1)
    cosine = torch.nn.functional.normalize(torso, dim=-1) @ up
    return geman_mcclure(2 * (1 - cosine) / sigma**2, 2.0)


def balance_term(landmarks: Float[Tensor, "B L 3"], variables: Variables, sigma: float, cutoff: float) -> Float[Tensor, "B"]:
    """Horizontal distance of the trunk's middle from above the middle of the ankles over ``sigma`` [m]; robust against who sits or runs.

    Also for legs that are not seen: they stand under the body, instead of continuing a bent trunk in a straight line.
    """
    R = variables.R_world_view()
    trunk = (landmarks[:, _SHOULDERS].mean(1) + landmarks[:, _HIPS].mean(1)) / 2
    offset = (trunk - landmarks[:, _ANKLES].mean(1)) @ R[[0, 2]].T
    return geman_mcclure(offset.square().sum(-1), cutoff) / sigma**2


def standing(landmarks: Float[Tensor, "B L 3"], confidence: Float[Tensor, "B L"]) -> Float[Tensor, "B"]:
    """How surely each body stands, in [0, 1]: its straighter thigh continues the torso. Legs that were not seen are taken to stand.

    Who sits leans against something and has the feet in front of the body: that says little about the vertical.
    """
    torso = torch.nn.functional.normalize(landmarks[:, _HIPS].mean(1) - landmarks[:, _SHOULDERS].mean(1), dim=-1)
    thigh = torch.nn.functional.normalize(landmarks[:, _KNEES] - landmarks[:, _HIPS], dim=-1)
    straight = (((thigh * torso[:, None]).sum(-1).amax(-1) - 0.5) / 0.3).clamp(0, 1)
    return 1 - confidence[:, _KNEES].amax(-1) * (1 - straight)


@dataclass(frozen=True)
class LandmarkTerms:
    """The sum of all terms that need landmarks only."""

    body: BodyModel
    frame: Frame
    observed: Observations
    config: FitConfig
    metres_per_pixel: Float[Tensor, "B"]
    """Scale at each person's depth when the stage began."""
    limits: Float[Tensor, "F 3 2"]
    """Limits of the fitted joints [rad]."""
    matrix: Float[Tensor, "bones L"]
    spread: Float[Tensor, "S"]
    moved: Bool[Tensor, "F L"]
    """Which landmarks each fitted joint moves."""
    stiffness: Float[Tensor, "B F"]
    """Factor on the pose prior of each joint: above 1 where nothing that the joint moves was seen."""
    foot_weight: Float[Tensor, "B"]
    upright: Float[Tensor, "B"]
    """How surely each body stands, from the start of the stage."""
    with_world: bool
    """Whether the floor and gravity take part (not before the depths are about right)."""

    @staticmethod
    def build(body: BodyModel, frame: Frame, observed: Observations, variables: Variables, config: FitConfig, *, with_world: bool) -> LandmarkTerms:
        """Terms for a stage that starts at ``variables``."""
        feet = observed.confidence[:, list(_ANKLES)].amax(-1)
        foot_weight = observed.trust * (feet * observed.confidence[:, list(FOOT_POINTS)].amax(-1).clamp_min(0.5)).clamp_min(config.hidden_feet_weight)
        with torch.no_grad():
            upright = standing(variables.landmarks(body, frame), observed.confidence)
        depth = variables.base_depth * variables.log_depth.exp()
        moved = moved_landmarks(body, frame)
        known = evidence(moved, observed.confidence)
        known = known if observed.held is None else torch.maximum(known, observed.held)
        sure = 1.0 if isinstance(observed.rest, float) else 1 + config.regressor_stiffness
        return LandmarkTerms(
            body,
            frame,
            observed,
            config,
            (depth / frame.focal_px).detach(),
            body.joint_limits[frame.fit_joints],
            bone_matrix(),
            shape_spread(tuple(body.shape_names)),
            moved,
            sure * (1 + config.hidden_stiffness * (1 - known)),
            foot_weight,
            upright,
            with_world,
        )

    def __call__(self, variables: Variables, local: Float[Tensor, "B L 3"] | None = None) -> Float[Tensor, "B"]:
        """Energy of each body; priors of the shared camera are spread evenly over them."""
        c = self.config
        local = self.body.landmarks(variables.local_params(self.frame)) if local is None else local
        landmarks = variables.place(local)
        uv = project_view(landmarks, self.frame.focal_px * variables.log_focal.exp(), self.frame.centre)
        total = keypoint_term(uv, self.observed, self.metres_per_pixel, c)
        total = total + direction_term(landmarks, self.observed, self.matrix, math.radians(c.direction_sigma_deg))
        total = (
            total
            + c.weight_limits * limit_term(variables.pose, self.limits)
            + c.weight_pose * pose_term(variables.pose, pose_spread(self.limits), self.stiffness, self.observed.rest)
        )
        total = total + c.weight_shape * (variables.shape / self.spread * self.frame.shape_free).square().sum(-1)
        return total + self.world_energy(landmarks, variables) if self.with_world else total

    def limb_joints(self, start: int, end: int) -> Bool[Tensor, "F"]:
        """Fitted joints that move the landmark ``end`` but not ``start``."""
        return self.moved[:, end] & ~self.moved[:, start]

    def landmarks(self, variables: Variables) -> Float[Tensor, "B L 3"]:
        """Landmarks in view axes."""
        return variables.landmarks(self.body, self.frame)

    def world_energy(self, landmarks: Float[Tensor, "B L 3"], variables: Variables, *, depth_error: float = 0.0) -> Float[Tensor, "B"]:
        """Floor, gravity, balance and the prior of the camera (spread evenly over the bodies).

        ``depth_error`` [m] widens the floor term while depths are not settled: a wrong depth lifts a foot by its share along the vertical.
        """
        c = self.config
        sigma = math.hypot(c.floor_sigma, depth_error)
        stands = floor_term(landmarks, variables, self.foot_weight, sigma, c.floor_cutoff * sigma / c.floor_sigma)
        lean = (0.3 + 0.7 * self.upright) * gravity_term(landmarks, variables, math.radians(c.torso_sigma_deg))
        lean = lean + self.upright * balance_term(landmarks, variables, c.balance_sigma, c.balance_cutoff)
        stands = stands + self.observed.trust * lean
        return stands + self._camera_prior(variables) / len(stands)

    def _camera_prior(self, variables: Variables) -> Float[Tensor, ""]:
        c = self.config
        sigma = torch.tensor([math.radians(c.pitch_sigma_deg), math.radians(c.roll_sigma_deg)], dtype=variables.tilt.dtype)
        # Cameras are held by people: below 0.05 m the prior is flat, and far from any optimum.
        height = (variables.camera_height.clamp_min(0.05) / c.camera_height).log() / c.camera_height_sigma
        return (variables.tilt / sigma).square().sum() + (variables.log_focal / c.focal_sigma).square().sum() + height.square().sum()
