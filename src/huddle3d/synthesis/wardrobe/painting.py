"""Pictures of cloth and skin for one person: dye, print, creases; tone, scalp, brows and lashes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.synthesis.clothes.anatomy import Anatomy
from huddle3d.synthesis.clothes.hair import scalp_depth
from huddle3d.synthesis.clothes.panel import Panel
from huddle3d.synthesis.clothes.patterning import LEFT_LEG, TRUNK, cloth_plane, limb_groups, seam_weights
from huddle3d.synthesis.clothes.tailor import compression, fold_wave
from huddle3d.synthesis.spec import HairSpec, PieceSpec, WardrobeSpec
from huddle3d.synthesis.wardrobe.alpha import decal
from huddle3d.synthesis.wardrobe.recolour import dyed, logo_mask, shifted
from huddle3d.synthesis.wardrobe.tiles import Texels, filled, texels_of

__all__ = ["cloth_picture", "skin_picture"]

_SCALP_M = 0.008


def cloth_picture(piece: PieceSpec, panel: Panel, texels: Texels, image: Float[Tensor, "h w 3"], anatomy: Anatomy) -> Float[Tensor, "h w 3"]:
    """The garment's texture with new colours, a print on the chest, and dark creases where the pose folds it."""
    covered = texels.covered
    place = texels.of_vertices(panel.rest, panel.faces)
    picture = shifted(image, piece.hue_deg, piece.value)
    if piece.pattern is not None:
        groups = limb_groups(anatomy, anatomy.regions(panel.rest))
        if piece.part == "top":  # a hem over the thighs is still the trunk's cloth
            groups = torch.where(groups >= LEFT_LEG, TRUNK, groups)
        part = texels.of_vertices(seam_weights(groups, panel.faces), panel.faces).argmax(1)
        plane = cloth_plane(anatomy, place, part, period_m=piece.pattern.scale_m)
        picture = dyed(image, covered, place, plane, piece.pattern, depth=0.4 if piece.part == "top" else 1.0)
    colour = picture[covered]
    if piece.logo and piece.part == "top":
        chest = (anatomy.landmark("left_shoulder") + anatomy.landmark("right_shoulder")) / 2 - torch.tensor([0.0, 0.13, -0.1]) * anatomy.size
        ink = torch.tensor([((piece.logo * p) % 97) / 97 for p in (31, 57, 83)])
        colour = torch.lerp(colour, ink.expand_as(colour), 0.9 * logo_mask(place, chest, 0.085 * anatomy.size, piece.logo)[:, None])
    if piece.part != "shoes":
        squeeze = texels.of_vertices((3 * compression(panel)).clamp(0, 1)[:, None], panel.faces)[:, 0]
        depth = (0.04 + 0.16 * squeeze) * (fold_wave(place, piece.seed) - 0.3).clamp(-1, 0)
        colour = colour * (1 + depth)[:, None]
    picture = picture.clone()
    picture[covered] = colour.clamp(0, 1)
    return filled(picture, covered)


def skin_picture(
    spec: WardrobeSpec, image: Float[Tensor, "h w 3"], skin: Panel, hair: Panel | None, cards: list[tuple[Panel, Tensor]], anatomy: Anatomy
) -> Float[Tensor, "h w 3"]:
    """The skin with its tone, the scalp darkened under hair, brows and lashes painted on.

    Args:
        spec: tone and colour of hair.
        image: the skin's texture.
        skin: the whole skin.
        hair: what grows on it, if anything.
        cards: brows and lashes with their textures (colour, opacity).
        anatomy: the body at rest.
    """
    picture = (image * torch.tensor(spec.tone)).clamp(0, 1)
    ink = torch.tensor(spec.hair_colour)
    texels = texels_of(skin.uv, *picture.shape[:2])
    covered = texels.covered
    if hair is not None:
        from huddle3d.contact import MeshQuery

        near = MeshQuery(hair.rest, hair.faces, winding=False).closest_point(skin.rest).distance
        scalp = scalp_depth(anatomy, skin.rest, HairSpec("bob", spec.hair_colour, 0.01, 1))
        above = skin.rest[:, 1] > float(anatomy.joint("head")[1]) - 0.05
        weight = (2 - near / _SCALP_M).clamp(0, 1) * (scalp / 0.01).clamp(0, 1) * above
        at = texels.of_vertices(weight[:, None], skin.faces)
        picture = picture.clone()
        picture[covered] = torch.lerp(picture[covered], (0.75 * ink).expand(len(at), 3), 0.95 * at)
    for n, (card, texture) in enumerate(cards):
        colour = (0.7 * ink if n == 0 else 0.15 * ink).expand(*texture.shape[:2], 3)
        box = skin.rest[skin.faces].mean(1)
        low, high = card.rest.amin(0) - 0.02, card.rest.amax(0) + 0.02
        patch = skin.kept(((box > low) & (box < high)).all(1))
        reach, strength = (0.012, 1.0) if n == 0 else (0.0035, 1.3)
        picture = decal(picture, patch, card, torch.cat([colour, texture[..., 3:]], -1), reach_m=reach, strength=strength)
    return filled(picture, covered)
