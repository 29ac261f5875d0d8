from __future__ import annotations

import numpy as np
import pytest

from helpers.fakes import FakeClock
from twinlens.app.core.session.meters import LatencyStats, RateMeter


def test_rate_is_measured_from_timestamps() -> None:
    clock = FakeClock()
    meter = RateMeter(2.0, clock)
    assert meter.rate() == 0.0
    for _ in range(31):
        meter.tick()
        clock.advance(1 / 30)
    assert meter.rate() == pytest.approx(30.0)
    assert meter.count == 31


def test_rate_follows_the_window_and_falls_to_zero() -> None:
    clock = FakeClock()
    meter = RateMeter(1.0, clock)
    for _ in range(20):
        meter.tick()
        clock.advance(0.5)
    assert meter.rate() == pytest.approx(2.0)
    for _ in range(20):
        meter.tick()
        clock.advance(0.1)
    assert meter.rate() == pytest.approx(10.0)
    clock.advance(5.0)
    assert meter.rate() == 0.0
    assert meter.count == 40


def test_one_tick_and_equal_stamps_have_no_rate() -> None:
    meter = RateMeter(1.0, FakeClock())
    meter.tick()
    assert meter.rate() == 0.0
    meter.tick()
    assert meter.rate() == 0.0


def test_percentiles_equal_numpys() -> None:
    stats = LatencyStats(window=50)
    values = np.random.default_rng(3).gamma(2.0, 5.0, 80)
    for value in values:
        stats.add(float(value))
    assert stats.median() == pytest.approx(np.percentile(values[-50:], 50))
    assert stats.p95() == pytest.approx(np.percentile(values[-50:], 95))


def test_no_values_and_one_value() -> None:
    stats = LatencyStats()
    assert (stats.median(), stats.p95()) == (0.0, 0.0)
    stats.add(4.5)
    assert (stats.median(), stats.p95()) == (4.5, 4.5)
    stats.reset()
    assert stats.p95() == 0.0


def test_windows_must_not_be_empty() -> None:
    with pytest.raises(ValueError, match="positive"):
        RateMeter(0.0)
    with pytest.raises(ValueError, match="at least 1"):
        LatencyStats(0)
