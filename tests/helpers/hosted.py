"""Hosts in tests: bad ones, small networks for them, and what is left of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from helpers.networks import assembled
from twinlens.app.core.hosts.hosts import Hosts
from twinlens.engine import layers
from twinlens.engine.api.protocol import ModelSpec, Network
from twinlens.engine.graph import Builder
from twinlens.engine.image import Recipe

BAD = (sys.executable, str(Path(__file__).with_name("bad_host.py")))
SHAPE = (1, 3, 8, 8)


def small(title: str = "Small") -> Network:
    """Three outputs of a picture of 8×8."""
    weight = np.arange(9, dtype=np.float32).reshape(3, 3) / 9
    net = Builder(title, {"weight": weight, "bias": np.ones(3, np.float32)})
    x = net.add("mean", layers.GlobalAvgPool2d(), net.input("x", *SHAPE))
    linear = layers.Linear(net.parameter("weight", 3, 3), net.parameter("bias", 3))
    graph = net.graph(net.add("last", linear, net.add("flat", layers.Flatten(), x)))
    recipe = Recipe(width=8, height=8)
    return assembled(graph, ModelSpec("small", title, recipe, ("a", "b", "c"), output="logits"))


def picture(seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


@contextmanager
def hosts(**options: Any) -> Iterator[Hosts]:
    made = Hosts(**{"spare": False, **options})
    try:
        yield made
    finally:
        pids = [host.pid for host in made.keeper.hosts]
        assert made.stop(5.0)
        assert not [pid for pid in pids if exists(pid)]


def exists(pid: int) -> bool:
    """Whether there is such a process, or a zombie of it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(holds: Callable[[], bool], within_s: float = 10.0) -> float:
    """Wait until something is so; seconds that it took."""
    begun_s = time.monotonic()
    while not holds():
        assert time.monotonic() - begun_s < within_s
        time.sleep(0.01)
    return time.monotonic() - begun_s


def descriptors() -> int:
    """Open files of this process (Linux)."""
    return len(list(Path("/proc/self/fd").iterdir()))
