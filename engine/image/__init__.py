"""Pictures: pixel buffers, recipes, and the one conversion that every engine shares.

OpenCV is loaded only when a picture is read or converted.

Goes in: pixels until they are an input tensor. Stays out: where frames come from
(`app.sources`).
"""

from typing import TYPE_CHECKING

from twinlens.engine.image.buffer import PixelBuffer
from twinlens.engine.image.pixel_format import PixelFormat
from twinlens.engine.image.recipe import CropAndScale, Recipe, Region
from twinlens.engine.late import names_of

if TYPE_CHECKING:
    from twinlens.engine.image.convert import Converter
    from twinlens.engine.image.read import read_image

__all__ = [
    "Converter",
    "CropAndScale",
    "PixelBuffer",
    "PixelFormat",
    "Recipe",
    "Region",
    "read_image",
]

_HOMES = {
    "Converter": "twinlens.engine.image.convert",
    "read_image": "twinlens.engine.image.read",
}

if not TYPE_CHECKING:  # for a type checker it would hide the real names
    __getattr__ = names_of(__name__, _HOMES)
