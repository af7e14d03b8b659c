"""Group and people denoised in lock-step, composed at every step (HUG3D, sections 3.2 and A.3).

S sets of pictures share the cameras of the group: set 0 shows all people, set 1 + k person k alone. Before each call of the network,
first S14 pulls the picture of little-trusted views to the photo's reprojected pixels, then S13 puts the people into the group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.diffusion.multiview.schedule import NoiseSchedule
from huddle3d.errors import InputError, ShapeError
from huddle3d.progress import Progress, silent

__all__ = ["Composition", "Denoiser", "SamplerConfig", "sample_views"]

Denoiser = Callable[[Float[Tensor, "S D V C h w"], int], Float[Tensor, "S D V C h w"]]
"""Noisy pictures of all sets and their step to the network's output."""


@dataclass(frozen=True)
class SamplerConfig:
    """DDIM with composition."""

    steps: int = 40
    """Calls of the network (embedded: 12 are enough)."""
    eta: float = 1.0
    """0 deterministic … 1 ancestral."""
    share_group: float = 0.8
    """α_gi of S13: how much of a person's picture goes into the group's, inside his mask; 0 switches it off."""
    share_photo: float = 0.8
    """α_pcd of S14: how much of the photo's pixels goes into the views named below; 0 switches it off."""
    photo_views: tuple[int, ...] = (1, 5)
    """Views that S14 acts on: 45° and 315°, not the source view (whose pixels the condition shows)."""
    noise: Literal["correlated", "literal"] = "correlated"
    """``"correlated"``: mixing acts on the clean part, and all sets share their fresh noise, so that the noise keeps its variance. ``"literal"``: the
    paper's formulas on noisy pictures with noise of their own; at 0.8/0.2 their noise shrinks to 0.825 of what the network expects."""


@dataclass(frozen=True)
class Composition:
    """What is mixed into what, in network space."""

    people: Float[Tensor, "K V h w"]
    """Disjoint masks of the people in the group's pictures (z-buffered), mirrored as the pictures are."""
    photo: Float[Tensor, "S V C h w"] | None = None
    """The photo's pixels as clean pictures of the colour domain; None switches S14 off."""
    photo_seen: Float[Tensor, "S V h w"] | None = None
    """Where they are known, in [0, 1]."""

    def __post_init__(self) -> None:
        if self.people.numel() and float(self.people.sum(0).max()) > 1 + 1e-4:
            raise InputError(
                "Masks of people overlap.", why="Composition S13 would mix with a negative share.", next_step="Use z-buffered instance ids."
            )
        if (self.photo is None) != (self.photo_seen is None):
            raise InputError("The photo's pixels and where they are seen belong together.", next_step="Give both or none.")


@torch.no_grad()
def sample_views(
    denoise: Denoiser,
    shape: tuple[int, int, int, int, int, int],
    schedule: NoiseSchedule,
    composition: Composition,
    config: SamplerConfig | None = None,
    *,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> Float[Tensor, "S D V C h w"]:
    """Clean pictures of the group and of each person.

    Args:
        denoise: the network with its conditions.
        shape: ``(S, D, V, C, h, w)`` with S = 1 + K.
        schedule: of the network.
        composition: masks and known pixels.
        config: steps and shares.
        generator: on the CPU; the noise is the same on every device.
        device: of the pictures.
        progress: hears every step.

    Raises:
        ShapeError: masks or known pixels that do not fit the shape.
    """
    config = config or SamplerConfig()
    _check(shape, composition)
    draw = _Noise(shape, generator, device, shared=config.noise == "correlated")
    x = draw()
    x0 = torch.zeros_like(x)
    visited = schedule.visited(config.steps)
    for i, t in enumerate(visited):
        time = torch.full((shape[0],), t, device=x.device)
        x, x0 = _compose(x, x0, time, schedule, composition, config, draw)
        x0 = schedule.clean(x, time, denoise(x, t).to(x))
        x = schedule.step(x, x0, time, torch.full_like(time, schedule.before(t, config.steps)), draw(), config.eta)
        progress((i + 1) / len(visited), f"step {i + 1} of {len(visited)}")
    return x0


class _Noise:
    """Standard normal pictures; shared ones are the same for all sets."""

    def __init__(self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device | str, *, shared: bool) -> None:
        self.shape, self.generator, self.device, self.shared = shape, generator, device, shared

    def __call__(self) -> Tensor:
        drawn = (1, *self.shape[1:]) if self.shared else self.shape
        return torch.randn(drawn, generator=self.generator).expand(self.shape).clone().to(self.device)


def _compose(
    x: Tensor, x0: Tensor, time: Tensor, schedule: NoiseSchedule, composition: Composition, config: SamplerConfig, draw: _Noise
) -> tuple[Tensor, Tensor]:
    """S14, then S13. ``x0`` is the clean part that the last step ended with (zero before the first one)."""
    a = schedule.at(time[:1], x)[0]
    keep, photo, seen = config.noise == "correlated", composition.photo, composition.photo_seen
    if photo is not None and seen is not None and config.share_photo > 0:
        chosen = torch.zeros(x.shape[2], device=x.device)
        chosen[[v for v in config.photo_views if v < x.shape[2]]] = 1
        weight = torch.zeros_like(x[:, :, :, :1])
        weight[:, 1, :, 0] = config.share_photo * seen.to(x) * chosen[None, :, None, None]
        known = photo[:, None].to(x).expand_as(x)
        noisy = known * a.sqrt() + (1 - a).sqrt() * (schedule.noise_of(x, time, x0) if keep else draw())
        x, x0 = x + weight * (noisy - x), x0 + weight * (known - x0)
    if len(composition.people) and config.share_group > 0:
        mask = config.share_group * composition.people.to(x)[:, None, :, None]
        people = (a.sqrt() * (x0[1:] - x0[:1])) if keep else (x[1:] - x[:1])
        x = torch.cat([x[:1] + (mask * people).sum(0, keepdim=True), x[1:]])
        x0 = torch.cat([x0[:1] + (mask * (x0[1:] - x0[:1])).sum(0, keepdim=True), x0[1:]])
    return x, x0


def _check(shape: tuple[int, ...], composition: Composition) -> None:
    S, _, V, C, h, w = shape
    if composition.people.shape != (S - 1, V, h, w):
        raise ShapeError("people", composition.people.shape, (S - 1, V, h, w))
    if composition.photo is not None and composition.photo.shape != (S, V, C, h, w):
        raise ShapeError("photo", composition.photo.shape, (S, V, C, h, w))
    if composition.photo_seen is not None and composition.photo_seen.shape != (S, V, h, w):
        raise ShapeError("photo_seen", composition.photo_seen.shape, (S, V, h, w))
