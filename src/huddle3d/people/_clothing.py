"""What people usually wear, in numbers: how far clothes, hair and shoes stand off a body, everywhere at once.

One photo shows how thick clothes are along an outline only. A linear model of many dressed people (mean and principal components of the distance
between skin and outer surface, vertex by vertex) tells what goes with it: trousers that are wide in front are wide behind, and nobody's back is bare.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.errors import InputError
from huddle3d.geometry import vertex_normals
from huddle3d.io import display_name
from huddle3d.weights import NetworkKind, half_precision

__all__ = [
    "CLOTHING_WEIGHTS",
    "ClothingModel",
    "ClothingPrior",
    "clothing_digest",
    "clothing_model",
    "clothing_prior",
    "read_clothing",
    "save_clothing",
]

CLOTHING_WEIGHTS = "clothing-anny"
"""Name of the embedded model in the registry."""

_KIND = NetworkKind("huddle3d-clothing", "a clothing model", "huddle3d train clothing")
_SETTING = "canonical.clothing"
_FAR_M = 1.0
"""Nothing that people wear stands off further [m]; NaN does not pass for less, either."""
_BARE_M = 0.001
"""Start vertices that lie further from the body than this [m] are cloth already (skirts)."""


@dataclass(frozen=True)
class ClothingModel:
    """Mean and components of the distance between a body and the outer surface of what it wears, along the body's normals [m]."""

    mean: Float[Tensor, "V"]
    basis: Float[Tensor, "C V"]
    """Each component times its standard deviation: coefficients of dressed people have unit variance."""
    model: str = "anny"
    """Name of the body model."""

    def to(self, device: torch.device | str) -> ClothingModel:
        """On a device."""
        return ClothingModel(self.mean.to(device), self.basis.to(device), self.model)


@dataclass(frozen=True)
class ClothingPrior:
    """The model for the people of one photo."""

    model: ClothingModel
    room: Float[Tensor, "K V"]
    """Largest distance of each vertex [m]: half of the way to other people; 0 inside of them, and where cloth has been put on already."""

    def __call__(self, coefficients: Float[Tensor, "K C"]) -> Float[Tensor, "K V"]:
        """Distances [m]."""
        return torch.minimum(self.model.mean + coefficients @ self.model.basis, self.room)


def clothing_prior(
    model: ClothingModel, body: Float[Tensor, "K V 3"], start: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"], metre: float
) -> ClothingPrior:
    """The model beside other people.

    Args:
        model: of the same body model.
        body: fitted bodies, canonical.
        start: the same, with the skirts that were put on.
        faces: of one body.
        metre: canonical units per metre.
    """
    from scipy.spatial import KDTree

    points, surfaces, normals = (t.detach().cpu().double().numpy() for t in (body, start, vertex_normals(start, faces)))
    room = np.full(points.shape[:2], np.inf)
    for j, surface in enumerate(surfaces):
        tree = KDTree(surface)
        for k, own in enumerate(points):
            if j != k:
                distance, nearest = tree.query(own)
                inside = ((own - surface[nearest]) * normals[j][nearest]).sum(-1) < 0
                room[k] = np.minimum(room[k], np.where(inside, 0.0, distance / (2 * metre)))
    worn = (start - body).norm(dim=-1) > _BARE_M * metre
    return ClothingPrior(model.to(body.device), torch.where(worn, 0.0, torch.from_numpy(room).to(body)))


def save_clothing(path: str | os.PathLike[str], model: ClothingModel, *, overwrite: bool = False, note: dict[str, object] | None = None) -> None:
    """One file of :class:`huddle3d.weights.NetworkKind`."""
    header = {"model": model.model, "vertices": len(model.mean), "components": len(model.basis), "note": note or {}}
    _KIND.write(path, half_precision({"mean": model.mean, "basis": model.basis}), header, overwrite=overwrite)


def read_clothing(path: str | os.PathLike[str]) -> ClothingModel:
    """A model from a file of :func:`save_clothing`, on the CPU.

    Raises:
        InputError: not such a file, or its tensors are not those of its header.
    """
    return _KIND.read(path, _built)


def _built(header: dict[str, Any], tensors: dict[str, Tensor]) -> ClothingModel:
    V, C = int(header["vertices"]), int(header["components"])
    if set(tensors) != {"mean", "basis"} or tensors["mean"].shape != (V,) or tensors["basis"].shape != (C, V):
        raise ValueError(f"not a mean and {C} components of {V} vertices")
    if C < 1 or not all(bool((t.abs() < _FAR_M).all()) for t in tensors.values()):
        raise ValueError("numbers in it are no distances of clothes")
    return ClothingModel(tensors["mean"], tensors["basis"], str(header["model"]))


def clothing_digest(source: str) -> str:
    """sha256 of the model that a configuration names; empty for none."""
    return _KIND.digest(source, embedded=CLOTHING_WEIGHTS, setting=_SETTING)


@lru_cache(maxsize=2)
def _read(path: str, digest: str) -> ClothingModel:
    return read_clothing(path)


def clothing_model(source: str, body: BodyModel) -> ClothingModel | None:
    """The model that a configuration names, for a body model; read once. The embedded one is for Anny: None for other bodies.

    Raises:
        InputError: a file of the user's own that is for another body model, or no such file.
    """
    if source == "none" or (source == "embedded" and body.name != "anny"):
        return None
    found = _read(str(_KIND.chosen(source, embedded=CLOTHING_WEIGHTS, setting=_SETTING)), clothing_digest(source))
    if found.model == body.name and len(found.mean) == body.num_vertices:
        return found
    raise InputError(
        f"{display_name(source)}: for bodies of {found.model!r} with {len(found.mean)} vertices, not of {body.name!r} with {body.num_vertices}.",
        next_step="Set canonical.clothing to none.",
    )
