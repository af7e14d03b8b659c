"""huddle3d: 3D reconstruction of interaction from pictures.

Importing the package is cheap: no network is built, no kernel compiled and no optional dependency touched until it is used.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
