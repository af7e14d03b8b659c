"""Hair: a cap grown from the scalp, and for longer cuts a curtain around the back and the sides of the head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.geometry import edges, mean_neighbour, vertex_normals
from huddle3d.synthesis.clothes.anatomy import Anatomy
from huddle3d.synthesis.clothes.clothing import Fit, hold_off, press_flat
from huddle3d.synthesis.clothes.cutting import Sheet, clip, compact, smooth, subdivide
from huddle3d.synthesis.clothes.draping import heights_over
from huddle3d.synthesis.clothes.loose import Wearer
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
    front = (0.056 + 0.004 * (hair.seed % 5)) * s + 0.10 * z.clamp_min(0) - 1.1 * (x - 0.05 * s).clamp_min(0)
    nape = (-0.075 if hair.kind == "short" else -0.1) * s
    behind = torch.where(x > 0.066 * s, 0.012 * s, nape + 0.0 * y)
    t = ((z - 0.008 * s) / (0.035 * s)).clamp(0, 1)
    return y - torch.lerp(behind, front, t) + ragged


def _cap(anatomy: Anatomy, skin: Sheet, hair: HairSpec, fit: Fit) -> Sheet:
    depth = scalp_depth(anatomy, skin.rest, hair)
    regions = anatomy.body.regions
    head = anatomy.is_region(regions, "head", "face", "neck") & ~torch.isin(anatomy.body.parts, _inner_parts(anatomy))
    cap = clip(skin, torch.where(head, depth, -1.0))
    cap = smooth(subdivide(cap), 2)
    inside = scalp_depth(anatomy, cap.rest, hair).clamp_min(0)
    strands = 0.5 + 0.5 * fractal_noise(cap.rest / torch.tensor([0.012, 0.05, 0.03]), hair.seed + 2, octaves=2)
    height = hair.thickness_m * (inside / 0.045).clamp(0, 1) ** 0.7 * (0.7 + 0.45 * strands) + 0.0015
    posed = cap.posed + vertex_normals(cap.posed, cap.faces) * height[:, None]
    posed = smooth(Sheet(cap.rest, posed, cap.faces), 2).posed
    return Sheet(cap.rest, press_flat(posed, fit), cap.faces)


def _inner_parts(anatomy: Anatomy) -> Tensor:
    names = anatomy.body.part_names
    return torch.tensor([i for i, n in enumerate(names) if "cavity" in n or "eye" in n or n == "tongue"])


def _curtain(wearer: Wearer, hair: HairSpec, fit: Fit, cloth: Sequence[Sheet]) -> Sheet:
    """Hair that falls from under the cap, around the head but for the face, to the chin or below the shoulders, and over the clothes."""
    anatomy = wearer.anatomy
    s = anatomy.size
    body = anatomy.body
    ear, chin, shoulder = (anatomy.landmark(n) for n in ("left_ear", "face_chin", "left_shoulder"))
    spread = 0.012 * value_noise(torch.tensor([[hair.seed * 0.37, 0.5]]), hair.seed).item()
    low = float(chin[1]) + (0.005 + spread) * s if hair.kind == "bob" else float(shoulder[1]) - (0.07 + 4 * spread) * s
    top = float(ear[1]) + 0.075 * s
    around = torch.deg2rad(torch.linspace(-110, 110, 65))  # 0 = behind
    rows = max(8, round((top - low) / 0.014))
    head = anatomy.vertices[anatomy.is_region(body.regions, "head", "face")]
    centre = torch.stack([torch.zeros(()), ear[2] - 0.012 * s])
    way = torch.stack([around.sin(), -around.cos()], -1)
    between = torch.cos(around[:, None] - around)
    strand = fractal_noise(torch.stack([around * 6, 0 * around], -1), hair.seed + 2, octaves=3)
    rim = ((1.92 - around.abs()) / 0.35).clamp(0, 1).sqrt()  # the edge beside the face lies on the cheek
    widest, rings = torch.zeros(len(around)), []
    for k in range(rows):
        t = k / (rows - 1)
        y = top + (low - top) * t + 0.012 * strand * t
        level = max(float(y.mean()), float(chin[1]) + 0.01 * s)
        slab = head[(head[:, 1] - level).abs() < 0.012][:, [0, 2]] - centre
        slab = slab[slab[:, 1] < 0.075 * s]
        support = (way @ slab.T).amax(1)
        hull = torch.where(between > 0.3, support / between.clamp_min(0.3), torch.inf).amin(1)
        widest = torch.maximum(hull, 0.985 * widest)
        r = widest + hair.thickness_m * (0.35 + 0.75 * min(1.0, 4 * t)) * (0.75 + 0.35 * strand) * rim + 0.002
        rings.append(torch.stack([r * way[:, 0], y, centre[1] + r * way[:, 1]], -1))
    rest = torch.cat(rings)
    n = len(around)
    a = (torch.arange(rows - 1)[:, None] * n + torch.arange(n - 1)).reshape(-1)
    faces = torch.cat([torch.stack([a, a + 1, a + n], -1), torch.stack([a + 1, a + n + 1, a + n], -1)])
    moved = wearer.transforms(rest, anatomy.is_region(body.regions, "head", "neck", "upper_back").nonzero()[:, 0])
    pairs = edges(faces)
    for _ in range(10):
        moved = 0.5 * (moved + mean_neighbour(moved, pairs))
    posed = (moved[:, :9].unflatten(1, (3, 3)) @ rest[..., None])[..., 0] + moved[:, 9:]
    wanted = torch.full((len(rest),), 0.004)
    posed = hold_off(posed, wanted, fit)  # out of the shoulders first: only then are the clothes over them near
    below = rest[:, 1] < float(chin[1])
    if cloth and bool(below.any()):
        wanted[below] = torch.maximum(wanted[below], heights_over(cloth, posed[below], fit) + 0.006)
    return Sheet(rest, press_flat(smooth(Sheet(rest, hold_off(posed, wanted, fit), faces), 1).posed, fit), faces)


def grow_hair(wearer: Wearer, skin: Sheet, hair: HairSpec, fit: Fit, cloth: Sequence[Sheet]) -> list[Sheet]:
    """Sheets of one head of hair; none for a bald head. ``cloth``: what long hair falls over."""
    if hair.kind == "none":
        return []
    sheets = [_cap(wearer.anatomy, skin, hair, fit)]
    if hair.kind != "short":
        sheets.append(_curtain(wearer, hair, fit, cloth))
    return [compact(s) for s in sheets if len(s.faces)]


def hair_colour(points: Float[Tensor, "n 3"], hair: HairSpec) -> Float[Tensor, "n 3"]:
    """SRGB with lighter and darker strands."""
    base = torch.tensor(hair.colour)
    strand = fractal_noise(points / torch.tensor([0.004, 0.06, 0.012]), hair.seed + 3, octaves=2)
    return (base * (1 + 0.35 * strand)[:, None] + 0.02 * strand.clamp_min(0)[:, None]).clamp(0, 1)
