"""The browser viewer, behind a token and an Origin check."""

from huddle3d.studio.gate import Gate
from huddle3d.studio.viewer import Viewer, find_scene

__all__ = ["Gate", "Viewer", "find_scene"]
