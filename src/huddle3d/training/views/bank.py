"""The bank of views on disk: one safetensors file a scene, eight bits a value, and an index."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from safetensors import SafetensorError, safe_open
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import atomic_file, display_name, write_tensors
from huddle3d.people import ViewMaps
from huddle3d.training.views.sample import ViewSample
from huddle3d.training.views.truth import TrueMaps

__all__ = ["CHANNELS", "INDEX", "SetRecord", "ViewBank", "decode", "encode", "read_view_bank", "write_index", "write_shard"]

INDEX = "index.json"
"""Name of the index in the bank's folder."""

CHANNELS: dict[str, int] = {
    "body_normals": 3, "silhouette": 1, "rgb": 3, "seen": 1, "prior_normals": 3, "prior_rgb": 3, "prior_alpha": 1,
    "normals": 3, "colours": 3, "alpha": 1, "contact": 1,
}  # fmt: skip
"""Maps in the order of their channels; the first seven are given, the last four true."""
_GIVEN, _TRUE = tuple(ViewMaps.__dataclass_fields__), tuple(TrueMaps.__dataclass_fields__)


def encode(given: ViewMaps, truth: TrueMaps) -> UInt8[Tensor, "*n h w 23"]:
    """All maps as bytes: normals from [-1, 1], everything else from [0, 1]."""
    parts = []
    for name in CHANNELS:
        value = getattr(given if name in _GIVEN else truth, name)
        value = (value + 1) / 2 if name.endswith("normals") else value
        parts.append(value if value.ndim == truth.normals.ndim else value[..., None])
    return (torch.cat(parts, -1) * 255).round().clamp(0, 255).to(torch.uint8)


def decode(stored: UInt8[Tensor, "*n h w 23"]) -> tuple[ViewMaps, TrueMaps]:
    """What :func:`encode` wrote; 127 and 128 are both a normal of 0."""
    values = stored.float() / 255
    found: dict[str, Tensor] = {}
    first = 0
    for name, count in CHANNELS.items():
        value = values[..., first : first + count]
        if name.endswith("normals"):
            value = torch.where((value - 0.5).abs() < 0.003, 0.0, 2 * value - 1)
        found[name] = value if count > 1 else value[..., 0]
        first += count
    return ViewMaps(**{k: found[k] for k in _GIVEN}), TrueMaps(**{k: found[k] for k in _TRUE})


@dataclass(frozen=True)
class SetRecord:
    """What a set of six views shows."""

    kind: str
    """``group``, ``instance`` or ``single``: one person of whom there is no other set."""
    caption: str
    """Clothes of those who are in it."""
    photo: int
    """Number of the photograph in its file: sets of one photograph share it."""
    family: str
    """Interaction."""
    disturbed: bool
    """The bodies have errors."""


def write_shard(path: str | os.PathLike[str], samples: Sequence[ViewSample], records: Sequence[SetRecord], note: dict[str, Any]) -> None:
    """All photographs of one scene number; complete or absent, replaces what was there.

    Args:
        path: the file.
        samples: photographs; none makes an empty file, which says that nothing came of this number.
        records: of each set, in order.
        note: kept in the header.
    """
    tensors = {"views": torch.zeros(0, 6, 1, 1, sum(CHANNELS.values()), dtype=torch.uint8)}
    if samples:
        tensors["views"] = torch.cat([encode(s.given, s.truth) for s in samples])
        patches = [s.patches for s in samples if s.patches is not None]
        if patches:
            tensors["patches"] = torch.cat([encode(p.given, p.truth)[:, 0] for p in patches])
            counts = [0, *torch.tensor([len(s.truth.alpha) for s in samples]).cumsum(0).tolist()]
            rows = [p.at + torch.tensor([first, 0, 0, 0], dtype=p.at.dtype) for p, first in zip(patches, counts)]
            tensors["patch_at"] = torch.cat(rows)
    header = {"kind": "huddle3d-views", "sets": [vars(r) for r in records], "note": note}
    write_tensors(path, {k: v.contiguous() for k, v in tensors.items()}, metadata={"huddle3d": json.dumps(header)}, overwrite=True)


