"""Hair: a cap grown from the scalp, and for longer cuts the body's hair helper without the strands that hang over the face."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.geometry import vertex_normals
from huddle3d.synthesis.anatomy import Anatomy
from huddle3d.synthesis.clothing import Fit, hold_off, press_flat
from huddle3d.synthesis.cutting import Sheet, clip, compact, smooth, subdivide
from huddle3d.synthesis.noise import fractal_noise, value_noise
from huddle3d.synthesis.spec import HairSpec

__all__ = ["grow_hair", "hair_colour", "scalp_depth"]


def scalp_depth(anatomy: Anatomy, points: Float[Tensor, "n 3"], hair: HairSpec) -> Float[Tensor, "n"]:
    """How far inside the hairline a place at rest lies [m]; negative on the face, the ears and the neck."""
    s = anatomy.size
    eye = (anatomy.landmark("left_eye") + anatomy.landmark("right_eye")) / 2
    ear = anatomy.landmark("left_ear")
    x, y, z = points[:, 0].abs(), points[:, 1] - float(eye[1]), points[:, 2] - float(ear[2])
    ragged = 0.006 * s * value_noise(points / (0.012 * s), hair.seed)
    front = 0.052 * s + 0.10 * z.clamp_min(0) - 0.25 * (x - 0.045 * s).clamp_min(0)
    nape = (-0.075 if hair.kind == "short" else -0.1) * s
    behind = torch.where(x > 0.066 * s, 0.012 * s, nape + 0.0 * y)
    t = ((z + 0.025 * s) / (0.035 * s)).clamp(0, 1)
    return y - torch.lerp(behind, front, t) + ragged


def _cap(anatomy: Anatomy, skin: Sheet, hair: HairSpec, fit: Fit) -> Sheet:
    depth = scalp_depth(anatomy, skin.rest, hair)
    regions = anatomy.body.regions
    head = anatomy.is_region(regions, "head", "face", "neck") & ~torch.isin(anatomy.body.parts, _inner_parts(anatomy))
    cap = clip(skin, torch.where(head, depth, -1.0))
    cap = smooth(subdivide(cap), 2)
    inside = scalp_depth(anatomy, cap.rest, hair).clamp_min(0)
    strands = 0.5 + 0.5 * fractal_noise(cap.rest / torch.tensor([0.012, 0.05, 0.03]), hair.seed + 2, octaves=2)
    height = hair.thickness_m * (inside / 0.03).clamp(0, 1).sqrt() * (0.7 + 0.45 * strands) + 0.0015
    posed = cap.posed + vertex_normals(cap.posed, cap.faces) * height[:, None]
    posed = smooth(Sheet(cap.rest, posed, cap.faces), 2).posed
    return Sheet(cap.rest, press_flat(posed, fit), cap.faces)


def _inner_parts(anatomy: Anatomy) -> Tensor:
    names = anatomy.body.part_names
    return torch.tensor([i for i, n in enumerate(names) if "cavity" in n or "eye" in n or n == "tongue"])


def _curtain(anatomy: Anatomy, helper: Sheet, hair: HairSpec, fit: Fit) -> Sheet:
    """The helper behind the ears, down to the chin or the shoulder blades."""
    s = anatomy.size
    ear, chin, shoulder = (anatomy.landmark(n) for n in ("left_ear", "face_chin", "left_shoulder"))
    low = float(chin[1]) - 0.02 * s if hair.kind == "bob" else float(shoulder[1]) - 0.06 * s
    sheet = subdivide(subdivide(helper))
    x, y, z = sheet.rest.unbind(-1)
    top = float(ear[1]) + 0.09 * s
    behind = float(ear[2]) + 0.012 * s - z
    level = torch.minimum(behind, torch.minimum(y - low - 0.02 * value_noise(sheet.rest / 0.015, hair.seed), top - y))
    sheet = smooth(clip(sheet, level), 6)
    if not len(sheet.faces):
        return sheet
    strands = 0.5 + 0.5 * fractal_noise(sheet.rest / torch.tensor([0.012, 0.12, 0.02]), hair.seed + 2, octaves=2)
    posed = sheet.posed + vertex_normals(sheet.posed, sheet.faces) * (0.008 * (strands - 0.5))[:, None]
    posed = hold_off(posed, hair.thickness_m * (0.6 + 0.6 * strands) + 0.006, fit)
    posed = smooth(Sheet(sheet.rest, posed, sheet.faces), 3).posed
    return Sheet(sheet.rest, press_flat(hold_off(posed, torch.full((len(posed),), 0.01), fit), fit), sheet.faces)


def grow_hair(anatomy: Anatomy, skin: Sheet, helper: Sheet, hair: HairSpec, fit: Fit) -> list[Sheet]:
    """Sheets of one head of hair; none for a bald head."""
    if hair.kind == "none":
        return []
    sheets = [_cap(anatomy, skin, hair, fit)]
    if hair.kind != "short":
        sheets.append(_curtain(anatomy, helper, hair, fit))
    return [compact(s) for s in sheets if len(s.faces)]


def hair_colour(points: Float[Tensor, "n 3"], hair: HairSpec) -> Float[Tensor, "n 3"]:
    """SRGB with lighter and darker strands."""
    base = torch.tensor(hair.colour)
    strand = fractal_noise(points / torch.tensor([0.004, 0.06, 0.012]), hair.seed + 3, octaves=2)
    return (base * (1 + 0.35 * strand)[:, None] + 0.02 * strand.clamp_min(0)[:, None]).clamp(0, 1)
