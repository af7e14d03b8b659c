"""The variables of bodies that were fitted before, so that a fit can start from them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from huddle3d.errors import InputError
from huddle3d.fitting._landmark_terms import LandmarkTerms
from huddle3d.fitting._state import Frame, Variables
from huddle3d.geometry import apply, so3_exp
from huddle3d.scene import Bodies

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["earlier_or_fresh", "variables_of"]

_BETTER = 0.75
"""A fresh first body replaces an earlier one if it explains the observations with at most this share of its energy."""


def variables_of(bodies: Bodies, frame: Frame, body: BodyModel, names: tuple[str, ...]) -> Variables:
    """The variables that :func:`huddle3d.fitting._world.to_world` made these bodies of, up to the world's place and azimuth.

    Args:
        bodies: an earlier result of the same photo.
        frame: of the new fit; joints and shape entries that it holds fixed are dropped.
        body: the model.
        names: the people of the new fit, in order.

    Raises:
        InputError: bodies of another model, of other people, or of a picture of another size.
    """
    if bodies.model != body.name:
        raise InputError(f"The bodies to start from are of {bodies.model!r}, not of {body.name!r}.", next_step="Fit without them.")
    if missing := set(names) - set(bodies.names):
        raise InputError(f"The bodies to start from lack {', '.join(sorted(missing))}.", next_step="Fit without them.")
    camera = bodies.camera
    if (camera.width / 2, camera.height / 2) != tuple(frame.centre.tolist()):
        raise InputError("The bodies to start from are of a picture of another size.", next_step="Fit without them.")
    rows = [bodies.names.index(n) for n in names]
    flip = torch.tensor([1.0, -1.0, -1.0])
    R_view_world = flip[:, None] * camera.T_cam_world[:3, :3]
    root = apply(camera.T_cam_world, bodies.params.translation[rows]) * flip
    depth = (-root[:, 2]).clamp_min(0.1)
    up = R_view_world[:, 1]  # the second row of R_x(-pitch) R_z(roll) is (cos p sin r, cos p cos r, sin p)
    pose = bodies.params.pose[rows]
    count, zero = len(rows), torch.zeros
    return Variables(
        R_view_base=R_view_world @ so3_exp(pose[:, 0]),
        base_ray=root[:, :2] * torch.tensor([1.0, -1.0]) / depth[:, None],
        base_depth=depth,
        turn=zero(count, 3),
        pose=pose[:, frame.fit_joints],
        shape=(bodies.params.shape[rows] - frame.neutral_shape) * frame.shape_free,
        shift=zero(count, 2),
        log_depth=zero(count),
        tilt=torch.stack([torch.asin(up[2].clamp(-1, 1)), torch.atan2(up[0], up[1])]),
        camera_height=camera.centre[1:2],
        log_focal=torch.tensor([math.log(float(camera.K[1, 1]) / frame.focal_px)]),
    ).detached()


def earlier_or_fresh(terms: LandmarkTerms, earlier: Variables, fresh: Variables) -> Variables:
    """Each person's earlier body, or the fresh one where that explains the observations much better: what is observed of them has changed."""
    shared = {name: getattr(earlier, name) for name in ("tilt", "camera_height", "log_focal")}
    fresh = replace(fresh, **shared)
    better = terms(fresh) < _BETTER * terms(earlier)
    count = len(better)
    both = Variables(**{k: v if k in shared else torch.cat([v, getattr(fresh, k)]) for k, v in vars(earlier).items()})
    return both.take(torch.arange(count) + count * better)
