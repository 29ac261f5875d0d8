"""Run the ``twinlens`` command as a user does, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def twinlens(
    *words: object, timeout_s: float = 300, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``twinlens WORDS`` and return what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "twinlens.app", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=env,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def json_lines(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Parse the JSON lines of a run that has to have succeeded."""
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]
