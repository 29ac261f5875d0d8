"""Scripted stand-ins for clocks, sources and engines; every wait is on a condition."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.engine.api.protocol import (
    EngineOptions,
    GraphSource,
    ModelSpec,
    Network,
    Runner,
    RunnerInfo,
)
from twinlens.engine.errors import SourceError
from twinlens.engine.graph import Graph
from twinlens.engine.image import PixelBuffer, Recipe

WAIT_S = 10.0
"""Longest wait for something that must happen; only a failing test waits that long."""


class FakeClock:
    """A clock that moves only when told.

    Args:
        now_s: its first reading.
    """

    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


def make_spec(
    id: str = "fake", labels: Sequence[str] = ("cat", "dog", "fox"), size: int = 8
) -> ModelSpec:
    """A model whose recipe leaves pixel values as they are; output is probabilities."""
    recipe = Recipe(width=size, height=size, scale=1.0, mean=(0.0,) * 3, std=(1.0,) * 3)
    return ModelSpec(id, id.title(), recipe, tuple(labels))


def make_network(
    id: str = "fake", labels: Sequence[str] = ("cat", "dog", "fox"), size: int = 8
) -> Network:
    """A network of that model; nobody may ask for its graph, since engines are fakes, too."""

    def build(shape: tuple[int, ...]) -> Graph:
        raise NotImplementedError(f"{id} has no graph")

    return Network(make_spec(id, labels, size), GraphSource(build), Path(f"{id}.onnx"))


def make_frame(index: int = 0, *, value: int = 0, captured_s: float = 0.0, size: int = 8) -> Frame:
    """A square frame of one grey value."""
    pixels = np.full((size, size, 3), value, np.uint8)
    buffer = PixelBuffer.from_array(pixels)
    return Frame(buffer, index, captured_s, t_s=index / 30)


class FakeSource:
    """Plays a script of frames.

    ``read`` delivers one scripted item per permit; ``allow`` gives permits (``None`` frees the
    source for good). At the end of the script it returns None, unless ``blocks``: then it
    waits until it is interrupted.

    Args:
        script: what ``read`` gives, in order: frames, or errors that it raises.
        title: its name.
        live: what its info says.
        open_error: raised by ``open``.
        open_blocks: ``open`` waits until interrupted or ``let_open`` is set.
        blocks: wait at the end until interrupted, instead of ending.
        gated: ``read`` needs permits.
    """

    def __init__(
        self,
        script: Iterable[Frame | Exception] = (),
        *,
        title: str = "fake",
        live: bool = False,
        open_error: Exception | None = None,
        open_blocks: bool = False,
        blocks: bool = True,
        gated: bool = False,
    ) -> None:
        self._title = title
        self._script = list(script)
        self._live = live
        self._open_error = open_error
        self._blocks = blocks
        self._changed = threading.Condition()
        self._permits: int | None = 0 if gated else None
        self._interrupted = False
        self.let_open = threading.Event()
        if not open_blocks:
            self.let_open.set()
        self.opening = threading.Event()
        self.opened = 0
        self.reads = 0
        self.closed = threading.Event()
        self.threads: set[int] = set()

    @property
    def title(self) -> str:
        return self._title

    def open(self) -> SourceInfo:
        self.threads.add(threading.get_ident())
        self.opening.set()
        self.opened += 1
        self.let_open.wait(WAIT_S)
        if self._open_error is not None:
            raise self._open_error
        return SourceInfo("file", self._title, 8, 8, 30.0, self._live)

    def read(self) -> Frame | None:
        self.threads.add(threading.get_ident())
        with self._changed:
            self._changed.wait_for(self._may_read)
            if self._interrupted or not self._script:
                return None
            if self._permits is not None:
                self._permits -= 1
            item = self._script.pop(0)
            self.reads += 1
            self._changed.notify_all()
        if isinstance(item, Exception):
            raise item
        return item

    def interrupt(self) -> None:
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()
        self.let_open.set()

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed.set()

    def allow(self, count: int | None = 1) -> None:
        """Give permits; None frees the source."""
        with self._changed:
            if count is None or self._permits is None:
                self._permits = None
            else:
                self._permits += count
            self._changed.notify_all()

    def wait_reads(self, count: int) -> None:
        """Wait until so many items were read."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.reads >= count, WAIT_S):
                raise TimeoutError(f"{self.reads} of {count} reads came")

    def _may_read(self) -> bool:
        if self._interrupted:
            return True
        if not self._script:
            return not self._blocks
        return self._permits is None or self._permits > 0


