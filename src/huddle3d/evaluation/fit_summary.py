"""Many scenes of ``huddle3d eval fit`` together: one row per input and variant, by family, by joint; as strict JSON."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from huddle3d.errors import InputError
from huddle3d.evaluation.columns import Column
from huddle3d.evaluation.fit_protocol import FitResult
from huddle3d.evaluation.statistics import PairedComparison, median_interval, paired_comparison
from huddle3d.scene.landmarks import BODY, LANDMARKS

__all__ = ["FIT_COLUMNS", "FIT_TARGETS", "fits_by_family", "by_region", "compare_fits", "fit_json", "fit_row", "fit_summary", "row_name"]

FIT_COLUMNS = {
    "people_found": Column("found", 2, "↑"), "pa_mpjpe_mm": Column("PA-MPJPE [mm]", 1, "↓"), "joint_pa_mpjpe_mm": Column("joint PA [mm]", 1, "↓"),
    "mpjpe_mm": Column("MPJPE [mm]", 1, "↓"), "mve_mm": Column("MVE [mm]", 1, "↓"), "offset_mm": Column("offset [mm]", 0, "↓"),
    "offset_depth_mm": Column("in depth [mm]", 0, "↓"), "hidden_pa_mm": Column("hidden joints [mm]", 1, "↓"), "depth_order": Column("depth order", 2, "↑"),
    "max_penetration_mm": Column("pen. max [mm]", 1, "↓"), "mean_penetration_mm": Column("pen. mean [mm]", 1, "↓"),
    "penetration_cm3": Column("pen. [cm³]", 1, "↓"), "contact_recall": Column("contact recall", 2, "↑"),
    "contact_precision": Column("contact prec.", 2, "↑"), "contact_pair_recall": Column("pair recall", 2, "↑"),
}  # fmt: skip
"""Columns of the table, in order."""

FIT_TARGETS: dict[str, dict[str, tuple[str, float]]] = {
    "true": {
        "pa_mpjpe_mm": ("<=", 35.0), "joint_pa_mpjpe_mm": ("<=", 50.0), "depth_order": (">=", 0.95), "max_penetration_mm": ("<=", 15.0),
        "contact_recall": (">=", 0.7),
    },
    "noisy": {"joint_pa_mpjpe_mm": ("<=", 80.0)},
}  # fmt: skip
"""What the project aims at, by input."""

_MEANS = ("people_found", "contact_recall", "contact_precision", "contact_pair_recall", "contact_pair_precision")
"""Shares are averaged over scenes; lengths are summarised by their median."""
_SHOWN = (*FIT_COLUMNS, "contact_pair_precision", "pa_mve_mm", "seen_pa_mm")


def fit_row(result: FitResult) -> dict[str, float | None]:
    """One scene's columns; None where undefined (a failed scene found nobody)."""
    m = result.metrics
    if m is None:
        return {key: 0.0 if key == "people_found" else None for key in _SHOWN}
    values: dict[str, float] = {key: getattr(m, key) for key in _SHOWN if hasattr(m, key)}
    values["people_found"] = m.people_found / m.people_true
    values["depth_order"] = m.order_right / m.order_decided if m.order_decided else math.nan
    return {key: (values[key] if math.isfinite(values[key]) else None) for key in _SHOWN}


def fit_summary(results: Sequence[FitResult]) -> dict[str, Any]:
    """One row for all scenes of one input and variant.

    Lengths: medians over the scenes that have a value; shares: means over them; ``depth_order``: right pairs of all decided pairs.
    ``worst`` holds the largest length (or the smallest share) of each column, ``interval`` the bootstrap interval of the medians.
    """
    rows = [fit_row(r) for r in results]
    columns = {key: [v for row in rows if (v := row[key]) is not None] for key in _SHOWN}
    out: dict[str, Any] = {"scenes": len(results), "failed": sum(r.metrics is None for r in results)}
    for key, values in columns.items():
        out[key] = (statistics.fmean(values) if key in _MEANS else statistics.median(values)) if values else None
    decided = sum(r.metrics.order_decided for r in results if r.metrics)
    out["depth_order"] = sum(r.metrics.order_right for r in results if r.metrics) / decided if decided else None
    out["people_invented"] = sum(r.metrics.people_invented for r in results if r.metrics)
    out["seconds"] = statistics.median([r.seconds for r in results]) if results else None
    out["worst"] = {k: (min(v) if k in _MEANS or k == "depth_order" else max(v)) for k, v in columns.items() if v}
    lengths = (k for k in columns if k not in _MEANS and k != "depth_order" and columns[k])
    out["interval"] = {k: median_interval(columns[k]).to_dict() for k in lengths}
    out["joint_errors_mm"] = _by_joint(results)
    out["contact_by_region"] = by_region(results)
    return out