def _header(path: Path) -> tuple[list[SetRecord], int, list[int]]:
    """Records of a file's sets, number of its patches, shape of its views."""
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("huddle3d", "{}"))
            keys = set(file.keys())
            shape = file.get_slice("views").get_shape() if "views" in keys else []
            patches = file.get_slice("patches").get_shape()[0] if "patches" in keys else 0
    except (OSError, SafetensorError, ValueError) as e:
        raise InputError(
            f"{display_name(path)}: not a readable file of views.", why=f"{e}.", next_step="Remove it and run `huddle3d train views` again."
        ) from e
    if header.get("kind") != "huddle3d-views" or len(shape) != 5 or shape[-1] != sum(CHANNELS.values()) or len(header["sets"]) != shape[0]:
        raise InputError(f"{display_name(path)}: not a file of views of this version.", next_step="Make the bank anew with `huddle3d train views`.")
    return [SetRecord(**r) for r in header["sets"]], patches, shape


def write_index(folder: Path, config: str) -> dict[str, Any]:
    """Look at all files of a bank and write its index; returns what it says."""
    shards = []
    for path in sorted(folder.glob("*.safetensors")):
        records, patches, shape = _header(path)
        photos = len({r.photo for r in records})
        shards.append({"file": path.name, "sets": len(records), "photos": photos, "patches": patches, "size": shape[2] if records else 0})
    index = {"kind": "huddle3d-view-bank", "version": 1, "config": config, "channels": list(CHANNELS), "shards": shards}
    with atomic_file(folder / INDEX, overwrite=True) as tmp:
        tmp.write_text(json.dumps(index, indent=1))
    return index


@dataclass(frozen=True)
class ViewBank:
    """A bank that is read set by set; nothing but records lies in memory."""

    folder: Path
    files: tuple[str, ...]
    """Files with at least one set."""
    records: tuple[tuple[SetRecord, ...], ...]
    """Of each file."""
    patches: tuple[int, ...]
    """Number of patches of each file."""
    size: int
    """Side of the views [px]."""

    def __len__(self) -> int:
        return sum(map(len, self.records))

    @property
    def photos(self) -> list[tuple[int, tuple[int, ...]]]:
        """File and rows of the sets of each photograph: the group first, then its people."""
        out = []
        for f, records in enumerate(self.records):
            for photo in sorted({r.photo for r in records}):
                out.append((f, tuple(i for i, r in enumerate(records) if r.photo == photo)))
        return out

    def views(self, file: int, rows: Sequence[int]) -> UInt8[Tensor, "n 6 h h 23"]:
        """Some sets of one file."""
        with safe_open(str(self.folder / self.files[file]), framework="pt") as f:
            part = f.get_slice("views")
            return torch.cat([part[r : r + 1] for r in rows])

    def patch(self, file: int, row: int) -> tuple[UInt8[Tensor, "p p 23"], list[int]]:
        """One patch of a file, and where it was cut: set, view, row and column [px of the large view]."""
        with safe_open(str(self.folder / self.files[file]), framework="pt") as f:
            return f.get_slice("patches")[row : row + 1][0], f.get_slice("patch_at")[row : row + 1][0].tolist()

    def split(self, share: float) -> tuple[ViewBank, ViewBank]:
        """Two banks, the second of about ``share`` of the files (a file's neighbours and outfits stay together; at least one file each)."""
        every = max(2, round(1 / share))
        chosen = [i for i in range(len(self.files)) if i % every == every - 1] or [len(self.files) - 1]
        rest = [i for i in range(len(self.files)) if i not in chosen]
        if not rest:
            raise InputError(f"{display_name(self.folder)}: too few scenes to keep some for validation.", next_step="Make a larger bank.")
        return self._take(rest), self._take(chosen)

    def _take(self, rows: Sequence[int]) -> ViewBank:
        pick = [tuple(t[i] for i in rows) for t in (self.files, self.records, self.patches)]
        return ViewBank(self.folder, pick[0], pick[1], pick[2], self.size)  # type: ignore[arg-type]


def read_view_bank(folder: str | os.PathLike[str]) -> ViewBank:
    """A folder made by ``huddle3d train views``, with the files that are there now, whether its run has ended or not.

    Raises:
        InputError: not a bank, or an empty one.
    """
    path = Path(folder)
    found = [(p.name, *_header(p)) for p in sorted(path.glob("*.safetensors"))] if path.is_dir() else []
    found = [f for f in found if f[1]]
    if not found:
        raise InputError(f"{display_name(path)}: no views in it.", next_step="Make them with `huddle3d train views`.")
    if len({f[3][2] for f in found}) != 1:
        raise InputError(f"{display_name(path)}: views of different sizes.", next_step="Make the bank anew.")
    return ViewBank(path, tuple(f[0] for f in found), tuple(tuple(f[1]) for f in found), tuple(f[2] for f in found), found[0][3][2])
