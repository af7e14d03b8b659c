"""Sampling of pairs, classifier-free guidance, and the distance to the denoised pair that a fit can minimise (SDS)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.diffusion.schedule import CosineSchedule
from huddle3d.networks import Buddi, PairState

__all__ = ["Denoiser", "guided", "sample_pairs", "score_distillation"]

Denoiser = Callable[[PairState, Int[Tensor, "B"]], PairState]
"""Noisy pairs and their steps to clean pairs."""


def guided(network: Buddi, guidance: PairState | None, scale: float = 1.0) -> Denoiser:
    """A denoiser with classifier-free guidance: ``x0 = x0(null) + scale · (x0(guidance) - x0(null))``.

    Args:
        network: in evaluation mode.
        guidance: a first estimate of each pair; None for none.
        scale: 1 uses the conditional network alone, 0 the one with null guidance.
    """

    def denoise(noisy: PairState, time: Int[Tensor, "B"]) -> PairState:
        if guidance is None:
            return network(noisy, time, noisy.zeros() if network.config.guidance else None)
        told = network(noisy, time, guidance)
        if scale == 1.0:
            return told
        free = network(noisy, time, guidance.zeros())
        return free.like(free.flat() + scale * (told.flat() - free.flat()))

    return denoise


@torch.no_grad()
def sample_pairs(
    denoise: Denoiser, like: PairState, generator: torch.Generator, *, steps: int = 10, eta: float = 1.0, schedule: CosineSchedule | None = None
) -> PairState:
    """Pairs from pure noise by DDIM over a network that predicts clean samples.

    With guidance (``guided``) this is BUDDI's first guess from an estimate: ten calls at t = 901, 801, …, 1 with η = 1. Without, use about
    100 steps; below 20 the samples get worse.

    Args:
        denoise: the network.
        like: gives the number of pairs, the sizes, the device; its numbers are not used.
        generator: on the CPU; the noise is the same on every device.
        steps: calls of the network.
        eta: 0 deterministic … 1 ancestral.
        schedule: default 1000 cosine steps.
    """
    schedule = schedule or CosineSchedule()
    shape = like.flat()

    def normal() -> Tensor:
        return torch.randn(shape.shape, generator=generator).to(shape)

    x, x0 = normal(), shape
    visited = schedule.visited(steps)
    for t, s in zip(visited, [*visited[1:], -1]):
        time = torch.full((len(shape),), t, device=shape.device)
        x0 = denoise(like.like(x), time).flat()
        x = schedule.step(x, x0, time, torch.full_like(time, s), normal(), eta)
    return like.like(x0)


def score_distillation(
    current: PairState, denoise: Denoiser, time: int, noise: Float[Tensor, "B D"], *, schedule: CosineSchedule | None = None
) -> dict[str, Float[Tensor, "B"]]:
    """How far each pair lies from what the denoiser makes of it: one noising to a fixed small step, one call, one distance per group.

    As BUDDI uses it: ``‖x - stop(x0(x_t, t))‖``, plain norms over both people of a group, no weight w(t), no residual of the noise. The
    denoised pair is a constant, so the gradient pulls the pair straight to it.

    Args:
        current: the estimate, with a graph.
        denoise: see :func:`guided`.
        time: BUDDI: 10 with guidance, 20 without, of 1000.
        noise: standard normal.
        schedule: default 1000 cosine steps.

    Returns:
        Distances by group: ``orient``, ``pose``, ``shape``, ``transl``.
    """
    schedule = schedule or CosineSchedule()
    with torch.no_grad():
        steps = torch.full((len(noise),), time, device=noise.device)
        target = denoise(current.like(schedule.noised(current.flat(), steps, noise)), steps)
    out = {}
    for group in ("orient", "pose", "shape", "transl"):
        offset = (getattr(current, group) - getattr(target, group)).flatten(1)
        out[group] = (offset.square().sum(-1) + 1e-12).sqrt()
    return out
