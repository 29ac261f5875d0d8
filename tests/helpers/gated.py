"""Runners that wait, and a window whose measurings do."""

from __future__ import annotations

import threading

from helpers.fakes import FakeRunner
from twinlens.engine.api.protocol import EngineOptions, Network


class Gated:
    """A loader whose runners wait in every run but the warming one, until told."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.runners: list[FakeRunner] = []

    def __call__(self, network: Network, engine_id: str, options: EngineOptions) -> FakeRunner:
        runner = FakeRunner(engine_id=engine_id, options=options, gate=self.gate)
        self.runners.append(runner)
        return runner

    def open(self) -> None:
        for _ in range(10_000):
            self.gate.release()

    @property
    def timing(self) -> bool:
        return any(runner.running.is_set() for runner in self.runners)
