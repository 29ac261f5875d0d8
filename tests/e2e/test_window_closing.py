"""Whatever the window is at: it leaves the screen at once, and its process ends within 2 s."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.closing import STATES, WAYS, Ending, big_model, end
from helpers.displays import xvfb

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed"),
]

GONE_S, ENDED_S = 1.0, 2.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return big_model(tmp_path_factory.mktemp("big"))


@pytest.fixture(scope="module")
def screen() -> Iterator[dict[str, str]]:
    with xvfb("1280x800x24", "-noreset") as env:
        yield env


def check(ending: Ending) -> None:
    assert ending.errors == ""
    assert ending.code == 0
    assert ending.kept
    assert ending.left == ()
    assert ending.ended_s <= ENDED_S
    assert ending.gone_s <= GONE_S


# Each state once, and each way at least twice; ``tests/bench/soak_closing.py`` does all of them,
# many times.
CASES = [(state, WAYS[at % len(WAYS)]) for at, state in enumerate(STATES)]


@pytest.mark.parametrize(("state", "way"), CASES)
def test_the_window_ends_in_every_state(
    state: str, way: str, tmp_path: Path, screen: dict[str, str], model: Path
) -> None:
    check(end(state, way, tmp_path, screen, model, after_s=random.Random(state).random() / 2))


def test_ctrl_c_three_times_is_as_good_as_once(
    tmp_path: Path, screen: dict[str, str], model: Path
) -> None:
    check(end("live", "SIGINT", tmp_path, screen, model, times=3))
