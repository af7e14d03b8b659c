"""Where a run keeps its stages, so that it can be stopped anywhere and resumed with the same result.

A stage's artefact is reused only if the stage's inputs, configuration, weights and package version are those it was made from.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from huddle3d import __version__
from huddle3d.errors import InputError
from huddle3d.io import write_bytes
from huddle3d.scene import Artefact, Provenance

__all__ = ["RunStore", "StageRecord", "config_digest", "plain"]

A = TypeVar("A", bound=Artefact)


@dataclass(frozen=True)
class StageRecord:
    """What a stage cost."""

    name: str
    seconds: float
    """Time of the work itself; for a resumed stage the time of the run that did it."""
    peak_mb: float
    """Peak resident memory of the process during the stage [MiB]."""
    resumed: bool = False


def plain(config: Any) -> Any:
    """A frozen configuration as JSON-ready values."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, tuple | list):
        return [plain(v) for v in config]
    if isinstance(config, dict):
        return {str(k): plain(v) for k, v in config.items()}
    return str(config) if isinstance(config, Path) else config


def config_digest(config: Any) -> str:
    """sha256 of a configuration."""
    return hashlib.sha256(json.dumps(plain(config), sort_keys=True).encode()).hexdigest()


class RunStore:
    """Stage artefacts of one photo under ``root/stages``.

    Args:
        root: the run's folder.
        before_first_save: called once before the first artefact is kept, and nothing is loaded until then: for a folder that still belongs to
            another run, or to nobody.
        others: folders of other runs whose stages are taken over where they were made from the same.
    """

    def __init__(self, root: Path, before_first_save: Callable[[], None] | None = None, others: Sequence[Path] = ()) -> None:
        self.root, self.others = root, tuple(others)
        self._pending = before_first_save

    def _stem(self, stage: str) -> Path:
        return self.root / "stages" / stage

    def load(self, stage: str, cls: type[A], provenance: Provenance) -> tuple[A, StageRecord] | None:
        """The stage's artefact, or None if it is absent, damaged or was made from something else."""
        if self._pending is None and (kept := self._read(self._stem(stage), stage, cls, provenance)) is not None:
            return kept
        for other in self.others:
            if (kept := self._read(other / "stages" / stage, stage, cls, provenance)) is not None:
                self.save(stage, kept[0], provenance, kept[1])
                return kept
        return None

    def _read(self, stem: Path, stage: str, cls: type[A], provenance: Provenance) -> tuple[A, StageRecord] | None:
        try:
            value, made_from = cls.load_with_provenance(stem)
            record = json.loads(stem.with_suffix(".cost").read_text(encoding="utf-8"))
            cost = StageRecord(stage, float(record["seconds"]), float(record["peak_mb"]), resumed=True)
        except (InputError, OSError, ValueError, KeyError, TypeError):
            return None
        return (value, cost) if made_from == provenance else None

    def save(self, stage: str, value: Artefact, provenance: Provenance, cost: StageRecord) -> None:
        """Keep the stage's artefact; complete or absent (the JSON half of the artefact is written last)."""
        if self._pending is not None:
            self._pending()
            self._pending = None
        stem = self._stem(stage)
        stem.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(stem.with_suffix(".cost"), json.dumps({"seconds": cost.seconds, "peak_mb": cost.peak_mb}).encode(), overwrite=True)
        value.save(stem, provenance)


def provenance_of(stage: str, inputs: tuple[Artefact | None, ...], config: Any, weights: str) -> Provenance:
    """Hashes of everything that the stage's result depends on."""
    h = hashlib.sha256()
    for value in inputs:
        h.update((value.digest() if value is not None else "none").encode())
    return Provenance(stage, h.hexdigest(), config_digest(config), weights, __version__)
