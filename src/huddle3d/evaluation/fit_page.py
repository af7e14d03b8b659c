"""The evaluation of fitted bodies as one self-contained HTML page: tables first, then every scene beside its truth."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from huddle3d.evaluation.columns import format_cell, format_p
from huddle3d.evaluation.fit_pictures import FitPictures
from huddle3d.evaluation.fit_protocol import FitResult
from huddle3d.evaluation.fit_summary import FIT_COLUMNS, FIT_TARGETS, compare_fits, fit_row, fit_summary, fits_by_family, row_name
from huddle3d.people import Figure, Section, page, table

__all__ = ["fit_page"]

_INPUTS = {
    "true": "true key points, masks and 3D landmarks are given",
    "true2d": "true key points and masks are given",
    "noisy": "key points with errors and drop-outs as the embedded backend makes them, and true masks are given",
    "predicted": "only the picture is given, with its focal length",
}
_HEAD = [f"{c.heading} {c.better}".strip() for c in FIT_COLUMNS.values()]


def _groups(results: Sequence[FitResult]) -> dict[str, list[FitResult]]:
    return {name: [r for r in results if row_name(r) == name] for name in dict.fromkeys(row_name(r) for r in results)}


def _main(results: Sequence[FitResult]) -> str:
    rows = []
    for name, some in _groups(results).items():
        values, cells = fit_summary(some), []
        for key, column in FIT_COLUMNS.items():
            text = format_cell(values, key, column)
            if spread := values["interval"].get(key):
                text += f" [{spread['low']:z.{column.digits}f}, {spread['high']:z.{column.digits}f}]"
            cells.append(text)
        rows.append((name, f"{values['scenes'] - values['failed']}/{values['scenes']}", *cells))
    for source in dict.fromkeys(r.input for r in results):
        if goals := FIT_TARGETS.get(source):
            rows.append((f"target, {source}", "", *(f"{goals[k][0]} {goals[k][1]:g}" if k in goals else "" for k in FIT_COLUMNS)))
    return table(("input", "scenes", *_HEAD), rows)


def _families(results: Sequence[FitResult]) -> str:
    rows = []
    for name, some in _groups(results).items():
        for family, values in fits_by_family(some).items():
            rows.append((name, family, str(values["scenes"]), *(format_cell(values, k, c) for k, c in FIT_COLUMNS.items())))
    return table(("input", "class", "scenes", *_HEAD), rows)


def _comparisons(results: Sequence[FitResult]) -> str:
    rows = []
    for source, variants in compare_fits(results).items():
        for name, found in variants.items():
            for key, c in found.items():
                d = FIT_COLUMNS[key].digits
                cells = (f"{c.median_difference:+z.{d}f}", f"[{c.low:+z.{d}f}, {c.high:+z.{d}f}]", format_p(c.p_value), str(c.count))
                rows.append((source, name, f"{FIT_COLUMNS[key].heading} {FIT_COLUMNS[key].better}", *cells))
    return table(("input", "variant", "metric", "median difference", "95 % interval", "Wilcoxon p", "scenes"), rows)


def _scene(result: FitResult, pictures: FitPictures | None) -> Section:
    figures = []
    if pictures is not None:
        figures = [
            Figure(pictures.photo, "input"),
            Figure(pictures.truth, "true bodies"),
            Figure(pictures.fitted, "fitted bodies, through the camera that the fit found"),
            Figure(pictures.around, "0, 90, 180, 270° from the photo; rows: truth, fit"),
        ]
    values = fit_row(result)
    body = table(_HEAD, [[format_cell(values, k, c) for k, c in FIT_COLUMNS.items()]]) if result.metrics else ""
    return Section(f"{result.scene}, {row_name(result)}", figures, body, [f"Failed: {result.failure}"] if result.failure else [])


def fit_page(results: Sequence[FitResult], pictures: Sequence[FitPictures | None], settings: dict[str, Any]) -> str:
    """The page as one HTML document.

    Args:
        results: of all scenes, inputs and variants.
        pictures: of each result, or None.
        settings: seed, versions, device, configuration; shown folded.
    """
    given = "; ".join(f"{name}: {text}" for name, text in _INPUTS.items() if any(r.input == name for r in results))
    words = "Lengths: medians over scenes with 95 % bootstrap intervals; shares: means; depth order: right pairs of all decided ones."
    sections = [Section("Main table", body=f"<p>{words} {given}.</p>" + _main(results)), Section("By class of the scenes", body=_families(results))]
    if len({r.variant for r in results}) > 1:
        first = html.escape(next(iter(results)).variant)
        sections.append(Section("Variants, paired by scene", body=f"<p>Differences from <b>{first}</b>.</p>" + _comparisons(results)))
    sections += [_scene(r, p) for r, p in zip(results, pictures)]
    sections.append(Section("How this was made", folded=[("settings, versions, device", json.dumps(settings, indent=1, sort_keys=True))]))
    count = len({r.scene for r in results})
    words = f"{count} scene{'' if count == 1 else 's'}. How each figure is made: docs/evaluation.md."
    return page("huddle3d: evaluation of the fit", words, sections)
