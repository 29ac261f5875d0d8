"""The same pipeline as the window's.

With --headless a file is read frame by frame and none is dropped, unless --realtime; live
sources always run in real time, where the newest frame wins and drops are counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from twinlens.app.commands.gui import SOURCE_HELP
from twinlens.app.commands.options import (
    add_crop_option,
    add_isolated_option,
    add_model_options,
    add_precision_options,
    add_recipe_options,
    crop_of,
    engine_options,
    hosts_of,
    load_runner,
    positive,
    print_assumptions,
    resolve_model,
    say_doubt,
    say_error,
)
from twinlens.app.commands.records import frame_record, write_json
from twinlens.app.core.way_out import INTERRUPTED
from twinlens.app.views.words import holding_text
from twinlens.engine.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twinlens.app.core.session.types import Result
    from twinlens.app.sources.base import Source


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--headless", action="store_true", help="no window: lines on stdout")
    parser.add_argument("--source", help=f"{SOURCE_HELP} (default with --headless: clip)")
    add_model_options(parser, engine=None)
    add_precision_options(parser)
    add_isolated_option(parser)
    add_crop_option(parser)
    add_recipe_options(parser)
    parser.add_argument("--frames", type=positive, help="stop after N frames (default: all)")
    parser.add_argument("--realtime", action="store_true", help="keep a file's own pace")
    parser.add_argument(
        "--reconnect",
        action="store_true",
        help="wait for a camera or stream that fails, and go on when it is back",
    )
    parser.add_argument("--top", type=positive, default=5, help="classes to list (default: 5)")
    parser.add_argument("--json", action="store_true", help="JSON lines, the summary last")
    parser.set_defaults(terminal=False, settings=None, meanwhile=None, one_process=False)


def execute(args: argparse.Namespace) -> int:
    """Run without a window, or hand over to the window."""
    if not args.headless:
        from twinlens.app.commands import gui

        return gui.execute(args)
    from twinlens.app.sources import open_source

    args.engine = args.engine or "vision"
    args.source = args.source or "clip"
    hosts = hosts_of(args)
    source = open_source(
        args.source,
        realtime=args.realtime,
        loop=False,
        host=None if hosts is None else hosts.source,
    )
    run = (
        LiveRun(source, args)
        if args.realtime or _is_live(args.source)
        else EveryFrame(source, args)
    )
    started = time.perf_counter()
    latencies = []
    status = 0
    try:
        for result in run:
            latencies.append(result.timings.latency_ms)
            _write(result, args)
            if args.frames and len(latencies) >= args.frames:
                break
    except KeyboardInterrupt:
        status = INTERRUPTED  # That is how a live source is ended; the summary still follows.
    except SourceError as error:
        # A camera was unplugged: what there was until then still counts.
        if not latencies:
            raise
        say_error(error)
        status = 1
    finally:
        run.close()
    _write_summary(latencies, run, time.perf_counter() - started, args)
    return status


def _is_live(text: str) -> bool:
    from twinlens.app.core.addresses import scheme_of
    from twinlens.app.sources.written import as_ours, is_there

    if is_there(text):
        text = as_ours(text)
        return text.startswith("camera:")
    text = as_ours(text)
    return bool(scheme_of(text)) or text.partition(":")[0] in ("camera", "screen", "drawing")


class EveryFrame:
    """Each frame in turn, none dropped; one thread."""

    dropped = 0
    damaged = 0

    def __init__(self, source: Source, args: argparse.Namespace) -> None:
        from twinlens.app.core.session.pipeline import Pipeline

        network, runner = load_runner(args)
        spec = network.spec
        self._pipeline = Pipeline(
            runner,
            spec,
            crop_and_scale=crop_of(args),
            top=args.top,
            doubted=lambda why: say_doubt(spec.title, why),
        )
        self._source = source

    def __iter__(self) -> Iterator[Result]:
        self._source.open()
        while (frame := self._source.read()) is not None:
            self.damaged = frame.damaged
            yield self._pipeline.process(frame)

    def close(self) -> None:
        """Release source and network."""
        self._source.close()
        self._pipeline.close()


class LiveRun:
    """The window's three threads with this loop in the window's place."""

    def __init__(self, source: Source, args: argparse.Namespace) -> None:
        import threading

        from twinlens.app.core.session.session import Session

        self._news = threading.Event()
        network, hosts = resolve_model(args), hosts_of(args)
        print_assumptions(network)
        self._session = Session(
            source,
            network,
            args.engine,
            options=engine_options(args),
            smoothing=False,
            reconnect=args.reconnect,
            on_news=self._news.set,
            loader=None if hosts is None else hosts.load,
        )
        self._session.set_crop(crop_of(args))

    @property
    def dropped(self) -> int:
        """Frames that no answer came for because a newer one was there."""
        return self._session.stats().dropped

    @property
    def damaged(self) -> int:
        """Pictures that could not be decoded."""
        return self._session.stats().damaged

    def __iter__(self) -> Iterator[Result]:
        from twinlens.app.core.session.session import (
            AnswersDoubted,
            LoadFailed,
            SourceEnded,
            SourceFailed,
            SourceOpened,
        )

        self._session.start()
        failed_s: float | None = None
        while True:
            self._news.wait()
            self._news.clear()
            news = self._session.take()
            if news.result is not None:
                yield news.result
            for event in news.events:
                if isinstance(event, SourceFailed) and event.returning:
                    sys.stderr.write(f"twinlens: {event.error.message}; reconnecting\n")
                    failed_s = time.perf_counter()
                elif isinstance(event, LoadFailed | SourceFailed):
                    raise event.error
                if isinstance(event, SourceOpened) and failed_s is not None:
                    away_s = time.perf_counter() - failed_s
                    sys.stderr.write(f"twinlens: {event.info.title}: back after {away_s:.0f} s\n")
                    failed_s = None
                if isinstance(event, AnswersDoubted):
                    say_doubt(event.model, event.why)
                if isinstance(event, SourceEnded):
                    return
            self._session.acknowledge()

    def close(self) -> None:
        """Stop the threads."""
        self._session.stop()


def _write(result: Result, args: argparse.Namespace) -> None:
    if args.json:
        write_json(frame_record(result))
        return
    best = result.observations[0]
    label = best.identifier if result.holding is None else holding_text(result.holding)
    if result.frame.remark:
        label = f"({result.frame.remark}) {label}"
    sys.stdout.write(
        f"{result.frame.t_s:8.2f} s  {best.confidence:6.1%}  {label:<28}"
        f"{result.timings.latency_ms:8.1f} ms\n"
    )


def _write_summary(
    latencies: list[float],
    run: EveryFrame | LiveRun,
    elapsed_s: float,
    args: argparse.Namespace,
) -> None:
    import numpy as np

    p50, p95 = np.percentile(latencies, [50, 95]).tolist() if latencies else (0.0, 0.0)
    summary: dict[str, Any] = {
        "frames": len(latencies),
        "dropped": run.dropped,
        "fps": round(len(latencies) / elapsed_s, 2) if elapsed_s > 0 else 0.0,
        "latency_ms": {"p50": round(p50, 3), "p95": round(p95, 3)},
    }
    if run.damaged:
        summary["damaged"] = run.damaged
    if args.json:
        write_json({"summary": summary})
    else:
        sys.stdout.write(
            f"{summary['frames']} frames, {run.dropped} dropped, "
            f"{f'{run.damaged} damaged, ' if run.damaged else ''}{summary['fps']} fps, "
            f"latency {p50:.1f} ms (95 %: {p95:.1f} ms)\n"
        )
