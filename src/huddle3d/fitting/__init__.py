"""People2D to Bodies: all bodies and the camera of one photo, jointly; and bodies of one model to those of another."""

from huddle3d.fitting._config import FitConfig
from huddle3d.fitting._convert import Converted, Correspondence, convert_bodies, correspondence
from huddle3d.fitting._fit import fit
from huddle3d.fitting._surface_fit import SurfaceFitConfig, SurfaceTarget, fit_to_surface
from huddle3d.fitting._weights import fit_weights_digest

__all__ = [
    "Converted",
    "Correspondence",
    "FitConfig",
    "SurfaceFitConfig",
    "SurfaceTarget",
    "convert_bodies",
    "correspondence",
    "fit",
    "fit_to_surface",
    "fit_weights_digest",
]
