"""What a session reports: events, news, statistics and its state; plain frozen records."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from twinlens.app.core.session.source import Source, SourceInfo
from twinlens.app.core.session.types import Frame, Reading, Result
from twinlens.engine.api.protocol import EngineOptions, ModelSpec, Network, RunnerInfo
from twinlens.engine.errors import TwinlensError


@dataclass(frozen=True)
class LoadStarted:
    """An engine is being loaded; the old one keeps answering.

    Attributes:
        what: model and engine, for display (``"MobileNet-v2 · Vision"``).
    """

    what: str


@dataclass(frozen=True, eq=False)
class EngineReady:
    """Another engine or model answers from now on.

    Attributes:
        info: what really runs.
        network: the model that it runs.
        options: what was asked of the engine.
    """

    info: RunnerInfo
    network: Network
    options: EngineOptions = field(default_factory=EngineOptions)

    @property
    def spec(self) -> ModelSpec:
        """How the model is fed and read."""
        return self.network.spec


@dataclass(frozen=True, eq=False)
class LoadFailed:
    """An engine or model could not be loaded; the old one, if there is one, keeps answering.

    Attributes:
        what: model and engine, for display.
        error: why, and what to do.
        network: the model that was asked for; None where no engine is at fault.
        engine_id: the engine that was asked for.
        options: what was asked of it.
    """

    what: str
    error: TwinlensError
    network: Network | None = None
    engine_id: str = ""
    options: EngineOptions = field(default_factory=EngineOptions)


@dataclass(frozen=True, eq=False)
class InferenceFailed(LoadFailed):
    """A loaded engine failed while it ran; reported once per loaded engine, not once per frame.

    Attributes:
        reverted: the engine that answered before has taken over again.
        serves: what answers now in its place, or is loaded for it, for display; empty where the
            engine that failed goes on.
        again: the engine has stopped, nothing else is at hand, and it is loaded again.
    """

    reverted: bool = False
    serves: str = ""
    again: bool = False


@dataclass(frozen=True)
class SourceOpened:
    """Another source delivers from now on.

    Attributes:
        info: what it really delivers.
        source: which one it is, of those that the session was given.
    """

    info: SourceInfo
    source: Source | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, eq=False)
class SourceFailed:
    """A source could not be opened, or failed while it played.

    Attributes:
        title: the source that failed.
        error: why, and what to do.
        fallback: the fallback source (the clip) is started in its place.
        playing: title of the source that plays on undisturbed (the one that played before the
            failed one was asked for); None when nothing else plays.
        returning: the source is tried again until it is back, and then takes over by itself.
        source: which one it is, of those that the session was given; None where none was made.
    """

    title: str
    error: TwinlensError
    fallback: bool
    playing: str | None = None
    returning: bool = False
    source: Source | None = None


@dataclass(frozen=True)
class SourceEnded:
    """A source that does not loop has come to its end, and its last frame has been answered."""

    title: str


@dataclass(frozen=True)
class AnswersDoubted:
    """A model's answers contradict the way that its outputs are read; told once for a model.

    Attributes:
        model: its title.
        why: what contradicts, for display (``"its probabilities sum to 3.2, and should to 1"``).
        path: what the model was identified from; None where it lies nowhere.
    """

    model: str
    why: str
    path: Path | None = None


Event = (
    LoadStarted
    | EngineReady
    | LoadFailed
    | SourceOpened
    | SourceFailed
    | SourceEnded
    | AnswersDoubted
)
"""All events; ``InferenceFailed`` is a ``LoadFailed``."""


@dataclass(frozen=True, eq=False)
class News:
    """What happened since the last ``take``.

    Attributes:
        frame: newest captured frame not yet taken.
        result: newest answer not yet taken.
        events: all events, oldest first; none is ever lost.
    """

    frame: Frame | None = None
    result: Result | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Stats:
    """Measured from real timestamps over a sliding window; rates are 0 when nothing moves.

    Attributes:
        camera_fps: frames captured per second.
        answers_fps: answers per second.
        latency_p50_ms: median time from capture to label.
        latency_p95_ms: 95th percentile of the same.
        captured: frames captured since the session started.
        answered: answers since the session started (a frame answered again counts again).
        dropped: frames replaced by a newer one before anybody could answer them.
        damaged: pictures of the source in use that could not be decoded.
    """

    camera_fps: float = 0.0
    answers_fps: float = 0.0
    latency_p50_ms: float = 0.0
    latency_p95_ms: float = 0.0
    captured: int = 0
    answered: int = 0
    dropped: int = 0
    damaged: int = 0


@dataclass(frozen=True)
class Away:
    """A live source that failed and is waited for.

    Attributes:
        title: its name.
        for_s: seconds since it failed.
    """

    title: str
    for_s: float


@dataclass(frozen=True, eq=False)
class SessionState:
    """A snapshot.

    Attributes:
        network: the model asked for; the one that serves, again, when loading it failed.
        engine_id: the engine asked for; likewise.
        options: what is asked of that engine; likewise.
        reading: how frames are read.
        info: what really answers now; None before the first engine is ready.
        source_info: what really plays now; None before the first source is open.
        paused: no frames are captured except by ``step``.
        loading: what is being loaded now, for display; None when nothing is.
        answering: frames are answered; False while something else is measured.
        away: the source that is waited for while another plays; None where none is.
        remark: what is wrong with the picture (``"no signal"``); empty for nothing.
    """

    network: Network
    engine_id: str
    info: RunnerInfo | None = None
    source_info: SourceInfo | None = None
    paused: bool = False
    loading: str | None = None
    answering: bool = True
    options: EngineOptions = field(default_factory=EngineOptions)
    reading: Reading = field(default_factory=Reading)
    away: Away | None = None
    remark: str = ""

    @property
    def spec(self) -> ModelSpec:
        """How the model is fed and read."""
        return self.network.spec
