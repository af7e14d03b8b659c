"""The evaluation as one self-contained HTML page: the published tables' layout first, then every scene side by side."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from huddle3d.evaluation.ablations import ABLATIONS, paper_tables
from huddle3d.evaluation.aggregate import by_family, by_level, compare_variants, intervals, summary
from huddle3d.evaluation.columns import BODY_COLUMNS, INSTANCE_COLUMNS, PAPER_COLUMNS, UNSEEN_COLUMNS, Column, format_cell, format_p, row
from huddle3d.evaluation.pictures import ScenePictures
from huddle3d.evaluation.protocol import SceneResult
from huddle3d.people import Figure, Section, page, table

__all__ = ["evaluation_page"]

_Grouped = dict[str, tuple[int, dict[str, float | None]]]
_BODIES = {
    "true": "true bodies, camera and masks are given (as in the published main tables)",
    "predicted": "only the picture is given, with its focal length",
}


def _head(columns: Mapping[str, Column]) -> list[str]:
    return [f"{c.heading} {c.better}".strip() for c in columns.values()]


def _groups(results: Sequence[SceneResult]) -> list[tuple[str, list[SceneResult]]]:
    """Each variant under each protocol, with its label."""
    keys = dict.fromkeys((r.protocol, r.variant) for r in sorted(results, key=lambda r: r.protocol != "true"))
    return [(f"{v or 'huddle3d'}, {p} bodies", [r for r in results if (r.protocol, r.variant) == (p, v)]) for p, v in keys]


def _medians(results: Sequence[SceneResult], columns: Mapping[str, Column]) -> str:
    rows = []
    for label, some in _groups(results):
        medians, spread = summary(some), intervals(some)
        cells = []
        for key, column in columns.items():
            text = format_cell(medians, key, column)
            if key in spread:
                text += f" [{spread[key].low:z.{column.digits}f}, {spread[key].high:z.{column.digits}f}]"
            cells.append(text)
        rows.append((label, f"{sum(r.metrics is not None for r in some)}/{len(some)}", *cells))
    return table(("method", "scenes", *_head(columns)), rows)


def _levels(results: Sequence[SceneResult], word: str, grouped: Callable[[Sequence[SceneResult]], _Grouped]) -> str:
    rows = []
    for label, some in _groups(results):
        for level, (count, medians) in grouped(some).items():
            rows.append((label, level, str(count), *(format_cell(medians, k, c) for k, c in PAPER_COLUMNS.items())))
    return table(("method", word, "scenes", *_head(PAPER_COLUMNS)), rows)


def _comparisons(results: Sequence[SceneResult]) -> str:
    columns = PAPER_COLUMNS | BODY_COLUMNS
    rows = []
    for protocol, variants in compare_variants(results).items():
        for name, found in variants.items():
            for key, c in found.items():
                if key in columns:
                    d = columns[key].digits
                    cells = (f"{c.median_difference:+z.{d}f}", f"[{c.low:+z.{d}f}, {c.high:+z.{d}f}]", format_p(c.p_value), str(c.count))
                    rows.append((f"{protocol} bodies", name, f"{columns[key].heading} {columns[key].better}", *cells))
    return table(("protocol", "variant", "metric", "median difference", "95 % interval", "Wilcoxon p", "scenes"), rows)


def _around(drawn: Sequence[tuple[str, ScenePictures]]) -> list[Figure]:
    """The four sides: of one result below the truth, of several as one strip each below each other."""
    if len(drawn) < 2:
        return [
            Figure(p.around, "0, 90, 180, 270° from the photo; rows: truth, result, normals of the truth, normals of the result") for _, p in drawn
        ]

    def strip(around: np.ndarray, colours: int) -> np.ndarray:
        rows = np.split(around, 4)
        return np.concatenate([rows[colours], rows[colours + 2]], 1)

    first = Figure(strip(drawn[0][1].around, 0), "truth, 0, 90, 180, 270° from the photo; colours, then normals")
    return [first, *(Figure(strip(p.around, 1), variant) for variant, p in drawn)]


def _scene(made: Sequence[tuple[SceneResult, ScenePictures | None]]) -> Section:
    """One scene under one protocol: input and truth, then each variant's result beside the other ones'."""
    first, drawn = made[0][0], [(r.variant, p) for r, p in made if p is not None]
    figures = [Figure(drawn[0][1].photo, "input"), Figure(drawn[0][1].truth, "truth")] if drawn else []
    figures += [Figure(p.result, variant or "result") for variant, p in drawn]
    figures += _around(drawn)
    rows, told = [], ""
    for result, _ in made:
        values = row(result.metrics) if result.metrics else {}
        rows.append((result.variant or "huddle3d", *(format_cell(values, k, c) for k, c in PAPER_COLUMNS.items())))
        if (m := result.metrics) is not None and not told:
            level = f"; interaction: {m.interaction.level}, {m.interaction.contact_area_cm2:.0f} cm² of contact" if m.interaction else ""
            told = f"<p>People: {len(m.missed)} missed, {len(m.invented)} invented{level}.</p>"
    failures = [f"Failed: {f'{r.variant}: ' if r.variant else ''}{r.failure}" for r, _ in made if r.failure]
    body = table(("method", *_head(PAPER_COLUMNS)), rows) + told
    return Section(f"{first.scene}, {first.protocol} bodies", figures, body, [*first.notes, *failures])


def _scenes(results: Sequence[SceneResult], pictures: Sequence[ScenePictures | None]) -> list[Section]:
    found: dict[tuple[str, str], list[tuple[SceneResult, ScenePictures | None]]] = {}
    for result, drawn in zip(results, pictures):
        found.setdefault((result.scene, result.protocol), []).append((result, drawn))
    return [_scene(made) for made in found.values()]


def _ablations(results: Sequence[SceneResult], left_out: Mapping[str, str]) -> Section:
    tables = paper_tables(results, left_out)
    shown = "".join(f"<h3>{html.escape(t.title)}</h3>{table(t.head, t.rows)}" for t in tables)
    return Section(
        "Ablations", body=f"<p>{html.escape(tables[0].note)}</p>{shown}", warnings=[f"Left out: {ABLATIONS[n]}: {why}" for n, why in left_out.items()]
    )


def _undefined(results: Sequence[SceneResult]) -> list[str]:
    reasons = dict.fromkeys((k, why) for r in results if r.metrics for k, why in r.metrics.undefined.items())
    return [f"No value for {k}: {why}" for k, why in reasons]


def evaluation_page(
    results: Sequence[SceneResult],
    pictures: Sequence[ScenePictures | None],
    settings: dict[str, Any],
    left_out: Mapping[str, str] | None = None,
) -> str:
    """The page as one HTML document.

    Args:
        results: of all scenes, protocols and variants.
        pictures: of each result, or None.
        settings: seed, versions, device, command; shown folded.
        left_out: of ablations, why some could not run; None if the variants are not the ablations.
    """
    given = "; ".join(f"{p}: {text}" for p, text in _BODIES.items() if any(r.protocol == p for r in results))
    unseen = "<p>Restricted to the part of the true surface that the input view does not see. Our own split; the paper's Occ. columns are above.</p>"
    sections = [
        Section("Main table", body=f"<p>Medians over scenes, 95 % bootstrap intervals. {given}.</p>" + _medians(results, PAPER_COLUMNS),
                warnings=_undefined(results)),
        Section("By interaction level of the truth", body=_levels(results, "level", by_level)),
        Section("By class of the scenes", body=_levels(results, "class", by_family)),
        Section("Per instance", body=_medians(results, INSTANCE_COLUMNS)),
        Section("Bodies, contact, penetration", body=_medians(results, BODY_COLUMNS)),
        Section("What the photo does not see", body=unseen + _medians(results, UNSEEN_COLUMNS)),
    ]  # fmt: skip
    if len({r.variant for r in results}) > 1:
        first = next(iter(results)).variant
        sections.append(Section("Variants, paired by scene", body=f"<p>Differences from <b>{html.escape(first)}</b>.</p>" + _comparisons(results)))
    if left_out is not None:
        sections.insert(0, _ablations(results, left_out))
    sections += _scenes(results, pictures)
    sections.append(Section("How this was made", folded=[("settings, versions, device", json.dumps(settings, indent=1, sort_keys=True))]))
    count = len({r.scene for r in results})
    return page("huddle3d: evaluation", f"{count} scene{'' if count == 1 else 's'}. How each figure is made: docs/evaluation.md.", sections)
