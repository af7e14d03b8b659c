"""One photo's run in one folder: identity, resume, outputs. What the command line and batch jobs call."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from huddle3d import __version__
from huddle3d.bodies import BodyModel
from huddle3d.errors import InputError
from huddle3d.io import prepare_output_dir, write_bytes
from huddle3d.io.limits import MAX_JSON_BYTES, read_regular_file
from huddle3d.people.outputs import OUTPUTS, write_outputs
from huddle3d.people.pipeline import Listener, PeopleConfig, Reconstruction, reconstruct
from huddle3d.people.store import RunStore, plain
from huddle3d.scene import Bodies, BodyGuess, People2D, Photo

__all__ = ["Given", "run_photo"]

_MARKER = "run.json"


@dataclass(frozen=True)
class Given:
    """What is already known about the photo, instead of the networks' answers."""

    coco: Path | None = None
    """The user's keypoints and masks (COCO JSON)."""
    people: People2D | None = None
    """Perception's result."""
    bodies: Bodies | None = None
    """Fitted bodies; needs ``people``."""
    guess: BodyGuess | None = None
    """Bodies that another system saw: who is there, and where the fit starts."""

    def digest(self) -> str:
        """sha256 of all that is given."""
        parts = [self.people.digest() if self.people else "", self.bodies.digest() if self.bodies else ""]
        parts += [self.guess.digest()] if self.guess else []
        coco = read_regular_file(self.coco, MAX_JSON_BYTES) if self.coco else b""
        return hashlib.sha256("|".join(parts).encode() + coco).hexdigest()


def run_photo(
    photo: Photo,
    directory: Path,
    config: PeopleConfig | None = None,
    *,
    given: Given | None = None,
    body: BodyModel | None = None,
    device: torch.device | str = "cpu",
    device_reason: str = "",
    overwrite: bool = False,
    listener: Listener | None = None,
    others: Sequence[Path] = (),
) -> Reconstruction:
    """Reconstruct a photo into a folder; resumes if the folder holds a stopped run of the same photo and configuration.

    Args:
        photo: the picture.
        directory: of the run.
        config: of every stage.
        given: what is known already.
        body: the body model, on the CPU.
        device: where the larger networks compute.
        device_reason: why there; for the report.
        overwrite: replace another run in the folder.
        listener: hears of stages.
        others: folders of runs with other settings, whose stages are copied where nothing that they depend on differs.

    Raises:
        InputError: the folder holds something else (another run or unknown files) and ``overwrite`` is not set, or cannot be written.
        HuddleError: as :func:`huddle3d.people.reconstruct`.
    """
    config, given = config or PeopleConfig(), given or Given()
    identity = {
        "format": "huddle3d run",
        "version": __version__,
        "photo": {"name": photo.name, "sha256": photo.sha256, "size": [photo.width, photo.height], "focal_px": photo.focal_px},
        "given": given.digest(),
        "config": plain(config),
        "device": str(device),
    }
    prepare_output_dir(directory, overwrite, marker=_MARKER)
    with _locked(directory):
        ours = _is_ours(directory, identity, overwrite)
        store = RunStore(directory, before_first_save=None if ours else lambda: _claim(directory, identity), others=others)
        result = reconstruct(
            photo,
            config,
            body=body,
            coco=given.coco,
            people=given.people,
            bodies=given.bodies,
            guess=given.guess,
            device=device,
            store=store,
            listener=listener,
        )
        write_outputs(result, directory, config, device=f"{device} ({device_reason})" if device_reason else str(device))
    return result


def _text(identity: dict[str, object]) -> str:
    return json.dumps(identity, indent=1, sort_keys=True) + "\n"


def _is_ours(directory: Path, identity: dict[str, object], overwrite: bool) -> bool:
    """Whether the folder holds a run of this identity; another run is refused without ``overwrite``."""
    marker = directory / _MARKER
    if not marker.is_file():
        return False
    if marker.read_text(encoding="utf-8", errors="replace") == _text(identity):
        return True
    if not overwrite:
        raise InputError(
            f"{directory}: holds a run of another photo, configuration or version.",
            next_step="Choose another --output, or pass --overwrite to replace it.",
        )
    return False


def _claim(directory: Path, identity: dict[str, object]) -> None:
    """Make the folder this run's: what another run left goes. Called when the first stage succeeded, so that a refused input destroys nothing."""
    for name in ("stages", *OUTPUTS):
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    write_bytes(directory / _MARKER, _text(identity).encode(), overwrite=True)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the folder for one run; the system releases the lock when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once in one folder are not detected there
        yield
        return
    with (directory / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise InputError(f"{directory}: another run is writing into this folder.", next_step="Wait for it, or choose another --output.") from e
        yield
