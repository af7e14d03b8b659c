"""A trained regressor: network and what its numbers stand for; how it is stored and loaded."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from huddle3d.fitting.regressor.answers import Answer, Numbers, answer_size
from huddle3d.fitting.regressor.sights import Sights
from huddle3d.networks import PairRegressor, PairRegressorConfig
from huddle3d.weights import NetworkKind, half_precision, loaded, weights_path

__all__ = ["REGRESSOR_WEIGHTS", "Regressor", "load_regressor", "read_regressor", "save_regressor"]

REGRESSOR_WEIGHTS = "regressor-anny"
"""Name of the embedded weights in the registry."""

_KIND = NetworkKind("huddle3d-pair-regressor", "a regressor of bodies", "huddle3d train regressor")


@dataclass(frozen=True)
class Regressor:
    """Bodies from key points, 3D landmarks and masks; each person is looked at with the nearest other one."""

    network: PairRegressor
    """In evaluation mode."""
    joints: tuple[int, ...]
    """Rows of the pose that are told."""
    shape: int
    """Shape entries."""
    model: str = "anny"
    """Body model that the numbers belong to."""

    def numbers(self, sights: Sights) -> Numbers:
        """The network's numbers for the first person of each pair."""
        return Numbers.of(self.network(*sights.rows()), len(self.joints), self.shape)

    @torch.no_grad()
    def __call__(self, sights: Sights) -> Answer:
        """The first person of each pair."""
        return Answer.of(self.numbers(sights), sights)


def save_regressor(path: str | os.PathLike[str], regressor: Regressor, *, overwrite: bool = False, note: dict[str, object] | None = None) -> None:
    """One file of :class:`huddle3d.weights.NetworkKind`: the network, and in the header what its numbers stand for."""
    header = {
        "model": regressor.model,
        "network": dataclasses.asdict(regressor.network.config),
        "joints": list(regressor.joints),
        "shape": regressor.shape,
        "note": note or {},
    }
    _KIND.write(path, half_precision(regressor.network.state_dict()), header, overwrite=overwrite)


def read_regressor(path: str | os.PathLike[str]) -> Regressor:
    """A regressor from a file of :func:`save_regressor`, on the CPU.

    Raises:
        InputError: not such a file, or its keys and shapes are not those of its own config.
    """
    return _KIND.read(path, _built)


def _built(header: dict[str, Any], tensors: dict[str, Tensor]) -> Regressor:
    config = PairRegressorConfig(**header["network"])
    joints, shape = tuple(int(j) for j in header["joints"]), int(header["shape"])
    if config.out != answer_size(len(joints), shape):
        raise ValueError("its numbers are not as many as its joints need")
    return Regressor(loaded(lambda: PairRegressor(config), tensors), joints, shape, str(header.get("model", "")))


@lru_cache(maxsize=1)
def load_regressor() -> Regressor:
    """The embedded regressor for Anny.

    Raises:
        WeightsMissingError: the installation is damaged.
    """
    return read_regressor(Path(weights_path(REGRESSOR_WEIGHTS)) / f"{REGRESSOR_WEIGHTS}.safetensors")
