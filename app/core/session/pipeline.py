"""One frame to one answer, in the caller's thread: convert, run, observe, smooth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from twinlens.app.core.session.smoothing import Cuts, Smoother
from twinlens.app.core.session.types import Frame, Needs, Result, Stamps, Timings
from twinlens.engine.api.observations import (
    ClassificationObservation,
    contradiction,
    holding,
    probabilities,
    top_k,
)
from twinlens.engine.api.protocol import ModelSpec, Runner
from twinlens.engine.image import Converter, CropAndScale, Region


class Pipeline:
    """Answers frames with one loaded network. Used by one thread at a time.

    Args:
        runner: the loaded network; ``close`` closes it.
        spec: the model that the runner was loaded from.
        crop_and_scale: overrides the recipe's; None means the recipe's own.
        region: look at this part of the picture only.
        smoothing: fill ``Result.smoothed`` with answers smoothed over time.
        top: number of classes in ``observations`` and ``smoothed``.
        clock: seconds on the clock of ``Frame.captured_s``.
        doubted: called once, with words for a person, when an answer contradicts the way that
            the model's outputs are read.
    """

    def __init__(
        self,
        runner: Runner,
        spec: ModelSpec,
        *,
        crop_and_scale: CropAndScale | None = None,
        region: Region | None = None,
        smoothing: bool = False,
        top: int = 5,
        clock: Callable[[], float] = time.perf_counter,
        doubted: Callable[[str], None] | None = None,
    ) -> None:
        self.runner = runner
        self.spec = spec
        self._crop = crop_and_scale
        self._region = region
        self._top = top
        self._clock = clock
        self._converter = Converter(spec.recipe, region, crop_and_scale)
        self._smoother = Smoother(enabled=smoothing)
        self._cuts = Cuts()
        self._scene: tuple[int, int] | None = None
        self._needs = Needs()
        self._doubted = doubted

    def configure(
        self, *, crop_and_scale: CropAndScale | None, region: Region | None, smoothing: bool
    ) -> None:
        """Change how frames are read, from the next frame on; nothing happens if all is equal."""
        if (crop_and_scale, region) != (self._crop, self._region):
            self._converter = Converter(self.spec.recipe, region, crop_and_scale)
            self._crop, self._region = crop_and_scale, region
            self._smoother.reset()
        self._smoother.enabled = smoothing

    def keep(self, needs: Needs) -> None:
        """Keep this much of each answer, from the next frame on."""
        self._needs = needs

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def process(self, frame: Frame) -> Result:
        """Answer one frame.

        Raises:
            ImageError: the frame cannot be converted.
            InferenceError: the engine failed.
        """
        started_s = self._clock()
        picture = self._converter.picture(frame.buffer)
        tensor = self._converter.values(picture)
        converted_s = self._clock()
        raw = self.runner.run(tensor)
        inferred_s = self._clock()
        probs = probabilities(raw, self.spec)
        observations = top_k(probs, self.spec.labels, self._top)
        self._check(raw)
        if self._smoother.enabled:
            self._begin_anew_at_cuts(frame, picture)
        smoothed, held = self._smooth(frame, probs, observations)
        answered_s = self._clock()
        timings = Timings(
            convert_ms=(converted_s - started_s) * 1e3,
            infer_ms=(inferred_s - converted_s) * 1e3,
            latency_ms=(answered_s - frame.captured_s) * 1e3,
        )
        return Result(
            frame=frame,
            observations=observations,
            smoothed=smoothed,
            model_title=self.spec.title,
            info=self.runner.info,
            timings=timings,
            probabilities=probs,
            holding=held,
            # A copy: it may share its memory with the frame.
            picture=picture.copy() if self._needs.picture else None,
            stamps=Stamps(frame.captured_s, started_s, converted_s, inferred_s, answered_s)
            if self._needs.timings
            else None,
        )

    def picture(self, frame: Frame) -> NDArray[np.uint8]:
        """What the network sees of a frame: (H, W, 3) uint8 RGB, before normalisation.

        Raises:
            ImageError: the frame cannot be converted.
        """
        return self._converter.picture(frame.buffer)

    def close(self) -> None:
        """Close the runner; may be called twice."""
        self.runner.close()

    def _smooth(
        self,
        frame: Frame,
        probs: NDArray[np.float32],
        observations: tuple[ClassificationObservation, ...],
    ) -> tuple[tuple[ClassificationObservation, ...], tuple[ClassificationObservation, ...] | None]:
        """(the best classes over time, those that hold where classes are independent)."""
        if not self._smoother.enabled:
            now = holding(probs, self.spec)
            return observations, None if now is None else self._named(probs, now)
        values, winner = self._smoother.update(probs, frame.t_s)
        best = top_k(values, self.spec.labels, self._top)
        held = [o for o in best if o.index == winner] or [
            ClassificationObservation(self.spec.labels[winner], float(values[winner]), winner)
        ]
        # The held label stays first even while a challenger is slightly ahead of it.
        shown = (*held, *(o for o in best if o.index != winner))[: self._top]
        if not self.spec.independent:
            return shown, None
        marks = self._smoother.holding
        order = sorted(np.flatnonzero(marks), key=lambda i: (i != winner, -values[i], i))
        return shown, self._named(values, [int(index) for index in order])

    def _begin_anew_at_cuts(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        scene = (frame.source_id, frame.scene)
        if self._cuts.is_cut(picture) or scene != self._scene:
            self._smoother.reset()
            self._scene = scene

    def _named(
        self, values: NDArray[np.float32], indices: Sequence[int]
    ) -> tuple[ClassificationObservation, ...]:
        labels = self.spec.labels
        return tuple(
            ClassificationObservation(labels[i], min(1.0, float(values[i])), i) for i in indices
        )

    def _check(self, raw: NDArray[np.float32]) -> None:
        if self._doubted is None:
            return
        why = contradiction(raw, self.spec)
        if why:
            self._doubted(why)
            self._doubted = None