def _by_joint(results: Sequence[FitResult]) -> dict[str, float]:
    """Median PA error of each of the 17 joints over the scenes [mm]."""
    errors = [r.metrics.joint_errors_mm for r in results if r.metrics and r.metrics.joint_errors_mm]
    known = {name: [e[i] for e in errors if math.isfinite(e[i])] for i, name in enumerate(LANDMARKS[BODY])}
    return {name: statistics.median(v) for name, v in known.items() if v}


def by_region(results: Sequence[FitResult]) -> dict[str, dict[str, float | int | None]]:
    """Contact precision and recall of each region, pooled over scenes."""
    total: dict[str, list[int]] = {}
    for r in results:
        for region, counts in (r.metrics.contact_by_region if r.metrics else {}).items():
            total[region] = [a + b for a, b in zip(total.get(region, [0, 0, 0]), counts)]
    return {
        region: {"recall": right / true if true else None, "precision": right / said if said else None, "true": true, "predicted": said}
        for region, (right, true, said) in sorted(total.items(), key=lambda item: -item[1][1])
    }


def fits_by_family(results: Sequence[FitResult]) -> dict[str, dict[str, Any]]:
    """The row of each family."""
    return _grouped(results, lambda r: r.family)


def _grouped(results: Sequence[FitResult], key: Callable[[FitResult], str]) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(key(r) for r in results)
    return {name: fit_summary([r for r in results if key(r) == name]) for name in names}


def row_name(result: FitResult) -> str:
    """Name of the row that a scene belongs to: its input, and the variant's name behind a colon if it has one."""
    return f"{result.input}:{result.variant}" if result.variant else result.input


def compare_fits(results: Sequence[FitResult]) -> dict[str, dict[str, dict[str, PairedComparison]]]:
    """Input → variant → column → comparison with the first variant on the scenes where both have a value."""
    out: dict[str, dict[str, dict[str, PairedComparison]]] = {}
    variants = list(dict.fromkeys(r.variant for r in results))
    for source in dict.fromkeys(r.input for r in results):
        rows = {v: {r.scene: fit_row(r) for r in results if (r.input, r.variant) == (source, v)} for v in variants}
        for name in variants[1:]:
            shared = [s for s in rows[variants[0]] if s in rows[name]]
            for key in FIT_COLUMNS:
                a, b = [rows[variants[0]][s][key] for s in shared], [rows[name][s][key] for s in shared]
                if any(x is not None and y is not None for x, y in zip(a, b)):
                    out.setdefault(source, {}).setdefault(name, {})[key] = paired_comparison(a, b)
    return out


def fit_json(results: Sequence[FitResult], **facts: object) -> str:
    """All results as strict JSON: ``variants`` (one row per input and variant), ``by_family``, ``comparisons``, ``targets``, every scene.

    Raises:
        InputError: no results.
    """
    if not results:
        raise InputError("There are no results to write.", next_step="Evaluate at least one scene.")
    groups = {name: [r for r in results if row_name(r) == name] for name in dict.fromkeys(row_name(r) for r in results)}
    tree: dict[str, Any] = {
        "variants": {name: fit_summary(some) for name, some in groups.items()},
        "by_family": {name: fits_by_family(some) for name, some in groups.items()},
        "targets": {source: {k: f"{sign} {value:g}" for k, (sign, value) in t.items()} for source, t in FIT_TARGETS.items()},
    }
    if len({r.variant for r in results}) > 1:
        found = compare_fits(results)
        tree["comparisons"] = {s: {v: {k: c.to_dict() for k, c in cs.items()} for v, cs in vs.items()} for s, vs in found.items()}
    return json.dumps({**tree, "scenes": [r.to_dict() for r in results], **facts}, indent=1, allow_nan=False) + "\n"
