"""Whose limb and whose pixels: perception's assignment repaired from the fitted bodies, in rounds of perceiving and fitting."""

from huddle3d.people.identity._changes import IdentityChange, in_words
from huddle3d.people.identity._limb_repair import LimbRules
from huddle3d.people.identity._limbs import LIMBS, Limb
from huddle3d.people.identity._mask_repair import MaskRules
from huddle3d.people.identity._rendered_ids import RenderedIds, render_ids
from huddle3d.people.identity._rounds import Agreed, IdentityConfig, agree, repair_identity

__all__ = [
    "LIMBS",
    "Agreed",
    "IdentityChange",
    "IdentityConfig",
    "Limb",
    "LimbRules",
    "MaskRules",
    "RenderedIds",
    "agree",
    "in_words",
    "render_ids",
    "repair_identity",
]
