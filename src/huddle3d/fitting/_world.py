"""From view axes to the upright world: gravity, floor, and where the world's origin lies."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.fitting._landmark_terms import FOOT_POINTS, LandmarkTerms
from huddle3d.fitting._state import Frame, Variables
from huddle3d.geometry import Camera, se3, so3_log
from huddle3d.scene import BodyParams

__all__ = ["FLIP", "initial_world", "to_world", "world_camera"]

FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
"""Rotation between view axes (y up, z to the viewer) and OpenCV camera axes (y down, z forward); its own inverse."""


def initial_world(terms: LandmarkTerms, variables: Variables) -> Variables:
    """Tilt and height of the camera at which the given bodies stand best: a search over a grid, since the robust terms have local minima.

    At each tilt the height is the weighted median of how far each person's lowest foot lies below the camera.
    """
    landmarks = terms.landmarks(variables)
    degrees = torch.deg2rad(torch.arange(-30.0, 50.1, 2.5)), torch.deg2rad(torch.arange(-10.0, 10.1, 2.5))
    tilts = torch.cartesian_prod(*degrees) if terms.config.optimise_tilt else torch.zeros(1, 2)
    depth_error = 0.07 * float(variables.base_depth.mean())  # statures vary by 4 %, and first bodies are not exact
    best, least = variables, torch.inf
    for tilt in tilts:
        level = replace(variables, tilt=tilt, camera_height=torch.zeros(1))
        trial = replace(level, camera_height=_median_drop(landmarks @ level.R_world_view()[1], terms.foot_weight))
        energy = float(terms.world_energy(landmarks, trial, depth_error=depth_error).sum())
        if energy < least:
            best, least = trial, energy
    return best


def _median_drop(heights: Float[Tensor, "B L"], weight: Float[Tensor, "B"]) -> Float[Tensor, "1"]:
    drop, order = (-heights[:, FOOT_POINTS].amin(-1)).sort()
    share = weight[order].cumsum(0)
    return drop[(share < 0.5 * share[-1]).sum().clamp_max(len(drop) - 1)][None]


def to_world(variables: Variables, frame: Frame, bodies_low: Float[Tensor, ""] | None = None) -> tuple[BodyParams, Float[Tensor, "4 4"]]:
    """Body parameters in the world and ``T_world_view``.

    World: y up, floor at y = 0, the people's mean root above the origin, the camera's azimuth 0 (it looks towards −z). With ``bodies_low``
    (lowest point of all bodies along the vertical, before the shift) that point becomes the floor instead of the fitted one.
    """
    R = variables.R_world_view()
    roots = variables.root_view() @ R.T
    floor = -variables.camera_height[0] if bodies_low is None else bodies_low
    centre = roots.mean(0)
    t = torch.stack([-centre[0], -floor, -centre[2]])
    local = variables.local_params(frame)
    pose = local.pose.clone()
    pose[:, 0] = so3_log(R @ variables.R_view_root())
    return BodyParams(local.shape, pose, roots + t, local.expression), se3(R, t)


def world_camera(T_world_view: Float[Tensor, "4 4"], focal_px: float, width: int, height: int) -> Camera:
    """The input camera in the world (OpenCV axes)."""
    R, t = T_world_view[:3, :3], T_world_view[:3, 3]
    return Camera.perspective(focal_px, width, height, se3(FLIP @ R.T, -(FLIP @ R.T @ t)))
