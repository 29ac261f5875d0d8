"""A live session: capture, inference and loading on threads of their own."""

from __future__ import annotations

from collections.abc import Callable

from twinlens.app.core.events import (
    EngineReady,
    Event,
    InferenceFailed,
    LoadFailed,
    LoadStarted,
    News,
    SessionState,
    SourceEnded,
    SourceFailed,
    SourceOpened,
    Stats,
)
from twinlens.app.sources.base import Source
from twinlens.engine.image import CropAndScale, Region
from twinlens.engine.protocol import EngineOptions, ModelSpec, Runner

__all__ = [
    "EngineReady",
    "Event",
    "InferenceFailed",
    "LoadFailed",
    "LoadStarted",
    "Loader",
    "News",
    "Session",
    "SessionState",
    "SourceEnded",
    "SourceFailed",
    "SourceOpened",
    "Stats",
]

Loader = Callable[[ModelSpec, str, EngineOptions], Runner]


class Session:
    """Frames in, answers out; the source and the engine can be swapped while it runs.

    ``on_news`` is called at most once between two ``acknowledge`` calls, from a worker thread,
    or from inside ``acknowledge`` when news came in between ``take`` and ``acknowledge``; it
    must not block and must not raise (in Qt: emit a signal over a *queued* connection).
    """

    def __init__(
        self,
        source: Source,
        spec: ModelSpec,
        engine_id: str,
        *,
        options: EngineOptions | None = None,
        fallback_source: Callable[[], Source] | None = None,
        smoothing: bool = True,
        on_news: Callable[[], None] | None = None,
        loader: Loader | None = None,
    ) -> None:
        raise NotImplementedError

    @property
    def state(self) -> SessionState:
        """A snapshot of what runs."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the threads."""

    def stop(self) -> None:
        """Stop and join everything; may be called twice."""

    def use_engine(self, engine_id: str, options: EngineOptions | None = None) -> None:
        """Swap the engine warm."""

    def use_model(self, spec: ModelSpec) -> None:
        """Swap the model warm."""

    def use_source(self, source: Source) -> None:
        """Swap the source; the old one plays until the new one delivers."""

    def set_paused(self, paused: bool) -> None:
        """Pause or go on."""

    def step(self) -> None:
        """While paused: capture and answer exactly one new frame."""

    def set_crop(self, crop_and_scale: CropAndScale | None) -> None:
        """Change crop and scale; None means the model's own."""

    def set_smoothing(self, smoothing: bool) -> None:
        """Switch temporal smoothing."""

    def set_region(self, region: Region | None) -> None:
        """Look at a part of the picture only; None means all of it."""

    def take(self) -> News:
        """What happened since the last take."""
        raise NotImplementedError

    def acknowledge(self) -> None:
        """Ask for the next ``on_news``."""

    def stats(self) -> Stats:
        """Rates, latency and counts."""
        raise NotImplementedError
