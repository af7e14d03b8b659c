"""Banks of one file a scene number: made in parallel, resumable, of one config."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from huddle3d.errors import InputError
from huddle3d.io import prepare_output_dir
from huddle3d.progress import Progress

__all__ = ["MAX_PHOTOS", "check_counts", "make_numbered", "photo_seed"]

C = TypeVar("C")

MAX_PHOTOS = 10
"""Most photographs of a dressed pose that :func:`photo_seed` tells apart."""


def photo_seed(scene: int, pose: int, photo: int) -> int:
    """Seed of a photograph's camera, light and errors: of its scene's seed, of the dressed pose (below 100) and of its own number (below ``MAX_PHOTOS``)."""
    return 1000 * scene + MAX_PHOTOS * pose + photo


def check_counts(scenes: int, photos: int, workers: int) -> None:
    """Refuse an empty bank, and more photographs of a dressed pose than :func:`photo_seed` tells apart.

    Raises:
        InputError: one of the numbers is out of range.
    """
    if scenes < 1 or workers < 1 or not 1 <= photos <= MAX_PHOTOS:
        raise InputError(
            f"A bank needs at least one scene, one to {MAX_PHOTOS} photographs of each dressed pose and one worker.",
            next_step="For example --scenes 100 --workers 2.",
        )


def make_numbered(
    output: str | os.PathLike[str],
    scenes: int,
    config: C,
    work: Callable[[int, C, str], int],
    *,
    what: str,
    minutes: float | None,
    workers: int,
    progress: Progress,
) -> Path:
    """Make the files that are missing; a scene that was begun is finished when the minutes are over.

    Args:
        output: folder; it takes files of one config only.
        scenes: numbers 0 … ``scenes`` - 1.
        config: what the files hold.
        work: makes ``NUMBER.safetensors`` of a number in a folder, in a process of its own; returns how many things are in it.
        what: those things, in the plural.
        minutes: begin no further number after so long; None for no limit.
        workers: processes.
        progress: told the share of scenes.

    Returns:
        The folder.

    Raises:
        InputError: the folder holds something else, or files of another config.
    """
    folder = prepare_output_dir(output, marker="config.txt")
    stamp = folder / "config.txt"
    if stamp.exists() and stamp.read_text() != repr(config):
        raise InputError(
            f"{folder}: holds {what} made with other settings.", next_step="Choose another folder, or give the settings it was made with."
        )
    stamp.write_text(repr(config))
    began = time.monotonic()
    done = {int(p.stem) for p in folder.glob("*.safetensors") if p.stem.isdecimal()}
    todo, finished, made = [i for i in range(scenes) if i not in done], len(done), 0

    def late() -> bool:
        return minutes is not None and time.monotonic() - began > 60 * minutes

    if not todo or late():
        return folder
    with concurrent.futures.ProcessPoolExecutor(min(workers, len(todo)), mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: set[concurrent.futures.Future[int]] = set()
        while True:
            while todo and len(waiting) < workers and not late():
                waiting.add(pool.submit(work, todo.pop(0), config, str(folder)))
            if not waiting:
                return folder
            ready, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            made, finished = made + sum(f.result() for f in ready), finished + len(ready)
            rate = made / max(1e-9, time.monotonic() - began)
            progress(min(1.0, finished / scenes), f"{finished} scenes, {made} {what} in this run, {rate:.2f} {what}/s")
