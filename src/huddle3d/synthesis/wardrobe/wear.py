"""One person dressed from the assets folder, as one textured mesh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import MeshData
from huddle3d.scene import BodyParams, PersonMesh
from huddle3d.synthesis.assets.base_mesh import BASE_VERTICES, BaseMesh
from huddle3d.synthesis.assets.folder import Asset, AssetKind, Assets
from huddle3d.synthesis.clothes.anatomy import Anatomy
from huddle3d.synthesis.clothes.clothing import Fit, hold_off, press_flat
from huddle3d.synthesis.clothes.hanging import Motion, bind, fit_clothes, hidden_vertices, visible_parts
from huddle3d.synthesis.clothes.panel import Panel
from huddle3d.synthesis.clothes.tailor import drape, hem_depth, stand_on_floor
from huddle3d.synthesis.spec import PersonSpec, PieceSpec, WardrobeSpec
from huddle3d.synthesis.wardrobe.alpha import alpha_cut
from huddle3d.synthesis.wardrobe.painting import cloth_picture, skin_picture
from huddle3d.synthesis.wardrobe.recolour import toned
from huddle3d.synthesis.wardrobe.tiles import filled, pack, texels_of

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["wear"]

_HEM_M = 0.025
_FINE = 9000
"""Garments with fewer faces are refined once, so that they can fold: folds are part of the surface, and of the true normals."""


@dataclass(frozen=True)
class _Wearer:
    """One body at rest, in identity pose and in the scene, with everything that clothes hang on."""

    anatomy: Anatomy
    base: BaseMesh
    rest: Float[Tensor, "B 3"]
    still: Motion
    moving: Motion

    def panel(self, asset: Asset) -> Panel:
        """An asset, hung on this body and posed with it."""
        points, weights = fit_clothes(asset.fit, self.rest), bind(asset.fit, self.base.weights)
        uv, faces_uv = asset.mesh.uv, asset.mesh.faces_uv
        if uv is None or faces_uv is None:
            raise InputError(f"The mesh {asset.fit.obj_file} has no texture coordinates.", next_step="Copy the asset again.")
        corner_uv = torch.from_numpy(uv[faces_uv]).clamp(0, 1)
        return Panel(self.still(points, weights), self.moving(points, weights), torch.from_numpy(asset.mesh.faces.astype(np.int64)), corner_uv)


def _wearer(body: BodyModel, params: BodyParams, k: int, assets: Assets) -> _Wearer:
    one = replace(params, **{f: getattr(params, f)[k : k + 1] for f in ("shape", "pose", "translation", "expression")})
    neutral = replace(body.neutral(1), shape=one.shape)
    out = body(neutral)
    base = assets.base(body.name)
    return _Wearer(
        Anatomy(body, out.vertices[0], out.joints[0], out.landmarks[0]), base, base.rest(one), Motion.of(body, neutral), Motion.of(body, one)
    )


def part_of_mesh(mesh: MeshData, heights: Float[Tensor, "N"], part: Literal["top", "lower", "shoes"]) -> Bool[Tensor, "N"]:
    """Vertices of a suit that belong to its top (the highest component) or to its lower part (the rest); all for shoes."""
    count = len(mesh.vertices)
    if part == "shoes":
        return torch.ones(count, dtype=torch.bool)
    pairs = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]]])
    _, label = connected_components(coo_matrix((np.ones(len(pairs)), pairs.T), shape=(count, count)), directed=False)
    means = [float(heights[torch.from_numpy(label == c)].mean()) for c in range(label.max() + 1)]
    top = torch.from_numpy(label == int(np.argmax(means)))
    return top if part == "top" else ~top


@dataclass(frozen=True)
class _Worn:
    piece: PieceSpec
    asset: Asset
    panel: Panel
    covers: Bool[Tensor, "B"]
    """Base vertices that it hides."""


def _put_on(piece: PieceSpec, wearer: _Wearer, assets: Assets) -> _Worn:
    """The chosen part of one asset, not yet cut, and what it covers."""
    asset = assets.load("clothes", piece.asset)
    panel = wearer.panel(asset)
    mine = part_of_mesh(asset.mesh, panel.rest[:, 1], piece.part)
    covers = torch.zeros(BASE_VERTICES, dtype=torch.bool)
    hides = torch.from_numpy(asset.fit.hides)
    if len(hides):
        place = wearer.still(wearer.rest[hides], wearer.base.weights[hides])
        _, nearest = KDTree(panel.rest.double().numpy()).query(place.double().numpy())
        covers[hides] = mine[torch.from_numpy(nearest)] & (hem_depth(piece, wearer.anatomy, place) > _HEM_M)
    return _Worn(piece, asset, panel, covers)


def _finish(worn: _Worn, over: Bool[Tensor, "B"], wearer: _Wearer, fit: Fit, inner: list[Panel]) -> Panel:
    """Hidden faces and other parts removed, hems cut, draped."""
    seen = visible_parts(worn.asset.fit, over)
    mine = part_of_mesh(worn.asset.mesh, worn.panel.rest[:, 1], worn.piece.part)
    panel = worn.panel.kept(seen[worn.panel.faces].any(1) & mine[worn.panel.faces].all(1))
    if worn.piece.part == "shoes":
        return stand_on_floor(panel.moved(press_flat(panel.posed, fit)), fit)
    if len(panel.faces) < _FINE:
        panel = panel.subdivided()
    panel = panel.clipped(hem_depth(worn.piece, wearer.anatomy, panel.rest))
    panel = drape(panel, worn.piece, fit, inner)
    return panel.moved(torch.cat([panel.posed[:, :1], panel.posed[:, 1:2].clamp_min(fit.floor), panel.posed[:, 2:]], -1))


def _skin(wearer: _Wearer, posed: Float[Tensor, "V 3"], hidden: Bool[Tensor, "B"]) -> tuple[Panel, Panel]:
    """The whole outer skin, and what clothes leave of it; no eyes, no cavities of mouth and eyes."""
    body = wearer.anatomy.body
    names = body.part_names
    eyes = torch.isin(body.parts, torch.tensor([i for i, n in enumerate(names) if n.endswith(("eye_front", "eye_back"))]))
    inner = torch.isin(body.parts, torch.tensor([i for i, n in enumerate(names) if "cavity" in n or n == "tongue"]))
    outer = ~(inner[body.faces].all(1) | eyes[body.faces].any(1))
    whole = Panel(wearer.anatomy.vertices, posed, body.faces, body.uv[body.faces_uv])
    shown = outer & ~hidden[wearer.base.of_body][body.faces].all(1)
    return whole.kept(outer), whole.kept(shown)


def _hair(spec: WardrobeSpec, wearer: _Wearer, assets: Assets, fit: Fit, tops: list[Panel]) -> tuple[Panel, Tensor]:
    """Hair, cut along its outline and kept off skin and shoulders, with its picture."""
    asset = assets.load("hair", spec.hair)
    panel = alpha_cut(wearer.panel(asset), asset.texture[..., 3])
    wanted = torch.full((len(panel.posed),), 0.0015)
    for top in tops:
        distance, index = KDTree(top.posed.double().numpy()).query(panel.posed.double().numpy(), distance_upper_bound=0.06)
        near = torch.from_numpy(np.isfinite(distance))
        height = fit.skin.closest_point(top.posed).distance[torch.from_numpy(index).clamp_max(len(top.posed) - 1)]
        wanted = torch.where(near, torch.maximum(wanted, height + 0.005), wanted)
    panel = panel.moved(press_flat(hold_off(panel.posed, wanted, fit), fit))
    picture = toned(asset.texture[..., :3], asset.texture[..., 3] > 0.5, spec.hair_colour)
    return panel, filled(picture, asset.texture[..., 3] > 0.4)


def _eyes(spec: WardrobeSpec, wearer: _Wearer, assets: Assets) -> tuple[Panel, Tensor]:
    """Eyeballs without the clear cornea in front of them."""
    asset = assets.load("eyes", "high-poly", iris=spec.eyes)
    panel = wearer.panel(asset)
    height, width = asset.texture.shape[:2]
    x = (panel.uv[..., 0] * width).long().clamp(0, width - 1)
    y = ((1 - panel.uv[..., 1]) * height).long().clamp(0, height - 1)
    return panel.kept((asset.texture[y, x, 3] > 0.5).any(1)), asset.texture[..., :3]


def wear(person: PersonSpec, body: BodyModel, params: BodyParams, vertices: Float[Tensor, "K V 3"], k: int, assets: Assets) -> PersonMesh:
    """Person ``k`` of a scene in clothes of the assets folder.

    Args:
        person: with a wardrobe.
        body: the body model (Anny).
        params: all people.
        vertices: their posed skins, world [m].
        k: which person.
        assets: the folder.

    Raises:
        InputError: an asset is missing or damaged.
    """
    from huddle3d.contact import MeshQuery

    spec = person.wardrobe
    if spec is None:
        raise InputError(f"{person.name} has no wardrobe.")
    wearer = _wearer(body, params, k, assets)
    fit = Fit(MeshQuery(vertices[k], body.faces), [MeshQuery(v, body.faces) for j, v in enumerate(vertices) if j != k])
    worn = [_put_on(p, wearer, assets) for p in spec.pieces]
    over, hidden = hidden_vertices([(w.asset.fit.layer, w.covers) for w in worn], BASE_VERTICES)
    whole, skin = _skin(wearer, vertices[k], hidden)
    panels, pictures = [], []
    for w, above in zip(worn, over, strict=True):
        panel = _finish(w, above, wearer, fit, [p for p, o in zip(panels, worn) if o.piece.part != "shoes"])
        if len(panel.faces):
            panels.append(panel)
            texels = texels_of(panel.uv, *w.asset.texture.shape[:2])
            pictures.append(cloth_picture(w.piece, panel, texels, w.asset.texture[..., :3], wearer.anatomy))
    tops = list(panels)
    hair = None
    if spec.hair:
        panel, picture = _hair(spec, wearer, assets, fit, tops)
        hair = panel
        panels.append(panel)
        pictures.append(picture)
    panel, picture = _eyes(spec, wearer, assets)
    panels.append(panel)
    pictures.append(picture)
    cards: list[tuple[AssetKind, str]] = [("eyebrows", spec.brows), ("eyelashes", spec.lashes)]
    painted = [(wearer.panel(a), a.texture) for a in (assets.load(kind, name) for kind, name in cards)]
    panels.append(skin)
    pictures.append(skin_picture(spec, assets.skin(spec.skin), whole, hair, painted, wearer.anatomy))
    return _merged(person.name, panels, pictures)


def _merged(name: str, panels: list[Panel], pictures: list[Tensor]) -> PersonMesh:
    texture, uv = pack(pictures, [p.uv for p in panels])
    first, faces = 0, []
    for p in panels:
        faces.append(p.faces + first)
        first += len(p.posed)
    every, posed = torch.cat(faces), torch.cat([p.posed for p in panels])
    return PersonMesh(name, posed, every, uv.reshape(-1, 2), torch.arange(3 * len(every)).reshape(-1, 3), texture, torch.ones(len(posed)))
