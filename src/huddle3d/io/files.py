"""Paths that are written: complete or absent, and nothing overwritten unless asked."""

from __future__ import annotations

import contextlib
import errno
import os
import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path

from huddle3d.errors import InputError
from huddle3d.io.limits import display_name

__all__ = ["atomic_file", "prepare_output_dir", "safe_name", "write_bytes"]

_TEMPORARY = ".huddle3d-"
_MAX_NAME_BYTES = 120
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(1, 10))}


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path in the same folder that becomes ``path`` when the block ends without an error, and vanishes otherwise.

    The temporary name keeps the suffix, for writers that choose a format by it. Without ``overwrite`` an existing ``path`` is refused:
    at once, and again at the end by an exclusive link, so that of two writers racing for one name the second one loses.
    """
    path = Path(path)
    name = display_name(path)
    if not overwrite:
        _refuse_existing(path)
    tmp = path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex[:12]}{path.suffix[:16]}")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "It is a folder")
        yield tmp
        _sync(tmp)
        if overwrite:
            os.replace(tmp, path)
        else:
            _publish_exclusively(tmp, path)
    except OSError as e:
        reason = e.strerror or str(e)
        full = e.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        step = "Make room on the disk, or choose a folder on another one." if full else "Choose a folder that exists and is writable."
        raise InputError(f"{name}: cannot be written.", why=f"{reason}.", next_step=step) from e
    finally:
        with contextlib.suppress(OSError):  # absent, or its folder is: the cause was told above
            tmp.unlink()


def write_bytes(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = False) -> None:
    """Write a whole file through :func:`atomic_file`."""
    with atomic_file(path, overwrite=overwrite) as tmp:
        tmp.write_bytes(data)


def prepare_output_dir(path: str | os.PathLike[str], overwrite: bool = False, *, marker: str | None = None) -> Path:
    """Make sure that ``path`` is a folder that may be written into, and return it.

    Args:
        path: the folder; it and its parents are made if absent.
        overwrite: accept a folder that holds files. Nothing is deleted here. What a killed run leaves before its marker (temporary files, a
            lock) does not count.
        marker: name of a file that this program's own runs leave in their folder; a folder that holds it is accepted (to resume).

    Raises:
        InputError: the path is a file, cannot be made or written, or holds files and neither exception applies.
    """
    path = Path(path)
    name = display_name(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        occupied = any(not _is_leftover(entry.name) for entry in path.iterdir())
        probe = path / f"{_TEMPORARY}{uuid.uuid4().hex[:12]}"
        probe.touch(exist_ok=False)  # access(2) says yes to root on a read-only mount: only a write can tell
        probe.unlink()
    except (FileExistsError, NotADirectoryError) as e:
        raise InputError(f"{name}: not a folder.", why="A file has this name.", next_step="Choose another output folder.") from e
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or str(e)
        raise InputError(f"{name}: the output folder cannot be written.", why=f"{reason}.", next_step="Choose a writable folder.") from e
    if occupied and not overwrite and not (marker and (path / marker).is_file()):
        raise InputError(f"{name}: the output folder is not empty.", next_step="Choose another folder, or pass --overwrite.", path=str(path))
    return path


def safe_name(text: str) -> str:
    """A file name made from ``text`` that is harmless on all systems: no separators, control characters, leading dots or hyphens.

    Unicode letters and inner spaces stay. The result is never empty, at most 120 bytes long, and the same for NFC and NFD forms.

    Example:
        >>> safe_name("../Anna & Bo?"), safe_name("")
        ('_Anna & Bo_', 'unnamed')
    """
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    text = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in text)
    text = text.encode("utf-8")[:_MAX_NAME_BYTES].decode("utf-8", "ignore").strip(" .").lstrip("-. ")
    return f"_{text}" if text.lower() in _RESERVED else text or "unnamed"


def _is_leftover(name: str) -> bool:
    return name.startswith(_TEMPORARY) or name == ".lock"


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise InputError(f"{display_name(path)}: already exists.", next_step="Choose another output name, or pass --overwrite.", path=str(path))


def _publish_exclusively(tmp: Path, path: Path) -> None:
    try:
        os.link(tmp, path)
    except FileExistsError:
        _refuse_existing(path)
    except OSError:  # file systems without hard links (exFAT, some network shares): a check is the best they offer
        _refuse_existing(path)
        os.replace(tmp, path)


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
