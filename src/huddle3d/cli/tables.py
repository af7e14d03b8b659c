"""Metric tables in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from huddle3d.evaluation import (
    BODY_COLUMNS,
    COLUMNS,
    PAPER_COLUMNS,
    Column,
    PairedComparison,
    PaperTable,
    SceneResult,
    by_family,
    format_p,
    row,
    summary,
)

__all__ = ["print_comparisons", "print_paper_tables", "print_results"]


def _cells(values: dict[str, float | None]) -> list[str]:
    return [
        "–" if values.get(k) is None else f"{values[k]:.3f}" if k in ("nc", "bbox_iou", "cp", "normal_l2") else f"{values[k]:.2f}" for k in COLUMNS
    ]


def print_results(results: Sequence[SceneResult]) -> None:
    """One row per scene, protocol and variant, medians last."""
    named = any(r.variant for r in results)
    table = Table("scene", "bodies", *(["variant"] if named else []), *COLUMNS.values(), "s", "MiB", title="against the truth")
    for r in results:
        cells = _cells(row(r.metrics)) if r.metrics else ["failed: " + r.failure, *[""] * (len(COLUMNS) - 1)]
        table.add_row(r.scene, r.protocol, *([r.variant] if named else []), *cells, f"{r.seconds:.0f}", f"{r.peak_mb:.0f}")
    for protocol, variant in sorted({(r.protocol, r.variant) for r in results}):
        some = [r for r in results if (r.protocol, r.variant) == (protocol, variant)]
        if len(some) > 1:
            count = f"median of {sum(r.metrics is not None for r in some)}/{len(some)}"
            table.add_row(count, protocol, *([variant] if named else []), *_cells(summary(some)), "", "", style="bold")
    Console(width=max(160, Console().width)).print(table, markup=False)  # reasons of failures may hold brackets
    _print_classes(results)


def _print_classes(results: Sequence[SceneResult]) -> None:
    """Medians of each class of scenes, if there is more than one and some class has more than one scene."""
    table = Table("class", "scenes", "bodies", "variant", *COLUMNS.values(), title="medians by class of the scenes")
    for protocol, variant in sorted({(r.protocol, r.variant) for r in results}):
        for name, (count, medians) in by_family([r for r in results if (r.protocol, r.variant) == (protocol, variant)]).items():
            table.add_row(name, str(count), protocol, variant, *_cells(medians))
    if 1 < len({r.family for r in results}) < len({r.scene for r in results}):
        Console(width=max(160, Console().width)).print(table, markup=False)


def print_paper_tables(tables: Sequence[PaperTable]) -> None:
    """Each with a row for every ablation."""
    for made in tables:
        table = Table(*made.head, title=made.title)
        for cells in made.rows:
            table.add_row(*cells, style="dim" if cells[1] == "left out" else "")
        Console(width=max(200, Console().width)).print(table, markup=False)
    Console(width=max(200, Console().width)).print(tables[0].note, markup=False)


def print_comparisons(
    comparisons: Mapping[str, Mapping[str, Mapping[str, PairedComparison]]],
    baseline: str,
    columns: Mapping[str, Column] = PAPER_COLUMNS | BODY_COLUMNS,
) -> None:
    """One row per protocol, variant and metric: paired differences from the baseline."""
    table = Table("bodies", "variant", "metric", "median difference", "95 % interval", "Wilcoxon p", "scenes", title=f"differences from {baseline}")
    for protocol, variants in comparisons.items():
        for name, found in variants.items():
            for key in (k for k in columns if k in found):
                c, d = found[key], columns[key].digits
                spread = f"[{c.low:+z.{d}f}, {c.high:+z.{d}f}]"
                table.add_row(
                    protocol, name, f"{columns[key].heading} {columns[key].better}", f"{c.median_difference:+z.{d}f}", spread, format_p(c.p_value), str(c.count),
                    end_section=key == list(columns)[-1],
                )  # fmt: skip
    Console(width=max(120, Console().width)).print(table, markup=False)