def unplugged(title: str = "fake") -> SourceError:
    """What a source raises when its cable is pulled."""
    return SourceError(f"{title} stopped delivering", hint="Plug it in again.")


Answer = Callable[[NDArray[np.float32]], Sequence[float]]


class FakeRunner:
    """Answers from a script.

    Args:
        answer: the output, or a function of the input tensor.
        engine_id: for its info.
        errors: number of run (0 is the warming run) → what that run raises.
        fails_from: every run from this number on raises ``errors[fails_from]``.
        gate: waited for in each run but the warming one.
        options: threads and precision for its info.
        agreement: for its info.
    """

    def __init__(
        self,
        answer: Sequence[float] | Answer = (0.7, 0.2, 0.1),
        *,
        engine_id: str = "fake-engine",
        errors: dict[int, Exception] | None = None,
        fails_from: int | None = None,
        gate: threading.Semaphore | None = None,
        size: int = 8,
        options: EngineOptions | None = None,
        agreement: float | None = None,
    ) -> None:
        options = options or EngineOptions()
        self._answer = answer
        self._errors = errors or {}
        self._fails_from = fails_from
        self._gate = gate
        self.engine_id = engine_id
        self.runs = 0
        self.running = threading.Event()
        self.closed = threading.Event()
        self._info = RunnerInfo(
            engine_id,
            engine_id.title(),
            "script",
            "bf16" if options.precision == "auto" else options.precision,
            options.threads or 1,
            (1, 3, size, size),
            3,
            agreement=agreement,
        )

    @property
    def info(self) -> RunnerInfo:
        return self._info

    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.closed.is_set():
            raise RuntimeError("a closed runner was run")
        if tensor.shape != self._info.input_shape:
            raise ValueError(f"tensor {tensor.shape} instead of {self._info.input_shape}")
        number, self.runs = self.runs, self.runs + 1
        if number > 0:
            self.running.set()
            if self._gate is not None and not self._gate.acquire(timeout=WAIT_S):
                raise TimeoutError("nobody opened the gate")
        if self._fails_from is not None and number >= self._fails_from:
            raise self._errors[self._fails_from]
        if number in self._errors:
            raise self._errors[number]
        answer = self._answer(tensor) if callable(self._answer) else self._answer
        return np.asarray(answer, np.float32)

    def close(self) -> None:
        self.closed.set()


@dataclass
class FakeEngine:
    """An engine that gives out scripted runners.

    Attributes:
        id: its id.
        make: makes each runner; gets model and options.
        reason: why it is not available; None when it is.
        gate: waited for in ``load``.
        computes_in: its precisions.
        missing: precisions that it lacks here, and why.
    """

    id: str = "fake-engine"
    make: Callable[[Network, EngineOptions], Runner] | None = None
    reason: str | None = None
    gate: threading.Event | None = None
    computes_in: tuple[str, ...] = ("fp32",)
    missing: Mapping[str, str] = field(default_factory=dict)
    loading: threading.Event = field(default_factory=threading.Event)
    runners: list[Runner] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.id.title()

    def precisions(self) -> tuple[str, ...]:
        return self.computes_in

    def missing_precisions(self) -> Mapping[str, str]:
        return self.missing

    def available(self) -> str | None:
        return self.reason

    def load(self, network: Network, options: EngineOptions) -> Runner:
        self.loading.set()
        if self.gate is not None and not self.gate.wait(WAIT_S):
            raise TimeoutError("nobody opened the gate")
        runner = self.make(network, options) if self.make else FakeRunner(engine_id=self.id)
        self.runners.append(runner)
        return runner


def fake_loader(*engines: FakeEngine) -> Callable[[Network, str, EngineOptions], Runner]:
    """A session's loader that knows these engines."""
    table = {engine.id: engine for engine in engines}

    def load(network: Network, engine_id: str, options: EngineOptions) -> Runner:
        return table[engine_id].load(network, options)

    return load
