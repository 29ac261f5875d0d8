"""Commands with ``--isolated`` answer as without it, and a fault of an engine is one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers.hosted import exists, until
from helpers.processes import running
from twinlens.assets import picture_path

WORDS = [sys.executable, "-m", "twinlens.app"]


def lines(*words: object) -> list[dict[str, Any]]:
    done = subprocess.run(
        [*WORDS, *map(str, words)], check=True, capture_output=True, text=True, timeout=100
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def untimed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in r.items() if k not in ("ms", "summary")} for r in records]


@pytest.mark.parametrize(
    "words",
    [
        ("classify", picture_path("start.jpg"), "--engine", "layers-cpu", "--json"),
        ("classify", picture_path("start.jpg"), "--values", "0..1", "--json"),
        ("run", "--headless", "--source", "clip", "--frames", 5, "--json"),
    ],
)
def test_answers_are_the_same(words: tuple[object, ...]) -> None:
    assert untimed(lines(*words, "--isolated")) == untimed(lines(*words))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_engine_that_is_killed_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    words = [*WORDS, "run", "--headless", "--source", "clip", "--realtime", "--isolated", "--json"]
    errors = tmp_path / "errors.txt"
    with (
        errors.open("w") as stderr,
        running(words, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        hosts = psutil.Process(process.pid).children()
        engine = next(h for h in hosts if '"role": "engines"' in " ".join(h.cmdline()))
        os.kill(engine.pid, signal.SIGKILL)
        process.stdout.read()
        assert process.wait(20) == 1
    text = errors.read_text()
    assert text.count("\n") == 1
    assert text.startswith("twinlens: Vision stopped: its process was killed")
    until(lambda: not any(exists(host.pid) for host in hosts), 2.0)
