"""``huddle3d doctor``: what this machine has, what is missing, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile

from rich.console import Console
from rich.table import Table

from huddle3d import __version__, weights
from huddle3d.compute import choose_device, kernel_backend, threads, warp
from huddle3d.errors import HuddleError
from huddle3d.perception.hub import has_transformers

__all__ = ["doctor"]

_OPTIONAL = {
    "pillow_heif": "HEIC photos: pip install 'huddle3d[heic]'",
    "viser": "huddle3d view: pip install 'huddle3d[viewer]'",
    "transformers": "larger networks: pip install 'huddle3d[transformers]'",
}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _kernels() -> tuple[str, bool]:
    if kernel_backend() == "torch":
        return "plain torch (HUDDLE3D_KERNELS=torch): slow, for machines without Warp", True
    try:
        return f"Warp {warp().config.version}, {threads()} threads on the CPU", True
    except Exception as error:
        return f"Warp does not start ({error}); HUDDLE3D_KERNELS=torch runs without it", False


def _rows() -> list[tuple[str, str, bool]]:
    rows = [
        ("huddle3d", __version__, True),
        ("python", f"{platform.python_version()} on {platform.platform()}", True),
        ("torch", _version("torch"), True),
        ("processors", str(os.cpu_count()), True),
    ]
    choice = choose_device("auto")
    rows.append(("device", f"{choice.device} ({choice.reason})", True))
    text, good = _kernels()
    rows.append(("kernels", text, good))
    for name, entry in weights.registry().items():
        if not weights.verify(name):
            rows.append((f"weights {name}", str(weights.weights_path(name)), True))
            continue
        absent = "not fetched, needed on request only" if entry.on_request else "not fetched, results are less good" if entry.optional else "missing"
        rows.append((f"weights {name}", f"{absent}: run huddle3d models fetch {name}", entry.optional))
    rows += _backends()
    for package, why in _OPTIONAL.items():
        found = _version(package.replace("_", "-"))
        rows.append((f"optional {package}", found or f"not installed ({why})", True))
    free = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    rows.append(("disk", f"{free:.1f} GiB free in {tempfile.gettempdir()}", free > 1))
    return rows


def _backends() -> list[tuple[str, str, bool]]:
    """Who can do each task of perception on this machine, and what keeps the others from it."""
    embedded = not weights.verify("blazepose")
    rows = []
    for task in weights.TASKS:
        names = ["embedded"] if embedded and task in ("boxes", "keypoints", "masks") else []
        absent = []
        for model in weights.hub_models().values():
            if model.task == task:
                ready = has_transformers() and not weights.hub_problems(model, weights.cache_dir() / model.name)
                (names if ready else absent).append(model.name)
        rest = f"; not here: {', '.join(absent)}" if absent else ""
        rows.append((f"backends for {task}", f"ready: {', '.join(names) or 'none'}{rest}", True))
    return rows


def doctor() -> int:
    """Check this machine: versions, device and why, kernels, weights, optional packages, disk."""
    rows = _rows()
    table = Table("check", "finding", "")
    for name, finding, good in rows:
        table.add_row(name, finding, "ok" if good else "MEND")
    Console().print(table)
    bad = [name for name, _, good in rows if not good]
    if bad:
        raise HuddleError(f"{len(bad)} finding(s) to mend: {', '.join(bad)}.", next_step="Follow the right column of the table.")
    return 0
