"""Small pictures of what a model is proved on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

from twinlens.app.core.setup.golden import Golden

_SIZE = (320, 180)

Thumb = NDArray[np.uint8]
"""A small picture, (rows, columns, 3) B, G, R."""


def thumb_of(golden: Golden) -> Thumb:
    """A small picture of it; called on another thread."""
    from twinlens.engine.image.thumbnail import thumbnail  # with it comes OpenCV

    return thumbnail(golden.picture, *_SIZE)


def image_of(thumb: Thumb) -> QImage:
    """A thumbnail for Qt."""
    height, width = thumb.shape[:2]
    return QImage(thumb.data, width, height, 3 * width, QImage.Format.Format_BGR888).copy()
