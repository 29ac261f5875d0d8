"""Pictures: pixel buffers, recipes, and the one conversion that every engine shares."""

from twinlens.engine.image.buffer import PixelBuffer, PixelFormat
from twinlens.engine.image.recipe import CropAndScale, Recipe, Region

__all__ = ["CropAndScale", "PixelBuffer", "PixelFormat", "Recipe", "Region"]
