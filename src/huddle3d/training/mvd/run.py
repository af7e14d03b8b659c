"""What all trainings of views share: accelerate around what every training keeps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from huddle3d.errors import InputError
from huddle3d.training.keeper import Keeper, cosine_rate
from huddle3d.training.mvd.config import RunSettings

__all__ = ["TrainingRun"]


def _accelerate() -> Any:
    try:
        import accelerate
    except ImportError as e:
        raise InputError("accelerate is not installed.", next_step="pip install 'huddle3d[train]'") from e
    return accelerate


class TrainingRun:
    """A network with its optimiser and the running mean of its weights, on one device or, under ``accelerate launch``, on many.

    Args:
        make: builds the network.
        config: settings.
        device: of this process.
        learned: what is learned, if it is not everything in the bank; part of the state's identity.
    """

    def __init__(self, make: Callable[[], torch.nn.Module], config: RunSettings, device: torch.device, *, learned: str = "") -> None:
        torch.manual_seed(config.seed)
        self.config, self.make = config, make
        # the precision is not accelerate's: it allows one for all runs of a process
        self.accelerator = _accelerate().Accelerator(cpu=device.type == "cpu", mixed_precision="no", gradient_accumulation_steps=config.accumulate)
        model = make()
        if config.channels_last:
            model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay)
        self.model, self.optimiser = self.accelerator.prepare(model, optimiser)
        self.plain: Any = self.accelerator.unwrap_model(self.model)
        # not the bank: it may have grown since
        self.keeper = Keeper(self.plain, self.optimiser, config.ema, repr(config) + learned)

    @property
    def step(self) -> int:
        """Steps done."""
        return self.keeper.step

    @property
    def device(self) -> torch.device:
        """Of this process."""
        return self.accelerator.device

    def generator(self, salt: int, step: int) -> torch.Generator:
        """Random numbers of one step and process alone, so that a resumed run draws the same."""
        return torch.Generator().manual_seed((((self.config.seed + salt) * 8191 + self.accelerator.process_index) << 32) + step)

    def rate(self, done: float) -> float:
        """Learning rate of this step; it falls to a twentieth by a cosine as the share ``done`` goes to 1."""
        return self.config.learning_rate * cosine_rate(done, self.step, self.config.warm_up)

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
            with self._attention():
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
                    loss = loss_of(self.model)
                self.accelerator.backward(loss)
            for p in self.plain.parameters():
                if frozen is not None and id(p) in frozen:
                    p.grad = None
            if self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
        self.keeper.follow()
        return float(loss.detach())

    def _attention(self) -> AbstractContextManager[Any]:
        """On a CPU in half precision the backward pass of the fused attention is up to six times slower than plain products (37 to 6 ms at 288 × 48 tokens)."""
        plain = self.config.bf16 and self.device.type == "cpu"
        return sdpa_kernel(SDPBackend.MATH) if plain else nullcontext()

    def average(self) -> Any:
        """The running mean as a network in evaluation mode, on the device."""
        return self.keeper.average(self.make, self.device)
