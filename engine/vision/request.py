"""Requests, handlers and observations: classification in five lines.

The shape is that of Apple's Vision framework (WWDC 2017, session 506): a request says what is
wanted, a handler holds a picture, performing the request leaves observations in its results.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.observations import ClassificationObservation, probabilities, top_k
from twinlens.engine.errors import ImageError, InferenceError, TwinlensError
from twinlens.engine.image import (
    Converter,
    CropAndScale,
    PixelBuffer,
    PixelFormat,
    Region,
    read_image,
)
from twinlens.engine.vision.model import Model, RequestCancelledError

Image = PixelBuffer | NDArray[np.uint8] | str | Path | bytes
CompletionHandler = Callable[["ClassificationRequest", TwinlensError | None], None]


class ClassificationRequest:
    """Asks a model what is in a picture. Performed by one thread at a time.

    Args:
        model: the model.
        crop_and_scale: overrides the model's recipe.
        region_of_interest: the part of the upright picture that counts.
        completion_handler: called when the request was performed: with the request, and with the
            error or None.
    """

    def __init__(
        self,
        model: Model,
        *,
        crop_and_scale: CropAndScale | None = None,
        region_of_interest: Region | None = None,
        completion_handler: CompletionHandler | None = None,
    ) -> None:
        self.model = model
        self._converter = Converter(model.spec.recipe, region_of_interest, crop_and_scale)
        self._completion_handler = completion_handler
        self._results: tuple[ClassificationObservation, ...] = ()
        self._cancelled = threading.Event()
        self._running = threading.Event()

    @property
    def results(self) -> tuple[ClassificationObservation, ...]:
        """All classes, best first; empty before the request was performed.

        As with Apple's ``VNClassificationObservation`` each has a confidence from 0 to 1. They sum
        to 1 only where exactly one class holds (``model.spec.output`` is ``"probabilities"``,
        ``"logits"`` ...). Where classes are independent (``model.spec.independent``), several may
        be sure at once, or none: take those whose confidence is at least 0.5, or a threshold of
        your own. A model with one output gives two observations, for its class and against it.
        """
        return self._results

    def cancel(self) -> None:
        """Give up the run in progress, or the next one; called from any thread."""
        self._cancelled.set()
        if self._running.is_set():  # the model may be at work for another request
            self.model.terminate()

    def _perform(self, buffer: PixelBuffer) -> None:
        self._results = ()
        error: TwinlensError | None = None
        try:
            self._results = self._classify(buffer)
        except TwinlensError as caught:
            error = caught
        finally:
            self._cancelled.clear()
        if self._completion_handler is not None:
            self._completion_handler(self, error)
        if error is not None:
            raise error

    def _classify(self, buffer: PixelBuffer) -> tuple[ClassificationObservation, ...]:
        spec = self.model.spec
        self._raise_if_cancelled()
        tensor = self._converter.convert(buffer)
        self._raise_if_cancelled()
        self._running.set()
        try:
            raw = self.model.predict(tensor)
        except InferenceError:
            self._raise_if_cancelled()
            raise
        finally:
            self._running.clear()
        self._raise_if_cancelled()
        return top_k(probabilities(raw, spec), spec.labels, len(spec.labels))

    def _raise_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise RequestCancelledError(f"{self.model.spec.title}: the request was cancelled")


class ImageRequestHandler:
    """Holds one picture and performs requests on it.

    Args:
        image: a path, the bytes of a picture file, a PixelBuffer, or pixels (height, width, 3)
            uint8 in B, G, R order (as OpenCV has them), (height, width, 4) B, G, R, A, or
            (height, width) grey.
        orientation: EXIF orientation 1–8; None takes the file's or buffer's own.

    Raises:
        ImageError: the picture cannot be read.
    """

    def __init__(self, image: Image, *, orientation: int | None = None) -> None:
        self._buffer = as_buffer(image, orientation)

    def perform(self, requests: Sequence[ClassificationRequest]) -> None:
        """Perform requests in order; the results are in the requests.

        Raises:
            InferenceError: an engine failed.
            RequestCancelledError: a request was cancelled.
        """
        for request in requests:
            request._perform(self._buffer)


class SequenceRequestHandler:
    """Performs requests on one picture after the other, as a video needs it."""

    def perform(
        self,
        requests: Sequence[ClassificationRequest],
        image: Image,
        *,
        orientation: int | None = None,
    ) -> None:
        """Perform requests on the next picture; arguments and errors as for one picture."""
        buffer = as_buffer(image, orientation)
        for request in requests:
            request._perform(buffer)


def as_buffer(image: Image, orientation: int | None = None) -> PixelBuffer:
    """Turn whatever counts as a picture into a PixelBuffer."""
    from dataclasses import replace

    if isinstance(image, PixelBuffer):
        buffer = image
    elif isinstance(image, np.ndarray):
        buffer = PixelBuffer.from_array(image, _format_of(image))
    elif isinstance(image, (str, Path, bytes)):
        buffer = read_image(image)
    else:
        raise ImageError(
            f"{type(image).__name__} is no picture; expected a path, bytes, pixels or a PixelBuffer"
        )
    return buffer if orientation is None else replace(buffer, orientation=orientation)


def _format_of(pixels: NDArray[Any]) -> PixelFormat:
    if pixels.ndim == 2:
        return PixelFormat.GRAY8
    return PixelFormat.BGRA8 if pixels.shape[-1] == 4 else PixelFormat.BGR8
