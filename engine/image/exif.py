"""Sizes and EXIF orientation of picture files, from their headers.

JPEG: ITU-T T.81; PNG: third edition; WebP: RFC 9649; TIFF: revision 6.0; EXIF 2.32. Nothing here
raises on damaged data: what cannot be read counts as absent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_START_OF_FRAME = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_APP1 = 0xE1
_START_OF_SCAN = 0xDA
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, restart markers, start of image: no payload
_WIDTH_TAG = 0x0100
_HEIGHT_TAG = 0x0101
_PHOTOMETRIC_TAG = 0x0106
_SEPARATED = 5
_ORIENTATION_TAG = 0x0112
_SHORT = 3
_LONG = 4


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that the frame header gives; None when there is none."""
    for marker, segment in _segments(data):
        if marker in _START_OF_FRAME and len(segment) >= 5:
            height, width = struct.unpack(">HH", segment[1:5])
            return width, height
    return None


def tiff_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of the first picture of a TIFF file; None when there is none."""
    tags = _tiff_tags(data)
    if _WIDTH_TAG in tags and _HEIGHT_TAG in tags:
        return tags[_WIDTH_TAG], tags[_HEIGHT_TAG]
    return None


def jpeg_components(data: bytes) -> int:
    """How many components a JPEG's frame header gives: 1 grey, 3 colours, 4 inks; 0 for none."""
    for marker, segment in _segments(data):
        if marker in _START_OF_FRAME and len(segment) >= 6:
            return segment[5]
    return 0


def is_cmyk_tiff(data: bytes) -> bool:
    """Whether the first picture of a TIFF file is stored as inks."""
    return _tiff_tags(data).get(_PHOTOMETRIC_TAG) == _SEPARATED


def orientation_of(data: bytes) -> int:
    """EXIF orientation 1–8 of a JPEG, PNG or WebP file; 1 when it has none or is another kind."""
    if data[:2] == b"\xff\xd8":
        blocks = [segment for marker, segment in _segments(data) if marker == _APP1]
        exif = next((block[6:] for block in blocks if block[:6] == b"Exif\0\0"), b"")
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        exif = _png_chunk(data, b"eXIf")
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        exif = _webp_chunk(data, b"EXIF").removeprefix(b"Exif\0\0")
    else:
        return 1
    value = _tiff_tags(exif).get(_ORIENTATION_TAG, 1)
    return value if 1 <= value <= 8 else 1


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker segments in front of the picture data: (marker, payload)."""
    at = 2
    # Bytes between segments are skipped, as decoders do.
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker in (0x00, 0xFF) or marker in _STANDALONE:  # stuffing and fill bytes too
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN or length < 2:
            return
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length


def _png_chunk(data: bytes, kind: bytes) -> bytes:
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == kind:
            return data[at + 8 : at + 8 + length]
        at += 12 + length
    return b""


def _webp_chunk(data: bytes, kind: bytes) -> bytes:
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == kind:
            return data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    return b""


def _tiff_tags(tiff: bytes) -> dict[int, int]:
    """First value of each whole-number tag in the first directory of TIFF data."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return {}
    (at,) = struct.unpack(order + "I", tiff[4:8])
    if at + 2 > len(tiff):
        return {}
    (count,) = struct.unpack(order + "H", tiff[at : at + 2])
    tags = {}
    for index in range(count):
        entry = tiff[at + 2 + 12 * index : at + 14 + 12 * index]
        if len(entry) < 12:
            break
        tag, kind = struct.unpack(order + "HH", entry[:4])
        if kind == _SHORT:
            (tags[tag],) = struct.unpack(order + "H", entry[8:10])
        elif kind == _LONG:
            (tags[tag],) = struct.unpack(order + "I", entry[8:12])
    return tags
