"""Pictures: pixel buffers, recipes, and the one conversion that every engine shares.

OpenCV is loaded only when a picture is read or converted.

Goes in: pixels until they are an input tensor. Stays out: where frames come from
(`app.sources`).
"""

from typing import TYPE_CHECKING, Any

from twinlens.engine.image.buffer import PixelBuffer
from twinlens.engine.image.pixel_format import PixelFormat
from twinlens.engine.image.recipe import CropAndScale, Recipe, Region

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


if not TYPE_CHECKING:  # for a type checker it would hide the real names

    def __getattr__(name: str) -> Any:
        if name == "Converter":
            from twinlens.engine.image.convert import Converter

            return Converter
        if name == "read_image":
            from twinlens.engine.image.read import read_image

            return read_image
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
