"""The report's section on whose limb and whose pixels: how sure each limb is, what contradicts the fitted bodies, and the picture of it."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from huddle3d.people._draw import fit_width, overlay_people, person_colour, resized, to_uint8
from huddle3d.people._html import Figure, Section, table
from huddle3d.people.identity import LIMBS, IdentityChange, render_ids, repair_identity
from huddle3d.people.pipeline import Reconstruction
from huddle3d.scene import Bodies, People2D, Photo
from huddle3d.scene.landmarks import LANDMARK_INDEX

__all__ = ["identity_section", "limb_confidences", "owners_picture"]

_PARTS: dict[str, tuple[int, ...]] = {
    "head": tuple(LANDMARK_INDEX[n] for n in ("nose", "left_ear", "right_ear")),
    "torso": tuple(LANDMARK_INDEX[f"{s}_{n}"] for s in ("left", "right") for n in ("shoulder", "hip")),
    **{limb.name: (limb.middle, limb.end) for limb in LIMBS},
}
_GUESS = 0.3
"""Confidence below which a limb comes from the priors rather than from the picture."""
_WIDTH = 640
_DONE = {"given": "given to", "dropped": "not used, as it is of", "doubted": "counts less, claimed by", "exchanged": "exchanged with", "left": "left"}
_FOUND = {"given": "is probably of", "dropped": "is also of", "doubted": "is claimed by", "exchanged": "is probably that of", "left": "may be of"}


def limb_confidences(people: People2D) -> list[tuple[str, ...]]:
    """A row for each person: name, then the mean confidence of head, torso, arms and legs; those below 0.3 are called guesses."""
    rows = []
    for name, points in zip(people.names, people.keypoints.float().cpu(), strict=True):
        values = [float(points[list(part), 2].mean()) for part in _PARTS.values()]
        rows.append((name, *(f"{v:.2f}" + (" (guess)" if v < _GUESS else "") for v in values)))
    return rows


def owners_picture(photo: Photo, people: People2D, bodies: Bodies, faces: Int[Tensor, "F 3"]) -> np.ndarray:
    """The photo tinted by whose mask a pixel is in, with stripes in the colour of the body that is seen there if that is somebody else's."""
    ids = render_ids(bodies, faces, _WIDTH).ids.numpy()
    height, width = ids.shape
    picture = resized(to_uint8(photo.image), width, height).astype(np.float32)
    picture = picture.mean(-1, keepdims=True).repeat(3, -1) * 0.7 + 40
    masks = torch.nn.functional.interpolate(people.masks[:, None].float().cpu(), size=(height, width), mode="area")[:, 0] > 0.5
    rows, columns = np.indices((height, width))
    stripes = (rows + columns) // 4 % 2 == 0
    for k, mask in enumerate(masks.numpy()):
        picture[mask] = 0.65 * picture[mask] + 0.35 * np.array(person_colour(k))
        for j, name in enumerate(bodies.names):
            if name != people.names[k]:
                picture[mask & (ids == j) & stripes] = person_colour(people.names.index(name))
    return picture.clip(0, 255).astype(np.uint8)


def _change_table(changes: tuple[IdentityChange, ...], repaired: bool) -> str:
    words = _DONE if repaired else _FOUND
    rows = []
    for c in changes:
        part = f"{c.part}, {c.pixels} px" if c.pixels else c.part
        first = (c.round,) if repaired else ()
        rows.append((*first, c.person, part, words[c.action], c.other, c.other_part or "–"))
    return table((*(("round",) if repaired else ()), "person", "part", "", "person", "part"), rows)


def identity_section(result: Reconstruction) -> Section:
    """How sure each limb is; and where two people's observations contradict the fitted bodies: repaired, or only named."""
    people, bodies, faces = result.people2d, result.bodies, result.views.faces
    body = "<p>Mean confidence of what was seen of each part; a guess comes from the priors.</p>"
    body += table(("person", *_PARTS), limb_confidences(people))
    if len(people.names) < 2:
        return Section("Whose is whose", body=body)
    repaired = result.perceived is not None
    changes = result.changes if repaired else repair_identity(people, bodies, faces)[1]
    if repaired and changes:
        body += "<p>After the first fit these observations contradicted the bodies, and were changed:</p>" + _change_table(changes, True)
    elif changes:
        body += (
            "<p>These observations contradict the fitted bodies. They were used as they are. More rounds of perceiving and fitting may settle "
            "them (<code>--config.identity.rounds 2</code>), or a correction as COCO JSON (<code>--coco</code>).</p>" + _change_table(changes, False)
        )
    else:
        body += "<p>No limb and no part of a mask lies on the body of another person alone.</p>"
    figures = [Figure(owners_picture(result.photo, people, bodies, faces), "tint: whose mask; stripes: the body that is in front there is another's")]
    if result.perceived is not None and changes:
        figures.insert(0, Figure(fit_width(overlay_people(result.photo, result.perceived), _WIDTH), "what was seen before the repair"))
    return Section("Whose is whose", figures, body)
