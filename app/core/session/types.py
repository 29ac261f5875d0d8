"""The small records that travel between the threads."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.observations import ClassificationObservation
from twinlens.engine.api.protocol import RunnerInfo
from twinlens.engine.image import CropAndScale, PixelBuffer, Region


@dataclass(frozen=True, eq=False)
class Frame:
    """One captured picture.

    Attributes:
        buffer: the pixels.
        index: 0, 1, 2 ... since the source was opened.
        captured_s: ``time.perf_counter()`` when the pixels arrived.
        t_s: position in the stream, seconds since its start.
        source_id: changes when another source is opened; distinguishes old frames from new ones.
        damaged: pictures of this source that could not be decoded so far; they were left out.
        remark: what is wrong with the picture, for display (``"no signal"``); empty for nothing.
        scene: changes at a step and with another still, where what was seen before says nothing
            of what is seen now.
    """

    buffer: PixelBuffer
    index: int
    captured_s: float
    t_s: float
    source_id: int = 0
    damaged: int = 0
    remark: str = ""
    scene: int = 0


@dataclass(frozen=True)
class Needs:
    """What is kept of an answer for those that look at it; by default nothing, which costs nothing.

    Attributes:
        picture: the picture that the network gets (``Result.picture``).
        timings: when each step began (``Result.stamps``).
        layers: names of the layers whose outputs are looked at. No engine hands them out yet:
            whoever asks gets none until runners can.
    """

    picture: bool = False
    timings: bool = False
    layers: frozenset[str] = frozenset()

    def __or__(self, other: Needs) -> Needs:
        """What both need."""
        return Needs(
            self.picture or other.picture,
            self.timings or other.timings,
            self.layers | other.layers,
        )


@dataclass(frozen=True)
class Reading:
    """How frames are read.

    Attributes:
        crop_and_scale: None is the model's own.
        region: the part of the picture that counts; None is all of it.
        smoothing: answers are smoothed over time.
        needs: what is kept of an answer.
    """

    crop_and_scale: CropAndScale | None = None
    region: Region | None = None
    smoothing: bool = True
    needs: Needs = field(default_factory=Needs)


@dataclass(frozen=True)
class Stamps:
    """When each step of one answer began, in seconds of the clock of ``Frame.captured_s``.

    Attributes:
        captured_s: the frame arrived.
        started_s: its turn came; it waited until then.
        converted_s: it was the network's input.
        inferred_s: the network had answered.
        answered_s: the answer was read from the outputs.
    """

    captured_s: float
    started_s: float
    converted_s: float
    inferred_s: float
    answered_s: float


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
            answered for this frame alone.
        smoothed: the same after temporal smoothing; equal to ``observations`` when it is off.
        model_title: the model that answered.
        info: the engine that answered, as it really runs.
        timings: where the time went.
        probabilities: the whole answer, float32, shape (classes,).
        holding: of independent classes those that hold, the surest first and smoothed as
            ``smoothed`` is; empty where none does, None where always one class holds.
        picture: what the network got, before its values were scaled: (height, width, 3) uint8 R,
            G, B, a copy; None unless somebody needs it.
        stamps: when each step began; None unless somebody needs it.
    """

    frame: Frame
    observations: tuple[ClassificationObservation, ...]
    smoothed: tuple[ClassificationObservation, ...]
    model_title: str
    info: RunnerInfo
    timings: Timings
    probabilities: NDArray[np.float32] = field(repr=False)
    holding: tuple[ClassificationObservation, ...] | None = None
    picture: NDArray[np.uint8] | None = field(default=None, repr=False)
    stamps: Stamps | None = None
