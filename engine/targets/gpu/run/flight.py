"""Frames in flight: while the GPU computes one, the next is handed over.

Command buffers serve once, and recording one takes about as long as a small network runs: wgpu
checks each dispatch and works out its barriers. They are recorded ahead, one for each frame that
may be under way, by a thread of their own; handing a frame over is then a copy and a submit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from typing import Any

import numpy as np

from twinlens.engine.errors import InferenceError
from twinlens.engine.layers.base import Array
from twinlens.engine.targets.gpu.run import native
from twinlens.engine.targets.gpu.run.adapters import TITLE, one_line
from twinlens.engine.targets.gpu.run.device import Call, Device
from twinlens.engine.targets.gpu.run.native import PATIENCE_S, Bytes, Calls, Staging


@dataclass(frozen=True)
class LayerTime:
    """How long one kernel took on the GPU.

    Attributes:
        nodes: names of the graph's nodes that it computes; none for what moves the picture.
        kernel: what runs.
        ms: milliseconds; timing kernels one by one makes each some microseconds longer.
    """

    nodes: tuple[str, ...]
    kernel: str
    ms: float


@dataclass(frozen=True)
class Timings:
    """Where the time of one frame went, by the GPU's clock; all in milliseconds.

    Attributes:
        upload_ms: the picture on its way to the GPU; None where the adapter does not time it.
        layers: each kernel, in order.
        readback_ms: the answer on its way back; None where the adapter does not time it.
        total_ms: from handing the frame over to having the answer, by the processor's clock.
    """

    upload_ms: float | None
    layers: tuple[LayerTime, ...]
    readback_ms: float | None
    total_ms: float

    @property
    def compute_ms(self) -> float:
        """All kernels together."""
        return sum(layer.ms for layer in self.layers)


@dataclass(eq=False)
class Feed:
    """A way for a frame to come in.

    Attributes:
        size: bytes that are uploaded.
        buffer: the wgpu buffer where they go.
        calls: kernels, from the one that reads that buffer to the last.
        labels: (nodes, kernel) of each call, for timings.
    """

    size: int
    buffer: Any
    calls: Calls
    labels: Sequence[tuple[tuple[str, ...], str]]


class Ticket:
    """A frame that was handed over; its answer can be fetched once or more."""

    def __init__(self, flight: Flight, slot: _Slot, started_s: float) -> None:
        self._flight, self._slot, self._started_s = flight, slot, started_s
        self._answer: list[Array] | None = None
        self._failure: InferenceError | None = None
        self.timings: Timings | None = None

    @property
    def done(self) -> bool:
        """Whether the answer is there, or a failure instead of it; never waits."""
        if self._answer is not None or self._failure is not None:
            return True
        self._flight.look()
        return self._slot.answer.mapped or bool(self._slot.answer.failed)

    def parts(self) -> list[Array]:
        """Wait for the answer: raw bytes of each output, copied.

        Raises:
            InferenceError: the GPU failed, or does not answer.
        """
        if self._answer is None and self._failure is None:
            try:
                self._answer = self._flight.fetch(self, self._slot, self._started_s)
            except InferenceError as why:
                self._failure = why
        if self._failure is not None:
            raise self._failure
        if self._answer is None:
            raise InferenceError(f"{TITLE}: the frame has no answer")
        return self._answer


class _Slot:
    """What one frame in flight needs: memory to come and go, and recorded commands."""

    def __init__(self, device: Device, answer_size: int) -> None:
        self.answer = Staging(device.raw, answer_size, write=False)
        self.inputs: dict[Feed, Staging] = {}
        self.ready: dict[Feed, Future[Any]] = {}
        self.ticket: Ticket | None = None
        self.timed: Feed | None = None


class Flight:
    """Hands frames to the GPU and fetches answers. Used by one thread at a time.

    Args:
        device: where kernels run.
        outputs: (wgpu buffer, bytes) of each output.
        depth: frames that may be under way at once.
        ahead: whether a thread records commands ahead.
    """

    def __init__(
        self, device: Device, outputs: Sequence[tuple[Any, int]], depth: int, *, ahead: bool
    ) -> None:
        self._device = device
        self._recorder = ThreadPoolExecutor(1, "twinlens-gpu") if ahead else None
        self._outputs = [(buffer, size, -(-size // 16) * 16) for buffer, size in outputs]
        size = sum(padded for *_, padded in self._outputs)
        self._slots = [_Slot(device, size) for _ in range(depth)]
        self._next = 0
        self._queries: Any = None
        self._stamps: Any = None
        self._query_count = 0
        # A device that failed once is not asked again: a driver may end the process then.
        self._lost: InferenceError | None = None

    def submit(self, feed: Feed, fill: Callable[[Bytes], None], *, timed: bool = False) -> Ticket:
        """Hand a frame over.

        Args:
            feed: the way in.
            fill: writes the frame's bytes into memory of ``feed.size`` bytes.
            timed: measure each kernel; costs a little itself.

        Raises:
            InferenceError: the GPU failed.
        """
        slot = self._slots[self._next]
        self._next = (self._next + 1) % len(self._slots)
        if slot.ticket is not None:
            # Its memory is needed; whoever holds the ticket gets the answer from there.
            slot.ticket.parts()
        if self._lost is not None:
            raise self._lost
        started_s = time.perf_counter()
        try:
            staging = slot.inputs.get(feed)
            if staging is None:
                staging = slot.inputs[feed] = Staging(self._device.raw, feed.size, write=True)
            self._await(staging)
            fill(staging.bytes()[: feed.size])
            recorded = None if timed else slot.ready.pop(feed, None)
            if recorded is None:
                commands = self._record(feed, slot, staging, timed=timed)
            else:
                commands = self._recorded(recorded)
            staging.give()
            self._device.submit(commands)
            slot.answer.request()
            staging.request()
            slot.timed = feed if timed else None
            if self._recorder is not None and feed not in slot.ready:
                slot.ready[feed] = self._recorder.submit(self._record, feed, slot, staging)
        except native.FAILURES as why:
            raise self._fail(why) from why
        slot.ticket = Ticket(self, slot, started_s)
        return slot.ticket

    @staticmethod
    def _recorded(commands: Future[Any]) -> Any:
        """What the recorder made; it takes milliseconds."""
        try:
            return commands.result(PATIENCE_S)
        except TimeoutError as why:
            raise RuntimeError(f"nothing recorded within {PATIENCE_S:g} s") from why

    def _record(self, feed: Feed, slot: _Slot, staging: Staging, *, timed: bool = False) -> Any:
        """Record a frame's commands."""
        encoder = self._device.raw.create_command_encoder()
        count = len(feed.labels)
        if timed:
            self._make_queries(count + 4)
        moves = timed and "timestamp-query-inside-encoders" in self._device.features
        if moves:
            native.stamp(encoder, self._queries, count + 1)
        encoder.copy_buffer_to_buffer(staging.buffer, 0, feed.buffer, 0, staging.size)
        if moves:
            native.stamp(encoder, self._queries, count + 2)
        compute = encoder.begin_compute_pass()
        if timed:
            feed.calls.record_timed(compute, self._queries, 0)
        else:
            feed.calls.record(compute)
        compute.end()
        place = 0
        for buffer, _, padded in self._outputs:
            encoder.copy_buffer_to_buffer(buffer, 0, slot.answer.buffer, place, padded)
            place += padded
        if moves:
            native.stamp(encoder, self._queries, count + 3)
        if timed:
            encoder.resolve_query_set(self._queries, 0, count + 4, self._stamps, 0)
        return encoder.finish()

    def _make_queries(self, count: int) -> None:
        import wgpu

        if self._query_count >= count:
            return
        use = wgpu.BufferUsage
        self._queries = self._device.raw.create_query_set(type="timestamp", count=count)
        self._stamps = self._device.raw.create_buffer(
            size=count * 8, usage=use.QUERY_RESOLVE | use.COPY_SRC
        )
        self._query_count = count

    def fetch(self, ticket: Ticket, slot: _Slot, started_s: float) -> list[Array]:
        """Wait for a slot's answer; raises InferenceError."""
        slot.ticket = None
        if self._lost is not None and not slot.answer.mapped:
            raise self._lost
        try:
            self._await(slot.answer)
            parts = self._copied(slot.answer)
            total_ms = (time.perf_counter() - started_s) * 1e3
            if slot.timed is not None:
                ticket.timings = self._timings(slot.timed, total_ms)
        except native.FAILURES as why:
            raise self._fail(why) from why
        return parts

    def _copied(self, answer: Staging) -> list[Array]:
        """Each output's bytes, from a buffer that is handed back to the GPU."""
        parts = []
        place = 0
        try:
            data = answer.bytes()
            for _, size, padded in self._outputs:
                parts.append(data[place : place + size].copy())
                place += padded
        finally:
            # A frame that writes into a mapped buffer would end the process when it is submitted.
            answer.give()
        return parts

    def _timings(self, feed: Feed, total_ms: float) -> Timings:
        count = len(feed.labels)
        raw = self._device.read(self._stamps, (count + 4) * 8).view(np.uint64)
        step_ms = native.timestamp_period_ns(self._device.raw) * 1e-6
        stamps = raw.astype(np.int64)
        spent = np.diff(stamps[: count + 1]) * step_ms
        layers = tuple(
            LayerTime(nodes, kernel, float(ms))
            for (nodes, kernel), ms in zip(feed.labels, spent, strict=True)
        )
        upload = readback = None
        if "timestamp-query-inside-encoders" in self._device.features:
            upload = float((stamps[count + 2] - stamps[count + 1]) * step_ms)
            readback = float((stamps[count + 3] - stamps[count]) * step_ms)
        return Timings(upload, layers, readback, total_ms)

    def look(self) -> None:
        """Notice what the GPU has finished, without waiting."""
        native.look(self._device.raw)

    def _await(self, staging: Staging) -> None:
        """Wait until the processor has a staging buffer."""
        native.wait(self._device.raw, PATIENCE_S, staging)

    def _fail(self, why: Exception) -> InferenceError:
        self._lost = InferenceError(
            f"{TITLE}: {self._device.adapter.name} failed: {one_line(why)}",
            hint="Load the network again; it gets a new device.",
        )
        return self._lost

    def close(self) -> None:
        """Wait for all frames under way and end the thread; nothing is submitted any more."""
        self.finish()
        if self._recorder is not None:
            self._recorder.shutdown(wait=False, cancel_futures=True)
            wait_for([made for slot in self._slots for made in slot.ready.values()], PATIENCE_S)
        self._slots.clear()

    def finish(self) -> None:
        """Wait for all frames under way; failures are left to whoever asks for the answers."""
        for slot in self._slots:
            if slot.ticket is not None:
                ticket = slot.ticket
                try:
                    ticket.parts()
                except InferenceError:
                    continue


__all__ = ["Call", "Feed", "Flight", "LayerTime", "Ticket", "Timings"]
