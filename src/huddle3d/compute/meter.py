"""Seconds and peak memory of a piece of work, for reports (never for decisions: results must not depend on them)."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

__all__ = ["Measured", "measure", "peak_memory_mb"]

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@dataclass
class Measured:
    """Filled when the measured block ends."""

    seconds: float = 0.0
    peak_mb: float = 0.0
    """Peak resident memory of the process while the block ran [MiB]; where the system cannot reset it, since the process started."""
    peak_device_mb: float = 0.0
    """Peak memory that torch allocated on the CUDA device [MiB]; 0 without one."""


def _reset_peak() -> None:
    # Writing 5 resets the kernel's high-water mark of this process (Linux ≥ 4.0); elsewhere, or in a locked-down container, nothing happens.
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text("5")


def peak_memory_mb() -> float:
    """Peak resident memory of this process [MiB] since the last reset."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


@contextlib.contextmanager
def measure() -> Iterator[Measured]:
    """Measure a block of code; read the yielded ``seconds`` and ``peak_mb`` after it."""
    result = Measured()
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    _reset_peak()
    start = time.perf_counter()
    try:
        yield result
    finally:
        if cuda:
            torch.cuda.synchronize()
            result.peak_device_mb = torch.cuda.max_memory_allocated() / 2**20
        result.seconds = time.perf_counter() - start
        result.peak_mb = peak_memory_mb()
