"""ONNX Runtime's threads and spinning beside a window: latency, and what is left for the window.

Each setting runs at 30 frames a second, as the app does, while a second thread plays the window:
it wakes every 4 ms, works for 1 ms (a quarter of a core) and notes how late it was woken.

Run: ``python tests/bench/bench_ort_threads.py [MODEL]``
"""

from __future__ import annotations

import os
import sys
import threading
import time
from itertools import product

import numpy as np
import onnxruntime as ort

from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.vision.engine import session_options
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve

FRAMES_A_ROUND, ROUNDS, FRAME_S = 45, 4, 1 / 30
PERIOD_S, WORK_S = 0.004, 0.001


class Window:
    """A thread that behaves like a busy window."""

    def __init__(self, busy: bool) -> None:
        self.busy, self.late_ms = busy, []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Window:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.perf_counter()
        while not self._stop.is_set():
            due += PERIOD_S
            time.sleep(max(0.0, due - time.perf_counter()))
            now = time.perf_counter()
            self.late_ms.append((now - due) * 1e3)
            while self.busy and time.perf_counter() - now < WORK_S:
                pass
            due = max(due, time.perf_counter() - PERIOD_S)


def main() -> None:
    network = resolve(sys.argv[1] if len(sys.argv) > 1 else EMBEDDED_MODEL)
    spec = network.spec
    tensor = np.random.default_rng(0).normal(size=spec.recipe.input_shape).astype(np.float32)
    settings = list(product((1, 2), (False, True), (False, True)))
    sessions = {}
    for threads, spinning in product((1, 2), (False, True)):
        options = session_options(EngineOptions(threads=threads))
        if spinning:
            ort.set_default_logger_severity(4)  # it warns of the entry that is overwritten
            options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        sessions[threads, spinning] = ort.InferenceSession(
            str(network.path), options, providers=["CPUExecutionProvider"]
        )
    latency: dict[tuple[int, bool, bool], list[float]] = {key: [] for key in settings}
    late: dict[tuple[int, bool, bool], list[float]] = {key: [] for key in settings}
    cpu: dict[tuple[int, bool, bool], list[float]] = {key: [] for key in settings}
    for _ in range(ROUNDS):
        for key in settings:
            session = sessions[key[:2]]
            name = session.get_inputs()[0].name
            started, used = time.perf_counter(), time.process_time()
            with Window(key[2]) as window:
                due = time.perf_counter()
                for _ in range(FRAMES_A_ROUND):
                    began = time.perf_counter()
                    session.run(None, {name: tensor})
                    latency[key].append((time.perf_counter() - began) * 1e3)
                    due += FRAME_S
                    time.sleep(max(0.0, due - time.perf_counter()))
            cpu[key].append((time.process_time() - used) / (time.perf_counter() - started))
            late[key] += window.late_ms
    print(f"{spec.title}, {os.cpu_count()} CPUs, medians of {ROUNDS * FRAMES_A_ROUND} frames")
    print("threads  spinning  window  latency ms  p95 ms  window late p95 ms  cores used")
    for key in settings:
        threads, spinning, busy = key
        print(
            f"{threads:7}  {'yes' if spinning else 'no':8}  {'busy' if busy else 'idle':6}  "
            f"{np.median(latency[key]):10.2f}  {np.percentile(latency[key], 95):6.2f}  "
            f"{np.percentile(late[key], 95):18.2f}  {np.mean(cpu[key]):10.2f}"
        )


if __name__ == "__main__":
    main()
