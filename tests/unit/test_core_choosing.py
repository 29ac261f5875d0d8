"""What choices mean: what is remembered, and what is tried after a load has failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.fakes import FakeRunner, make_network, make_spec
from twinlens.app.core.session.choosing import (
    NONE_LEFT,
    Agreements,
    find_choice,
    rescue,
    usable,
    what_to_remember,
)
from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.events import EngineReady, SessionState
from twinlens.app.core.settings import Settings
from twinlens.assets import clip_path
from twinlens.engine.api.protocol import EngineOptions
from twinlens.models.identify.default import EMBEDDED_MODEL, PREFERRED_MODEL

ENGINES = (
    EngineChoice("slow", "Slow", None, ("fp32", "int8")),
    EngineChoice("gone", "Gone", "is not installed"),
)


def ready(options: EngineOptions) -> EngineReady:
    info = FakeRunner(engine_id="slow", options=options).info
    return EngineReady(info, make_network(), options)


def test_only_engines_that_run_here_are_usable() -> None:
    assert usable(ENGINES) == ["slow"]
    assert find_choice(ENGINES, "gone") is ENGINES[1]
    assert find_choice(ENGINES, "other") is None


@pytest.mark.parametrize(
    ("calibration", "kept"), [(None, ""), (clip_path(), ""), (Path("own"), "own")]
)
def test_what_answers_is_what_the_next_start_begins_with(
    calibration: Path | None, kept: str
) -> None:
    before = Settings(precisions={"vision": "fp32"}, threads=1, adapter="old")
    asked = EngineOptions(threads=2, precision="int8", calibration=calibration, adapter=None)
    assert what_to_remember(ready(asked), before) == {
        "engine": "slow",
        "precisions": {"vision": "fp32", "slow": "int8"},
        "threads": 2,
        "calibration": kept,
        "adapter": "",
    }


def state(precision: str, *, answered: bool, model: str = "own") -> SessionState:
    info, asked = FakeRunner().info if answered else None, EngineOptions(precision=precision)
    return SessionState(make_network(model), "slow", info, options=asked)


def test_where_something_answers_it_goes_on() -> None:
    after = rescue(state("int8", answered=True), ENGINES[0])
    assert (after.options, after.model) == (None, None)
    assert "goes on" in after.goes_on


def test_a_precision_is_given_up_before_the_model_is() -> None:
    first = rescue(state("int8", answered=False), ENGINES[0])
    assert first.options is not None
    assert (first.options.precision, first.model) == ("fp32", None)
    second = rescue(state("fp32", answered=False), ENGINES[0])
    assert (second.options, second.model) == (None, "")


def test_the_default_is_tried_before_the_embedded_model_and_neither_twice() -> None:
    failed = state("fp32", answered=False)
    tried: list[str] = []
    for expected, words in (("", "default model"), (EMBEDDED_MODEL, "embedded model")):
        after = rescue(failed, ENGINES[0], tried=tried)
        assert after.model == expected
        assert words in after.goes_on
        tried.append(expected)
    last = rescue(failed, ENGINES[0], tried=tried)
    assert (last.options, last.model) == (None, None)
    assert last.goes_on == NONE_LEFT


def test_where_the_default_itself_fails_the_embedded_model_is_next() -> None:
    after = rescue(state("fp32", answered=False, model=PREFERRED_MODEL), ENGINES[0])
    assert after.model == EMBEDDED_MODEL


def test_an_agreement_holds_for_its_model_and_pictures() -> None:
    known, asked = Agreements(), ready(EngineOptions(calibration=Path("own")))
    known.put(asked, "slow", "int8", 0.99)
    same = EngineOptions(precision="int8", calibration=Path("own"))
    assert known.get(asked.spec, "slow", same) == 0.99
    assert known.get(asked.spec, "slow", EngineOptions(precision="int8")) is None
    assert known.get(make_spec("other"), "slow", same) is None
