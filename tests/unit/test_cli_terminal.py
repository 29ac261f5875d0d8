"""The terminal view: what keys do and what the line says; no terminal, no threads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from twinlens.app.commands.terminal import KEYS, TerminalView
from twinlens.app.core.session.events import News, SessionState, SourceEnded, SourceFailed, Stats
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.errors import SourceError

PRECISIONS = {"layers-cpu": ("fp32", "bf16"), "vision": ("fp32",)}


class FakeSession:
    """Records what it is asked for."""

    def __init__(self, engine_id: str = "vision") -> None:
        self.asked: list[Any] = []
        self.news = News()
        self.engine_id, self.paused, self.options = engine_id, False, EngineOptions()

    @property
    def state(self) -> SessionState:
        return SessionState(
            SimpleNamespace(), self.engine_id, paused=self.paused, options=self.options
        )  # type: ignore[arg-type]

    def use_engine(self, engine_id: str, options: EngineOptions) -> None:
        self.options = options
        self.asked.append(engine_id)

    def set_paused(self, paused: bool) -> None:
        self.asked.append(paused)

    def step(self) -> None:
        self.asked.append("step")

    def take(self) -> News:
        return self.news

    def acknowledge(self) -> None:
        self.asked.append("acknowledged")

    def stats(self) -> Stats:
        return Stats(answers_fps=29.97, latency_p50_ms=6.44)


def view(session: FakeSession) -> TerminalView:
    return TerminalView(session, PRECISIONS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "asked"), [("e", ["layers-cpu"]), (" ", [True]), ("KEY_RIGHT", ["step"]), ("x", [])]
)
def test_keys(key: str, asked: list[Any]) -> None:
    session = FakeSession()
    view(session).press(key)
    assert session.asked == asked


def test_p_goes_through_precisions_and_flips_keep_them_apart() -> None:
    session = FakeSession("layers-cpu")
    shown = view(session)
    for precision in ("bf16", "fp32", "bf16"):
        shown.press("p")
        assert session.options.precision == precision
    shown.press("e")
    assert (session.asked[-1], session.options.precision) == ("vision", "fp32")
    session.engine_id = "vision"
    shown.press("p")
    assert "one precision" in shown.line()
    shown.press("e")
    assert (session.asked[-1], session.options.precision) == ("layers-cpu", "bf16")


@pytest.mark.parametrize("key", ["q", "\x1b"])
def test_keys_that_end_it(key: str) -> None:
    shown = view(FakeSession())
    shown.press(key)
    assert shown.done


def test_line_tells_label_engine_and_rates() -> None:
    session = FakeSession()
    shown = view(session)
    assert "loading" in shown.line()
    best = SimpleNamespace(identifier="coffee mug", confidence=0.973)
    info = SimpleNamespace(engine_title="Vision", precision="fp32")
    result = SimpleNamespace(smoothed=(best,), holding=None, info=info, model_title="MobileNet-v2")
    session.news = News(result=result)  # type: ignore[arg-type]
    shown.refresh()
    for part in ("coffee mug", "97%", "Vision · MobileNet-v2 · fp32", "30.0 fps", "6.4 ms", KEYS):
        assert part in shown.line()
    assert session.asked == ["acknowledged"]


def test_failures_are_told_and_the_end_ends() -> None:
    session = FakeSession()
    shown = view(session)
    failed = SourceFailed("cam", SourceError("cam: gone", hint="Plug it in."), fallback=True)
    session.news = News(events=(failed,))
    shown.refresh()
    assert shown.line() == "cam: gone Plug it in."
    assert not shown.done
    session.news = News(events=(SourceEnded("clip.mp4"),))
    shown.refresh()
    assert shown.done
