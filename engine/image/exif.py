"""Size and EXIF orientation of a JPEG file, from its markers (ITU-T T.81; EXIF 2.32)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_START_OF_FRAME = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_APP1 = 0xE1
_START_OF_SCAN = 0xDA
_ORIENTATION_TAG = 0x0112
_SHORT = 3


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that the frame header gives; None when there is none."""
    for marker, segment in _segments(data):
        if marker in _START_OF_FRAME and len(segment) >= 5:
            height, width = struct.unpack(">HH", segment[1:5])
            return width, height
    return None


def jpeg_orientation(data: bytes) -> int:
    """EXIF orientation 1–8; 1 when the file has none or is no JPEG."""
    if data[:2] != b"\xff\xd8":
        return 1
    for marker, segment in _segments(data):
        if marker == _APP1 and segment[:6] == b"Exif\0\0":
            return _tiff_orientation(segment[6:])
    return 1


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker segments in front of the picture data: (marker, payload)."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN or length < 2:
            return
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length


def _tiff_orientation(tiff: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (at,) = struct.unpack(order + "I", tiff[4:8])
    if at + 2 > len(tiff):
        return 1
    (count,) = struct.unpack(order + "H", tiff[at : at + 2])
    for index in range(count):
        entry = tiff[at + 2 + 12 * index : at + 14 + 12 * index]
        if len(entry) < 12:
            return 1
        tag, kind, _, value = struct.unpack(order + "HHIH2x", entry)
        if tag == _ORIENTATION_TAG and kind == _SHORT:
            return value if 1 <= value <= 8 else 1
    return 1
