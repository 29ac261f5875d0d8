"""What classifies: pictures, layers, graphs, engines, and the vision API.

The public names are loaded when they are first used, so that importing this costs nothing.

Goes in: whatever computes or describes a network, without Qt, cameras or models' names. Stays
out: which networks and files there are (`models`) and what a person runs (`app`).
"""

from typing import TYPE_CHECKING, Any

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

_VISION = frozenset(
    (
        "ClassificationObservation",
        "ClassificationRequest",
        "ImageRequestHandler",
        "Model",
        "SequenceRequestHandler",
    )
)


if not TYPE_CHECKING:  # for a type checker it would hide the real names

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = "twinlens.engine.vision" if name in _VISION else "twinlens.engine.image"
        return getattr(import_module(home), name)
