"""Pictures in, named probabilities out: what generated classes are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.observations import probabilities, top_k
from twinlens.engine.api.protocol import EngineOptions, ModelSpec, Network, Runner
from twinlens.engine.image import PixelBuffer

if TYPE_CHECKING:
    from twinlens.engine.image import Converter

__all__ = ["Image", "Predictor"]

Image = PixelBuffer | NDArray[np.uint8] | str | Path | bytes
"""A picture: path or bytes of a file, a PixelBuffer, or uint8 pixels, B, G, R (A) or grey."""


class Predictor:
    """A model on an engine, loaded when the first picture comes. Used by one thread at a time.

    Args:
        model: gives the model; called when it is loaded.
        engine: one of ``twinlens.engine.api.registry``.
        options: threads, precision and the like; None leaves them to the engine.
    """

    def __init__(
        self, model: Callable[[], Network], engine: str, options: EngineOptions | None = None
    ) -> None:
        self._model = model
        self._engine = engine
        self._options = options
        self._loaded: tuple[ModelSpec, Runner, Converter] | None = None

    def answer(self, image: Image) -> tuple[str, dict[str, float]]:
        """Classify a picture.

        Args:
            image: the path or the bytes of a picture file, a PixelBuffer, or uint8 pixels:
                (height, width, 3) in B, G, R order, (height, width, 4) in B, G, R, A order, or
                (height, width) in grey.

        Returns:
            The most probable class, and the probability (0 to 1) of each class by name, the most
            probable first. Of classes with one name the most probable counts.

        Raises:
            ImageError: the picture cannot be read.
            ModelError: the model cannot be used.
            EngineError: the engine does not exist here, or failed.
        """
        from twinlens.engine.vision.request import as_buffer

        buffer = as_buffer(image)
        spec, runner, converter = self._load()
        probs = probabilities(runner.run(converter.convert(buffer)), spec)
        found: dict[str, float] = {}
        for one in top_k(probs, spec.labels, len(spec.labels)):
            found.setdefault(one.identifier, one.confidence)
        return next(iter(found)), found

    def close(self) -> None:
        """Free what was loaded; the next picture loads it again."""
        if self._loaded is not None:
            self._loaded[1].close()
            self._loaded = None

    def _load(self) -> tuple[ModelSpec, Runner, Converter]:
        if self._loaded is None:
            from twinlens.engine.api import registry
            from twinlens.engine.image import Converter

            network = self._model()
            runner = registry.load(network, self._engine, self._options)
            self._loaded = (network.spec, runner, Converter(network.spec.recipe))
        return self._loaded
