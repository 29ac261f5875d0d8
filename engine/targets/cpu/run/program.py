"""A graph compiled for the CPU: machine code, packed weights, one arena, and a way to run them."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import InferenceError, ModelError, ShapeError
from twinlens.engine.graph import Graph
from twinlens.engine.layers.base import Array, Layer, cast_like
from twinlens.engine.native import native_work
from twinlens.engine.targets import cache
from twinlens.engine.targets.cpu.codegen import compiler
from twinlens.engine.targets.cpu.codegen.driver import state_size
from twinlens.engine.targets.cpu.codegen.isa import Isa, detect
from twinlens.engine.targets.cpu.codegen.tensor import ALIGNMENT, Tensor
from twinlens.engine.targets.cpu.kernels.base import ARENA, INPUT, SCRATCH, WEIGHTS, Op
from twinlens.engine.targets.cpu.plan import memory
from twinlens.engine.targets.cpu.plan.lower import Lowering, Step, Stored
from twinlens.engine.targets.cpu.plan.rules import RULES
from twinlens.engine.targets.cpu.run.threads import Helpers, Pace
from twinlens.engine.targets.lowering import Reference, needed


@dataclass(frozen=True)
class Options:
    """How a program is made.

    Attributes:
        precision: ``"fp32"``, ``"bf16"`` or ``"int8"``.
        threads: compute threads, the caller's included.
        ranges: for int8: smallest and largest sample of each value.
        share: whether buffers share memory; off for tests that look at every value.
        gap: bytes left free behind each buffer, for tests that watch them.
        use_cache: whether machine code is kept on disk.
    """

    precision: str = "fp32"
    threads: int = 1
    ranges: Mapping[str, tuple[float, float]] | None = None
    share: bool = True
    gap: int = 0
    use_cache: bool = True


class Program:
    """A graph that is ready to run; used by one thread at a time.

    Args:
        graph: what is computed, optimised; its weights are packed and not kept.
        options: precision, threads and switches for tests.
        isa: what to compile for; None means what this machine has.

    Raises:
        EngineError: the machine cannot do the precision, or a forced instruction set.
    """

    def __init__(
        self, graph: Graph, options: Options | None = None, isa: Isa | None = None
    ) -> None:
        self.options = options = options or Options()
        self.isa = isa = isa or detect()
        self.name = graph.name
        self._work = f"layers-cpu runs {graph.name}"
        lowered = Lowering(graph, isa, options.precision, options.ranges).translate(RULES)
        self._lowered = lowered
        self.ops = [step for step in lowered.steps if isinstance(step, Op)]
        self._segments = _segments(lowered.steps)
        self.lives = needed(lowered)
        self.arena_size = memory.place(self.lives, share=options.share, gap=options.gap)
        packed = [_packed(op, isa) for op in self.ops]
        constants = compiler.Constants.plan([[a.nbytes for a in arrays] for arrays in packed])
        self.weights_size = constants.size
        self.scratch_size = max((op.scratch(isa) for op in self.ops), default=0)
        self._weights = _memory(constants.size)
        compiler.fill(self._weights, packed, constants)
        del packed
        self._arena = _memory(self.arena_size)
        self._scratch = _memory(self.scratch_size * options.threads)
        self._state = _memory(state_size(len(self.ops), options.threads))
        self.kernels = {name: op.describe(isa) for op in self.ops for name in op.nodes}
        self.fallbacks = tuple(s.node.name for s in lowered.steps if isinstance(s, Reference))
        self._inputs, self._outputs = dict(graph.inputs), graph.outputs
        self._constants = {
            name: cast_like(array, np.empty(0, np.float32))
            for name, array in graph.constants.items()
            if name in graph.outputs or self._is_read(name)
        }
        key = [plan_key(graph, options), constants.offsets, options.share, options.gap]
        self.machine, self.cached = self._machine(constants, key)
        self._table = np.zeros(8, np.int64)
        for slot, array in (
            (ARENA, self._arena),
            (WEIGHTS, self._weights),
            (SCRATCH, self._scratch),
        ):
            self._table[slot] = array.ctypes.data
        self._table_address = self._table.ctypes.data
        self._state_address = self._state.ctypes.data
        threads = options.threads if self.ops else 1
        # Where NumPy computes in between, its time would be taken for the kernels'.
        self._pace = Pace(
            threads, sum(op.work() for op in self.ops), adapts=len(self._segments) == 1
        )
        self._helpers: Helpers | None = None
        self._lock = threading.Lock()
        if threads > 1:
            # The helpers read this memory until they have ended.
            kept = (self._arena, self._weights, self._scratch, self._state, self._table)
            self._helpers = Helpers(
                self.machine, self._table_address, self._state_address, threads - 1, kept
            )
            # A finaliser may run anywhere, so that it waits for nobody; the process's end does.
            weakref.finalize(self, self._helpers.request_stop).atexit = False
        self._forget_weights()

    def _is_read(self, name: str) -> bool:
        return any(
            name in step.node.inputs for step in self._lowered.steps if isinstance(step, Reference)
        )

    def _machine(
        self, constants: compiler.Constants, key: Sequence[object]
    ) -> tuple[compiler.Machine, bool]:
        """Machine code from the cache, or freshly compiled."""
        name = compiler.code_key(key, self.isa)
        store = cache.folder() if self.options.use_cache else None
        if store is not None:
            data = cache.read(store, name)
            if data is not None:
                return compiler.load_object(data, self.isa), True
        text = compiler.build(self.ops, constants, self.isa, self.scratch_size)
        with native_work(f"layers-cpu compiles {self.name}"):
            data = compiler.compile_object(text, self.isa)
        if store is not None:
            cache.write(store, name, data)
        return compiler.load_object(data, self.isa), False

    def _forget_weights(self) -> None:
        """Drop the unpacked weights: the packed ones are what runs."""
        for op in self.ops:
            for field in ("weight", "bias"):
                if hasattr(op, field):
                    setattr(op, field, None)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once.

        Args:
            inputs: float32 array by input name, of the graph's shapes.

        Returns:
            Array by output name; fresh arrays.

        Raises:
            InferenceError: a node without a kernel failed, or the program is closed.
            ShapeError: inputs are missing, extra or of another shape.
        """
        with self._lock:
            if self.machine is None:
                raise InferenceError(f"{self.name}: the program was closed")
            self._check(inputs)
            held = {name: np.ascontiguousarray(a, np.float32) for name, a in inputs.items()}
            if len(held) == 1:
                (only,) = held.values()
                self._table[INPUT] = only.ctypes.data
            values: dict[str, Array] = held | self._constants
            self._run_segments(values)
            return {name: self._answer(name, values) for name in self._outputs}

    def _run_segments(self, values: dict[str, Array]) -> None:
        threads = self._pace.threads()
        start = time.perf_counter()
        if self._helpers is not None and threads > 1:
            self._helpers.call()
        for segment in self._segments:
            if isinstance(segment, Reference):
                self._refer(segment, values)
            else:
                with native_work(self._work):
                    self.machine.run(self._table_address, self._state_address, threads, *segment)
        self._pace.record(threads, time.perf_counter() - start)

    @property
    def threads(self) -> int:
        """Threads that a run takes at present; a small network may do with one."""
        return self._pace.taken

    def _check(self, inputs: Mapping[str, Array]) -> None:
        """Refuse what the kernels would read beyond the end of."""
        received = {name: array.shape for name, array in inputs.items()}
        if received != self._inputs:
            raise ShapeError(f"{self.name}: takes {self._inputs}, received {received}")

    def _answer(self, name: str, values: Mapping[str, Array]) -> Array:
        stored = self._lowered.outputs.get(name)
        if stored is None or name in self._inputs:
            return np.array(values[name])
        return np.array(self.view(stored))

    def _refer(self, step: Reference[Tensor], values: dict[str, Array]) -> None:
        """Run one node's reference forward on what lies in the arena."""
        node = step.node
        # Copies: an answer may be a view of what it was made from, and the arena is used again.
        taken = [
            np.array(self.view(step.stored[name]), order="C")
            if name in step.stored
            else values[name]
            for name in node.inputs
        ]
        try:
            answer = node.forward(*taken)
        except (ValueError, TypeError, ArithmeticError, IndexError, ModelError) as why:
            raise InferenceError(
                f"{self.name}: node {node.name!r} ({node.kind}) failed: {why}"
            ) from why
        values[node.output] = answer
        if step.result is not None:
            self._padded(step.result)[...] = 0
            self.view(step.result)[...] = answer

    def values(self) -> Iterator[tuple[str, Array]]:
        """All values that kernels hold, after a run of a program that shares no memory.

        Gives (name, array as the graph has it), float32; valid until the next run. What was
        fused away is not among them.
        """
        for name, stored in self._lowered.values.items():
            tensor = stored.tensor
            raw = self.view(stored)
            if tensor.dtype == "bf16":
                raw = (raw.astype(np.uint32) << 16).view(np.float32)
            elif tensor.dtype == "u8":
                raw = (raw.astype(np.float32) - tensor.zero_point) * np.float32(tensor.scale)
            yield name, raw

    def view(self, stored: Stored) -> Array:
        """A value in the arena, as the graph has it: NCHW, or a row.

        A flattened picture is copied; everything else is a view.
        """
        tensor = stored.tensor
        kind = {"f32": np.float32, "bf16": np.uint16, "u8": np.uint8}[tensor.dtype]
        pixels: Array = np.ndarray(
            (tensor.height, tensor.width, tensor.channels),
            kind,
            self._arena.data,
            tensor.start(),
            (tensor.row_bytes, tensor.pixel_bytes, tensor.item),
        )
        if stored.planes:
            channels, height, width = stored.planes
            planes: Array = pixels.reshape(height, width, channels).transpose(2, 0, 1)
            return planes.reshape(stored.shape)
        if len(stored.shape) == 4:
            return pixels.transpose(2, 0, 1)[np.newaxis]
        row: Array = pixels[0]
        return row

    def _padded(self, stored: Stored) -> Array:
        """All bytes of a value's buffer, border included."""
        buffer = stored.tensor.buffer
        inside: Array = self._arena[buffer.offset : buffer.offset + buffer.size]
        return inside

    def close(self) -> None:
        """End the threads and free the memory; may be called twice."""
        with self._lock:
            if self._helpers is not None:
                self._helpers.close()
                self._helpers = None
            self.machine = None  # type: ignore[assignment]
            self._arena = self._weights = self._scratch = np.empty(0, np.uint8)


