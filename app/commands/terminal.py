"""The window's pipeline in a terminal: one live line, and keys that flip the engine.

Where standard output is no terminal (a pipe, a log), a line is written each second instead.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twinlens.app.commands.options import resolve_model
from twinlens.app.core.settings import Settings, following
from twinlens.app.views.words import holding_text

if TYPE_CHECKING:
    from twinlens.app.core.session.session import Session
    from twinlens.app.core.session.types import Result

KEYS = "e next engine · p precision · space pause · → step · q quit"
_POLL_S = 0.05
_PIPE_LINE_S = 1.0


@dataclass
class TerminalView:
    """What the line says, and what keys do; knows neither terminal nor threads.

    Attributes:
        session: the running pipeline.
        precisions: the engines that work here, in the order that ``e`` goes through them, and
            what each computes in, in the order of ``p``.
        settings: what each engine is asked for.
        notice: a message shown in place of the keys until the next key.
    """

    session: Session
    precisions: Mapping[str, tuple[str, ...]]
    settings: Settings = field(default_factory=Settings)
    notice: str = ""
    done: bool = False
    result: Result | None = field(default=None, repr=False)

    def press(self, key: str) -> None:
        """Act on a key, given by its character or its name (``KEY_RIGHT``)."""
        self.notice = ""
        if key in ("q", "Q", "\x1b", "KEY_ESCAPE"):
            self.done = True
        elif key in ("e", "E") and self.precisions:
            self._use(following(tuple(self.precisions), self.session.state.engine_id))
        elif key in ("p", "P"):
            self._next_precision()
        elif key == " ":
            self.session.set_paused(not self.session.state.paused)
        elif key == "KEY_RIGHT":
            self.session.step()

    def _use(self, engine_id: str) -> None:
        options = self.settings.engine_options(engine_id, self.precisions[engine_id])
        self.session.use_engine(engine_id, options)

    def _next_precision(self) -> None:
        state = self.session.state
        offered = self.precisions.get(state.engine_id, ())
        if len(offered) < 2:
            self.notice = f"{state.engine_id} has one precision"
            return
        precision = following(offered, state.options.precision)
        self.settings = self.settings.with_precision(state.engine_id, precision)
        self._use(state.engine_id)

    def refresh(self) -> None:
        """Take what is new from the session."""
        from twinlens.app.core.session.session import (
            AnswersDoubted,
            LoadFailed,
            SourceEnded,
            SourceFailed,
        )

        news = self.session.take()
        if news.result is not None:
            self.result = news.result
        for event in news.events:
            if isinstance(event, LoadFailed | SourceFailed):
                self.notice = f"{event.error.message} {event.error.hint}".strip()
            elif isinstance(event, AnswersDoubted):
                self.notice = f"{event.model}: {event.why}"
            elif isinstance(event, SourceEnded):
                self.notice = f"{event.title} has ended"
                self.done = True
        self.session.acknowledge()

    def line(self) -> str:
        """The line, without colours."""
        if self.result is None:
            return self.notice or "loading …"
        best, stats = self.result.smoothed[0], self.session.stats()
        held = self.result.holding
        label = best.identifier if held is None else holding_text(held)
        info = self.result.info
        text = (
            f"{label:<24} {best.confidence:4.0%}  │ {info.engine_title} · "
            f"{self.result.model_title} · {info.precision}  │ {stats.answers_fps:5.1f} fps  "
            f"{stats.latency_p50_ms:6.1f} ms"
        )
        if self.session.state.paused:
            text += "  │ paused"
        return f"{text}  │ {self.notice or KEYS}"


def run_terminal(
    args: argparse.Namespace, *, clock: Callable[[], float] = time.perf_counter
) -> int:
    """Run until the source ends or a key says so."""
    from twinlens.app.core.session.session import Session
    from twinlens.app.sources import open_source
    from twinlens.engine.api import registry

    engines = [registry.get_engine(engine_id) for engine_id in registry.engine_ids()]
    usable = {engine.id: engine.precisions() for engine in engines if not engine.available()}
    engine_id = args.engine or "layers-cpu"
    settings = Settings(
        threads=args.threads, calibration=str(args.calibration or ""), adapter=args.adapter or ""
    )
    if args.precision:
        registry.check_precision(engine_id, args.precision)
        settings = settings.with_precision(engine_id, args.precision)
    session = Session(
        open_source(args.source or "camera"),
        resolve_model(args),
        engine_id,
        options=settings.engine_options(engine_id, registry.get_engine(engine_id).precisions()),
        fallback_source=lambda: open_source(args.meanwhile or "clip"),
        reconnect=True,
    )
    view = TerminalView(session, usable, settings)
    session.start()
    try:
        if sys.stdout.isatty() and sys.stdin.isatty():
            _live(view)
        else:
            _lines(view, clock)
    finally:
        session.stop()
    return 0


def _live(view: TerminalView) -> None:
    from blessed import Terminal

    terminal = Terminal()
    with ExitStack() as stack:
        stack.enter_context(terminal.cbreak())
        stack.enter_context(terminal.hidden_cursor())
        while not view.done:
            view.refresh()
            # A terminal that does not report its width counts as one of the usual width.
            width = terminal.width if terminal.width > 1 else 80
            line = terminal.truncate(view.line(), width - 1)
            sys.stdout.write(f"\r{line}{terminal.clear_eol}")
            sys.stdout.flush()
            key = terminal.inkey(timeout=_POLL_S)
            if key:
                view.press(key.name or str(key))
    sys.stdout.write("\n")


def _lines(view: TerminalView, clock: Callable[[], float]) -> None:
    due = clock() + _PIPE_LINE_S
    while not view.done:
        time.sleep(_POLL_S)
        view.refresh()
        if view.result is not None and clock() >= due:
            sys.stdout.write(view.line().rsplit("  │ ", 1)[0] + "\n")
            sys.stdout.flush()
            due = clock() + _PIPE_LINE_S
        if view.notice:
            sys.stderr.write(f"twinlens: {view.notice}\n")
            view.notice = ""
