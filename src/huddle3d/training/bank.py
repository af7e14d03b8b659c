"""The pose bank: pairs of bodies in contact, without pictures, to train the proxemics prior on."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError, safe_open
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import display_name, write_tensors
from huddle3d.scene import BodyParams

__all__ = ["PoseBank", "read_bank", "read_banks", "write_bank"]

_LIMIT_BYTES = 4 << 30


@dataclass(frozen=True)
class PoseBank:
    """N pairs of bodies of one model in an upright world (y up, metres).

    Poses and shapes are kept in half precision, which moves no surface point by more than 0.5 mm; places in full precision.
    """

    shape: Float[Tensor, "N 2 S"]
    """Shape parameters of both."""
    pose: Float[Tensor, "N 2 J 3"]
    """Rotation vectors [rad]; row 0 is the global orientation."""
    translation: Float[Tensor, "N 2 3"]
    """Root joints [m]."""
    source: Int[Tensor, "N"]
    """Row in ``source_names``."""
    group: Int[Tensor, "N"]
    """Seed of the pair that an entry was solved or varied from: entries of one group are neighbours, and stay on one side of a split."""
    penetration_mm: Float[Tensor, "N"]
    """Deepest vertex of one in the other [mm]."""
    gap_mm: Float[Tensor, "N"]
    """Least distance of the two surfaces [mm]; 0 where they touch or cross."""
    source_names: tuple[str, ...]
    """Interaction families, and takes of motion (``motion:01``)."""
    model: str = "anny"
    """Name of the body model."""

    def __len__(self) -> int:
        return len(self.shape)

    def params(self, rows: Int[Tensor, "n"]) -> BodyParams:
        """Both bodies of the chosen pairs, ``K = 2 n``: the two of one pair side by side."""
        shape, pose, place = (t[rows].float().flatten(0, 1) for t in (self.shape, self.pose, self.translation))
        return BodyParams(shape, pose, place, shape.new_zeros(len(shape), 0))

    def take(self, rows: Int[Tensor, "n"] | Bool[Tensor, "N"]) -> PoseBank:
        """Some of the pairs."""
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if isinstance(getattr(self, f.name), Tensor)}
        return PoseBank(**columns, source_names=self.source_names, model=self.model)

    def from_sources(self, names: tuple[str, ...]) -> Bool[Tensor, "N"]:
        """Pairs of the named families or takes."""
        wanted = torch.tensor([i for i, n in enumerate(self.source_names) if n in names], dtype=torch.long)
        return torch.isin(self.source, wanted)

    @staticmethod
    def join(banks: list[PoseBank]) -> PoseBank:
        """All pairs of several banks of one model."""
        names = tuple(sorted({n for b in banks for n in b.source_names}))
        if len({b.model for b in banks}) != 1 or len({b.pose.shape[2] for b in banks}) != 1:
            raise InputError("The banks hold bodies of different models.", next_step="Train on banks of one model.")
        rows = [torch.tensor([names.index(n) for n in b.source_names], dtype=torch.long)[b.source.long()].int() for b in banks]
        columns = {
            f.name: torch.cat([getattr(b, f.name) for b in banks])
            for f in fields(PoseBank)
            if isinstance(getattr(banks[0], f.name), Tensor) and f.name != "source"
        }
        return PoseBank(**columns, source=torch.cat(rows), source_names=names, model=banks[0].model)


_TYPES = {
    "shape": (torch.float16, 3),
    "pose": (torch.float16, 4),
    "translation": (torch.float32, 3),
    "source": (torch.int32, 1),
    "group": (torch.int64, 1),
    "penetration_mm": (torch.float16, 1),
    "gap_mm": (torch.float16, 1),
}


def write_bank(path: str | os.PathLike[str], bank: PoseBank, *, overwrite: bool = False, note: dict[str, object] | None = None) -> None:
    """One safetensors file.

    Args:
        path: the file; complete or absent.
        bank: the pairs.
        overwrite: replace a file.
        note: how it was made, kept in the file's header.
    """
    tensors = {name: getattr(bank, name).to(kind).contiguous().clone() for name, (kind, _) in _TYPES.items()}
    header = {"kind": "huddle3d-pose-bank", "model": bank.model, "source_names": list(bank.source_names), "note": note or {}}
    write_tensors(path, tensors, metadata={"huddle3d": json.dumps(header)}, overwrite=overwrite)


def read_bank(path: str | os.PathLike[str]) -> PoseBank:
    """A bank written by :func:`write_bank`.

    Raises:
        InputError: not a readable bank; the message says what is wrong.
    """
    name = display_name(path)
    try:
        if Path(path).stat().st_size > _LIMIT_BYTES:
            raise InputError(f"{name}: larger than {_LIMIT_BYTES >> 30} GiB.", next_step="Split it into several banks.")
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("huddle3d", "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except (OSError, SafetensorError, ValueError) as e:
        raise InputError(f"{name}: not a readable pose bank.", why=f"{e}.", next_step="Make one with `huddle3d train bank`.") from e
    if not isinstance(header, dict) or header.get("kind") != "huddle3d-pose-bank" or set(tensors) != set(_TYPES):
        raise InputError(f"{name}: not a pose bank.", next_step="Make one with `huddle3d train bank`.")
    count = len(tensors["source"]) if tensors["source"].ndim else -1
    for key, (kind, ndim) in _TYPES.items():
        value = tensors[key]
        if value.dtype != kind or value.ndim != ndim or len(value) != count:
            raise InputError(f"{name}: the column {key!r} has another type or shape than a pose bank's.")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(f"{name}: the column {key!r} holds numbers that are not finite.")
    names = tuple(str(n) for n in header.get("source_names", ()))
    if count and not 0 <= int(tensors["source"].min()) <= int(tensors["source"].max()) < len(names):
        raise InputError(f"{name}: it names sources that it does not list.")
    return PoseBank(**tensors, source_names=names, model=str(header.get("model", "")))


def read_banks(paths: tuple[Path, ...] | list[Path]) -> PoseBank:
    """All pairs of several files."""
    if not paths:
        raise InputError("No pose bank is given.", next_step="Make one with `huddle3d train bank --count 1000 --output bank.safetensors`.")
    return PoseBank.join([read_bank(p) for p in paths])
