"""Makes the pictures that come with Twinlens: what stands while it starts, and README's window.

The window is the real one on a display of its own, on the default model and the bundled clip, with
the figures of this machine: nothing else should run. It is taken when the label asked for has
stood for a while.

Run: ``python tests/bench/take_pictures.py [--label "golf ball"] [--engine ID]``; needs Xvfb.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helpers.displays import xvfb
from twinlens.app.sources.video import VideoFile
from twinlens.assets import clip_path

PICTURES = Path(__file__).resolve().parents[2] / "assets" / "pictures"
START = (960, 540)
QUALITY = 90

_INSIDE = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from twinlens.app.core.settings import SettingsStore
from twinlens.app.qt.main import make_application, make_window

settings, engine, label, target, quality = sys.argv[1:]
application = make_application()
window = make_window(SettingsStore(Path(settings)))
stood = 0

def look():
    global stood
    shown = window.stage.overlays.label
    stood = stood + 1 if shown is not None and shown.label == label else 0
    if stood < 18:  # 1.8 s
        return
    clock.stop()
    window.controls.wake()
    QTimer.singleShot(300, take)

def take():
    window.grab().save(target, "JPG", int(quality))
    window.close()

clock = QTimer()
clock.timeout.connect(look)
clock.start(100)
window.resize(1280, 720)
window.show()
window.start("clip", None, engine)
QTimer.singleShot(120_000, window.close)
application.exec()
"""


def take_window(label: str, engine: str, target: Path) -> None:
    """The window while that label stands.

    Raises:
        RuntimeError: it never did.
    """
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder, xvfb("1280x720x24") as screen:
        words = [str(Path(folder) / "settings.json"), engine, label, str(target), str(QUALITY)]
        # Asking for a GPU in software would take the processor.
        env = screen | {"VK_DRIVER_FILES": os.devnull}
        subprocess.run([sys.executable, "-c", _INSIDE, *words], env=env, cwd=folder, check=True)
    if not target.is_file():
        raise RuntimeError(f"{label!r} never stood on the picture")


def take_start(target: Path) -> None:
    """The clip's first frame."""
    clip = VideoFile(clip_path(), realtime=False)
    clip.open()
    frame = clip.read()
    clip.close()
    if frame is None:
        raise RuntimeError(f"{clip_path()}: has no frames")
    small = cv2.resize(frame.buffer.to_bgr(), START, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(target), small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def main() -> None:
    """Make both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--label", default="golf ball", help="one of the clip's")
    parser.add_argument("--engine", default="vision")
    parser.add_argument("--folder", type=Path, default=PICTURES)
    args = parser.parse_args()
    take_start(args.folder / "start.jpg")
    take_window(args.label, args.engine, args.folder / "window.jpg")


if __name__ == "__main__":
    main()
