"""What every training keeps: network, running mean, optimiser, step; saved so that a run that was stopped goes on to the same numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from huddle3d.errors import InputError
from huddle3d.io import atomic_file

__all__ = ["Keeper", "cosine_rate"]


def cosine_rate(share: float, step: int, warm_up: int) -> float:
    """Factor of the learning rate: up over the first steps, then along a cosine from 1 to 0.05 as ``share`` goes from 0 to 1."""
    return (0.05 + 0.475 * (1 + float(torch.cos(torch.tensor(torch.pi * min(1.0, share)))))) * min(1.0, (step + 1) / max(1, warm_up))


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
        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for k, v in self.network.state_dict().items():
                self.mean[k].lerp_(v, 1 - decay) if v.is_floating_point() else self.mean[k].copy_(v)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Everything that a later run needs to go on."""
        state: dict[str, Tensor] = {f"network.{k}": v for k, v in self.network.state_dict().items()} | {f"mean.{k}": v for k, v in self.mean.items()}
        for i, entry in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in entry.items()}
        state = {k: v.detach().contiguous().cpu().clone() for k, v in state.items()}
        with atomic_file(path, overwrite=True) as tmp:
            save_file(state, tmp, metadata={"huddle3d": json.dumps({"step": self.step, "identity": self.identity})})

    def load(self, path: Path) -> None:
        """Go on from :meth:`save`.

        Raises:
            InputError: the state belongs to other settings or data.
        """
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("huddle3d", "{}"))
        if header.get("identity") != self.identity:
            raise InputError(f"{path}: from a training with other settings or data.", next_step="Choose another output folder, or give --overwrite.")
        state = load_file(str(path))
        device = next(self.network.parameters()).device
        self.network.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})
        self.mean = {k.removeprefix("mean."): v.to(device) for k, v in state.items() if k.startswith("mean.")}
        entries: dict[int, dict[str, Any]] = {}
        for k, v in state.items():
            if k.startswith("optimiser."):
                _, i, name = k.split(".", 2)
                entries.setdefault(int(i), {})[name] = v
        self.optimiser.load_state_dict({"state": entries, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.step = int(header["step"])