def _packed(op: Op, isa: Isa) -> list[Array]:
    """A kernel's packed arrays; with large weights, packing takes the longest after compiling."""
    checkpoint()
    return op.constants(isa)


def _memory(size: int) -> Array:
    """Zeroed bytes that begin at a cache line."""
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


def _segments(steps: Sequence[Step]) -> list[tuple[int, int] | Reference[Tensor]]:
    """Ranges of kernels that run in one call, with the reference nodes between them."""
    result: list[tuple[int, int] | Reference[Tensor]] = []
    first = last = 0
    for step in steps:
        if isinstance(step, Reference):
            if last > first:
                result.append((first, last))
            result.append(step)
            first = last
        else:
            last += 1
    if last > first:
        result.append((first, last))
    return result


def plan_key(graph: Graph, options: Options) -> str:
    """What decides a plan's code, as text: nodes with their settings, shapes, precision."""
    lines = [repr(graph.inputs), repr(graph.outputs), options.precision, repr(options.ranges)]
    lines += [f"{name}: {array.shape}" for name, array in graph.constants.items()]
    for node in graph.nodes:
        parts = [node.name, node.inputs, node.output, _settings(node.layer)]
        if node.activation is not None:
            parts.append(_settings(node.activation))
        lines.append(repr(parts))
    return "\n".join(lines)


def _settings(layer: Layer) -> tuple[object, ...]:
    """A layer's kind and settings; of arrays only the shape, but of a lone number the value."""

    def plain(value: object) -> object:
        return value.shape if isinstance(value, np.ndarray) and value.ndim else value

    return (layer.kind, *((k, plain(v)) for k, v in sorted(vars(layer).items())))
