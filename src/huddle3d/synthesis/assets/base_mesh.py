"""MakeHuman's base mesh, on which clothes hang, in terms of the body that is baked into the package.

The baked body keeps MakeHuman's template (``base.obj`` / 10) to the last bit of a float, so the map between the two vertex lists is found by
comparing coordinates and needs no file of its own. Left out of the body are teeth, lash helpers and joint cubes: those follow their nearest
vertex, which is a lid for the lashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from huddle3d.bodies import load_body
from huddle3d.errors import InputError
from huddle3d.io import display_name, read_obj
from huddle3d.scene import BodyParams

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["BASE_VERTICES", "BaseMesh"]

BASE_VERTICES = 19_158
"""Vertices of ``hm08``, helpers included."""
_SAME_M = 1e-6


@dataclass(frozen=True)
class BaseMesh:
    """All base vertices on one kind of body."""

    body: BodyModel
    row: Int[Tensor, "B"]
    """Row of each base vertex in the body's points (surface, tights, skirt, hair, one behind the other)."""
    offset: Float[Tensor, "B 3"]
    """From that point to the base vertex on the template [m]; zero for vertices that the body keeps."""
    weights: Float[Tensor, "B J"]
    """Skinning weights."""
    of_body: Int[Tensor, "V"]
    """Base vertex of each vertex of the body's surface."""

    @staticmethod
    def match(body: BodyModel, template: Float[Tensor, "B 3"], *, source: str = "base mesh") -> BaseMesh:
        """Find the body's vertices in a base mesh.

        Args:
            body: the body model, with helper meshes.
            template: the base mesh [m], y up.
            source: its name in messages.

        Raises:
            InputError: it is not the mesh that the body was baked from.
        """
        points = [body.surface, *(g.points for g in body.garments.values())]
        own = torch.cat([p.template for p in points]).double()
        _, of_own = KDTree(template.double().numpy()).query(own.numpy())
        of_own = torch.from_numpy(of_own)
        if float((template[of_own] - own).norm(dim=-1).max()) > _SAME_M or len(torch.unique(of_own)) != len(own):
            raise InputError(
                f"{source}: not the base mesh of the body '{body.name}'.",
                why="Its vertices lie elsewhere.",
                next_step="Use MakeHuman's base.obj (hm08).",
            )
        distance, nearest = KDTree(own.numpy()).query(template.double().numpy())
        row = torch.from_numpy(nearest)
        offset = (template.double() - own[row]) * (torch.from_numpy(distance) > _SAME_M)[:, None]
        weights = torch.cat([p.weights for p in points])[row]
        return BaseMesh(body, row, offset.to(weights.dtype), weights, of_own[: body.num_vertices])

    def rest(self, params: BodyParams) -> Float[Tensor, "B 3"]:
        """Base vertices of the first person of ``params``, shaped, before any pose [m]."""
        coefficients = self.body.shape_space.coefficients(params.shape[:1], params.expression[:1])
        points = [self.body.surface, *(g.points for g in self.body.garments.values())]
        return torch.cat([p.rest(coefficients, params.expression[:1])[0] for p in points])[self.row] + self.offset


@lru_cache(maxsize=2)
def base_mesh(path: Path, modified_ns: int, body_name: str) -> BaseMesh:
    """The base mesh of a file; cached by the file's time."""
    mesh = read_obj(path)
    if len(mesh.vertices) != BASE_VERTICES:
        raise InputError(
            f"{display_name(path)}: not MakeHuman's base mesh.",
            why=f"It has {len(mesh.vertices)} vertices instead of {BASE_VERTICES}.",
            next_step="Put MakeHuman's base.obj (hm08) there.",
        )
    return BaseMesh.match(load_body(body_name), torch.from_numpy(mesh.vertices) / 10, source=display_name(path))
