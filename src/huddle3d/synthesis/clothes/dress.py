"""One dressed person: skin that shows, garments, hair and shoes as one textured mesh.

The true surface of a person is what can be seen or touched from outside: skin under cloth is taken away, up to a hem's width, so that no
hidden layer counts when a reconstruction is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.scene import BodyParams, PersonMesh
from huddle3d.synthesis.clothes.anatomy import Anatomy
from huddle3d.synthesis.clothes.atlas import cell_atlas
from huddle3d.synthesis.clothes.clothing import Fit, cover_depth, grow_garment
from huddle3d.synthesis.clothes.cutting import Sheet, compact, subdivide
from huddle3d.synthesis.clothes.draping import Hung, grow_loose
from huddle3d.synthesis.clothes.hair import grow_hair, hair_colour, scalp_depth
from huddle3d.synthesis.clothes.hanging import Motion
from huddle3d.synthesis.clothes.hood import grow_hood
from huddle3d.synthesis.clothes.loose import Wearer, has_panel
from huddle3d.synthesis.clothes.patterning import LEFT_LEG, TRUNK, cloth_plane, limb_groups, seam_weights
from huddle3d.synthesis.clothes.patterns import cloth_colour
from huddle3d.synthesis.clothes.skin import eye_colour, skin_colour
from huddle3d.synthesis.spec import GarmentSpec, PatternSpec, PersonSpec

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["dress_person"]

_HEM_M = 0.02
_CURTAIN_M = 0.08
_DEEP_M = 0.14
"""Under loose cloth one sees farther in [m]."""


@dataclass(frozen=True)
class _Layer:
    sheet: Sheet
    colour: Callable[[Float[Tensor, "n 3"], Int[Tensor, "n"]], Float[Tensor, "n 3"]]
    """Of places at rest, and of the part of the body that each covers."""
    parts: Float[Tensor, "v 5"] | None = None
    """How much each vertex belongs to which part of the body; None for skin and hair."""


def _anatomy(body: BodyModel, params: BodyParams, k: int) -> Anatomy:
    out = body(replace(body.neutral(1), shape=params.shape[k : k + 1]))
    return Anatomy(body, out.vertices[0], out.joints[0], out.landmarks[0])


def _helper(body: BodyModel, name: str, params: BodyParams, k: int) -> Sheet:
    one = replace(params, **{f: getattr(params, f)[k : k + 1] for f in ("shape", "pose", "translation", "expression")})
    rest = body.garment_vertices(name, replace(body.neutral(1), shape=one.shape))[0]
    return Sheet(rest, body.garment_vertices(name, one)[0], body.garment_faces(name))


def _margin(garment: GarmentSpec) -> float:
    """How far inside a garment's outline what lies under it cannot be seen [m]."""
    if garment.loose_m > 0 or garment.kind == "coat":
        return _DEEP_M if has_panel(garment) or garment.loose_m > 0.02 else _CURTAIN_M
    return _CURTAIN_M if garment.kind == "skirt" else _HEM_M


def _hidden(garments: Sequence[GarmentSpec], anatomy: Anatomy, points: Tensor, regions: Tensor) -> Tensor:
    """Places at rest that lie out of sight under some garment."""
    hidden = torch.zeros(len(points), dtype=torch.bool)
    for garment in garments:
        depth = cover_depth(garment, anatomy, points, regions)
        deep = depth > _margin(garment)
        if has_panel(garment):  # what is high under the cloth is hidden however short the skirt
            deep |= (depth > _HEM_M) & (points[:, 1] > float(anatomy.joint("upperleg01.L")[1]) + 0.03)
        hidden |= deep
    return hidden


def _skin_layers(person: PersonSpec, anatomy: Anatomy, skin: Sheet) -> list[_Layer]:
    """Skin and eyes that no cloth covers; cavities of mouth and eyes are dropped."""
    body = anatomy.body
    hidden = _hidden(person.garments, anatomy, skin.rest, body.regions)
    if person.hair.kind != "none":
        head = anatomy.is_region(body.regions, "head", "face", "neck")
        hidden |= head & (scalp_depth(anatomy, skin.rest, person.hair) > 0.02)
    names = body.part_names
    eyes = torch.isin(body.parts, torch.tensor([i for i, n in enumerate(names) if n.endswith(("eye_front", "eye_back"))]))
    inner = torch.isin(body.parts, torch.tensor([i for i, n in enumerate(names) if "cavity" in n or n == "tongue"]))
    shown = ~(hidden[skin.faces].all(1) | inner[skin.faces].all(1) | eyes[skin.faces].any(1))
    return [
        _Layer(compact(skin, shown), lambda p, _: skin_colour(p, anatomy, person)),
        _Layer(compact(skin, eyes[skin.faces].all(1)), lambda p, _: eye_colour(p, anatomy, person, p[:, 0] > 0)),
    ]


def _is_loose(garment: GarmentSpec) -> bool:
    return garment.loose_m > 0 or garment.kind == "coat"


