"""The real window with a tally of what was drawn; see ``window_probe.py`` and ``soak_window.py``.

More commands: ``model NAME``, ``tally`` (what was drawn since the last one). Nothing is kept for
longer than from tally to tally, so that the probe's own memory does not grow.

Where the numbered source plays and the model answers that reads its numbers, the number in the
pixels that are drawn, the one in the frame that was answered, and the answer that is drawn are
held against each other: all three come by ways of their own.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.numbered import LEVELS, NAME, SIZE, level_of
from helpers.window_probe import Probe, run, say
from twinlens.app.core.way_out import WAY_OUT
from twinlens.app.views.words import short_label

_MOST_WORDS = 20


class Tally:
    """What was drawn and answered since it was made."""

    def __init__(self) -> None:
        self.painted = self.answers = 0
        self.latency_ms: list[float] = []
        self.age_ms: list[float] = []
        self.foreign_ms: list[float] = []
        self.read = self.disorder = self.misread = self.misdrawn = self.mislabelled = 0
        self.behind = self.surprises = 0
        self.wrong: list[str] = []

    def fault(self, kind: str, words: str) -> None:
        """Count a fault of a kind, and keep the first few in words."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.wrong) < _MOST_WORDS:
            self.wrong.append(f"{kind}: {words}")

    def record(self) -> dict[str, Any]:
        """For the one who asks; times in ms."""
        counts = {
            name: getattr(self, name)
            for name in (
                *("painted", "answers", "read", "disorder", "misread", "misdrawn"),
                *("mislabelled", "behind", "surprises"),
            )
        }
        return counts | {
            "latency_p50": _share(self.latency_ms, 50),
            "latency_p95": _share(self.latency_ms, 95),
            "age_p95": _share(self.age_ms, 95),
            "age_max": max(self.age_ms, default=0.0),
            "foreign_max": max(self.foreign_ms, default=0.0),
            "wrong": self.wrong,
        }


