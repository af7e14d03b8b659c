"""Which parts of a body tend to share a colour: barriers and correspondences for filling unseen surface."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.geometry import edges, vertex_normals
from huddle3d.scene.landmarks import LANDMARK_INDEX

__all__ = ["MATERIALS", "SurfaceLinks", "surface_links"]

MATERIALS = ("skin", "hair", "hands", "feet", "upper", "lower", "other")
"""Face with jaw and neck; scalp; hands; feet; garments above and below the waist; anything that the regions do not name."""

_UPPER = ("chest", "upper_back", "belly", "lower_back", "shoulder", "upper_arm", "forearm")
_LOWER = ("pelvis", "buttock", "thigh", "shin")


@dataclass(frozen=True)
class SurfaceLinks:
    """What the body model knows about colours before it sees any."""

    pairs: Int[Tensor, "e 2"]
    """Edges of the mesh."""
    strength: Float[Tensor, "e"]
    """How willingly colour crosses an edge: 1 around a limb or inside a material without direction, less along a garment, little between two
    materials. Hems and stripes run around a body, so unseen cloth takes its colour from the same height."""
    material: Int[Tensor, "V"]
    """Index into :data:`MATERIALS`."""
    mirror: Int[Tensor, "V"]
    """Left-right twin of each vertex."""
    opposite: Int[Tensor, "V"]
    """Vertex on the other side of the same garment (front for back, back for front), seen through the body at rest; itself where there is none."""
    has_opposite: Bool[Tensor, "V"]


def surface_links(body: BodyModel, *, crossing: float, along: float = 0.03) -> SurfaceLinks:
    """Links of one body model, measured on its neutral shape at rest.

    Args:
        body: the model.
        crossing: strength of an edge between two materials.
        along: strength of an edge of a garment that runs along its limb (around it: 1).
    """
    rest = body(body.neutral(1))
    points, landmarks = rest.vertices[0], rest.landmarks[0]
    faces = body.faces.long()
    material = _materials(body, points, landmarks)
    pairs = edges(faces)
    same = material[pairs[:, 0]] == material[pairs[:, 1]]
    cloth = (material == MATERIALS.index("upper")) | (material == MATERIALS.index("lower"))
    axis = _limb_axes(body, len(points), landmarks)
    direction = torch.nn.functional.normalize(points[pairs[:, 1]] - points[pairs[:, 0]], dim=-1)
    slope = (direction * axis[pairs[:, 0]]).sum(-1).square() * cloth[pairs].all(-1)
    strength = torch.where(same, 1 - (1 - along) * slope, crossing)
    opposite, has = _opposite(points, vertex_normals(points, faces), material)
    return SurfaceLinks(pairs, strength, material, body.mirror.long(), opposite, has)


def _materials(body: BodyModel, points: Float[Tensor, "V 3"], landmarks: Float[Tensor, "L 3"]) -> Int[Tensor, "V"]:
    out = torch.full((len(points),), MATERIALS.index("other"), dtype=torch.long, device=points.device)
    for index, name in enumerate(body.region_names):
        stem = name.removeprefix("left_").removeprefix("right_")
        kind = {"face": "skin", "neck": "skin", "head": "skin", "hand": "hands", "foot": "feet"}.get(stem)
        kind = kind or ("upper" if stem in _UPPER else "lower" if stem in _LOWER else "other")
        out[body.regions == index] = MATERIALS.index(kind)
    if "head" in body.region_names:
        ear = (landmarks[LANDMARK_INDEX["left_ear"]] + landmarks[LANDMARK_INDEX["right_ear"]]) / 2
        head = body.regions == body.region_names.index("head")
        # hair covers the head above the ears and behind them; what lies in front and below is jaw
        scalp = head & ((points[:, 1] > ear[1] + 0.02) | (points[:, 2] < ear[2] - 0.01))
        out[scalp] = MATERIALS.index("hair")
    return out


def _limb_axes(body: BodyModel, count: int, landmarks: Float[Tensor, "L 3"]) -> Float[Tensor, "V 3"]:
    """Direction of the limb at each vertex at rest: up, but along the arms."""
    axis = torch.tensor([0.0, 1, 0], dtype=landmarks.dtype, device=landmarks.device).repeat(count, 1)
    for side in ("left", "right"):
        arm = landmarks[LANDMARK_INDEX[f"{side}_wrist"]] - landmarks[LANDMARK_INDEX[f"{side}_shoulder"]]
        for part in ("upper_arm", "forearm"):
            if f"{side}_{part}" in body.region_names:
                axis[body.regions == body.region_names.index(f"{side}_{part}")] = torch.nn.functional.normalize(arm, dim=-1)
    return axis


def _opposite(points: Float[Tensor, "V 3"], normals: Float[Tensor, "V 3"], material: Int[Tensor, "V"]) -> tuple[Int[Tensor, "V"], Bool[Tensor, "V"]]:
    from scipy.spatial import KDTree

    out, has = torch.arange(len(points), device=points.device), torch.zeros(len(points), dtype=torch.bool, device=points.device)
    cloth = (material == MATERIALS.index("upper")) | (material == MATERIALS.index("lower"))
    front, back = (cloth & (normals[:, 2] > 0.1)).nonzero()[:, 0], (cloth & (normals[:, 2] < -0.1)).nonzero()[:, 0]
    for here, there in ((front, back), (back, front)):
        if len(here) and len(there):
            distance, index = KDTree(points[there][:, :2].cpu().numpy()).query(points[here][:, :2].cpu().numpy())
            near = torch.from_numpy(distance < 0.03).to(points.device)
            out[here] = torch.where(near, there[torch.from_numpy(index).to(points.device)], here)
            has[here] = near
    return out, has
