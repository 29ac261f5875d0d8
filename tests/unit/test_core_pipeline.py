from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.fakes import FakeClock, FakeRunner, make_frame, make_spec
from twinlens.app.core.session.pipeline import Pipeline
from twinlens.engine.errors import InferenceError
from twinlens.engine.image import CropAndScale, PixelBuffer, Region


def test_a_frame_becomes_an_answer() -> None:
    frame = make_frame(4)
    result = Pipeline(FakeRunner((0.1, 0.2, 0.7)), make_spec(), top=2).process(frame)
    assert [(o.identifier, o.index) for o in result.observations] == [("fox", 2), ("dog", 1)]
    assert result.observations[0].confidence == pytest.approx(0.7)
    assert result.smoothed == result.observations
    assert result.frame is frame
    assert result.info.engine_id == "fake-engine"
    assert result.probabilities.shape == (3,)


def test_timings_come_from_the_clock() -> None:
    clock = FakeClock(10.0)

    def answer(tensor: object) -> tuple[float, ...]:
        clock.advance(0.020)
        return (1.0, 0.0, 0.0)

    frame = make_frame(captured_s=9.5)
    timings = Pipeline(FakeRunner(answer), make_spec(), clock=clock).process(frame).timings
    assert timings.convert_ms == pytest.approx(0.0)
    assert timings.infer_ms == pytest.approx(20.0)
    assert timings.latency_ms == pytest.approx(520.0)


def test_smoothing_keeps_the_held_label_first_and_starts_anew_with_a_source() -> None:
    answers = iter([(0.9, 0.1, 0.0), (0.3, 0.7, 0.0), (0.3, 0.7, 0.0)])
    pipeline = Pipeline(FakeRunner(lambda _: next(answers)), make_spec(), smoothing=True, top=1)
    assert pipeline.process(make_frame(0)).smoothed[0].identifier == "cat"
    second = pipeline.process(make_frame(1))
    assert second.observations[0].identifier == "dog"
    assert [o.identifier for o in second.smoothed] == ["cat"]
    other = pipeline.process(replace(make_frame(2), source_id=1))
    assert other.smoothed[0].identifier == "dog"


def test_crop_and_region_reach_the_network() -> None:
    seen: list[float] = []

    def answer(tensor: np.ndarray) -> tuple[float, ...]:
        seen.append(float(tensor.mean()))
        return (1.0, 0.0, 0.0)

    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, 8:] = 200
    frame = replace(make_frame(), buffer=PixelBuffer.from_array(pixels))
    pipeline = Pipeline(FakeRunner(answer), make_spec(), region=Region(0.5, 0.0, 0.5, 1.0))
    pipeline.process(frame)
    pipeline.configure(crop_and_scale=None, region=Region(0, 0, 0.5, 1), smoothing=False)
    pipeline.process(frame)
    pipeline.configure(crop_and_scale=CropAndScale.SCALE_FILL, region=None, smoothing=False)
    pipeline.process(frame)
    assert seen == pytest.approx([200.0, 0.0, 100.0], abs=1.0)
    assert pipeline.picture(frame).shape == (8, 8, 3)


def test_errors_pass_through_and_close_closes() -> None:
    runner = FakeRunner(errors={0: InferenceError("no")})
    pipeline = Pipeline(runner, make_spec())
    with pytest.raises(InferenceError):
        pipeline.process(make_frame())
    pipeline.close()
    assert runner.closed.is_set()
