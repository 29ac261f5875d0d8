"""One peer with one network, in a process of its own: answers requests, one JSON line each.

Run as ``python -m peers.worker PEER FOLDER THREADS``. First it says ``{"load_s": ...}``. Then:

- ``{"do": "check", "path": P}``: run every input to compare on, save the answers to P.
- ``{"do": "turn", "seconds": S, "settle": T}``: run untimed, then timed for S seconds, then
  sleep T seconds, in which threads that spin for work fall asleep. Answers ``{"ms": [...],
  "idle": [C, W]}``: seconds of processor time and of wall time since the last turn's end.
- end of input: end.

``PEER`` may be ``sgemm``: one large matrix product of NumPy's BLAS.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

_WARM, _FEWEST, _MOST = 2, 3, 1000
SGEMM = "sgemm"
_SIDE = 1536
#: Floating point operations of one run of ``sgemm``.
SGEMM_FLOPS = 2 * _SIDE**3


def main() -> None:
    """Load, then serve until the input ends."""
    name, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    # Libraries print; what they say must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(record: dict[str, object]) -> None:
        answers.write(json.dumps(record) + "\n")
        answers.flush()

    started = time.perf_counter()
    ended: tuple[float, float] | None = None
    run, inputs = _load(name, folder, threads)
    answer({"load_s": time.perf_counter() - started})
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "check":
            np.save(request["path"], np.stack([np.ravel(run(x)) for x in inputs]))
            answer({})
        else:
            idle = [b - a for a, b in zip(ended or _now(), _now(), strict=True)]
            times = _turn(lambda: run(inputs[0]), request["seconds"])
            time.sleep(request["settle"])
            ended = _now()
            answer({"ms": times, "idle": idle})


def _load(name: str, folder: Path, threads: int) -> tuple[Callable[..., np.ndarray], np.ndarray]:
    if name == SGEMM:
        a, b = np.random.default_rng(0).standard_normal((2, _SIDE, _SIDE)).astype(np.float32)
        out = np.empty_like(a)
        return lambda x: np.matmul(x, b, out=out), a[np.newaxis]
    from peers.runners import PEERS

    inputs = np.load(folder / "checked.npy")
    run = PEERS[name].load(folder, threads)
    run(inputs[0])
    return run, inputs


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def _turn(run: Callable[[], object], seconds: float) -> list[float]:
    for _ in range(_WARM):
        run()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _FEWEST or (time.perf_counter() < end and len(times) < _MOST):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return times


if __name__ == "__main__":
    main()
