"""What classifies: pictures, layers, graphs, engines, and the vision API.

The public names are loaded when they are first used, so that importing this costs nothing.

Goes in: whatever computes or describes a network, without Qt, cameras or models' names. Stays
out: which networks and files there are (`models`) and what a person runs (`app`).
"""

from typing import TYPE_CHECKING

from twinlens.engine.late import names_of

if TYPE_CHECKING:
    from twinlens.engine.api.observations import ClassificationObservation
    from twinlens.engine.image import (
        Converter,
        CropAndScale,
        PixelBuffer,
        PixelFormat,
        Recipe,
        Region,
        read_image,
    )
    from twinlens.engine.vision.model import Model
    from twinlens.engine.vision.request import (
        ClassificationRequest,
        ImageRequestHandler,
        SequenceRequestHandler,
    )

__all__ = [
    "ClassificationObservation",
    "ClassificationRequest",
    "Converter",
    "CropAndScale",
    "ImageRequestHandler",
    "Model",
    "PixelBuffer",
    "PixelFormat",
    "Recipe",
    "Region",
    "SequenceRequestHandler",
    "read_image",
]

_HOMES = {
    "ClassificationObservation": "twinlens.engine.api.observations",
    "ClassificationRequest": "twinlens.engine.vision.request",
    "Converter": "twinlens.engine.image.convert",
    "CropAndScale": "twinlens.engine.image.recipe",
    "ImageRequestHandler": "twinlens.engine.vision.request",
    "Model": "twinlens.engine.vision.model",
    "PixelBuffer": "twinlens.engine.image.buffer",
    "PixelFormat": "twinlens.engine.image.pixel_format",
    "Recipe": "twinlens.engine.image.recipe",
    "Region": "twinlens.engine.image.recipe",
    "SequenceRequestHandler": "twinlens.engine.vision.request",
    "read_image": "twinlens.engine.image.read",
}

if not TYPE_CHECKING:  # for a type checker it would hide the real names
    __getattr__ = names_of(__name__, _HOMES)
