"""Where every thread is, by module and function: no folder of this machine is named."""

from __future__ import annotations

import re
import sys
import sysconfig
import threading
from collections.abc import Iterable
from types import FrameType, TracebackType

MOST_FRAMES = 60
_FRAME = re.compile(r'^  File "(.*)", line (\d+|\?+) in (.+)$')
_THREAD = re.compile(
    r"^(Current thread|Thread) 0x[0-9a-f]+(?: \[.*\])? \(most recent call first\):$"
)


def module_path(file: str) -> str:
    """A source file as ``twinlens/app/cli.py`` or ``threading.py``; ``<other>`` for any else."""
    plain = file.replace("\\", "/")
    if plain.startswith("<frozen ") and plain.endswith(">"):
        return plain
    for name in _ours():
        if plain.startswith(name[0]):
            return f"twinlens/{name[1]}{plain[len(name[0]) :]}"
    _, found, inside = plain.rpartition("/site-packages/")
    if not found:
        _, found, inside = plain.rpartition("/dist-packages/")
    if found:
        return inside
    for folder in _standard():
        if plain.startswith(folder):
            return plain[len(folder) :]
    return "<other>"


def _ours() -> list[tuple[str, str]]:
    """(folder, room) of each part of Twinlens, wherever it is installed or developed."""
    found: list[tuple[str, str]] = []
    for room in ("app", "engine", "models", "assets"):
        module = sys.modules.get(f"twinlens.{room}")
        folders = (f.replace("\\", "/").rstrip("/") for f in getattr(module, "__path__", ()))
        found += [(f"{folder}/", f"{room}/") for folder in folders]
    return found


def _standard() -> list[str]:
    paths = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
    return [path.replace("\\", "/").rstrip("/") + "/" for path in paths if path]


def frame_line(file: str, line: int | str, function: str) -> str:
    """One frame."""
    path = module_path(file)
    return f"{path}:{line} {function}" if path != "<other>" else path


def thread_stacks() -> list[tuple[str, list[str]]]:
    """(name, frames, newest first) of every thread of Python in this process but the caller's."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    return [
        (names.get(ident, "not of Python's making"), _frames(frame))
        for ident, frame in sys._current_frames().items()
        if ident != own
    ]


def _frames(frame: FrameType | None) -> list[str]:
    lines: list[str] = []
    while frame is not None and len(lines) < MOST_FRAMES:
        lines.append(frame_line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname))
        frame = frame.f_back
    return lines


def error_stack(trace: TracebackType | None) -> list[str]:
    """Frames of what was raised, newest first."""
    lines: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(frame_line(code.co_filename, trace.tb_lineno, code.co_qualname))
        trace = trace.tb_next
    return lines[::-1][:MOST_FRAMES]


def reduced(lines: Iterable[str]) -> list[str]:
    """Stacks that faulthandler has written, with files as ``module_path`` has them.

    What is no line of a stack is left out: it may be anything.
    """
    kept: list[str] = []
    for line in lines:
        frame = _FRAME.match(line)
        if frame is not None:
            kept.append(f"  {frame_line(*frame.groups())}")
        elif _THREAD.match(line):
            kept.append("thread" if line.startswith("Thread") else "thread that was interrupted")
    return kept
