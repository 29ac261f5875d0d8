"""A session on scripted sources and engines, watched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from helpers.fakes import FakeEngine, FakeRunner, FakeSource, fake_loader, make_frame, make_network
from helpers.watch import Watch
from twinlens.app.core.session.session import Session

MODEL = make_network()


def frames(count: int) -> list[Any]:
    return [make_frame(i, value=i) for i in range(count)]


@contextmanager
def running(
    source: FakeSource, *engines: FakeEngine, engine: str = "", **options: Any
) -> Iterator[tuple[Session, Watch]]:
    watch = Watch()
    engines = engines or (FakeEngine(),)
    session = Session(
        source,
        options.pop("network", MODEL),
        engine or engines[0].id,
        on_news=watch.told,
        loader=options.pop("loader", None) or fake_loader(*engines),
        **options,
    )
    watch.take, watch.acknowledge = session.take, session.acknowledge
    session.start()
    try:
        yield session, watch
    finally:
        session.stop()


def two_engines() -> tuple[FakeEngine, FakeEngine]:
    return (
        FakeEngine("one", lambda s, o: FakeRunner((0.7, 0.2, 0.1), engine_id="one")),
        FakeEngine("two", lambda s, o: FakeRunner((0.1, 0.8, 0.1), engine_id="two")),
    )
