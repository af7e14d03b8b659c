"""Which device runs the work, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch

from huddle3d.errors import DeviceError

__all__ = ["DeviceChoice", "choose_device", "kernel_backend"]

DeviceName = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class DeviceChoice:
    """A device with the reason for taking it."""

    device: torch.device
    reason: str


def choose_device(name: str = "auto") -> DeviceChoice:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; :class:`DeviceError` if CUDA was asked for and is absent."""
    if name == "cpu":
        return DeviceChoice(torch.device("cpu"), "asked for")
    if name == "auto":
        if torch.cuda.is_available():
            return DeviceChoice(torch.device("cuda"), f"CUDA is available ({torch.cuda.get_device_name(0)})")
        why = "this torch build has no CUDA" if torch.version.cuda is None else "no CUDA device was found"
        return DeviceChoice(torch.device("cpu"), why)
    if name == "cuda" or name.startswith("cuda:"):
        if not torch.cuda.is_available():
            raise DeviceError(f"Device '{name}' is not available.", why="torch sees no CUDA device.", next_step="Use --device auto or cpu.")
        index = name.partition(":")[2] or "0"
        if not index.isdigit() or int(index) >= torch.cuda.device_count():
            raise DeviceError(f"Device '{name}' is not available.", why=f"There are {torch.cuda.device_count()} CUDA devices.")
        return DeviceChoice(torch.device("cuda", int(index)), "asked for")
    raise DeviceError(f"Unknown device '{name}'.", next_step="Valid devices: auto, cpu, cuda, cuda:N.")


def kernel_backend() -> Literal["warp", "torch"]:
    """``HUDDLE3D_KERNELS``: ``warp`` (default; compiled kernels) or ``torch`` (the plain twins, for machines without Warp)."""
    name = os.environ.get("HUDDLE3D_KERNELS", "warp")
    if name not in ("warp", "torch"):
        raise DeviceError(f"HUDDLE3D_KERNELS={name!r} is not known.", next_step="Valid values: warp, torch.")
    return name  # type: ignore[return-value]
