"""Noise schedules of picture diffusion, read from diffusers' ``scheduler_config.json``, and the DDIM step.

``x_t = √ᾱ_t x0 + √(1 - ᾱ_t) ε``. What the network predicts (ε, x0 or the velocity ``v = √ᾱ ε - √(1 - ᾱ) x0``) is a property of a checkpoint and
stands in its configuration; :func:`check_prediction` tries it, because published configurations leave it out or copy it from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.errors import InputError

__all__ = ["NoiseSchedule", "Prediction", "check_prediction"]

Prediction = Literal["epsilon", "sample", "v_prediction"]
"""What a network's output means."""

Betas = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
Spacing = Literal["leading", "trailing", "linspace"]


@dataclass(frozen=True)
class NoiseSchedule:
    """A discrete noise schedule; the defaults are PSHuman's (HUG3D keeps them)."""

    steps: int = 1000
    """T."""
    betas: Betas = "linear"
    """``"linear"``; ``"scaled_linear"``: linear in √β (Stable Diffusion); ``"squaredcos_cap_v2"``: cosine, needs no ends."""
    first: float = 0.00085
    """β of the first step."""
    last: float = 0.012
    """β of the last step."""
    prediction: Prediction = "v_prediction"
    """What the network predicts."""
    spacing: Spacing = "leading"
    """Which steps a sampler visits."""
    offset: int = 1
    """Added to the visited steps if they are spaced ``"leading"``."""
    zero_snr: bool = False
    """Rescale so that the last step is pure noise (Lin et al., 2024)."""
    ends_clean: bool = False
    """Whether the sampler's last step goes to ᾱ = 1 (else to the first step's ᾱ)."""
    clip: float | None = None
    """Clean predictions are clamped to ± this."""

    @staticmethod
    def from_config(config: Mapping[str, object], *, name: str = "scheduler_config.json") -> NoiseSchedule:
        """Read the configuration of a diffusers scheduler; absent keys have diffusers' defaults.

        Raises:
            InputError: a value that is not known here.
        """
        c = dict(config)
        options = {"beta_schedule": get_args(Betas), "prediction_type": get_args(Prediction), "timestep_spacing": get_args(Spacing)}
        defaults = {"beta_schedule": "linear", "prediction_type": "epsilon", "timestep_spacing": "leading"}
        for key, known in options.items():
            if c.setdefault(key, defaults[key]) not in known:
                raise InputError(f"{name}: {key} is {c[key]!r}.", why=f"Known: {', '.join(known)}.", next_step="Give a DDIM configuration.")
        try:
            out = NoiseSchedule(
                steps=int(str(c.get("num_train_timesteps", 1000))),
                betas=cast(Betas, c["beta_schedule"]),
                first=float(str(c.get("beta_start", 0.0001))),
                last=float(str(c.get("beta_end", 0.02))),
                prediction=cast(Prediction, c["prediction_type"]),
                spacing=cast(Spacing, c["timestep_spacing"]),
                offset=int(str(c.get("steps_offset", 0))),
                zero_snr=bool(c.get("rescale_betas_zero_snr", False)),
                ends_clean=bool(c.get("set_alpha_to_one", True)),
                clip=float(str(c.get("clip_sample_range", 1.0))) if c.get("clip_sample", True) else None,
            )
        except ValueError as e:
            raise InputError(f"{name}: {e}.", next_step="Give a DDIM configuration.") from e
        if not (out.steps > 1 and 0 < out.first <= out.last < 1 and 0 <= out.offset < out.steps):
            raise InputError(
                f"{name}: {out.steps} steps from β {out.first} to {out.last}, offset {out.offset}.", next_step="Give a DDIM configuration."
            )
        return out

    def to_config(self) -> dict[str, object]:
        """The same as a diffusers configuration."""
        return {
            "_class_name": "DDIMScheduler",
            "num_train_timesteps": self.steps,
            "beta_schedule": self.betas,
            "beta_start": self.first,
            "beta_end": self.last,
            "prediction_type": self.prediction,
            "timestep_spacing": self.spacing,
            "steps_offset": self.offset,
            "rescale_betas_zero_snr": self.zero_snr,
            "set_alpha_to_one": self.ends_clean,
            "clip_sample": self.clip is not None,
            "clip_sample_range": self.clip or 1.0,
        }

    def alphas_bar(self) -> Float[Tensor, "T"]:
        """ᾱ of every step (double precision)."""
        T = self.steps
        if self.betas == "squaredcos_cap_v2":
            s = torch.arange(T + 1, dtype=torch.float64) / T
            f = torch.cos((s + 0.008) / 1.008 * torch.pi / 2).square()
            beta = (1 - f[1:] / f[:-1]).clamp_max(0.999)
        elif self.betas == "scaled_linear":
            beta = torch.linspace(self.first**0.5, self.last**0.5, T, dtype=torch.float64).square()
        else:
            beta = torch.linspace(self.first, self.last, T, dtype=torch.float64)
        bar = (1 - beta).cumprod(0)
        if self.zero_snr:
            root = bar.sqrt()
            bar = ((root - root[-1]) * root[0] / (root[0] - root[-1])).square()
        return bar

    def at(self, time: Int[Tensor, "B"], like: Float[Tensor, "B *rest"]) -> Float[Tensor, "B *ones"]:
        """ᾱ of each row, shaped to be multiplied with ``like``; times below 0 are the sampler's end."""
        bar = self.alphas_bar()
        end = torch.ones(1, dtype=torch.float64) if self.ends_clean else bar[:1]
        # in single precision at least: half precision would round the last steps' ᾱ away
        values = torch.cat([end, bar]).to(time.device)[(time.long() + 1).clamp_min(0)]
        kind = like.dtype if like.dtype in (torch.float32, torch.float64) else torch.float32
        return values.to(kind).reshape(-1, *[1] * (like.ndim - 1))

    def noised(self, x0: Float[Tensor, "B *rest"], time: Int[Tensor, "B"], noise: Float[Tensor, "B *rest"]) -> Float[Tensor, "B *rest"]:
        """``q(x_t | x0)`` with the given standard normal noise."""
        a = self.at(time, x0)
        return a.sqrt() * x0 + (1 - a).sqrt() * noise

    def target(self, x0: Float[Tensor, "B *rest"], time: Int[Tensor, "B"], noise: Float[Tensor, "B *rest"]) -> Float[Tensor, "B *rest"]:
        """What the network is to predict."""
        a = self.at(time, x0)
        return {"epsilon": noise, "sample": x0, "v_prediction": a.sqrt() * noise - (1 - a).sqrt() * x0}[self.prediction]

    def clean(
        self, x: Float[Tensor, "B *rest"], time: Int[Tensor, "B"], predicted: Float[Tensor, "B *rest"], prediction: Prediction | None = None
    ) -> Float[Tensor, "B *rest"]:
        """x0 from the network's output at a noisy x (clamped if the schedule says so).

        Args:
            x: noisy.
            time: its step.
            predicted: the network's output.
            prediction: what it means; default this schedule's.
        """
        a = self.at(time, x)
        match prediction or self.prediction:
            case "epsilon":
                x0 = (x - (1 - a).sqrt() * predicted) / a.sqrt().clamp_min(1e-6)
            case "sample":
                x0 = predicted
            case "v_prediction":
                x0 = a.sqrt() * x - (1 - a).sqrt() * predicted
        return x0 if self.clip is None else x0.clamp(-self.clip, self.clip)

    def noise_of(self, x: Float[Tensor, "B *rest"], time: Int[Tensor, "B"], x0: Float[Tensor, "B *rest"]) -> Float[Tensor, "B *rest"]:
        """ε of a noisy x whose clean part is known."""
        a = self.at(time, x)
        return (x - a.sqrt() * x0) / (1 - a).sqrt().clamp_min(1e-6)

    def step(
        self,
        x: Float[Tensor, "B *rest"],
        x0: Float[Tensor, "B *rest"],
        time: Int[Tensor, "B"],
        before: Int[Tensor, "B"],
        noise: Float[Tensor, "B *rest"],
        eta: float,
    ) -> Float[Tensor, "B *rest"]:
        """One DDIM step from ``time`` to the earlier ``before`` (below 0 = the end).

        ``σ = η √((1 - ᾱ_s)/(1 - ᾱ_t)) √(1 - ᾱ_t/ᾱ_s)``; η = 0 is deterministic, η = 1 has the variance of ancestral sampling.
        """
        at, a = self.at(time, x), self.at(before, x)
        sigma = eta * ((1 - a) / (1 - at)).sqrt() * (1 - at / a).clamp_min(0).sqrt()
        return a.sqrt() * x0 + (1 - a - sigma.square()).clamp_min(0).sqrt() * self.noise_of(x, time, x0) + sigma * noise

    def visited(self, count: int) -> list[int]:
        """Steps that a sampler of ``count`` calls visits, from the noisiest down."""
        if not 1 <= count <= self.steps:
            raise InputError(f"{count} sampling steps of a schedule of {self.steps}.", next_step=f"Use 1 to {self.steps}.")
        T = self.steps
        match self.spacing:
            case "leading":
                return [min(k * (T // count) + self.offset, T - 1) for k in range(count)][::-1]
            case "trailing":
                return [round(T - k * T / count) - 1 for k in range(count)]
            case "linspace":
                return [round(k * (T - 1) / max(count - 1, 1)) for k in range(count)][::-1]

    def before(self, time: int, count: int) -> int:
        """The step that follows ``time`` in a sampler of ``count`` calls; negative at the end."""
        return time - self.steps // count


def check_prediction(
    denoise: Callable[[Float[Tensor, "B *rest"], int], Float[Tensor, "B *rest"]],
    known: Float[Tensor, "B *rest"],
    schedule: NoiseSchedule,
    generator: torch.Generator,
) -> dict[str, float]:
    """Try what a network's output means: half-way through the noise, exactly one reading brings a known picture back.

    Args:
        denoise: noisy pictures and their step to the network's output.
        known: clean pictures of the kind that the network was trained on, in its space.
        schedule: what its configuration says.
        generator: of the noise.

    Returns:
        Mean squared error of the one-step x0 by reading, in units of the picture's mean square.

    Raises:
        InputError: another reading than the configured one is at least twice as good.
    """
    middle = schedule.steps // 2
    time = torch.full((len(known),), middle, device=known.device)
    noise = torch.randn(known.shape, generator=generator).to(known)
    x = schedule.noised(known, time, noise)
    with torch.no_grad():
        out = denoise(x, middle)
    scale = known.float().square().mean().clamp_min(1e-12)
    errors = {p: float((schedule.clean(x, time, out, p) - known).float().square().mean() / scale) for p in get_args(Prediction)}
    best = min(errors, key=lambda p: errors[p])
    if best != schedule.prediction and 2 * errors[best] < errors[schedule.prediction]:
        listed = ", ".join(f"{p} {e:.2f}" for p, e in errors.items())
        raise InputError(
            f"The network does not predict what its scheduler says ({schedule.prediction}).",
            why=f"A known picture comes back with these errors: {listed}.",
            next_step=f'Set "prediction_type": "{best}" in scheduler/scheduler_config.json.',
        )
    return errors
