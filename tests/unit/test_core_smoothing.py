from __future__ import annotations

import math

import numpy as np
import pytest

from twinlens.app.core.session.smoothing import Smoother


def probs(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_the_first_answer_counts_alone() -> None:
    values, winner = Smoother().update(probs(0.2, 0.8), 0.0)
    assert values == pytest.approx([0.2, 0.8])
    assert winner == 1


def test_an_answer_weighs_by_the_time_that_passed() -> None:
    smoother = Smoother(0.5, 0.0)
    smoother.update(probs(1, 0), 0.0)
    values, _ = smoother.update(probs(0, 1), 0.5)
    assert values == pytest.approx([math.exp(-1), 1 - math.exp(-1)], abs=1e-6)


@pytest.mark.parametrize("fps", [5, 30, 240])
def test_the_average_does_not_depend_on_the_frame_rate(fps: int) -> None:
    smoother = Smoother(0.25)
    smoother.update(probs(1, 0), 0.0)
    for step in range(1, fps + 1):
        values, _ = smoother.update(probs(0, 1), step / fps)
    assert values[0] == pytest.approx(math.exp(-4), rel=1e-3)


def test_the_label_changes_only_beyond_the_margin() -> None:
    smoother = Smoother(1e-6, 0.1)  # an average without memory leaves the hysteresis alone
    assert smoother.update(probs(0.50, 0.40), 0.0)[1] == 0
    assert smoother.update(probs(0.45, 0.54), 1.0)[1] == 0
    assert smoother.update(probs(0.40, 0.55), 2.0)[1] == 1
    assert smoother.update(probs(0.54, 0.45), 3.0)[1] == 1


def test_a_flickering_answer_keeps_its_label() -> None:
    smoother = Smoother()
    winners = {
        smoother.update(probs(0.52, 0.48) if i % 2 else probs(0.48, 0.52), i / 30)[1]
        for i in range(60)
    }
    assert winners == {1}


def test_a_new_thing_wins_soon() -> None:
    smoother = Smoother()
    smoother.update(probs(0.9, 0.1), 0.0)
    winners = [smoother.update(probs(0.1, 0.9), i / 30)[1] for i in range(1, 16)]
    assert winners[0] == 0
    assert winners[-1] == 1


@pytest.mark.parametrize("case", ["reset", "width", "back in time", "off", "switched"])
def test_the_past_is_forgotten(case: str) -> None:
    smoother = Smoother(enabled=case != "off")
    smoother.update(probs(1, 0), 5.0)
    answer, at_s = probs(0, 1), 5.01
    if case == "reset":
        smoother.reset()
    elif case == "width":
        answer = probs(0, 1, 0)
    elif case == "back in time":
        at_s = 0.0
    elif case == "switched":
        smoother.enabled = False
        smoother.enabled = True
    values, winner = smoother.update(answer, at_s)
    assert np.array_equal(values, answer)
    assert winner == 1


def test_the_same_moment_changes_nothing() -> None:
    smoother = Smoother()
    smoother.update(probs(1, 0), 1.0)
    values, winner = smoother.update(probs(0, 1), 1.0)
    assert values == pytest.approx([1, 0])
    assert winner == 0


def test_what_comes_out_is_the_callers() -> None:
    smoother = Smoother()
    answer = probs(1, 0)
    first, _ = smoother.update(answer, 0.0)
    first[:] = 9
    answer[:] = 9
    assert smoother.update(probs(1, 0), 0.1)[0] == pytest.approx([1, 0])


def test_parameters_are_checked() -> None:
    with pytest.raises(ValueError, match="time_constant_s"):
        Smoother(0.0)
    with pytest.raises(ValueError, match="margin"):
        Smoother(margin=-0.1)
