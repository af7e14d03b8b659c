"""What all trainings of views share: accelerate, the running mean of the weights, saving and going on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import atomic_file, display_name
from huddle3d.training.mvd.config import RunSettings

__all__ = ["TrainingRun"]


def _accelerate() -> Any:
    try:
        import accelerate
    except ImportError as e:
        raise InputError("accelerate is not installed.", next_step="pip install 'huddle3d[train]'") from e
    return accelerate


class TrainingRun:
    """A network with its optimiser and the running mean of its weights, on one device or, under ``accelerate launch``, on many."""

    def __init__(self, make: Callable[[], torch.nn.Module], config: RunSettings, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.make, self.step = config, make, 0
        self.accelerator = _accelerate().Accelerator(
            cpu=device.type == "cpu", mixed_precision="bf16" if config.bf16 else "no", gradient_accumulation_steps=config.accumulate
        )
        model = make()
        if config.channels_last:
            model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay)
        self.model, self.optimiser = self.accelerator.prepare(model, optimiser)
        self.plain: Any = self.accelerator.unwrap_model(self.model)
        self.mean = {k: v.detach().clone() for k, v in self.plain.state_dict().items()}

    @property
    def device(self) -> torch.device:
        """Of this process."""
        return self.accelerator.device

    def generator(self, salt: int, step: int) -> torch.Generator:
        """Random numbers of one step and process alone, so that a resumed run draws the same."""
        return torch.Generator().manual_seed((((self.config.seed + salt) * 8191 + self.accelerator.process_index) << 32) + step)

    def rate(self, done: float) -> float:
        """Learning rate of this step; it falls to a twentieth by a cosine as the share ``done`` goes to 1."""
        cosine = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done))
        return self.config.learning_rate * cosine * min(1.0, (self.step + 1) / self.config.warm_up)

    def advance(self, loss_of: Callable[[torch.nn.Module], Tensor], rate: float, frozen: set[int] | None = None) -> float:
        """One step.

        Args:
            loss_of: the loss of the network on this step's batch.
            rate: learning rate.
            frozen: ``id`` of parameters that must not move.
        """
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with self.accelerator.accumulate(self.model):
            with self.accelerator.autocast():
                loss = loss_of(self.model)
            self.accelerator.backward(loss)
            for p in self.plain.parameters():
                if frozen is not None and id(p) in frozen:
                    p.grad = None
            if self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for k, v in self.plain.state_dict().items():
                self.mean[k].lerp_(v, 1 - decay) if v.is_floating_point() else self.mean[k].copy_(v)
        return float(loss.detach())

    def average(self) -> Any:
        """The running mean as a network in evaluation mode, on the device."""
        model = self.make().to(self.device)
        model.load_state_dict(self.mean)
        return model.eval().requires_grad_(False)

    def save(self, path: Path) -> None:
        """Everything that a later run needs to go on."""
        state = {f"network.{k}": v for k, v in self.plain.state_dict().items()} | {f"mean.{k}": v for k, v in self.mean.items()}
        for i, entry in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{i}.{k}": torch.as_tensor(v) for k, v in entry.items()}
        state = {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}
        with atomic_file(path, overwrite=True) as tmp:
            save_file(state, tmp, metadata={"huddle3d": json.dumps({"kind": "views-state", "step": self.step, "config": repr(self.config)})})

    def load(self, path: Path) -> None:
        """Go on from :meth:`save`; the bank may have grown since.

        Raises:
            InputError: not readable, or of a training with other settings.
        """
        name = display_name(path)
        try:
            with safe_open(str(path), framework="pt") as file:
                header = json.loads((file.metadata() or {}).get("huddle3d", "{}"))
            state = load_file(str(path))
        except (OSError, SafetensorError, ValueError) as e:
            raise InputError(f"{name}: not a readable state.", why=f"{e}.", next_step="Give --overwrite to start anew.") from e
        if header.get("kind") != "views-state" or header.get("config") != repr(self.config):
            raise InputError(f"{name}: from a training with other settings.", next_step="Choose another output folder, or give --overwrite.")
        self.plain.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})
        self.mean = {k.removeprefix("mean."): v.to(self.device) for k, v in state.items() if k.startswith("mean.")}
        entries: dict[int, dict[str, Any]] = {}
        for k, v in state.items():
            if k.startswith("optimiser."):
                _, i, part = k.split(".", 2)
                entries.setdefault(int(i), {})[part] = v
        self.optimiser.load_state_dict({"state": entries, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.step = int(header["step"])
