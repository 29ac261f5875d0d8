"""opencv-python and PySide6 both carry Qt plugins; the window starts with either imported first."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.xvfb import virtual_display

ORDERS = ("import cv2\nimport PySide6.QtWidgets", "import PySide6.QtWidgets\nimport cv2")
SCRIPT = """
{imports}
import pathlib, sys
from PySide6.QtCore import QTimer
from twinlens.app.core.settings import SettingsStore
from twinlens.app.qt.main import make_application, make_window

application = make_application()
window = make_window(SettingsStore(pathlib.Path(sys.argv[1])))
window.show()
window.start("clip", None, "vision")

def look():
    if window.stage.overlays.label is not None:
        print(application.platformName(), window.stage.overlays.label.label)
        window.close()

timer = QTimer()
timer.timeout.connect(look)
timer.start(50)
QTimer.singleShot(60000, application.quit)
application.exec()
window.stop()
"""


def start(imports: str, env: dict[str, str], folder: Path) -> str:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(imports=imports), str(folder / "settings.json")],
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("imports", ORDERS, ids=["cv2 first", "Qt first"])
def test_window_answers_on_x11(imports: str, tmp_path: Path) -> None:
    with virtual_display() as env:
        assert start(imports, env, tmp_path).startswith("xcb ")


@pytest.mark.parametrize("imports", ORDERS, ids=["cv2 first", "Qt first"])
def test_window_answers_on_wayland(imports: str, tmp_path: Path) -> None:
    if shutil.which("weston") is None:
        pytest.skip("weston is not installed (apt install weston)")
    with virtual_display() as screen:
        env = {k: v for k, v in screen.items() if k != "DISPLAY"}
        env |= {"XDG_RUNTIME_DIR": str(tmp_path), "WAYLAND_DISPLAY": "wayland-test"}
        tmp_path.chmod(0o700)
        server = subprocess.Popen(
            ["weston", "--backend=headless-backend.so", "--socket=wayland-test", "--idle-time=0"],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 20
            while not (tmp_path / "wayland-test").exists():
                assert server.poll() is None, "weston ended"
                assert time.monotonic() < deadline, "weston did not start"
                time.sleep(0.05)
            assert start(imports, env, tmp_path).startswith("wayland ")
        finally:
            server.terminate()
            server.wait(10)
