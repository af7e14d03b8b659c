"""Warp set-up and the launch helper: one kernel source for CPU (split over Python threads) and CUDA (one launch).

A launch releases the interpreter lock, so disjoint ranges of rows run in parallel on the CPU although Warp's CPU backend is single-threaded.
Kernels must own what they write: CPU atomics are plain read-modify-write.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from huddle3d.errors import InputError

__all__ = ["launch_rows", "threads", "warp"]

_LOADED: set[Any] = set()
"""Kernels whose module this process has loaded for the CPU."""


@functools.cache
def warp() -> Any:
    """The ``warp`` module, initialised silently on first use."""
    import warp as wp

    wp.config.log_level = wp.LOG_ERROR
    with contextlib.nullcontext() if torch.cuda.is_available() else _native_stderr_muted():
        wp.init()
    return wp


@contextlib.contextmanager
def _native_stderr_muted() -> Iterator[None]:
    """Drop what native code writes to stderr: without a driver Warp's library complains there, once, that CUDA is absent."""
    try:
        target, saved = sys.__stderr__.fileno() if sys.__stderr__ else 2, os.dup(2)
    except (OSError, ValueError):  # no stderr at all
        yield
        return
    with open(os.devnull, "w") as sink:
        os.dup2(sink.fileno(), target)
        try:
            yield
        finally:
            os.dup2(saved, target)
            os.close(saved)


@functools.cache
def threads() -> int:
    """Worker threads for CPU kernels: ``HUDDLE3D_THREADS`` or the number of usable processors."""
    text = os.environ.get("HUDDLE3D_THREADS", "").strip() or "0"
    if not text.isdecimal():
        raise InputError(
            f"HUDDLE3D_THREADS is {text!r}.", why="It must be a whole number.", next_step="Set it to 1, 2, …, or unset it to use all processors."
        )
    asked = int(text)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return asked or usable


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads(), thread_name_prefix="huddle3d-kernel")


def launch_rows(kernel: Any, rows: int, lanes: int, inputs: Sequence[Any], device: torch.device | str, *, jobs_per_thread: int = 4) -> None:
    """Launch ``kernel`` over ``(rows, lanes)``; it takes ``(row0, lanes)`` as its last arguments and strides its inner loop by ``lanes``.

    CUDA: one launch on torch's current stream with ``lanes`` threads per row. CPU: one lane, rows split over threads.
    Never call this from inside a kernel's own worker thread.
    """
    wp = warp()
    device = torch.device(device)
    if rows == 0:
        return
    if device.type == "cuda":
        stream = wp.stream_from_torch(torch.cuda.current_stream(device))
        wp.launch(kernel, (rows, lanes), [*inputs, 0, lanes], device=f"cuda:{device.index or 0}", stream=stream)
        return
    # several jobs per thread even out their loads; one thread alone takes all in one launch
    step = rows if threads() == 1 else max(1, -(-rows // (jobs_per_thread * threads())))
    jobs = [(start, min(step, rows - start)) for start in range(0, rows, step)]

    def run(job: tuple[int, int]) -> None:
        wp.launch(kernel, (job[1], 1), [*inputs, job[0], 1], device="cpu")

    if kernel not in _LOADED:
        run(jobs.pop(0))  # alone: it compiles or loads the module, once per process
        _LOADED.add(kernel)
    remaining = iter(jobs)  # shared: each thread takes the next job, which the interpreter lock makes safe

    def drain() -> None:
        for job in remaining:
            run(job)

    # the calling thread works too, so one thread needs no hand-over and a busy machine no waiting for a worker that never wakes
    helpers = [_pool().submit(drain) for _ in range(min(threads(), len(jobs)) - 1)]
    drain()
    for helper in helpers:
        if not helper.cancel():
            helper.result()
