"""Zip archives whose lists and members say no more than the file has."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

MAX_LIST_BYTES = 8 << 20
"""Most that an archive's list of members may take; 20,000 tensors take about 2 MB."""

# What zipfile and its decompressors raise on damaged files.
DAMAGE = (
    *(BadZipFile, zlib.error, LZMAError, EOFError, KeyError, OSError, ValueError, RuntimeError),
    struct.error,
)

_LOCAL = struct.Struct("<4s22xHH")
_LOCAL_SIGN = b"PK\x03\x04"
_ENCRYPTED = 1
_PIECE = 1 << 20


class _Careful(io.BufferedReader):
    """A file of which `ZipFile` reads no longer list of members than we allow."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_LIST_BYTES:
            raise BadZipFile(f"its list of members has {size:,} bytes")
        return super().read(size)


@contextmanager
def opened_zip(path: Path) -> Iterator[ZipFile]:
    """Open an archive to list its members.

    Raises:
        BadZipFile: no zip archive, or one with too long a list; and others of `DAMAGE`.
        OSError: it cannot be read.
    """
    with _Careful(io.FileIO(path)) as file, ZipFile(file) as archive:
        yield archive


def read_member(file: BinaryIO, member: ZipInfo, limit: int) -> bytes:
    """Read a whole member, unpacked.

    Sums are not compared: PyTorch leaves them out where speed is wanted.

    Raises:
        BadZipFile: it is longer than the limit, or than it says, or cannot be unpacked.
        OSError: the file cannot be read.
    """
    if member.file_size > limit:
        raise BadZipFile(f"{member.filename} has {member.file_size:,} bytes, at most {limit:,}")
    file.seek(member_start(file, member))
    if member.compress_type == ZIP_STORED:
        return file.read(member.file_size)
    unpack, parts, left = zlib.decompressobj(-zlib.MAX_WBITS), [], member.compress_size
    size = 0
    while left and not unpack.eof:
        packed = file.read(min(_PIECE, left))
        left -= len(packed)
        # One byte more than there should be shows that there is more.
        parts.append(unpack.decompress(packed, member.file_size - size + 1))
        size += len(parts[-1])
        if not packed or size > member.file_size:
            break
    if size != member.file_size:
        raise BadZipFile(f"{member.filename} is not the {member.file_size:,} bytes that it says")
    return b"".join(parts)


def member_start(file: BinaryIO, member: ZipInfo) -> int:
    """Where a member's bytes begin; they are all in the file.

    Raises:
        BadZipFile: they are not, or they are encrypted, or packed otherwise than by deflate.
        OSError: the file cannot be read.
    """
    if member.flag_bits & _ENCRYPTED:
        raise BadZipFile(f"{member.filename} is encrypted")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise BadZipFile(f"{member.filename} is packed by method {member.compress_type}")
    if member.compress_type == ZIP_STORED and member.compress_size != member.file_size:
        raise BadZipFile(f"{member.filename} has two sizes")
    file.seek(member.header_offset)
    head = file.read(_LOCAL.size)
    size = file.seek(0, io.SEEK_END)
    if len(head) < _LOCAL.size or not head.startswith(_LOCAL_SIGN):
        raise BadZipFile(f"{member.filename} is not where the list says")
    _, name, extra = _LOCAL.unpack(head)
    start = member.header_offset + _LOCAL.size + int(name) + int(extra)
    if start + member.compress_size > size:
        raise BadZipFile(f"{member.filename} is not all in the file")
    return start
