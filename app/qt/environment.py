"""opencv-python and PySide6 side by side.

``import cv2`` from opencv-python on Linux points ``QT_QPA_PLATFORM_PLUGIN_PATH`` and
``QT_QPA_FONTDIR`` at the Qt 5 plugins and the few fonts that it carries. Qt 6 would look there
first: at plugins of another major version, which are of no use to it, and, without a window
system, at those fonts only. The variables are read when the QApplication is made, so that it is
enough to clear them just before, in whatever order the two were imported.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import PurePath

_VARIABLES = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")


def prepare(environ: MutableMapping[str, str] = os.environ) -> None:
    """Clear what OpenCV set for its own Qt; call it before the QApplication is made.

    Values that do not point into OpenCV's package are somebody's choice and stay.
    """
    # OpenCV sets them on import; an import that comes later would set them again.
    import twinlens.app.sources.opencv  # noqa: F401

    for name in _VARIABLES:
        if "cv2" in PurePath(environ.get(name, "")).parts:
            del environ[name]
