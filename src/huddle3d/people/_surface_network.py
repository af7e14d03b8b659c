"""The surface network as stored and loaded, and what it says of a photo."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.networks import SurfaceNet, SurfaceNetConfig
from huddle3d.people._surface import SurfaceWindows, WindowSurface, surface_windows, understand
from huddle3d.scene import Photo
from huddle3d.weights import NetworkKind, half_precision, loaded

__all__ = [
    "SURFACE_WEIGHTS",
    "SurfaceNetwork",
    "observe_surface",
    "read_surface_network",
    "save_surface_network",
    "surface_digest",
    "surface_network",
]

SURFACE_WEIGHTS = "surface"
"""Name of the embedded weights in the registry."""

_KIND = NetworkKind("huddle3d-surface", "a surface network", "huddle3d train surface")
_SETTING = "canonical.surface"


@dataclass(frozen=True)
class SurfaceNetwork:
    """A trained network and the size of the windows that it knows."""

    network: SurfaceNet
    """In evaluation mode."""
    size: int
    """Side of its windows [px]."""


def save_surface_network(
    path: str | os.PathLike[str], model: SurfaceNetwork, *, overwrite: bool = False, note: dict[str, object] | None = None
) -> None:
    """One file of :class:`huddle3d.weights.NetworkKind`."""
    header = {"network": dataclasses.asdict(model.network.config), "size": model.size, "note": note or {}}
    _KIND.write(path, half_precision(model.network.state_dict()), header, overwrite=overwrite)


def read_surface_network(path: str | os.PathLike[str]) -> SurfaceNetwork:
    """A network from a file of :func:`save_surface_network`, on the CPU.

    Raises:
        InputError: not such a file, or its keys and shapes are not those of its own config.
    """
    return _KIND.read(path, _built)


def _built(header: dict[str, Any], tensors: dict[str, Tensor]) -> SurfaceNetwork:
    config, size = SurfaceNetConfig(tuple(header["network"]["widths"]), int(header["network"]["groups"])), int(header["size"])
    if size < 1 or size % config.multiple:
        raise ValueError(f"windows of {size} px")
    return SurfaceNetwork(loaded(lambda: SurfaceNet(config), tensors), size)


def surface_digest(source: str) -> str:
    """sha256 of the network that a configuration names; empty for none."""
    return _KIND.digest(source, embedded=SURFACE_WEIGHTS, setting=_SETTING)


@lru_cache(maxsize=2)
def _read(path: str, digest: str) -> SurfaceNetwork:
    return read_surface_network(path)


def surface_network(source: str) -> SurfaceNetwork:
    """The network that a configuration names; read once."""
    return _read(str(_KIND.chosen(source, embedded=SURFACE_WEIGHTS, setting=_SETTING)), surface_digest(source))


@torch.no_grad()
def observe_surface(
    model: SurfaceNetwork,
    photo: Photo,
    masks: Bool[Tensor, "K H W"],
    camera: Camera,
    vertices: Float[Tensor, "K V 3"],
    faces: Int[Tensor, "F 3"],
) -> tuple[WindowSurface, SurfaceWindows]:
    """Normals, depth and mask of each person, in windows of the photo.

    Args:
        model: the network.
        photo: the picture.
        masks: visible pixels of each person; disjoint.
        camera: the input camera in the frame of ``vertices``; its depths metric.
        vertices: fitted bodies.
        faces: of one body.
    """
    windows = surface_windows(photo, masks, camera, vertices, faces, model.size)
    network = model.network.to(vertices.device)
    outputs = torch.cat([network(row[None]) for row in windows.inputs])  # one by one: memory does not grow with the people
    return understand(outputs, windows), windows
