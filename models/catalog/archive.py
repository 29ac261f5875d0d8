"""Unpacking an archive that somebody else made, as if it meant harm.

Every member is looked at before anything is written: its path has to stay inside, it has to be a
plain file or a folder, and the sizes have to stay under the caps. Sizes are counted while they are
written as well, since an archive's own list of them can lie.
"""

from __future__ import annotations

import errno
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import DownloadError

MAX_BYTES = 2 << 30
"""Most bytes that an archive may unpack to."""

MAX_MEMBERS = 1_000
"""Most files and folders in an archive."""

_CHUNK = 1 << 20
# In place of a method of compression, where WinZip and 7-Zip encrypt.
_AES = 99
# What the disk says, and not the archive. Decompressors raise OSError as well.
_FULL = getattr(errno, "EDQUOT", errno.ENOSPC)
_LOCAL = (errno.ENOSPC, _FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
# What Python's readers raise on archives whose bytes were changed at random.
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(ValueError, IndexError, OverflowError, RuntimeError),
)
_MAX_NAME = 240
# A file of this name opens a device on Windows, whatever its suffix.
_PORTS = {f"{kind}{n}" for kind in ("com", "lpt") for n in range(10)}
_DEVICES = {"con", "prn", "aux", "nul"} | _PORTS


@dataclass(frozen=True)
class _Member:
    """What an archive lists: name, whether it is a folder, size, and what is odd about it."""

    name: str
    folder: bool
    bytes: int
    oddity: str


def unpack(archive: Path, kind: str, target: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Unpack an archive into a folder that is there and empty.

    Args:
        archive: the file.
        kind: ``"zip"`` or ``"tar"`` (plain, gzip, bzip2 or xz).
        target: the folder.
        max_bytes: most bytes that may come out.

    Raises:
        DownloadError: not such an archive, damaged, encrypted, too large, too many members, or a
            member that is a link, a device, or lies outside. Nothing is written for what can be
            seen in the list of members.
        OSError: the folder cannot be written.
    """
    try:
        if kind == "zip":
            _unzip(archive, target, max_bytes)
        else:
            _untar(archive, target, max_bytes)
    except OSError as why:
        if why.errno in _LOCAL:
            raise
        raise _damaged(archive, kind, why) from why
    except _DAMAGE as why:
        raise _damaged(archive, kind, why) from why


def _damaged(archive: Path, kind: str, why: Exception) -> DownloadError:
    return DownloadError(f"{archive.name}: not a {kind} archive, or damaged ({why})")


def _unzip(archive: Path, target: Path, max_bytes: int) -> None:
    with zipfile.ZipFile(archive) as source:
        infos = source.infolist()
        _check(archive, [_zip_member(info) for info in infos], max_bytes)
        budget = max_bytes
        for info in infos:
            if info.is_dir():
                target.joinpath(info.filename).mkdir(parents=True, exist_ok=True)
                continue
            with source.open(info) as stream:
                budget -= _write(archive, stream, target / info.filename, budget)


def _untar(archive: Path, target: Path, max_bytes: int) -> None:
    with tarfile.open(archive) as source:
        # One at a time: what lies behind a member that is too large is not even looked for.
        _check(archive, (_tar_member(info) for info in source), max_bytes)
        budget = max_bytes
        for info in source.getmembers():
            if info.isdir():
                target.joinpath(info.name).mkdir(parents=True, exist_ok=True)
                continue
            stream = source.extractfile(info)
            if stream is not None:
                with stream:
                    budget -= _write(archive, stream, target / info.name, budget)


def _zip_member(info: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    oddity = ""
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        oddity = "is a link or a device"
    elif info.flag_bits & 1 or info.compress_type == _AES:
        oddity = "is encrypted"
    return _Member(info.filename, info.is_dir(), info.file_size, oddity)


def _tar_member(info: tarfile.TarInfo) -> _Member:
    plain = info.isreg() or info.isdir()
    return _Member(info.name, info.isdir(), info.size, "" if plain else "is a link or a device")


def _check(archive: Path, members: Iterable[_Member], max_bytes: int) -> None:
    seen: set[str] = set()
    total = 0
    for number, member in enumerate(members, start=1):
        total += member.bytes
        oddity = member.oddity or _path_oddity(member.name)
        key = member.name.rstrip("/").casefold()
        # Two names that one disk takes for the same could write through each other.
        if not oddity and key in seen and not member.folder:
            oddity = "is there twice"
        seen.add(key)
        if oddity:
            raise DownloadError(f"{archive.name}: {member.name!r} {oddity}; nothing was unpacked")
        if number > MAX_MEMBERS:
            raise DownloadError(f"{archive.name}: more than {MAX_MEMBERS:,} members")
        if total > max_bytes:
            raise DownloadError(f"{archive.name}: unpacks to more than {max_bytes:,} bytes")


def _path_oddity(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        return "lies outside the archive's folder"
    if not path.parts or "\0" in name or len(name) > _MAX_NAME:
        return "is not a name that can be used"
    if any(part.split(".")[0].lower() in _DEVICES for part in path.parts):
        return "is the name of a device"
    return ""


def _write(archive: Path, source: IO[bytes], path: Path, budget: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("xb") as file:
        while piece := source.read(_CHUNK):
            checkpoint()
            written += len(piece)
            if written > budget:
                raise DownloadError(f"{archive.name}: unpacks to more than it says")
            file.write(piece)
    return written
