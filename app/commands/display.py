"""Whether a window can be shown here, found out without starting Qt.

Qt ends the whole process when it finds no display, so it has to be asked beforehand.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

# Qt's xcb plugin is linked against these, and pip cannot install them.
_XCB_LIBRARIES = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-render-util.so.0": "libxcb-render-util0",
}


def no_window_reason(
    environ: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    *,
    load_library: Callable[[str], object] = ctypes.CDLL,
) -> str | None:
    """None when a window can be shown, otherwise one line that says why not."""
    if platform.startswith("linux") and not environ.get("QT_QPA_PLATFORM"):
        reason = _no_display_reason(environ)
        if reason:
            return reason
        if not environ.get("WAYLAND_DISPLAY"):
            missing = _missing(_XCB_LIBRARIES, load_library)
            if missing:
                return f"Qt needs the system packages {' '.join(missing)}"
    try:
        import_module("PySide6.QtWidgets")
    except ImportError as error:
        return f"Qt cannot be loaded ({error})"
    return None


def _no_display_reason(environ: Mapping[str, str]) -> str | None:
    wayland, x11 = environ.get("WAYLAND_DISPLAY"), environ.get("DISPLAY")
    if not wayland and not x11:
        return "no display (neither WAYLAND_DISPLAY nor DISPLAY is set)"
    if wayland:
        path = Path(environ.get("XDG_RUNTIME_DIR", "/")) / wayland
        if _answers(socket.AF_UNIX, str(path)):
            return None
        if not x11:
            return f"no display (nothing answers at WAYLAND_DISPLAY={wayland})"
    host, _, number = (x11 or "").rpartition(":")
    number = number.split(".")[0]
    if not number.isdigit():
        return f"no display (DISPLAY={x11} names none)"
    local = f"/tmp/.X11-unix/X{number}"
    if host in ("", "unix") and any(_answers(socket.AF_UNIX, p) for p in (f"\0{local}", local)):
        return None
    if _answers(socket.AF_INET, (host or "localhost", 6000 + int(number))):
        return None
    return f"no display (nothing answers at DISPLAY={x11})"


def _answers(family: int, address: str | tuple[str, int]) -> bool:
    with socket.socket(family) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


def _missing(libraries: Mapping[str, str], load: Callable[[str], object]) -> list[str]:
    missing = []
    for library, package in libraries.items():
        try:
            load(library)
        except OSError:
            missing.append(package)
    return missing
