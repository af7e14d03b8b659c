"""The self-contained HTML report of one photo: what was seen, what was made of it, how sure it is, what it cost."""

from __future__ import annotations

import json
from typing import Any

import torch

from huddle3d.people._draw import fit_width, grid, overlay_people
from huddle3d.people._html import Figure, Section, page, table
from huddle3d.people._identity_report import identity_section
from huddle3d.people._report_pictures import around, bodies_on_photo, canonical_sheet, comparison, contact_heat, from_above, geometry_around
from huddle3d.people.pipeline import Reconstruction
from huddle3d.scene import Scene
from huddle3d.scene.landmarks import FACE

__all__ = ["face_notes", "report_page", "skirt_notes"]

_FACE_SEEN = 0.15
"""Mean confidence of the colours around a face's landmarks below which the photo does not show it."""


def _people_table(scene: Scene) -> str:
    rows = []
    for s in scene.summaries:
        height = s.box[3] - s.box[1]
        deepest = max((p.max_mm for p in scene.penetrations if s.name in (p.a, p.b)), default=0.0)
        touched = sorted({c.b for c in scene.contacts if c.a == s.name} | {c.a for c in scene.contacts if c.b == s.name})
        rows.append(
            (s.name, f"{s.confidence:.2f}", s.reprojection_px, 100 * s.reprojection_px / max(float(height), 1.0), ", ".join(touched) or "–", deepest)
        )
    return table(("person", "confidence", "reprojection [px]", "of box height [%]", "touches", "deepest penetration [mm]"), rows)


def _missing(result: Reconstruction) -> str:
    """Why somebody may not be among the people, where networks looked for them."""
    if result.people2d.source != "blazepose":
        return ""
    return (
        "<p>Whoever is missing was not found: the search needs a head and shoulders that show, and a fair size in the picture. It overlooks people "
        "whose head is outside the picture or behind somebody, blurred or tiny people in the background, and it may take two who cover each other for "
        "one. Give such people as COCO JSON (<code>--coco</code>).</p>"
    )


def _contact_table(scene: Scene) -> str:
    if len(scene.people) < 2:
        return "<p>One person: nobody to touch.</p>"
    legend = "<p>Distance to the nearest other person: grey over 5 cm, yellow to red towards contact, violet inside.</p>"
    if not scene.contacts:
        return f"<p>No two of the reconstructed people touch (skin within 2 cm).</p>{legend}"
    rows = [(c.a, c.region_a, c.b, c.region_b, c.vertices, c.distance_mm) for c in sorted(scene.contacts, key=lambda c: c.distance_mm)]
    return table(("person", "region", "touches", "region", "vertices", "distance [mm]"), rows[:60]) + legend


def _penetration_table(scene: Scene) -> str:
    if not scene.penetrations:
        return "<p>No penetration between people.</p>"
    rows = [(p.a, p.b, p.max_mm, p.mean_mm, p.volume_cm3) for p in scene.penetrations]
    return table(("of", "in", "deepest [mm]", "mean [mm]", "volume [cm³]"), rows)


def _cost_table(result: Reconstruction) -> str:
    rows: list[tuple[object, ...]] = [(c.name, c.seconds, round(c.peak_mb), "yes" if c.resumed else "") for c in result.costs]
    rows.append(("all", sum(c.seconds for c in result.costs), max((round(c.peak_mb) for c in result.costs), default=0), ""))
    return table(("stage", "seconds", "peak memory [MiB]", "taken from an earlier run"), rows)


def face_notes(result: Reconstruction, settings: dict[str, Any]) -> list[str]:
    """Whose face the photo does not show, and where its colours come from instead."""
    restored = settings.get("config", {}).get("paint", {}).get("faces", "none") != "none"
    origin = "were filled in by the network of paint.faces" if restored else "are a guess from the rest of the picture"
    notes = []
    for mesh, landmarks in zip(result.meshes, result.bodies.landmarks):
        nearest = torch.cdist(landmarks[FACE].to(mesh.vertices), mesh.vertices).argmin(1)
        if float(mesh.confidence[nearest].mean()) < _FACE_SEEN:
            notes.append(f"{mesh.name}: the photo does not show the face; its colours {origin}.")
    return notes


def skirt_notes(result: Reconstruction) -> list[str]:
    """Whose legs were closed into a skirt, a dress or a long coat."""
    told = "taken to wear a skirt, a dress or a long coat, because the mask covers the gap between the legs; its back and sides are guesses."
    return [f"{name}: {told}" for name, hem in zip(result.bodies.names, result.views.skirt_hems) if hem > 0]


def report_page(result: Reconstruction, scene: Scene, settings: dict[str, Any]) -> str:
    """The report as one HTML document.

    Args:
        result: everything that was made.
        scene: the finished scene.
        settings: resolved configuration, versions and device, shown folded.
    """
    photo, rendered = comparison(result)
    everyone = tuple(w for s in scene.summaries for w in s.warnings)
    sections = [
        Section(
            "Result",
            [
                Figure(photo, "the photo"),
                Figure(rendered, "the textured meshes from the same camera"),
                Figure(grid(around(scene.people), 3), "around, starting in front"),
                Figure(grid(geometry_around(scene.people), 3), "geometry, one colour per person"),
                Figure(from_above(scene.people), "from above; the camera stands below the picture"),
            ],
            _people_table(scene),
            (*scene.warnings, *everyone, *face_notes(result, settings), *skirt_notes(result)),
        ),
        Section(
            "What was seen",
            [
                Figure(fit_width(overlay_people(result.photo, result.people2d), 640), "people, keypoints (pale = unsure) and masks"),
                Figure(bodies_on_photo(result.photo, result.bodies, result.views.faces), "fitted bodies and their joints"),
            ],
            f"<p>Perception: {result.people2d.source}. Body model: {result.bodies.model}. Focal length: {scene.focal_source}.</p>{_missing(result)}",
        ),
        identity_section(result),
        Section("Contact", [Figure(image, caption) for caption, image in contact_heat(scene.people)], _contact_table(scene)),
        Section("Penetration", body=_penetration_table(scene)),
        Section(
            "Canonical views",
            [
                Figure(
                    grid(canonical_sheet(result.views, result.completed), 6),
                    "rows: body normals, reprojected pixels, completed normals, completed colours",
                )
            ],
            f"<p>View completion: <b>{result.completed.method}</b>. What the photo does not show is invented by it.</p>",
        ),
        Section("Cost", body=_cost_table(result)),
        Section("How this was made", folded=[("configuration, versions, device", json.dumps(settings, indent=1, sort_keys=True))]),
    ]
    lead = f"{len(scene.people)} {'person' if len(scene.people) == 1 else 'people'} reconstructed from one picture. Hidden surfaces are guesses; do not read identity or intent into them."
    return page(f"huddle3d: {scene.photo_name}", lead, sections)
