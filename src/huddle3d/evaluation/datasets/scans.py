"""Scans as samples: people in metres from mesh files, and a photograph of them where the data set has none."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import HuddleError, InputError
from huddle3d.geometry import Camera, look_at
from huddle3d.io import display_name, read_obj
from huddle3d.scene import PersonMesh, Photo

__all__ = ["ASSUMED_HEIGHT_M", "body_vertices", "photograph", "read_person", "regressed_joints", "smpl_to_coco", "to_metres", "view_camera"]

ASSUMED_HEIGHT_M = 1.70
"""Height of the tallest person of a scan whose unit is not known [m]."""
_PLAUSIBLE_M = (0.4, 2.5)


def read_person(path: Path, name: str) -> tuple[PersonMesh, bool]:
    """A person from an OBJ file, in the file's unit, and whether it has a texture."""
    data = read_obj(path)
    return replace(PersonMesh.from_mesh_data(data), name=name), data.texture is not None


def body_vertices(paths: Sequence[Path], metres_per_unit: float) -> Float[Tensor, "K V 3"] | None:
    """Vertices of the data set's own body fits [m]; None if there is not one for each person or they differ in topology."""
    meshes = [torch.from_numpy(read_obj(p).vertices).float() * metres_per_unit for p in paths]
    return torch.stack(meshes) if meshes and len({m.shape for m in meshes}) == 1 else None


_COCO_OF_SMPL = {5: 16, 6: 17, 7: 18, 8: 19, 9: 20, 10: 21, 11: 1, 12: 2, 13: 4, 14: 5, 15: 7, 16: 8}
"""Row of SMPL's joints for each COCO joint from the shoulders down; the head has none."""


def smpl_to_coco(joints: Float[Tensor, "K J 3"]) -> Float[Tensor, "K 17 3"]:
    """COCO-17 joints from the first 22 of SMPL or SMPL-X; NaN for the head."""
    out = joints.new_full((len(joints), 17, 3), math.nan)
    out[:, list(_COCO_OF_SMPL)] = joints[:, list(_COCO_OF_SMPL.values())]
    return out


_KINDS = {6890: "smpl", 10475: "smplx"}
"""Body models by their number of vertices."""


def regressed_joints(vertices: Float[Tensor, "K V 3"] | None) -> Float[Tensor, "K 17 3"] | None:
    """COCO-17 joints (NaN for the head) of body fits, by the joint regressor of the user's SMPL or SMPL-X file.

    None without fits, without the file, or for another topology.
    """
    from huddle3d.bodies import joint_regressor

    if vertices is None or vertices.shape[1] not in _KINDS:
        return None
    try:
        regressor = joint_regressor(_KINDS[vertices.shape[1]])
    except HuddleError:
        return None
    return smpl_to_coco((regressor @ vertices.double()).to(vertices)) if regressor.shape[1] == vertices.shape[1] else None


def to_metres(people: Sequence[PersonMesh], metres_per_unit: float | None, source: Path) -> tuple[tuple[PersonMesh, ...], float, tuple[str, ...]]:
    """People in metres, the factor, and what was assumed.

    Without a factor the tallest person's extent along y counts as 1.70 m: a crouching group comes out too large, so that centimetres are
    comparable between methods on the same scan, not between scans.

    Raises:
        InputError: with a given factor, the tallest person measures less than 0.4 or more than 2.5 m along y.
    """
    tallest = max(float(m.vertices[:, 1].amax() - m.vertices[:, 1].amin()) for m in people)
    if tallest <= 0:
        raise InputError(f"{display_name(source)}: the scan has no height.", next_step="Unpack it again.")
    notes: tuple[str, ...] = ()
    if metres_per_unit is None:
        metres_per_unit = ASSUMED_HEIGHT_M / tallest
        notes = (f"scale assumed: the tallest person counts as {ASSUMED_HEIGHT_M} m",)
    height = tallest * metres_per_unit
    if not _PLAUSIBLE_M[0] <= height <= _PLAUSIBLE_M[1]:
        raise InputError(
            f"{display_name(source)}: the tallest person measures {height:.3g} m along y.",
            why="The unit or the up axis of this scan is not what the data set's layout says.",
            next_step="Give the data set as published.",
        )
    return tuple(replace(m, vertices=m.vertices * metres_per_unit) for m in people), metres_per_unit, notes


def view_camera(people: Sequence[PersonMesh], *, seed: int, view: int, views: int = 4, size: int = 768) -> Camera:
    """The paper's input views: a seeded start azimuth plus 0, 90, 180, 270°, elevation U[−20, 45]°, distance U[2, 6] half extents.

    The focal length makes the bounding sphere fill 90 % of the square picture [px].
    """
    vertices = torch.cat([m.vertices for m in people])
    low, high = vertices.amin(0), vertices.amax(0)
    centre, half = (low + high) / 2, float((high - low).max()) / 2
    draw = torch.rand(1 + 2 * views, generator=torch.Generator().manual_seed(seed)).double()
    azimuth = 2 * math.pi * (float(draw[0]) + view / views)
    elevation, distance = math.radians(-20 + 65 * float(draw[1 + 2 * view])), (2 + 4 * float(draw[2 + 2 * view])) * half
    back = torch.tensor([math.sin(azimuth) * math.cos(elevation), math.sin(elevation), math.cos(azimuth) * math.cos(elevation)])
    radius = float((vertices - centre).norm(dim=-1).max())
    focal = 0.9 * size / 2 / math.tan(math.asin(min(0.95, radius / distance)))
    return Camera.perspective(focal, size, size, look_at(centre + distance * back, centre))


def photograph(people: Sequence[PersonMesh], camera: Camera, name: str) -> Photo:
    """A lit picture of scans on a plain ground, with the camera's focal length known."""
    from huddle3d.render import RenderMesh, ShadeConfig, shade

    image = shade([RenderMesh.of(m) for m in people], camera, ShadeConfig(ambient_directions=0, supersample=2)).clamp(0, 1)
    image = (image * 255).round() / 255  # as a picture file holds it
    digest = hashlib.sha256((image * 255).to(torch.uint8).numpy().tobytes()).hexdigest()
    return Photo(image, name, digest, float(camera.K[1, 1]), "user")
