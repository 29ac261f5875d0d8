"""What hosts cost, A B A B against one process: a frame, a start, memory; how they recover.

Run ``python tests/bench/bench_hosts.py``; ``--only frame source memory recovery start`` takes some.
The start is the real command's on an X display of its own (``xvfb-run`` around it does as well).
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.hosted import until
from twinlens.app.core.hosts.hosts import Hosts
from twinlens.app.core.session.session import Session
from twinlens.app.sources import open_source
from twinlens.engine.api import registry
from twinlens.engine.api.protocol import EngineOptions
from twinlens.models.identify.resolve import default_model, resolve

_PROBE = Path(__file__).parents[1] / "helpers" / "closing_probe.py"
_MIB = 1 << 20


def _median_ms(times: list[float]) -> float:
    return statistics.median(times) * 1e3


def _turns(one: Callable[[], object], other: Callable[[], object], count: int) -> tuple[Any, Any]:
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(count + 10):
        for act, own in zip((one, other), times, strict=True):
            begun_s = time.perf_counter()
            act()
            if number >= 10:
                own.append(time.perf_counter() - begun_s)
    return times


def frame(owner: Hosts, runs: int) -> None:
    """One answer of the default model, from tensor to outputs."""
    network = resolve(default_model())
    for engine in ("layers-cpu", "vision"):
        here = registry.load(network, engine)
        there = owner.load(network, engine, EngineOptions())
        x = np.random.default_rng(0).standard_normal(here.info.input_shape).astype(np.float32)
        mine, hosted = _turns(partial(here.run, x), partial(there.run, x), runs)
        _row(f"answer, {engine}, ms", _median_ms(mine), _median_ms(hosted))
        here.close()
        there.close()


def source(owner: Hosts, runs: int) -> None:
    """One frame of 1280×720, as soon as it can be had."""
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "clip.mp4")
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"mp4v"), 30, (1280, 720))
        picture = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
        for at in range(runs + 20):
            large = cv2.resize(np.roll(picture, at, 1), (1280, 720))
            writer.write(large)
        writer.release()
        here = open_source(path, realtime=False, loop=False)
        there = open_source(path, realtime=False, loop=False, host=owner.source)
        here.open()
        there.open()
        mine, hosted = _turns(here.read, there.read, runs)
        _row("frame of 720p, ms", _median_ms(mine), _median_ms(hosted))
        here.close()
        there.close()


def memory(owner: Hosts, runs: int) -> None:
    """Of a host after its first answers: its own pages, with its share of others, and all."""
    del runs
    network = resolve(default_model())
    for engine in ("layers-cpu", "vision"):
        runner = owner.load(network, engine, EngineOptions())
        for _ in range(3):
            runner.run(np.zeros(runner.info.input_shape, np.float32))
        _memory_row(engine, runner.host.pid)
        runner.close()
    playing = open_source("clip", host=owner.source)
    playing.open()
    for _ in range(10):
        playing.read()
    _memory_row("source, clip", playing.host.pid)
    playing.close()


def recovery(owner: Hosts, runs: int) -> None:
    """From a signal to a host until the next answer is there."""
    network = resolve(default_model())
    session = Session(
        open_source("clip", host=owner.source),
        network,
        "layers-cpu",
        fallback_source=lambda: open_source("clip", host=owner.source),
        loader=owner.load,
        on_news=lambda: None,
    )
    session.start()
    try:
        for _ in range(max(2, runs // 100)):
            for engine, what in (("layers-cpu", "loaded again"), ("vision", "by the one before")):
                if session.state.engine_id != engine:
                    session.use_engine(engine)
                until(lambda e=engine: _serves(session) == e, 60)
                time.sleep(2.5)
                before = session.stats().answered
                pid = session._worker.serving.runner.host.pid
                os.kill(pid, signal.SIGKILL)
                begun_s = time.perf_counter()
                until(lambda p=pid: _pid(session) not in (None, p), 60)
                until(lambda b=before: session.stats().answered > b + 1, 60)
                print(f"| engine killed, {what}, s | | {time.perf_counter() - begun_s:.2f} |")
        source_pid = session._deck._current.source.host.pid
        os.kill(source_pid, signal.SIGKILL)
        begun_s, captured = time.perf_counter(), session.stats().captured
        until(lambda: session.stats().captured > captured + 3, 60)
        print(f"| source killed, the clip plays, s | | {time.perf_counter() - begun_s:.2f} |")
    finally:
        session.stop()


def start(owner: Hosts, runs: int) -> None:
    """From the process's start to the first answer on the screen."""
    del owner
    from helpers.displays import xvfb

    with xvfb("1280x800x24", "-noreset") as screen, tempfile.TemporaryDirectory() as cache:
        env = screen | {"TWINLENS_CACHE": cache, "VK_DRIVER_FILES": os.devnull}
        times: dict[str, list[float]] = {"--one-process": [], "": []}
        for number in range(max(3, runs // 50) + 1):
            for option, own in times.items():
                spent_s = _start_s(env, option)
                if number:  # the first fills the cache
                    own.append(spent_s)
    _row("start to first answer, s", *(statistics.median(own) for own in times.values()))
    _row("the fastest of them, s", *(min(own) for own in times.values()))


def _start_s(env: dict[str, str], option: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        words = ["live", "--settings", f"{folder}/s.json", "--source", "clip"]
        words += ["--engine", "layers-cpu", *([option] if option else [])]
        begun_s = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, str(_PROBE), *words],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"live\n"
            spent_s = time.perf_counter() - begun_s
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        return spent_s


def _serves(session: Session) -> str:
    info = session.state.info
    return info.engine_id if info is not None else ""


def _pid(session: Session) -> int | None:
    serving = session._worker.serving
    return serving.runner.host.pid if serving is not None else None


def _row(what: str, here: float, there: float) -> None:
    print(f"| {what} | {here:.2f} | {there:.2f} |", flush=True)


def _memory_row(what: str, pid: int) -> None:
    import psutil

    seen = psutil.Process(pid).memory_full_info()
    figures = ", ".join(f"{n} {getattr(seen, n) / _MIB:.0f}" for n in ("uss", "pss", "rss"))
    print(f"| memory of the host, {what}, MiB | | {figures} |", flush=True)


_PARTS = {f.__name__: f for f in (frame, source, memory, recovery, start)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--runs", type=int, default=200)
    chosen = parser.parse_args()
    print("| | one process | hosts |\n|---|---:|---:|")
    for name in chosen.only:
        owner = Hosts()
        owner.begin()
        try:
            _PARTS[name](owner, chosen.runs)
        finally:
            owner.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
