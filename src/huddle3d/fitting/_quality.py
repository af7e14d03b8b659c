"""What the fit says about itself: reprojection error, confidence and warnings in words."""

from __future__ import annotations

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.fitting._observations import Observations
from huddle3d.scene import People2D
from huddle3d.scene.landmarks import BODY, LANDMARK_INDEX

__all__ = ["SEEN", "confidence_of", "depth_spread", "describe", "reprojection"]

_LEGS = [LANDMARK_INDEX[f"{s}_{n}"] for s in ("left", "right") for n in ("knee", "ankle")]
_TORSO = [LANDMARK_INDEX[f"{s}_{n}"] for s in ("left", "right") for n in ("shoulder", "hip")]
SEEN = 0.3
"""Confidence from which a landmark counts as seen."""


def reprojection(uv: Float[Tensor, "K L 2"], observed: Observations) -> Float[Tensor, "K"]:
    """Mean confidence-weighted distance of the 17 body landmarks to their observations [px]; 0 if none is observed."""
    w = observed.confidence[:, BODY]
    return ((uv - observed.uv)[:, BODY].norm(dim=-1) * w).sum(-1) / w.sum(-1).clamp_min(1e-9)


def depth_spread(landmarks_view: Float[Tensor, "K L 3"], observed: Observations) -> Float[Tensor, "K"]:
    """Standard deviation [m] of each person's depth.

    Depth is size over picture size: 5 % for the person's unknown stature, and more where only a small part of the body was seen, because
    the picture size is then measured on a short length (2 cm of landmark noise at each end).
    """
    body = landmarks_view[:, BODY]
    seen = (observed.confidence[:, BODY] > SEEN)[..., None]
    high, low = torch.where(seen, body, -torch.inf).amax(1), torch.where(seen, body, torch.inf).amin(1)
    extent = (high - low)[:, :2].norm(dim=-1).nan_to_num(0.1, 0.1, 0.1).clamp(0.1, 2.0)
    return -body[..., 2].mean(-1) * (0.05**2 + (0.03 / extent).square()).sqrt()


def confidence_of(people: People2D, observed: Observations, error_px: Float[Tensor, "K"]) -> Float[Tensor, "K"]:
    """Detection score times the mean landmark confidence (torso twice) times how well the body meets it (halved at 7 % of the box height)."""
    body = observed.confidence[:, BODY].mean(-1)
    torso = observed.confidence[:, _TORSO].mean(-1)
    seen = (body + torso) / 2
    fit = 1 / (1 + (error_px / (0.07 * observed.box_height)).square())
    return (people.scores.float().cpu().clamp(0, 1) * (0.3 + 0.7 * seen) * fit).clamp(0, 1)


def describe(
    people: People2D,
    observed: Observations,
    error_px: Float[Tensor, "K"],
    *,
    depth_spread: Float[Tensor, "K"],
    foot_height: Float[Tensor, "K"],
    penetration_mm: Float[Tensor, "K K"],
    converged: bool,
    focal_source: str,
) -> tuple[str, ...]:
    """Warnings in words, person by person, then for the photo.

    Args:
        people: names.
        observed: what was seen.
        error_px: reprojection error.
        depth_spread: how far the person may be moved in depth without contradicting the picture [m].
        foot_height: lowest foot above (positive) or below the floor [m].
        penetration_mm: largest depth of body a inside body b.
        converged: whether the optimisation settled.
        focal_source: ``"exif"``, ``"user"`` or ``"default"``.
    """
    out: list[str] = []
    for k, name in enumerate(people.names):
        seen = observed.confidence[k] > SEEN
        if not seen[_LEGS].any():
            out.append(f"{name}: lower body not seen; legs are a guess.")
        elif not seen[_LEGS[1::2]].any():
            out.append(f"{name}: feet not seen; the distance to the floor is a guess.")
        if not seen[_TORSO].all():
            out.append(f"{name}: only part of the torso was seen; orientation is uncertain.")
        if depth_spread[k] > 0.3:
            out.append(f"{name}: depth uncertain by about {100 * float(depth_spread[k]):.0f} cm.")
        if error_px[k] > 0.07 * observed.box_height[k]:
            share = 100 * float(error_px[k] / observed.box_height[k])
            out.append(f"{name}: the body meets its keypoints badly (mean {float(error_px[k]):.0f} px, {share:.0f} % of the box height).")
        if foot_height[k] > 0.15 and seen[_LEGS[1::2]].any():
            out.append(f"{name}: feet are {100 * float(foot_height[k]):.0f} cm above the common floor.")
        if foot_height[k] < -0.08:
            out.append(f"{name}: feet are {-100 * float(foot_height[k]):.0f} cm below the common floor.")
    for a, b in combinations(range(len(people.names)), 2):
        depth = float(torch.maximum(penetration_mm[a, b], penetration_mm[b, a]))
        if depth > 30:
            out.append(f"{people.names[a]} and {people.names[b]}: bodies still penetrate by {depth:.0f} mm.")
    if not converged:
        out.append("The fit had not settled when its iterations ran out.")
    if focal_source == "default":
        out.append("Focal length unknown; a default field of view was assumed, so absolute depths may be off.")
    return tuple(out)
