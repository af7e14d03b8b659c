"""A trained regressor: network and what its numbers stand for; how it is stored and loaded."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from huddle3d.errors import InputError
from huddle3d.fitting.regressor.answers import Answer, Numbers, answer_size
from huddle3d.fitting.regressor.sights import Sights
from huddle3d.io import atomic_file, display_name
from huddle3d.networks import PairRegressor, PairRegressorConfig
from huddle3d.weights import weights_path

__all__ = ["REGRESSOR_WEIGHTS", "Regressor", "load_regressor", "read_regressor", "save_regressor"]

REGRESSOR_WEIGHTS = "regressor-anny"
"""Name of the embedded weights in the registry."""


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
    """One safetensors file: the network in half precision, what its numbers stand for in the header."""
    tensors = {k: v.detach().half().contiguous().cpu() for k, v in regressor.network.state_dict().items()}
    header = {
        "kind": "huddle3d-pair-regressor",
        "model": regressor.model,
        "network": dataclasses.asdict(regressor.network.config),
        "joints": list(regressor.joints),
        "shape": regressor.shape,
        "note": note or {},
    }
    with atomic_file(path, overwrite=overwrite) as tmp:
        save_file(tensors, tmp, metadata={"huddle3d": json.dumps(header)})


def read_regressor(path: str | os.PathLike[str]) -> Regressor:
    """A regressor from a file of :func:`save_regressor`, on the CPU.

    Raises:
        InputError: not such a file, or its keys and shapes are not those of its own config.
    """
    name = display_name(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("huddle3d", "{}"))
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}
        if header.get("kind") != "huddle3d-pair-regressor":
            raise ValueError("its header does not say that it is one")
        config = PairRegressorConfig(**header["network"])
        joints, shape = tuple(int(j) for j in header["joints"]), int(header["shape"])
        if config.out != answer_size(len(joints), shape):
            raise ValueError("its numbers are not as many as its joints need")
        network = PairRegressor(config)
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as e:
        why = " ".join(str(e).split())[:300]
        raise InputError(f"{name}: not a regressor of bodies.", why=f"{why}.", next_step="Train one with `huddle3d train regressor`.") from e
    network.eval().requires_grad_(False)
    return Regressor(network, joints, shape, str(header.get("model", "")))


@lru_cache(maxsize=1)
def load_regressor() -> Regressor:
    """The embedded regressor for Anny.

    Raises:
        WeightsMissingError: the installation is damaged.
    """
    return read_regressor(Path(weights_path(REGRESSOR_WEIGHTS)) / f"{REGRESSOR_WEIGHTS}.safetensors")
