"""One dressed person: skin that shows, garments, hair and shoes as one textured mesh.

The true surface of a person is what can be seen or touched from outside: skin under cloth is taken away, up to a hem's width, so that no
hidden layer counts when a reconstruction is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.scene import BodyParams, PersonMesh
from huddle3d.synthesis.anatomy import Anatomy
from huddle3d.synthesis.atlas import cell_atlas
from huddle3d.synthesis.clothing import Fit, cover_depth, grow_garment
from huddle3d.synthesis.cutting import Sheet, compact, subdivide
from huddle3d.synthesis.hair import grow_hair, hair_colour, scalp_depth
from huddle3d.synthesis.patterns import cloth_colour
from huddle3d.synthesis.skin import eye_colour, skin_colour
from huddle3d.synthesis.spec import PersonSpec

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["dress_person"]

_HEM_M = 0.02
_CURTAIN_M = 0.08


@dataclass(frozen=True)
class _Layer:
    sheet: Sheet
    colour: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n 3"]]


def _anatomy(body: BodyModel, params: BodyParams, k: int) -> Anatomy:
    out = body(replace(body.neutral(1), shape=params.shape[k : k + 1]))
    return Anatomy(body, out.vertices[0], out.joints[0], out.landmarks[0])


def _helper(body: BodyModel, name: str, params: BodyParams, k: int) -> Sheet:
    one = replace(params, **{f: getattr(params, f)[k : k + 1] for f in ("shape", "pose", "translation", "expression")})
    rest = body.garment_vertices(name, replace(body.neutral(1), shape=one.shape))[0]
    return Sheet(rest, body.garment_vertices(name, one)[0], body.garment_faces(name))


def _skin_layers(person: PersonSpec, anatomy: Anatomy, skin: Sheet) -> list[_Layer]:
    """Skin and eyes that no cloth covers; cavities of mouth and eyes are dropped."""
    body = anatomy.body
    hidden = torch.zeros(len(skin.rest), dtype=torch.bool)
    for garment in person.garments:
        depth = cover_depth(garment, anatomy, skin.rest, body.regions)
        hidden |= depth > (_CURTAIN_M if garment.kind == "skirt" else _HEM_M)
    if person.hair.kind != "none":
        head = anatomy.is_region(body.regions, "head", "face", "neck")
        hidden |= head & (scalp_depth(anatomy, skin.rest, person.hair) > 0.02)
    names = body.part_names
    eyes = torch.isin(body.parts, torch.tensor([i for i, n in enumerate(names) if n.endswith(("eye_front", "eye_back"))]))
    inner = torch.isin(body.parts, torch.tensor([i for i, n in enumerate(names) if "cavity" in n or n == "tongue"]))
    shown = ~(hidden[skin.faces].all(1) | inner[skin.faces].all(1) | eyes[skin.faces].any(1))
    return [
        _Layer(compact(skin, shown), lambda p: skin_colour(p, anatomy, person)),
        _Layer(compact(skin, eyes[skin.faces].all(1)), lambda p: eye_colour(p, anatomy, person, p[:, 0] > 0)),
    ]


def _layers(person: PersonSpec, anatomy: Anatomy, params: BodyParams, k: int, skin: Sheet, fit: Fit) -> list[_Layer]:
    body = anatomy.body
    layers = _skin_layers(person, anatomy, skin)
    tights = subdivide(_helper(body, "tights", params, k))
    for garment in person.garments:
        base = subdivide(_helper(body, "skirt", params, k)) if garment.kind == "skirt" else tights
        sheet = grow_garment(garment, base, anatomy, fit)
        if len(sheet.faces):
            layers.append(_Layer(sheet, lambda p, pattern=garment.pattern: cloth_colour(p, pattern)))
    for sheet in grow_hair(anatomy, skin, _helper(body, "hair", params, k), person.hair, fit):
        layers.append(_Layer(sheet, lambda p: hair_colour(p, person.hair)))
    return layers


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
    layers = _layers(person, anatomy, params, k, skin, Fit(MeshQuery(vertices[k], body.faces), others))
    offset, faces = 0, []
    for layer in layers:
        faces.append(layer.sheet.faces + offset)
        offset += len(layer.sheet.rest)
    every = torch.cat(faces)
    atlas = cell_atlas(len(every), size=texture_px)
    rest = torch.cat([layer.sheet.rest for layer in layers])
    place = (rest[every[atlas.face]] * atlas.bary[..., None]).sum(1)
    layer_of_face = torch.repeat_interleave(torch.arange(len(layers)), torch.tensor([len(f) for f in faces]))
    layer_of_texel = layer_of_face[atlas.face]
    colours = torch.zeros(len(place), 3)
    for i, layer in enumerate(layers):
        mine = (layer_of_texel == i).nonzero()[:, 0]
        colours[mine] = layer.colour(place[mine])
    posed = torch.cat([layer.sheet.posed for layer in layers])
    return PersonMesh(person.name, posed, every, atlas.uv, atlas.faces_uv, atlas.paint(colours), torch.ones(len(posed)))