def _cloth_layers(person: PersonSpec, wearer: Wearer, params: BodyParams, k: int, fit: Fit) -> list[_Layer]:
    """Garments from inside to outside; what an outer one hides of an inner one is taken away."""
    anatomy, body = wearer.anatomy, wearer.anatomy.body
    coarse = _helper(body, "tights", params, k)
    tights = subdivide(coarse) if not all(map(_is_loose, person.garments)) else coarse
    worn: list[Hung] = []
    for garment in person.garments:
        if _is_loose(garment):
            inner = [h.sheet for h in worn if len(h.sheet.faces)]
            worn.append(grow_loose(garment, coarse, wearer, fit, inner))
        else:
            base = subdivide(_helper(body, "skirt", params, k)) if garment.kind == "skirt" else tights
            sheet = grow_garment(garment, base, anatomy, fit)
            panel = garment.kind == "skirt"
            regions = anatomy.regions(sheet.rest) if len(sheet.rest) else torch.zeros(0, dtype=torch.long)
            worn.append(Hung(sheet, limb_groups(anatomy, regions) * (not panel)))
    layers = []
    for i, (garment, hung) in enumerate(zip(person.garments, worn)):
        sheet, group = hung.sheet, hung.group
        if garment.kind == "shirt":  # a hem over the thighs is still the trunk's cloth
            group = torch.where(group >= LEFT_LEG, TRUNK, group)
        outer = [g for g in person.garments[i + 1 :] if _is_loose(g)]
        if outer and len(sheet.faces):
            gone = _hidden(outer, anatomy, sheet.rest, anatomy.regions(sheet.rest))[sheet.faces].all(1)
            used, faces = torch.unique(sheet.faces[~gone], return_inverse=True)
            sheet, group = Sheet(sheet.rest[used], sheet.posed[used], faces), group[used]
        if len(sheet.faces):

            def colour(points: Tensor, part: Tensor, pattern: PatternSpec = garment.pattern) -> Tensor:
                return cloth_colour(points, pattern, cloth_plane(anatomy, points, part, period_m=pattern.scale_m))

            layers.append(_Layer(sheet, colour, seam_weights(group, sheet.faces)))
            if garment.hood != "none":
                hood = grow_hood(garment, wearer, fit)
                if garment.pattern.kind == "gradient":  # which ends at the collar
                    colour = partial(colour, pattern=replace(garment.pattern, kind="plain"))
                layers.append(_Layer(hood, colour, seam_weights(torch.zeros(len(hood.rest), dtype=torch.long), hood.faces)))
    return layers


def _layers(person: PersonSpec, wearer: Wearer, params: BodyParams, k: int, skin: Sheet, fit: Fit) -> list[_Layer]:
    layers = _skin_layers(person, wearer.anatomy, skin) + _cloth_layers(person, wearer, params, k, fit)
    cloth = [layer.sheet for layer in layers[2:]]
    for sheet in grow_hair(wearer, skin, person.hair, fit, cloth):
        layers.append(_Layer(sheet, lambda p, _: hair_colour(p, person.hair)))
    return layers


def _mixed(values: Float[Tensor, "v c"], corners: Int[Tensor, "n 3"], bary: Float[Tensor, "n 3"]) -> Float[Tensor, "n c"]:
    """Vertex values at places in faces."""
    a, b, c = (values[corners[:, k]] * bary[:, k, None] for k in range(3))
    return a + b + c


def dress_person(
    person: PersonSpec, body: BodyModel, params: BodyParams, vertices: Float[Tensor, "K V 3"], k: int, *, texture_px: int = 1024
) -> PersonMesh:
    """Person ``k`` of a scene, dressed; cloth is pressed flat where the bodies of the others are near.

    Args:
        person: clothes, hair and colours.
        body: the body model.
        params: all people.
        vertices: their posed skins, world [m].
        k: which person.
        texture_px: least side of the texture.
    """
    from huddle3d.contact import MeshQuery

    anatomy = _anatomy(body, params, k)
    skin = Sheet(anatomy.vertices, vertices[k], body.faces)
    others = [MeshQuery(v, body.faces) for j, v in enumerate(vertices) if j != k]
    one = replace(params, **{f: getattr(params, f)[k : k + 1] for f in ("shape", "pose", "translation", "expression")})
    wearer = Wearer(anatomy, vertices[k], Motion.of(body, replace(body.neutral(1), shape=one.shape)), Motion.of(body, one))
    layers = _layers(person, wearer, params, k, skin, Fit(MeshQuery(vertices[k], body.faces), others))
    offset, faces = 0, []
    for layer in layers:
        faces.append(layer.sheet.faces + offset)
        offset += len(layer.sheet.rest)
    every = torch.cat(faces)
    atlas = cell_atlas(len(every), size=texture_px)
    rest = torch.cat([layer.sheet.rest for layer in layers])
    corner = every[atlas.face]
    layer_of_face = torch.repeat_interleave(torch.arange(len(layers)), torch.tensor([len(f) for f in faces]))
    layer_of_texel = layer_of_face[atlas.face]
    colours = torch.zeros(len(corner), 3)
    first = 0
    for i, layer in enumerate(layers):
        mine = (layer_of_texel == i).nonzero()[:, 0]
        corners, bary = corner[mine], atlas.bary[mine]
        part = torch.zeros(0, dtype=torch.long)
        if layer.parts is not None:
            part = _mixed(layer.parts, corners - first, bary).argmax(1)
        colours[mine] = layer.colour(_mixed(rest, corners, bary), part)
        first += len(layer.sheet.rest)
    posed = torch.cat([layer.sheet.posed for layer in layers])
    return PersonMesh(person.name, posed, every, atlas.uv, atlas.faces_uv, atlas.paint(colours), torch.ones(len(posed)))
