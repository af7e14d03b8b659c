"""A trained proxemics prior: network, space and schedule together; how it is stored and loaded."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.diffusion.pairs import PairSpace, Placement
from huddle3d.diffusion.sampling import guided, sample_pairs, score_distillation
from huddle3d.diffusion.schedule import CosineSchedule
from huddle3d.networks import Buddi, BuddiConfig, PairState
from huddle3d.weights import NetworkKind, half_precision, loaded, weights_path

__all__ = ["PRIOR_WEIGHTS", "PairPrior", "load_prior", "read_prior", "save_prior"]

PRIOR_WEIGHTS = "proxemics-anny"
"""Name of the embedded weights in the registry."""

_KIND = NetworkKind("huddle3d-pair-prior", "a proxemics prior", "huddle3d train prior")
_FIXED = ("embed_timestep.encode.emb",)
"""The frequencies of the time are not learned, and not stored."""


@dataclass(frozen=True)
class PairPrior:
    """How two people stand to each other, learned; K people are looked at pair by pair, in both orders."""

    network: Buddi
    """In evaluation mode."""
    space: PairSpace
    """Its frame and units."""
    schedule: CosineSchedule
    """Its noise."""
    model: str = "anny"
    """Body model that the numbers belong to."""

    def sample(self, count: int, generator: torch.Generator, *, steps: int = 100, eta: float = 1.0) -> PairState:
        """Pairs from nothing (standardised; ``space.decode`` makes bodies of them)."""
        c = self.network.config
        empty = PairState(*(torch.zeros(count, 2, c.size(g)) for g in ("orient", "pose", "shape", "transl"))).like(
            torch.zeros(count, len(self.space.mean))
        )
        return sample_pairs(guided(self.network, None), empty, generator, steps=steps, eta=eta, schedule=self.schedule)

    def resample(
        self, bodies: Placement, pairs: Int[Tensor, "B 2"], generator: torch.Generator, *, steps: int = 10, eta: float = 1.0, scale: float = 1.0
    ) -> PairState:
        """Pairs drawn under the guidance of first estimates (standardised)."""
        guidance = self.space.encode(bodies, pairs)
        return sample_pairs(guided(self.network, guidance, scale), guidance, generator, steps=steps, eta=eta, schedule=self.schedule)

    def distances(
        self,
        bodies: Placement,
        pairs: Int[Tensor, "B 2"],
        guidance: PairState | None,
        time: int,
        noise: Float[Tensor, "B D"],
        *,
        scale: float = 1.0,
    ) -> dict[str, Float[Tensor, "B"]]:
        """Distance of each ordered pair from its denoised self, by group, in units of spread (see :func:`score_distillation`).

        The sum over both orders of a pair does not depend on who is called first, if both orders get the same noise level.
        """
        current = self.space.encode(bodies, pairs)
        return score_distillation(current, guided(self.network, guidance, scale), time, noise, schedule=self.schedule)


def save_prior(path: str | os.PathLike[str], prior: PairPrior, *, overwrite: bool = False, note: dict[str, object] | None = None) -> None:
    """One file of :class:`huddle3d.weights.NetworkKind`: the network under its published key names, mean and spread of the space in single precision."""
    tensors = half_precision({k: v for k, v in prior.network.state_dict().items() if k not in _FIXED})
    tensors |= {"space.mean": prior.space.mean.float().cpu(), "space.spread": prior.space.spread.float().cpu()}
    header = {
        "model": prior.model,
        "network": dataclasses.asdict(prior.network.config),
        "joints": list(prior.space.joints),
        "schedule_steps": prior.schedule.steps,
        "note": note or {},
    }
    _KIND.write(path, tensors, header, overwrite=overwrite)


def read_prior(path: str | os.PathLike[str]) -> PairPrior:
    """A prior from a file of :func:`save_prior`, on the CPU.

    Raises:
        InputError: not such a file, or its keys and shapes are not those of its own config.
    """
    return _KIND.read(path, _built)


def _built(header: dict[str, Any], tensors: dict[str, Tensor]) -> PairPrior:
    config = BuddiConfig(**header["network"])
    space = PairSpace(tuple(int(j) for j in header["joints"]), tensors.pop("space.mean"), tensors.pop("space.spread"))
    schedule = CosineSchedule(int(header["schedule_steps"]))
    return PairPrior(loaded(lambda: Buddi(config), tensors, fixed=_FIXED), space, schedule, str(header.get("model", "")))


def load_prior() -> PairPrior:
    """The embedded prior for Anny.

    Raises:
        WeightsMissingError: the installation is damaged.
    """
    return read_prior(Path(weights_path(PRIOR_WEIGHTS)) / f"{PRIOR_WEIGHTS}.safetensors")
