"""The cosine noise schedule (Nichol and Dhariwal, 2021) and the steps that go with a network that predicts clean samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.errors import InputError

__all__ = ["CosineSchedule"]


@dataclass(frozen=True)
class CosineSchedule:
    """``x_t = √ᾱ_t x0 + √(1 - ᾱ_t) ε`` with ``f(s) = cos²((s/T + 0.008) / 1.008 · π/2)`` and ``β_t = min(1 - f(t+1)/f(t), 0.999)``.

    ``ᾱ_t`` is the product of ``1 - β`` up to and with t, in double precision: ᾱ_0 is just below 1, ᾱ_{T-1} nearly 0.
    """

    steps: int = 1000
    """T."""

    def alphas_bar(self) -> Float[Tensor, "T"]:
        """ᾱ of every step (double precision)."""
        s = torch.arange(self.steps + 1, dtype=torch.float64) / self.steps
        f = torch.cos((s + 0.008) / 1.008 * torch.pi / 2).square()
        beta = (1 - f[1:] / f[:-1]).clamp_max(0.999)
        return (1 - beta).cumprod(0)

    def at(self, time: Int[Tensor, "B"]) -> Float[Tensor, "B 1"]:
        """ᾱ of each row; 1 for time -1 (no noise left)."""
        padded = torch.cat([torch.ones(1, dtype=torch.float64), self.alphas_bar()]).to(time.device)
        return padded[time.long() + 1].float()[:, None]

    def noised(self, x0: Float[Tensor, "B D"], time: Int[Tensor, "B"], noise: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """A sample of ``q(x_t | x0)`` with the given standard normal noise."""
        a = self.at(time)
        return a.sqrt() * x0 + (1 - a).sqrt() * noise

    def step(
        self,
        x: Float[Tensor, "B D"],
        x0: Float[Tensor, "B D"],
        time: Int[Tensor, "B"],
        before: Int[Tensor, "B"],
        noise: Float[Tensor, "B D"],
        eta: float,
    ) -> Float[Tensor, "B D"]:
        """One DDIM step from ``time`` to the earlier ``before`` (-1 = the end), given the predicted clean sample.

        ``σ = η √((1 - ᾱ_s)/(1 - ᾱ_t)) √(1 - ᾱ_t/ᾱ_s)``; η = 0 is deterministic, η = 1 has the variance of ancestral sampling.
        """
        at, a = self.at(time), self.at(before)
        eps = (x - at.sqrt() * x0) / (1 - at).sqrt()
        sigma = eta * ((1 - a) / (1 - at)).sqrt() * (1 - at / a).clamp_min(0).sqrt()
        return a.sqrt() * x0 + (1 - a - sigma.square()).clamp_min(0).sqrt() * eps + sigma * noise

    def visited(self, count: int) -> list[int]:
        """Steps that a sampler of ``count`` calls visits, from the last down: 901, 801, …, 1 for T = 1000 and count = 10."""
        if not 1 <= count <= self.steps:
            raise InputError(f"{count} sampling steps of a schedule of {self.steps}.", next_step=f"Use 1 to {self.steps}.")
        stride = self.steps // count
        return [min(1 + stride * k, self.steps - 1) for k in range(count)][::-1]
