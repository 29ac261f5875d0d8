"""Saves what the stage shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QStandardPaths

from twinlens.app.qt.ports import BackgroundPort
from twinlens.app.qt.stage.stage import Stage
from twinlens.engine.errors import TwinlensError


def save_screenshot(
    stage: Stage,
    background: BackgroundPort,
    saved: Callable[[Path], None],
    failed: Callable[[Exception], None],
) -> None:
    """Write what a stage shows now to the Pictures folder, on another thread.

    Args:
        stage: what is shown.
        background: does the writing.
        saved: called with where it is.
        failed: called with why it is not.
    """
    picture = stage.picture()
    location = QStandardPaths.StandardLocation.PicturesLocation
    folder = Path(QStandardPaths.writableLocation(location) or Path.home()) / "Twinlens"
    path = folder / f"twinlens-{datetime.now():%Y%m%d-%H%M%S-%f}.png"

    def save() -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        if not picture.save(str(path)):
            raise TwinlensError(f"{path}: cannot be written")
        return path

    background.run("screenshot", save, saved, failed)