def _share(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else 0.0


class SoakProbe(Probe):
    """Watches each answer that is shown and each frame that is painted."""

    def __init__(self, window: Any) -> None:
        super().__init__(window)
        self.tally = Tally()
        self.newest_frame: Any = None
        self.last_painted = self.last_answered = (-1, -1)
        self.foreign_since: float | None = None
        self.trail: deque[int | None] = deque(maxlen=LEVELS)
        self.all_painted = self.all_answers = 0
        window.stage.show_frame = self.on_frame(window.stage.show_frame)
        window.presenter.show_result = self.on_result(window.presenter.show_result)

    def on_frame(self, show: Any) -> Any:
        def wrapped(frame: Any) -> None:
            self.newest_frame = frame
            show(frame)

        return wrapped

    def on_result(self, show: Any) -> Any:
        def wrapped(result: Any) -> None:
            self.check_answer(result)
            show(result)

        return wrapped

    def check_answer(self, result: Any) -> None:
        tally, place = self.tally, (result.frame.source_id, result.frame.index)
        tally.answers += 1
        self.all_answers += 1
        tally.latency_ms.append(result.timings.latency_ms)
        if place < self.last_answered:
            tally.fault("disorder", f"answer to {place} after {self.last_answered}")
        self.last_answered = place
        level = self.number(result)
        if level is None:
            return
        tally.read += 1
        if result.observations[0].identifier != NAME.format(level):
            said = result.observations[0].identifier
            tally.fault("misread", f"frame {place} shows {level}, its answer says {said}")

    def number(self, result: Any) -> int | None:
        """What stands in the frame that was answered, where that can be read by the model."""
        if result.model_title != "levels" or not self.plays_numbers(result.frame):
            return None
        return level_of(result.frame.buffer.to_bgr())

    def plays_numbers(self, frame: Any) -> bool:
        buffer = frame.buffer
        return (buffer.height, buffer.width) == SIZE

    def on_painted(self, index: int, source_id: int) -> None:
        window, tally, now = self.window, self.tally, time.perf_counter()
        label = window.stage.overlays.label
        tally.painted += 1
        self.all_painted += 1
        if (source_id, index) <= self.last_painted:
            tally.fault("disorder", f"{(source_id, index)} painted after {self.last_painted}")
        self.last_painted = (source_id, index)
        frame, result = self.newest_frame, window.presenter.last_result
        if (frame.source_id, frame.index) != (source_id, index):
            tally.fault("misdrawn", f"painted {(source_id, index)}, shown was {frame.index}")
        self.trail.append(self.drawn_number(frame))
        self.check_pixels(frame)
        if label is None or result is None:
            self.foreign_since = None
            return
        self.heed_engine(label.engine_id)
        self.check_label(label, result, (source_id, index))
        foreign = result.frame.source_id != source_id and not label.resting
        if foreign and self.foreign_since is None:
            self.foreign_since = now
        if not foreign:
            tally.age_ms.append((frame.captured_s - result.frame.captured_s) * 1e3)
            self.foreign_since = None
        elif self.foreign_since is not None:
            tally.foreign_ms.append((now - self.foreign_since) * 1e3)

    def drawn_number(self, frame: Any) -> int | None:
        return level_of(frame.buffer.to_bgr()) if self.plays_numbers(frame) else None

    def check_pixels(self, frame: Any) -> None:
        """What the stage holds, read back, is the frame that it was given."""
        image = self.window.stage._image
        if not self.plays_numbers(frame) or self.window.stage.negative or image is None:
            return
        drawn = image.pixelColor(image.width() // 2, image.height() // 2).green()
        given = int(frame.buffer.to_bgr()[frame.buffer.height // 2, frame.buffer.width // 2, 1])
        if abs(drawn - given) > 1:
            self.tally.fault("misdrawn", f"frame {frame.index} is {given}, drawn is {drawn}")

    def check_label(self, label: Any, result: Any, place: tuple[int, int]) -> None:
        """The label on the stage is that of the newest answer, of a frame not after this one."""
        said = label.label if label.sure else label.guess.rstrip("?")
        if result.model_title == "levels" and said != short_label(result.smoothed[0].identifier):
            self.tally.fault("mislabelled", f"{said} for {result.smoothed[0].identifier}")
        answered = (result.frame.source_id, result.frame.index)
        if answered > place:
            self.tally.fault("behind", f"{place} painted under the answer to {answered}")

    def heed_engine(self, engine_id: str) -> None:
        if not self.engines:
            say({"event": "answering"})
        if not self.engines or self.engines[-1] != engine_id:
            self.engines = [engine_id]
            say({"event": "engine", "id": engine_id})

    def on_banner(self, show: Any) -> Any:
        def wrapped(banner: Any, act: Any = None) -> None:
            words = f"{banner.title} | {banner.hint}"
            say({"event": "banner", "text": words})
            if "unexpected" in words.lower():
                self.tally.fault("surprises", words)
            show(banner, act)

        return wrapped

    def act(self, word: str, rest: str) -> None:
        if word == "model":
            self.window.choose.model(rest)
        elif word == "tally":
            tally, self.tally = self.tally, Tally()
            say({"event": "tally", **tally.record()})
        elif word == "state":
            say({"event": "state", **self.state()})

    def state(self) -> dict[str, Any]:
        """What plays and serves now, and how much was painted and answered in all."""
        window = self.window
        state = window.session.state
        return {
            "hosts": self.hosts(),
            "engine": state.info.engine_id if state.info else "",
            "model": state.spec.title,
            "source": window.choose.source_text,
            "loading": state.loading is not None,
            "paused": state.paused,
            "sheet": type(window.sheet).__name__ if window.sheet else "",
            "trail": list(self.trail),
            "painted": self.all_painted,
            "answers": self.all_answers,
            "answered_by": getattr(window.presenter.last_result, "model_title", ""),
        }


if __name__ == "__main__":
    WAY_OUT.leave(run(SoakProbe))
