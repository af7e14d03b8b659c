"""Metric tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from huddle3d.evaluation import COLUMNS, SceneResult, row, summary

__all__ = ["print_results"]


def _cells(values: dict[str, float | None]) -> list[str]:
    return [
        "–" if values.get(k) is None else f"{values[k]:.3f}" if k in ("nc", "bbox_iou", "cp", "normal_l2") else f"{values[k]:.2f}" for k in COLUMNS
    ]


def print_results(results: Sequence[SceneResult]) -> None:
    """One row per scene and protocol, medians last."""
    table = Table("scene", "bodies", *COLUMNS.values(), "s", "MiB", title="against the truth")
    for r in results:
        cells = _cells(row(r.metrics)) if r.metrics else ["failed: " + r.failure, *[""] * (len(COLUMNS) - 1)]
        table.add_row(r.scene, r.protocol, *cells, f"{r.seconds:.0f}", f"{r.peak_mb:.0f}")
    for protocol in sorted({r.protocol for r in results}):
        some = [r for r in results if r.protocol == protocol]
        if len(some) > 1:
            table.add_row(f"median of {sum(r.metrics is not None for r in some)}/{len(some)}", protocol, *_cells(summary(some)), "", "", style="bold")
    Console(width=max(160, Console().width)).print(table)
