"""The picture's way in as bytes: crop, scale, colours and values in one shader.

The conversion is the one that ``engine.image.Converter`` does: halve, blur, sample. All of these
are linear and work along one axis at a time, so that together each output column is a weighted sum
of some columns of the picture, and each row of some rows. The weights are worked out here, once
for each geometry; the shader sums up. What remains of differences is the converter's rounding to
whole grey levels between its steps.
"""

from __future__ import annotations

from collections.abc import Callable

from twinlens.engine.image import CropAndScale, PixelBuffer, Recipe, Region
from twinlens.engine.targets.gpu.flight import Feed
from twinlens.engine.targets.gpu.native import Bytes
from twinlens.engine.targets.gpu.program import Program


class FrameDoor:
    """PLACEHOLDER"""

    def __init__(self, program: Program, recipe: Recipe) -> None:
        self._program, self._recipe = program, recipe

    def serves(self, recipe: Recipe) -> bool:
        return recipe == self._recipe

    def way(
        self, buffer: PixelBuffer, region: Region | None, crop: CropAndScale | None
    ) -> tuple[Feed, Callable[[Bytes], None]]:
        raise NotImplementedError
