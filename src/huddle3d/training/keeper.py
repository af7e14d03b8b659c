"""What every training keeps: network, running mean, optimiser, step; saved so that a run that was stopped goes on to the same numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from huddle3d.errors import InputError
from huddle3d.io import display_name, write_tensors

__all__ = ["STATE", "Keeper", "cosine_rate"]

M = TypeVar("M", bound=nn.Module)

STATE = "state.safetensors"
"""Name of the state in a training's folder."""


def cosine_rate(share: float, step: int, warm_up: int, least: float = 0.05) -> float:
    """Factor of the learning rate: up over the first steps, then along a cosine from 1 to ``least`` as ``share`` goes from 0 to 1."""
    cosine = float(torch.cos(torch.tensor(torch.pi * min(1.0, share))))
    return (least + 0.5 * (1 - least) * (1 + cosine)) * min(1.0, (step + 1) / max(1, warm_up))


@dataclass
class Keeper:
    """A network in training with its running mean."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    decay: float
    """Of the running mean; less in the first steps, so that the start is forgotten."""
    identity: str
    """Settings and data; a state of another identity is refused."""
    step: int = 0
    mean: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mean = self.mean or {k: v.detach().clone() for k, v in self.network.state_dict().items()}

    def advance(self, loss: Tensor, rate: float, *, clip: float = 1.0) -> float:
        """One step of the optimiser on a loss, with gradients clipped to a norm."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), clip)
        self.optimiser.step()
        self.follow()
        return float(loss.detach())

    @torch.no_grad()
    def follow(self) -> None:
        """Count a step of the optimiser and let the running mean follow."""
        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        for k, v in self.network.state_dict().items():
            self.mean[k].lerp_(v, 1 - decay) if v.is_floating_point() else self.mean[k].copy_(v)

    def average(self, make: Callable[[], M], device: torch.device | str = "cpu") -> M:
        """The running mean as a network in evaluation mode, without gradients; ``make`` builds it."""
        network = make().to(device)
        network.load_state_dict(self.mean)
        return network.eval().requires_grad_(False)

    def save(self, path: Path) -> None:
        """Everything that a later run needs to go on."""
        state: dict[str, Tensor] = {f"network.{k}": v for k, v in self.network.state_dict().items()} | {f"mean.{k}": v for k, v in self.mean.items()}
        for i, entry in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in entry.items()}
        state = {k: v.detach().contiguous().cpu().clone() for k, v in state.items()}
        write_tensors(path, state, metadata={"huddle3d": json.dumps({"step": self.step, "identity": self.identity})}, overwrite=True)

    def resume(self, folder: Path, *, overwrite: bool = False) -> None:
        """Go on from a folder's state, if it holds one that is not to be replaced; errors as of :meth:`load`."""
        if (folder / STATE).exists() and not overwrite:
            self.load(folder / STATE)

    def load(self, path: Path) -> None:
        """Go on from :meth:`save`.

        Raises:
            InputError: not readable, or the state belongs to other settings or data.
        """
        name = display_name(path)
        try:
            with safe_open(str(path), framework="pt") as file:
                header = json.loads((file.metadata() or {}).get("huddle3d", "{}"))
                state = {key: file.get_tensor(key) for key in file.keys()}
            # states of the view completion's first trainings call their identity "config"
            identity, step = header.get("identity", header.get("config")), int(header.get("step", 0))
        except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as e:
            raise InputError(f"{name}: not a readable state.", why=f"{e}.", next_step="Give --overwrite to start anew.") from e
        if identity != self.identity:
            raise InputError(f"{name}: from a training with other settings or data.", next_step="Choose another output folder, or give --overwrite.")
        device = next(self.network.parameters()).device
        self.network.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})
        self.mean = {k.removeprefix("mean."): v.to(device) for k, v in state.items() if k.startswith("mean.")}
        entries: dict[int, dict[str, Any]] = {}
        for k, v in state.items():
            if k.startswith("optimiser."):
                _, i, part = k.split(".", 2)
                entries.setdefault(int(i), {})[part] = v
        self.optimiser.load_state_dict({"state": entries, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.step = step
