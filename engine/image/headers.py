"""Sizes in the headers of picture files, before anything is decoded.

PNG: third edition; GIF: 89a; BMP: Windows' headers; WebP: RFC 9649; HEIF and AVIF: ISO 23008-12.
Nothing here raises on damaged data: what cannot be read counts as absent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from twinlens.engine.image.exif import jpeg_size, tiff_size

_STILLS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"hevc", b"hevx")
_DEEPEST = 4


def declared_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in the header of a picture file of any kind that is read, if readable."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])  # PNG (third edition), 11.2.1
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return struct.unpack("<HH", data[6:10])  # GIF89a, 18
    if data[:2] == b"BM" and len(data) >= 26:
        if data[14:18] == b"\x0c\0\0\0":  # the first kind of header, BITMAPCOREHEADER
            return struct.unpack("<HH", data[18:22])
        width, height = struct.unpack("<ii", data[18:26])
        return width, abs(height)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_size(data)
    if data[:2] == b"\xff\xd8":
        return jpeg_size(data)
    if is_iso_still(data):
        return _iso_size(data)
    return tiff_size(data)


def is_iso_still(data: bytes) -> bool:
    """Whether this is a HEIF or AVIF picture: an ISO file whose brands are of pictures."""
    if data[4:8] != b"ftyp":
        return False
    size = int.from_bytes(data[:4], "big")
    brands = data[8:12], *(data[at : at + 4] for at in range(16, min(size, 256), 4))
    return data[8:12] in _STILLS or any(brand in (b"mif1", b"avif") for brand in brands)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """RFC 9649: the sizes of the three kinds of WebP files."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _iso_size(data: bytes) -> tuple[int, int] | None:
    """The largest of the pictures in it: what is assembled of tiles, and not one of these."""
    sizes = list(_extents(data, 0, len(data), 0))
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _extents(data: bytes, at: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
    """Sizes in all ``ispe`` boxes (ISO 23008-12, 6.5.3) within ``meta``, ``iprp`` and ``ipco``."""
    while at + 8 <= end:
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        stop = end if size == 0 else min(at + size, end)
        if size and size < 8:
            return
        if kind == b"ispe" and at + 20 <= stop:
            yield struct.unpack(">II", data[at + 12 : at + 20])
        elif kind in (b"meta", b"iprp", b"ipco") and depth < _DEEPEST:
            # ``meta`` has a version and flags before its boxes.
            yield from _extents(data, at + 8 + 4 * (kind == b"meta"), stop, depth + 1)
        at = stop
