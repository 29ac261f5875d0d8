"""The small records that travel between the threads."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.observations import ClassificationObservation
from twinlens.engine.api.protocol import RunnerInfo
from twinlens.engine.image import PixelBuffer


@dataclass(frozen=True, eq=False)
class Frame:
    """One captured picture.

    Attributes:
        buffer: the pixels.
        index: 0, 1, 2 ... since the source was opened.
        captured_s: ``time.perf_counter()`` when the pixels arrived.
        t_s: position in the stream, seconds since its start.
        source_id: changes when another source is opened; tells old frames from new ones.
    """

    buffer: PixelBuffer
    index: int
    captured_s: float
    t_s: float
    source_id: int = 0


@dataclass(frozen=True)
class Timings:
    """Where the time of one answer went, in milliseconds."""

    convert_ms: float
    infer_ms: float
    latency_ms: float
    """From capture to label."""


@dataclass(frozen=True, eq=False)
class Result:
    """One answer.

    Attributes:
        frame: the frame that was classified.
        observations: the classes, best first (at most ``Pipeline.top`` of them), as the network
            said for this frame alone.
        smoothed: the same after temporal smoothing; equal to ``observations`` when it is off.
        model_title: the model that answered.
        info: the engine that answered, as it really runs.
        timings: where the time went.
        probabilities: the whole answer, float32, shape (classes,).
    """

    frame: Frame
    observations: tuple[ClassificationObservation, ...]
    smoothed: tuple[ClassificationObservation, ...]
    model_title: str
    info: RunnerInfo
    timings: Timings
    probabilities: NDArray[np.float32] = field(repr=False)
