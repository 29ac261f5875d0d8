"""The parent's side of worker processes: start them, ask them, end them."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
# Inception's int8 conversion takes the longest: minutes on a slow machine.
_CONVERT_S, _LOAD_S, _TURN_S = 900, 300, 300


class PeerError(Exception):
    """A peer that cannot be measured; the text says why."""


def clean_environment(folder: Path, threads: int | None = None) -> dict[str, str]:
    """This process's environment without what tunes NumPy's BLAS to another machine.

    Args:
        folder: our compiled plans are kept there, away from the user's.
        threads: for libraries that take their number from OpenMP or OpenBLAS.
    """
    result = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_"))}
    result["TWINLENS_CACHE"] = str(folder / "plans")
    if threads is not None:
        result["OMP_NUM_THREADS"] = result["OPENBLAS_NUM_THREADS"] = str(threads)
    return result


def convert(net: str, kind: str, folder: Path) -> None:
    """Make a file for a peer; see ``peers.convert``."""
    log = folder / "logs" / f"convert-{kind}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "peers.convert", net, kind, str(folder)]
    with log.open("w") as output:
        try:
            result = subprocess.run(
                command,
                cwd=BENCH,
                env=clean_environment(folder),
                stdout=output,
                stderr=output,
                timeout=_CONVERT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as why:
            raise PeerError(f"making {kind} took more than {_CONVERT_S} s") from why
    if result.returncode:
        raise PeerError(f"making {kind}: {_last_line(log, result.returncode)}")


class Worker:
    """A worker process; see ``peers.worker`` for what it is asked.

    Raises:
        PeerError: it could not load the network; or, from ``ask``, it ended or hangs.
    """

    def __init__(self, peer: str, folder: Path, threads: int) -> None:
        self._log = folder / "logs" / f"{peer}-{threads}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "peers.worker", peer, str(folder), str(threads)],
                cwd=BENCH,
                env=clean_environment(folder, threads),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        # A thread, because a pipe cannot be waited for with a limit on every system.
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.load_s = float(self._answer(_LOAD_S)["load_s"])
        except PeerError:
            self.close()
            raise

    def ask(self, do: str, **parameters: object) -> dict:
        """Send one request and wait for its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **parameters}) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # It has ended; the answer says so.
        return self._answer(_TURN_S)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def _answer(self, limit_s: float) -> dict:
        try:
            line = self._answers.get(timeout=limit_s)
        except queue.Empty:
            self._process.kill()
            raise PeerError(f"no answer within {limit_s:.0f} s") from None
        if not line:
            raise PeerError(_last_line(self._log, self._process.wait()))
        return json.loads(line)


class Hog:
    """Another process that takes a quarter of a core; see ``peers.hog``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "peers.hog"],
            cwd=BENCH,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> float:
        """End it; returns the share of a core that it had."""
        said, _ = self._process.communicate(timeout=30)
        return float(said)


def _last_line(log: Path, code: int) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    ended = f"ended by signal {-code}" if code < 0 else f"ended with {code}"
    return lines[-1][:200] if lines and code > 0 else ended
