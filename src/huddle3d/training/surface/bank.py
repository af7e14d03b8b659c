"""The bank of windows on disk: one safetensors file a scene number; made in parallel, resumable."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import UInt8
from safetensors import SafetensorError, safe_open
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import display_name, write_tensors
from huddle3d.progress import Progress, silent
from huddle3d.synthesis import prepare_scene
from huddle3d.training.numbered import check_counts, make_numbered, photo_seed
from huddle3d.training.surface.crops import CHANNELS, CropConfig, crops_of_photo, encode
from huddle3d.training.views import SceneConfig, SceneSource, check_sources

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["CropBank", "CropsConfig", "crops_of_index", "harvest_crops", "read_crop_bank"]

_KIND = "huddle3d-surface-crops"


@dataclass(frozen=True)
class CropsConfig:
    """What a bank of windows holds."""

    photos: int = 4
    """Photographs of each dressed pose."""
    scenes: SceneConfig = SceneConfig()
    """Which people."""
    crops: CropConfig = CropConfig()
    """Sizes and errors."""


def crops_of_index(index: int, config: CropsConfig, source: SceneSource, body: BodyModel) -> UInt8[Tensor, "N S S 15"]:
    """All windows of one scene number; depends on nothing but the number and the config."""
    found = [torch.zeros(0, config.crops.size, config.crops.size, CHANNELS, dtype=torch.uint8)]
    for k, scene in enumerate(source(index)):
        prepared = prepare_scene(scene, body=body)
        for p in range(config.photos):
            seed = photo_seed(config.scenes.first_seed + index, k, p)
            given, target, enough = crops_of_photo(prepared, body, seed, config.crops, held=config.scenes.held)
            found.append(encode(given, target)[enough])
    return torch.cat(found)


_SOURCES: dict[str, tuple[SceneSource, BodyModel]] = {}
"""One a worker process."""


def _work(index: int, config: CropsConfig, folder: str) -> int:
    from huddle3d.bodies import load_body

    torch.set_num_threads(1)
    if repr(config) not in _SOURCES:
        body = load_body()
        _SOURCES[repr(config)] = SceneSource(config.scenes, body), body
    windows = crops_of_index(index, config, *_SOURCES[repr(config)])
    header = {"huddle3d": json.dumps({"kind": _KIND, "index": index})}
    write_tensors(Path(folder) / f"{index:06d}.safetensors", {"windows": windows.contiguous()}, metadata=header, overwrite=True)
    return len(windows)


def harvest_crops(
    output: str | os.PathLike[str],
    scenes: int,
    config: CropsConfig = CropsConfig(),
    *,
    minutes: float | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> CropBank:
    """Write the windows of so many scene numbers, or of what the minutes allow; a run that was stopped goes on.

    Args:
        output: folder; one file a number, the same whatever the number of workers and however often the run was stopped.
        scenes: numbers 0 … ``scenes`` - 1.
        config: what it holds; a folder takes files of one config only.
        minutes: begin no further scene after so long; None for no limit.
        workers: processes.
        progress: told the share of scenes.

    Raises:
        InputError: the folder holds something else, or files of another config.
    """
    check_counts(scenes, config.photos, workers)
    check_sources(config.scenes)
    folder = make_numbered(output, scenes, config, _work, what="windows", minutes=minutes, workers=workers, progress=progress)
    return read_crop_bank(folder)


@dataclass(frozen=True)
class CropBank:
    """A bank that is read window by window."""

    folder: Path
    files: tuple[str, ...]
    """With at least one window."""
    counts: tuple[int, ...]
    """Of each file."""
    size: int
    """Side of the windows [px]."""

    def __len__(self) -> int:
        return sum(self.counts)

    def windows(self, rows: list[int]) -> UInt8[Tensor, "n S S 15"]:
        """Some windows by their number in the bank."""
        starts = torch.tensor([0, *self.counts]).cumsum(0)
        out = []
        for row in rows:
            f = int((starts <= row).sum()) - 1
            with safe_open(str(self.folder / self.files[f]), framework="pt") as file:
                out.append(file.get_slice("windows")[row - int(starts[f]) : row - int(starts[f]) + 1])
        return torch.cat(out)

    def split(self, share: float) -> tuple[CropBank, CropBank]:
        """Two banks, the second of about ``share`` of the files: all windows of one scene stay together."""
        every = max(2, round(1 / share))
        chosen = [i for i in range(len(self.files)) if i % every == every - 1] or [len(self.files) - 1]
        rest = [i for i in range(len(self.files)) if i not in chosen]
        if not rest:
            raise InputError(f"{display_name(self.folder)}: too few scenes to keep some for validation.", next_step="Make a larger bank.")
        first, second = (
            CropBank(self.folder, tuple(self.files[i] for i in part), tuple(self.counts[i] for i in part), self.size) for part in (rest, chosen)
        )
        return first, second


def _shape(path: Path) -> list[int]:
    try:
        with safe_open(str(path), framework="pt") as file:
            kind = json.loads((file.metadata() or {}).get("huddle3d", "{}")).get("kind")
            shape = file.get_slice("windows").get_shape()
    except (OSError, SafetensorError, ValueError) as e:
        raise InputError(f"{display_name(path)}: not a readable file of windows.", why=f"{e}.", next_step="Remove it and make it again.") from e
    if kind != _KIND or len(shape) != 4 or shape[-1] != CHANNELS:
        raise InputError(f"{display_name(path)}: not a file of windows of this version.", next_step="Make the bank anew.")
    return shape


def read_crop_bank(folder: str | os.PathLike[str]) -> CropBank:
    """A folder made by ``huddle3d train crops``, with the files that are there now.

    Raises:
        InputError: not a bank, or an empty one.
    """
    path = Path(folder)
    found = [(p.name, _shape(p)) for p in sorted(path.glob("*.safetensors"))] if path.is_dir() else []
    found = [f for f in found if f[1][0]]
    if not found:
        raise InputError(f"{display_name(path)}: no windows in it.", next_step="Make them with `huddle3d train crops`.")
    if len({s[1] for _, s in found}) != 1:
        raise InputError(f"{display_name(path)}: windows of different sizes.", next_step="Make the bank anew.")
    return CropBank(path, tuple(n for n, _ in found), tuple(s[0] for _, s in found), found[0][1][1])
