"""Which of a kernel's variants is fastest here: tried when a network is loaded first, then kept.

What is tried lies on the GPU already: the kernel runs on the network's own buffers, whatever they
hold, since its time does not depend on that.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.cancel import checkpoint
from twinlens.engine.targets import cache
from twinlens.engine.targets.gpu.kernels.base import Op, Target
from twinlens.engine.targets.gpu.run import native
from twinlens.engine.targets.gpu.run.device import Call, Device

# Variants that are tried of each kernel, and how often each runs and is timed.
_MOST, _RUNS, _ROUNDS = 12, 8, 7
# Kernels that are tried together, and how long a GPU is kept busy before.
_TOGETHER, _WARM_S = 8, 0.05

_log = logging.getLogger(__name__)


class Tuner:
    """Chooses variants, from disk or by trying.

    Args:
        device: where kernels run; their buffers are placed.
        target: what they are written for.
        ops: all kernels of a network.
        seconds: how long trying may take; what is not reached stays as expected.
        use_cache: whether choices are read from disk and kept there.
    """

    def __init__(
        self,
        device: Device,
        target: Target,
        ops: Sequence[Op],
        seconds: float,
        *,
        use_cache: bool = True,
    ) -> None:
        self._device, self._target, self._seconds = device, target, seconds
        self._store = cache.folder() if use_cache and seconds > 0 else None
        variants = {op: op.variants(target) for op in ops}
        self._variants = {op: each for op, each in variants.items() if len(each) > 1}
        adapter = device.adapter
        keys = sorted({op.signature() for op in self._variants})
        self._name = "\n".join(["tiles", adapter.title, adapter.driver, repr(target), *keys])
        self._chosen: dict[str, str] = {}
        #: Milliseconds of each variant that was tried, by signature and variant.
        self.measured: dict[str, dict[str, float]] = {}

    def run(self) -> dict[Op, Op]:
        """The variant to use of each kernel that has several."""
        known = None if self._store is None else cache.read(self._store, self._name)
        if known is not None:
            self._chosen = json.loads(known)
        elif self._seconds > 0 and self._variants:
            self._try_all()
            if self._store is not None:
                cache.write(self._store, self._name, json.dumps(self._chosen).encode())
        return {op: self._pick(op, each) for op, each in self._variants.items()}

    def _pick(self, op: Op, variants: Sequence[Op]) -> Op:
        wanted = self._chosen.get(op.signature())
        fitting = [each for each in variants if each.describe(self._target) == wanted]
        return fitting[0] if fitting else variants[0]

    def _try_all(self) -> None:
        """The kernels with most work first, as long as there is time."""
        started_s = time.monotonic()
        firsts = {op.signature(): op for op in reversed(self._variants)}
        left = sorted(firsts, key=lambda signature: -_work(firsts[signature]))
        while left and time.monotonic() - started_s < self._seconds:
            # Some at a time: their weights lie on the GPU once per variant.
            chosen, left = left[:_TOGETHER], left[_TOGETHER:]
            variants = [
                (signature, variant)
                for signature in chosen
                for variant in self._variants[firsts[signature]][:_MOST]
            ]
            checkpoint()
            self._device.compile(variant.shader(self._target) for _, variant in variants)
            self._measure(
                {
                    (signature, variant.describe(self._target)): self._device.call(
                        variant, self._target
                    )
                    for signature, variant in variants
                }
            )
        if left:
            _log.info("tuning ended early: %d of %d kernels are left", len(left), len(firsts))
        for signature, times in self.measured.items():
            self._chosen[signature] = min(times, key=lambda name: times[name])

    def _measure(self, calls: dict[tuple[str, str], Call]) -> None:
        """Time kernels that are compiled already.

        They run one after the other, so that each finds its weights as cold as in a network:
        what the kernels before it read has pushed them out of the cache.
        """
        device, order = self._device, list(calls.values())
        # A GPU that had nothing to do runs slowly at first: a tenth of its clock was seen.
        warm_s = time.monotonic() + _WARM_S
        while time.monotonic() < warm_s:
            times_ms(device, order)
        tried = []
        for _ in range(_ROUNDS):
            checkpoint()
            tried.append(times_ms(device, order))
        rounds = np.median(tried, axis=0)
        for (signature, name), ms in zip(calls, rounds, strict=True):
            self.measured.setdefault(signature, {})[name] = float(ms)


def _work(op: Op) -> float:
    return float(getattr(op, "macs", 0))


def times_ms(device: Device, order: Sequence[Call]) -> NDArray[np.float64]:
    """Milliseconds of each of several kernels that run one after the other.

    Where the adapter has no timestamps, each is timed by itself, by the processor's clock.
    """
    import wgpu

    raw = device.raw
    if not device.stamps:
        return np.array([_clocked_ms(device, call) for call in order])
    count = len(order) + 1
    calls = native.Calls(order)
    queries: Any = raw.create_query_set(type="timestamp", count=count)
    use = wgpu.BufferUsage
    stamps = raw.create_buffer(size=count * 8, usage=use.QUERY_RESOLVE | use.COPY_SRC)
    encoder = raw.create_command_encoder()
    compute = encoder.begin_compute_pass()
    calls.record_timed(compute, queries, 0)
    compute.end()
    encoder.resolve_query_set(queries, 0, count, stamps, 0)
    device.submit(encoder.finish())
    found = device.read(stamps, count * 8).view(np.uint64).astype(np.int64)
    return np.diff(found) * (native.timestamp_period_ns(raw) * 1e-6)


def _clocked_ms(device: Device, call: Call) -> float:
    raw = device.raw
    encoder = raw.create_command_encoder()
    compute = encoder.begin_compute_pass()
    native.Calls([call] * _RUNS).record(compute)
    compute.end()
    commands = encoder.finish()
    started_s = time.perf_counter()
    device.submit(commands)
    device.settle()
    return (time.perf_counter() - started_s) * 1e3 / _RUNS
