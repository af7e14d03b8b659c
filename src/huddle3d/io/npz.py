"""Array files (``.npz``) from outside: what reading a damaged or hostile one can raise."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

__all__ = ["BROKEN_NPZ"]

BROKEN_NPZ = (
    OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError, MemoryError, struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
    zipfile.LargeZipFile,
)  # fmt: skip
"""Not a zip archive, a damaged or encrypted one, an unknown compression (a RuntimeError), pickled objects, a header that claims more than memory holds."""
