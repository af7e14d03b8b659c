"""Turns the camera of a scene until everybody can be seen: a photographer walks around people who hide each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.synthesis.spec import CameraSpec

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["turns", "visible_shares"]

_SIDE_PX = 160
"""Longer side of the pictures that are counted."""
_STEP_DEG = 10


def turns(spec: CameraSpec) -> list[CameraSpec]:
    """The camera itself, then turned about the vertical through the people by 10, -10, 20 … 180 degrees."""
    offsets = [0.0, *(sign * k for k in range(_STEP_DEG, 180, _STEP_DEG) for sign in (1.0, -1.0)), 180.0]
    return [replace(spec, azimuth_deg=spec.azimuth_deg + offset) for offset in offsets]


def visible_shares(vertices: Float[Tensor, "K V 3"], body: BodyModel, camera: Camera) -> Float[Tensor, "K 2"]:
    """Share of the pixels of each body that nobody else hides, and of each head that nothing hides, own arms included; 0 out of the picture.

    Args:
        vertices: bodies [m], world.
        body: their model (faces, regions).
        camera: one perspective camera; its picture is shrunk for counting.
    """
    from huddle3d.render import rasterize

    scale = _SIDE_PX / max(camera.width, camera.height)
    small = camera.resized(max(8, round(camera.width * scale)), max(8, round(camera.height * scale)))
    count, size = vertices.shape[:2]
    names = [body.region_names.index(n) for n in ("head", "face")]
    head = torch.isin(body.regions, torch.tensor(names))[body.faces].all(-1)
    all_faces = torch.cat([body.faces + k * size for k in range(count)])
    together = rasterize(vertices.reshape(-1, 3), all_faces, small).face_id[0]
    shares = torch.zeros(count, 2)
    for k in range(count):
        start = k * len(body.faces)
        own = (together >= start) & (together < start + len(body.faces))
        for column, part in enumerate((torch.ones_like(head), head)):
            alone = rasterize(vertices[k], body.faces[part], small).face_id[0] >= 0
            seen = own & part[(together - start).clamp(0, len(part) - 1)]
            shares[k, column] = float((seen & alone).sum()) / max(int(alone.sum()), 1)
    return shares
