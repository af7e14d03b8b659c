"""What a file is by its first bytes: names lie, and Pillow is only ever offered the one decoder that fits."""

from __future__ import annotations

__all__ = ["foreign_kind", "image_kind", "webp_size"]

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF file"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"SIMPLE  =", "a FITS file"),
    (b"BM", "a BMP file"),
    (b"8BPS", "a Photoshop file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"glTF", "a GLB mesh"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"\x1aE\xdf\xa3", "a video"),
)


def image_kind(data: bytes) -> str | None:
    """``"JPEG"``, ``"PNG"``, ``"WEBP"``, ``"TIFF"``, ``"HEIF"``, or None for anything else."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "TIFF"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "HEIF"
    return None


def foreign_kind(data: bytes) -> str:
    """In words, what a file is that is no image we read."""
    for magic, words in _FOREIGN:
        if data.startswith(magic):
            return words
    if data[4:8] == b"ftyp":
        return "an AVIF image" if data[8:11] == b"avi" else "a video"
    try:
        data[:512].decode("utf-8")
    except UnicodeDecodeError:
        return "of an unknown kind"
    return "text"


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Canvas size by the header; libwebp's animation decoder, which Pillow uses for all files, allocates two canvases on opening."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return None
