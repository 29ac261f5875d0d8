"""Ends the real window in a state, and measures how it goes."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
import psutil

from helpers.big_nets import resnet50
from helpers.model_server import model_server
from helpers.own_models import own_card, write_catalog
from twinlens.engine.formats import onnx_bytes

_PROBE = Path(__file__).with_name("closing_probe.py")
_REACHED_S = 120.0
_LONGEST_S = 30.0
_LEFT_S = 2.0

#: What is reached in a function that hosts run is reached where they are not.
_INSIDE = ("loading", "compiling", "calibrating", "stream")
STATES = (
    *("live", "loading", "compiling", "calibrating", "proving", "hosted"),
    *("bench", "crossover", "pulling", "stream", "opening"),
)
WAYS = ("close", "SIGINT", "SIGTERM", "SIGHUP")


@dataclass(frozen=True)
class Ending:
    """How a window went.

    Attributes:
        gone_s: seconds from the request until no window is on the screen.
        ended_s: seconds from the request until the process has ended.
        code: exit status; negative for a signal.
        errors: what stood on standard error.
        kept: whether what was changed just before is in the settings file.
        left: processes of the window's that were still there 2 s after the request.
    """

    gone_s: float
    ended_s: float
    code: int
    errors: str
    kept: bool
    left: tuple[int, ...] = ()


def big_model(folder: Path) -> Path:
    """ResNet-50 with random weights, as an ONNX file that says nothing of itself."""
    path = folder / "resnet50.onnx"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        data = onnx_bytes(resnet50())
        assert onnx.load_from_string(data).graph.node
        path.write_bytes(data)
        labels = "\n".join(f"class {number}" for number in range(1000))
        path.with_suffix(".labels.txt").write_text(labels, encoding="utf-8")
    return path


@contextmanager
def _silent_stream() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/live"


@contextmanager
def _surroundings(state: str, folder: Path, model: Path) -> Iterator[tuple[list[str], dict]]:
    """Words of the command and environment that a state needs."""
    words = ["--settings", str(folder / "settings.json")]
    env = {
        "TWINLENS_CACHE": str(folder / "plans"),
        "TWINLENS_MODELS": str(folder / "models"),
        "TWINLENS_RECIPES": str(folder / "recipes"),
        "PROBE_MODEL": str(model),
        "VK_DRIVER_FILES": os.devnull,
        # Said at each start, by the library that lists the cameras.
        "QT_LOGGING_RULES": "qt.multimedia.ffmpeg=false",
    }
    with ExitStack() as stack:
        source, engine = "clip", "vision"
        if state in ("stream", "opening"):
            source = stack.enter_context(_silent_stream())
        if state in _INSIDE:
            words.append("--one-process")
        if state in ("loading", "compiling"):
            words += ["--model", str(model)]
        if state in ("compiling", "calibrating", "proving"):
            engine = "layers-cpu"
        if state == "calibrating":
            clip = Path(__file__).parents[2] / "assets" / "clip.mp4"
            words += ["--precision", "auto", "--calibration", str(clip)]
        if state == "pulling":
            server = stack.enter_context(model_server())
            data = bytes(1 << 20)
            url = server.put("/slow.onnx", data, stall_after=1 << 18)
            write_catalog(folder / "models", own_card("slow", data, url))
        yield [*words, "--source", source, "--engine", engine], env


def end(
    state: str,
    way: str,
    folder: Path,
    screen: dict[str, str],
    model: Path,
    *,
    after_s: float = 0.0,
    times: int = 1,
) -> Ending:
    """Start the window, wait until it is in a state, and end it.

    Args:
        state: one of ``STATES``.
        way: one of ``WAYS``.
        folder: an empty one, for settings and plans.
        screen: environment that leads to an X display of its own.
        model: as ``big_model`` makes it.
        after_s: how long after the state was reached.
        times: how often it is asked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    errors = folder / "stderr.txt"
    with _surroundings(state, folder, model) as (words, more), errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(_PROBE), state, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=screen | more,
        )
        try:
            _wait_until_reached(process, errors)
            time.sleep(after_s)
            started = psutil.Process(process.pid).children(recursive=True)
            asked_s = time.monotonic()
            for _ in range(times):
                _ask(process, way)
            gone_s, ended_s = _watch(process, screen, asked_s)
            rest_s = max(0.0, _LEFT_S - (time.monotonic() - asked_s))
            left = tuple(each.pid for each in psutil.wait_procs(started, rest_s)[1])
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(10)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
    text = errors.read_text(encoding="utf-8", errors="replace")
    return Ending(gone_s, ended_s, process.returncode, text, _kept(folder / "settings.json"), left)


def _wait_until_reached(process: subprocess.Popen[bytes], errors: Path) -> None:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], _REACHED_S)
    if not ready or not process.stdout.readline():
        raise AssertionError(f"exit code {process.poll()}\n{errors.read_text()}")


def _ask(process: subprocess.Popen[bytes], way: str) -> None:
    if way == "close":
        assert process.stdin is not None
        process.stdin.write(b"close\n")
        process.stdin.flush()
    elif process.poll() is None:
        process.send_signal(getattr(signal, way))


def _watch(
    process: subprocess.Popen[bytes], screen: dict[str, str], asked_s: float
) -> tuple[float, float]:
    """Seconds until the window has left the screen, and until the process has ended."""
    gone_s: float | None = None
    while time.monotonic() - asked_s < _LONGEST_S:
        if process.poll() is not None:
            ended_s = time.monotonic() - asked_s
            return (ended_s if gone_s is None else gone_s), ended_s
        if gone_s is None and not _is_shown(screen):
            gone_s = time.monotonic() - asked_s
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    return (_LONGEST_S if gone_s is None else gone_s), _LONGEST_S


def _is_shown(screen: dict[str, str]) -> bool:
    command = ["xdotool", "search", "--onlyvisible", "--name", "Twinlens"]
    found = subprocess.run(command, env=screen, check=False, capture_output=True, timeout=20)
    return bool(found.stdout.strip())


def _kept(settings: Path) -> bool:
    try:
        values = json.loads(settings.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return values.get("mirror") is True and bool(values.get("window_geometry"))
