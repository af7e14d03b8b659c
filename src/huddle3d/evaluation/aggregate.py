"""Many scenes together: medians with intervals, by protocol, by interaction level, and between variants; as strict JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

from huddle3d.evaluation.columns import row
from huddle3d.evaluation.levels import LEVELS
from huddle3d.evaluation.protocol import SceneResult
from huddle3d.evaluation.statistics import Interval, PairedComparison, median_interval, paired_comparison

__all__ = ["by_family", "by_level", "compare_variants", "intervals", "results_json", "summary"]


def _columns(results: Sequence[SceneResult]) -> dict[str, list[float]]:
    """The defined values of each column over the scenes that were reconstructed."""
    out: dict[str, list[float]] = {}
    for r in results:
        if r.metrics:
            for key, value in row(r.metrics).items():
                out.setdefault(key, []).extend([] if value is None else [value])
    return out


def summary(results: Sequence[SceneResult]) -> dict[str, float | None]:
    """Median of each column over the scenes that were reconstructed; None where no scene has a value. Failed scenes are left out: count them."""
    return {k: statistics.median(v) if v else None for k, v in _columns(results).items()}


def intervals(results: Sequence[SceneResult], *, seed: int = 0) -> dict[str, Interval]:
    """Median with its 95 % bootstrap interval over scenes, for each column that has a value."""
    return {k: median_interval(v, seed=seed) for k, v in _columns(results).items() if v}


def by_level(results: Sequence[SceneResult]) -> dict[str, tuple[int, dict[str, float | None]]]:
    """Number of scenes and medians for each interaction level that occurs, from ``alone`` to ``close``."""
    out = {}
    for level in LEVELS:
        some = [r for r in results if r.metrics and r.metrics.interaction and r.metrics.interaction.level == level]
        if some:
            out[level] = (len(some), summary(some))
    return out


def by_family(results: Sequence[SceneResult]) -> dict[str, tuple[int, dict[str, float | None]]]:
    """Number of scenes and medians for each class of the suite (interaction, hardship, number of people), in the order of their appearance."""
    done = [r for r in results if r.metrics]
    return {f: (len(some), summary(some)) for f in dict.fromkeys(r.family for r in done) if (some := [r for r in done if r.family == f])}


def compare_variants(results: Sequence[SceneResult], *, seed: int = 0) -> dict[str, dict[str, dict[str, PairedComparison]]]:
    """Protocol → variant → column → comparison with the first variant, over the scenes where both have a value."""
    names = list(dict.fromkeys(r.variant for r in results))
    out: dict[str, dict[str, dict[str, PairedComparison]]] = {}
    for protocol in sorted({r.protocol for r in results}):
        rows = {n: {r.scene: row(r.metrics) for r in results if r.variant == n and r.protocol == protocol and r.metrics} for n in names}
        base = rows[names[0]]
        for name in names[1:]:
            shared = [s for s in base if s in rows[name]]
            for key in base[shared[0]] if shared else ():
                a, b = [base[s][key] for s in shared], [rows[name][s][key] for s in shared]
                if any(x is not None and y is not None for x, y in zip(a, b)):
                    out.setdefault(protocol, {}).setdefault(name, {})[key] = paired_comparison(a, b, seed=seed)
    return out


def _plain(groups: dict[str, tuple[int, dict[str, float | None]]]) -> dict[str, Any]:
    return {name: {"count": count, "median": medians} for name, (count, medians) in groups.items()}


def results_json(results: Sequence[SceneResult], **extra: object) -> str:
    """All results as strict JSON: medians, intervals and interaction levels by protocol (of the first variant), variants, every scene."""
    names = list(dict.fromkeys(r.variant for r in results))
    protocols = sorted({r.protocol for r in results})
    first = {p: [r for r in results if r.protocol == p and r.variant == names[0]] for p in protocols}
    tree: dict[str, Any] = {
        "median": {p: summary(some) for p, some in first.items()},
        "interval": {p: {k: v.to_dict() for k, v in intervals(some).items()} for p, some in first.items()},
        "by_level": {p: _plain(by_level(some)) for p, some in first.items()},
        "by_family": {p: _plain(by_family(some)) for p, some in first.items()},
    }
    if any(names):
        tree["variants"] = {n: {p: summary([r for r in results if r.protocol == p and r.variant == n]) for p in protocols} for n in names}
        found = compare_variants(results)
        tree["comparisons"] = {p: {n: {k: c.to_dict() for k, c in cs.items()} for n, cs in v.items()} for p, v in found.items()}
    return json.dumps({**tree, "scenes": [r.to_dict() for r in results], **extra}, indent=1, allow_nan=False) + "\n"
