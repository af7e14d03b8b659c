"""People2D to Bodies: all bodies and the camera of one photo, jointly."""

from huddle3d.fitting._config import FitConfig
from huddle3d.fitting._fit import fit

__all__ = ["FitConfig", "fit"]
