"""A host whose engine does what a model's title says: a process of its own, for tests.

The first word is what it does, the second when: ``"abort run"``, ``"sleep load"``.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Any

import numpy as np

from twinlens.app.core.hosts import child
from twinlens.engine.api import registry
from twinlens.engine.api.protocol import EngineOptions, Network, RunnerInfo
from twinlens.engine.errors import InferenceError, UnsupportedOperatorError

WIDTH = 3


class BadEngine:
    id, title = "layers-cpu", "Layers CPU"

    def available(self) -> str | None:
        return None

    def precisions(self) -> tuple[str, ...]:
        return ("fp32",)

    def missing_precisions(self) -> dict[str, str]:
        return {}

    def load(self, network: Network, options: EngineOptions) -> Any:
        del options
        act, _, when = network.spec.title.partition(" ")
        if when == "load":
            misbehave(act)
        return BadRunner(act, network.spec.recipe.input_shape)


class BadRunner:
    def __init__(self, act: str, shape: tuple[int, ...]) -> None:
        self._act, self._runs = act, 0
        self.info = RunnerInfo("layers-cpu", "Layers CPU", "fake", "fp32", 1, shape, WIDTH)

    def run(self, tensor: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self._runs += 1
        if self._runs > WIDTH:  # well enough for a while
            answer = misbehave(self._act)
            if answer is not None:
                return answer
        return np.full(WIDTH, tensor.mean(), np.float32)

    def close(self) -> None:
        pass


def misbehave(act: str) -> np.ndarray[Any, Any] | None:
    if act == "abort":
        os.write(2, b"LLVM ERROR: out of registers\n")
        os.abort()
    elif act == "crash":
        ctypes.string_at(8)
    elif act == "exit":
        os._exit(3)
    elif act == "sleep":
        time.sleep(600)
    elif act == "eat":
        held = []
        while True:
            held.append(np.ones(1 << 24))
    elif act == "print":
        print("hello from a library")
        os.write(1, b"\0\0\0\0 raw")
    elif act == "refuse":
        raise UnsupportedOperatorError("no Foo", hint="leave it out", operators={"Foo": 2})
    elif act == "fail":
        raise InferenceError("the kernel failed", hint="try again")
    elif act == "bug":
        raise ZeroDivisionError("oh")
    elif act == "nan":
        return np.full(WIDTH, np.nan, np.float32)
    elif act == "wide":
        return np.zeros(WIDTH + 2, np.float32)
    return None


if __name__ == "__main__":
    registry.get_engine = lambda engine_id: BadEngine()  # type: ignore[assignment,return-value]
    child.serve_forever(sys.argv[1])
