"""Display servers of a test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_START_S = 20.0


@contextmanager
def xvfb(size: str = "800x600x24", *options: str) -> Iterator[dict[str, str]]:
    """Run an X server on a free display; gives the environment that leads to it.

    Args:
        size: width, height and bits of a pixel.
        options: more of Xvfb's.
    """
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("Xvfb is not installed: no X11 display to test on")
    reader, writer = os.pipe()
    server = subprocess.Popen(
        [program, "-displayfd", str(writer), "-screen", "0", size, "-nolisten", "tcp", *options],
        pass_fds=(writer,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            number = told.readline().strip()  # ends when the server is ready, or dies
        if not number:
            pytest.fail(f"Xvfb ended with {server.wait(_START_S)} before it was ready")
        environ = _without_displays()
        environ["DISPLAY"] = f":{number}"
        yield environ
    finally:
        _end(server)


@contextmanager
def weston(folder: Path) -> Iterator[dict[str, str]]:
    """Run a Wayland compositor without a screen; gives the environment that leads to it.

    Args:
        folder: an empty folder for its socket; its path must be short.
    """
    program = shutil.which("weston")
    if program is None:
        pytest.skip("weston is not installed: no Wayland display to test on")
    folder.chmod(0o700)
    environ = _without_displays() | {"XDG_RUNTIME_DIR": str(folder)}
    # Versions before 11 know the backend by its file only, later ones may forget that name.
    for backend in ("headless-backend.so", "headless"):
        server = subprocess.Popen(
            [program, f"--backend={backend}", "--socket=twinlens", "--idle-time=0"],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if _is_there(folder / "twinlens", server):
                yield environ | {"WAYLAND_DISPLAY": "twinlens"}
                return
        finally:
            _end(server)
    pytest.fail("weston is installed, but does not start without a screen")


def _is_there(socket: Path, server: subprocess.Popen[bytes]) -> bool:
    deadline_s = time.monotonic() + _START_S
    while not socket.exists():
        if server.poll() is not None or time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


def _without_displays() -> dict[str, str]:
    ours = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    opencvs = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")
    return {name: value for name, value in os.environ.items() if name not in (*ours, *opencvs)}


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_START_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
