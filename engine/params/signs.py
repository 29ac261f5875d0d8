"""How files with parameters start; cheap to import, so that any file can be looked at."""

from __future__ import annotations

import struct

PICKLE_MAGIC = 0x1950A86A20F9469CFC6C
"""What PyTorch's pickles before version 1.6 begin with, as a number."""
TAR_PLACE, TAR = 257, b"ustar"
"""Where a tar archive says what it is; PyTorch before 0.2 wrote such."""
HEAD = TAR_PLACE + len(TAR)
"""Bytes of a file's start that say whether it is PyTorch's."""

_PICKLED = b"\x80"
_PICKLE_PROTOCOLS = range(2, 6)
_PICKLED_TEXT = b"L119547037146038801333356L\n."
_MAGIC_END = 32


def is_pytorch(start: bytes) -> bool:
    """Whether a file that starts so is one of PyTorch's older ones, damaged ones included, which
    no raw numbers or pickles of others are; `start` has `HEAD` bytes, or all that there are.
    """
    magic = PICKLE_MAGIC.to_bytes(10, "little") in start[:_MAGIC_END]
    return magic or start.startswith(_PICKLED_TEXT) or start[TAR_PLACE:HEAD] == TAR


def is_pickle(start: bytes) -> bool:
    """Whether a file that starts so may be a pickle of any program."""
    return start[:1] == _PICKLED and len(start) > 1 and start[1] in _PICKLE_PROTOCOLS


def is_safetensors(start: bytes, size: int) -> bool:
    """Whether a file of this size that starts so is safetensors, damaged ones included.

    It starts with the length of a JSON header, 8 bytes little-endian, and the header. What ends
    before its header does counts too, so that a half download is called what it is.
    """
    if len(start) < 9 or start[8:9] != b"{":
        return False
    (length,) = struct.unpack("<Q", start[:8])
    return bool(length < max(size, 100 << 20))
