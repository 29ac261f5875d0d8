"""Sources as others write them: a number, a device, ``file://``, ``v4l2:``; all as ours are."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from twinlens.engine.errors import SourceError
from twinlens.engine.files import reading, shown_name

_DEVICE = re.compile(r"/dev/video(\d+)")
_V4L2 = re.compile(r"(?:v4l2|video4linux2?):(?://)?", re.I)
_WORDS = ("camera", "clip", "drawing", "screen")


def as_ours(text: str) -> str:
    """The form of ``SOURCES`` for what other programs call a source; itself where it is one.

    Raises:
        SourceError: a ``file:`` address of another machine.
    """
    if text.isascii() and text.isdigit():
        return f"camera:{int(text)}"
    if found := _V4L2.match(text):
        text = text[found.end() :] or "0"
        return f"camera:{_number_of(text) or text}"
    if text[:5].lower() == "file:" and not is_there(text):
        return _path_of(text)
    if _is_device(text):
        return f"camera:{_number_of(text) or text}"
    return text


def is_there(text: str) -> bool:
    """Whether a text is the path of something, and not one of the words that mean a source.

    Raises:
        SourceError: it cannot be looked at; says why.
    """
    if text in _WORDS:
        return False
    with reading(text, SourceError):
        return os.path.lexists(text)


def _path_of(text: str) -> str:
    rest = text[5:]
    if not rest.startswith("//"):
        return rest  # FFmpeg's form: what follows is the path as it is
    parts = urlsplit(text)
    if parts.netloc.lower() not in ("", "localhost", "127.0.0.1"):
        if sys.platform == "win32":
            return rf"\\{parts.netloc}{url2pathname(parts.path)}"
        raise SourceError(
            f"{shown_name(text)}: lies on another machine",
            hint="Give the path where its folder is mounted here.",
        )
    # What looks like a query or a fragment is part of a name that was not encoded.
    path = rest[len(parts.netloc) + 2 :]
    return (
        url2pathname(path) if sys.platform == "win32" else unquote(path, errors="surrogateescape")
    )


def _number_of(device: str) -> str:
    """``3`` of ``/dev/video3``; empty for any other name."""
    found = _DEVICE.fullmatch(device)
    return found[1] if found else ""


def _is_device(text: str) -> bool:
    if _DEVICE.fullmatch(text):
        return True
    if not text.startswith("/dev/"):
        return False
    try:
        return stat.S_ISCHR(Path(text).stat().st_mode)
    except (OSError, ValueError):
        return False
