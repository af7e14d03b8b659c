"""Every budget that a file from outside must meet, and the one way to read such a file.

The numbers are generous for honest files and small enough that a hostile one cannot exhaust a laptop. Readers check what a header
claims against these budgets, and against the bytes that are really there, before they allocate anything.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from huddle3d.errors import InputError, ResourceLimitError

__all__ = [
    "MAX_COCO_ITEMS",
    "MAX_FACES",
    "MAX_IMAGE_BYTES",
    "MAX_JSON_BYTES",
    "MAX_JSON_DEPTH",
    "MAX_MESH_BYTES",
    "MAX_PIXELS",
    "MAX_TEXTURE_PIXELS",
    "MAX_VERTICES",
    "display_name",
    "read_regular_file",
    "require_budget",
]

MAX_PIXELS = 50_000_000
"""Pixels of one photo, checked in the file's header before decoding (a 48-megapixel telephone picture passes)."""
MAX_TEXTURE_PIXELS = 8192 * 8192
"""Pixels of one texture inside a mesh file."""
MAX_IMAGE_BYTES = 256 * 2**20
"""Bytes of one image file."""
MAX_JSON_BYTES = 64 * 2**20
"""Bytes of one JSON file."""
MAX_JSON_DEPTH = 64
"""Nesting of a JSON document."""
MAX_MESH_BYTES = 512 * 2**20
"""Bytes of one mesh file."""
MAX_VERTICES = 10_000_000
"""Vertices of one mesh."""
MAX_FACES = 20_000_000
"""Faces of one mesh."""
MAX_COCO_ITEMS = 100_000
"""Images, or annotations, in one COCO file."""


def display_name(path: str | os.PathLike[str]) -> str:
    """The path as it may be shown in a message: control characters (newlines, terminal escapes) and undecodable bytes are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in os.fspath(path))


def require_budget(path: str | os.PathLike[str], what: str, actual: int, limit: int) -> None:
    """Raise :class:`ResourceLimitError` if ``actual`` exceeds ``limit``; ``what`` names the counted thing ("pixels")."""
    if actual > limit:
        raise ResourceLimitError(f"{display_name(path)}: {actual:,} {what}, the limit is {limit:,}.", path=str(path), actual=actual, limit=limit)


def read_regular_file(path: str | os.PathLike[str], limit: int) -> bytes:
    """All bytes of a regular, non-empty file of at most ``limit`` bytes.

    The file is opened without blocking and its kind is read from the open handle, so that a FIFO, a device or a folder is refused
    instead of hanging the caller, also if it is swapped in after a check by name. The budget is counted while reading, not believed.
    """
    name = display_name(path)
    try:
        with open(path, "rb", opener=_open_without_blocking) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{name}: not a regular file.", why=f"It is {_kind(status.st_mode)}.", next_step="Give the path of a file.")
            data = file.read(limit + 1)
    except FileNotFoundError as e:
        raise InputError(f"{name}: no such file.", next_step="Check the path.") from e
    except IsADirectoryError as e:
        raise InputError(f"{name}: not a regular file.", why="It is a folder.", next_step="Give the path of a file.") from e
    except PermissionError as e:
        raise InputError(f"{name}: cannot be read.", why="Permission denied.", next_step="Check the file's permissions.") from e
    except (OSError, ValueError) as e:  # ValueError: a NUL byte in the path
        raise InputError(f"{name}: cannot be read.", why=str(e).partition("] ")[2] or str(e)) from e
    require_budget(path, "bytes or more", len(data), limit)
    if not data:
        raise InputError(f"{name}: the file is empty.", why="It has 0 bytes.", next_step="Copy or download the file again.")
    return data


def _open_without_blocking(path: str, flags: int) -> int:
    # Opening a FIFO for reading blocks until a writer comes, unless O_NONBLOCK is given; Windows has neither.
    if sys.platform == "win32" and Path(path).is_dir():
        raise IsADirectoryError(path)
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))
    return next((text for test, text in kinds if test(mode)), "a special file")
