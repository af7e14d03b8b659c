"""huddle3d: 3D reconstruction of interaction from pictures.

Importing the package is cheap: no network is built, no kernel compiled and no optional dependency touched until it is used.
"""

import os as _os

# Idle threads of torch's OpenMP sleep instead of spinning, unless the user says otherwise. Beside another busy process, spinning makes the fit
# ten times slower; alone it gains nothing. It counts only if torch is imported after this.
_os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

__all__ = ["__version__"]
