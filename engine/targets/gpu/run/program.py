"""A graph made ready for a GPU: kernels, weights and buffers there, and a way to run them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from twinlens.engine.errors import EngineError, InferenceError, ModelError
from twinlens.engine.graph import Graph
from twinlens.engine.layers.base import Array, cast_like
from twinlens.engine.targets.gpu.codegen.tensor import Tensor
from twinlens.engine.targets.gpu.kernels.base import Op, Target
from twinlens.engine.targets.gpu.kernels.move import Input
from twinlens.engine.targets.gpu.plan import memory
from twinlens.engine.targets.gpu.plan.lower import Lowered, Lowering, Stored
from twinlens.engine.targets.gpu.plan.rules import RULES
from twinlens.engine.targets.gpu.run.adapters import TITLE, Adapter, one_line
from twinlens.engine.targets.gpu.run.device import Call, Device
from twinlens.engine.targets.gpu.run.flight import Feed, Flight, Ticket
from twinlens.engine.targets.gpu.run.native import FAILURES, Bytes, Calls
from twinlens.engine.targets.gpu.run.tune import Tuner
from twinlens.engine.targets.lowering import Reference, needed

#: Multiply-adds from which on Winograd's tiles pay: on a GPU, whose three kernels each wait for the
#: one before, and on a processor that plays one. On an H100 they made the 3×3 convolutions of
#: ResNet-50 1.7 times slower at batch 1, and the whole network 1.14 times faster at batch 8.
WINOGRAD_FROM, WINOGRAD_FROM_SOFTWARE = 800_000_000, 10_000_000
#: Outputs up to which a depthwise convolution is computed within the 1×1 convolution behind it. On
#: an H100 that left the GPU's time of MobileNet-v2 as it was (0.26 ms) and took 16 of 56 kernels
#: off what is recorded for each frame: 0.45 ms instead of 0.56 ms from picture to answer.
MOST_FRONT = 192
#: Kernels from which on a thread records them: for less, handing the work over takes as long.
AHEAD_FROM = 24
_TYPES = {"f32": np.float32, "f16": np.float16}


@dataclass(frozen=True)
class Options:
    """How a program is made.

    Attributes:
        precision: ``"fp32"`` or ``"fp16"``.
        frames: frames that may be under way at once.
        share: whether buffers share memory; off for tests that look at every value.
        ahead: whether a thread records commands ahead; None: where there are many, and no
            processor plays the GPU, which needs its cores for the kernels.
        software: whether kernels are those for processors; None means as the adapter is.
        subgroups: whether subgroups are used where the adapter has them.
        winograd: multiply-adds from which on 3×3 convolutions go by Winograd's tiles; 0: none,
            None: where that pays.
        most_front: outputs up to which a 1×1 convolution computes the depthwise one before it,
            again for each tile of columns; 0: never.
        tune_s: seconds to spend on trying tiles; 0 takes those that are expected to be best.
        use_cache: whether what was found out is kept on disk.
    """

    precision: str = "fp32"
    frames: int = 3
    ahead: bool | None = None
    share: bool = True
    software: bool | None = None
    subgroups: bool = True
    winograd: int | None = None
    most_front: int = MOST_FRONT
    tune_s: float = 0.0
    use_cache: bool = True


class Program:
    """A graph that is ready to run; used by one thread at a time.

    Args:
        graph: what is computed, optimised; any batch.
        adapter: the GPU, and wgpu's object for it, as ``adapters.choose`` gives them.
        options: precision, and switches for tests.

    Raises:
        EngineError: the driver refuses something.
    """

    def __init__(
        self, graph: Graph, adapter: tuple[Adapter, Any], options: Options | None = None
    ) -> None:
        self.options = options = options or Options()
        self.name = graph.name
        self.adapter = adapter[0]
        self._lock = threading.Lock()
        self._graph_inputs, self._graph_outputs = dict(graph.inputs), graph.outputs
        self._constants = dict(graph.constants)
        self.device = device = Device(*adapter)
        try:
            self._build(graph, options)
        except FAILURES as why:
            device.close()
            raise EngineError(
                f"{TITLE}: {self.adapter.title} failed while {self.name} was loaded: "
                f"{one_line(why)}"
            ) from why
        except BaseException:
            device.close()
            raise
        self._open = True

    def _build(self, graph: Graph, options: Options) -> None:
        device, adapter = self.device, self.adapter
        self.target = target = Target(
            dtype="f16" if options.precision == "fp16" else "f32",
            software=adapter.software if options.software is None else options.software,
            shared_bytes=adapter.shared_bytes,
            subgroups=options.subgroups and "subgroup" in device.features,
            units=132 if adapter.kind == "discrete" else 32,
        )
        winograd = options.winograd
        if winograd is None:
            winograd = WINOGRAD_FROM_SOFTWARE if target.software else WINOGRAD_FROM
        self._lowered = lowered = Lowering(graph, target, winograd, options.most_front).translate(
            RULES
        )
        groups = memory.pieces(needed(lowered), share=options.share)
        self.arena_size = device.place(groups)
        ops = [step for step in lowered.steps if isinstance(step, Op)]
        self.tuner = Tuner(device, target, ops, options.tune_s, use_cache=options.use_cache)
        best = self.tuner.run()
        lowered.steps[:] = [best.get(s, s) if isinstance(s, Op) else s for s in lowered.steps]
        self.ops = [step for step in lowered.steps if isinstance(step, Op)]
        self.kernels = {name: op.describe(target) for op in self.ops for name in op.nodes}
        self.labels = [(op.nodes, op.describe(target)) for op in self.ops]
        self.fallbacks = tuple(s.node.name for s in lowered.steps if isinstance(s, Reference))
        self._input: Any = None
        if len(graph.inputs) == 1:
            (shape,) = graph.inputs.values()
            self._input = device.buffer(int(np.prod(shape)) * 4)
        device.compile(op.shader(target) for op in self.ops)
        self._calls = {op: self._call(op) for op in self.ops}
        self._segments = [
            Calls([self._calls[op] for op in part]) if isinstance(part, list) else part
            for part in memory.segments(lowered.steps)
        ]
        self.whole = not self.fallbacks and all(n in lowered.outputs for n in graph.outputs)
        self._flight: Flight | None = None
        if self.whole:
            self._start_flight(graph, lowered)

    def _call(self, op: Op) -> Call:
        given = (self._input,) if isinstance(op, Input) else ()
        call = self.device.call(op, self.target, given)
        for name in ("weight", "bias"):
            # The packed weights are what runs.
            if hasattr(op, name):
                setattr(op, name, None)
        return call

    def _start_flight(self, graph: Graph, lowered: Lowered) -> None:
        outputs = []
        for name in graph.outputs:
            buffer = lowered.outputs[name].tensor.buffer
            outputs.append((self.device.memory(buffer), buffer.size))
        ahead = self.options.ahead
        if ahead is None:
            ahead = not self.adapter.software and len(self.ops) >= AHEAD_FROM
        self._flight = Flight(self.device, outputs, self.options.frames, ahead=ahead)
        (shape,) = graph.inputs.values()
        self.feed = Feed(
            int(np.prod(shape)) * 4, self._input, Calls(list(self._calls.values())), self.labels
        )

    # Running

    def submit(self, inputs: Mapping[str, Array], *, timed: bool = False) -> Ticket:
        """Hand one input over without waiting; ``answer`` fetches the outputs.

        Raises:
            InferenceError: the GPU failed, the program is closed, or some node has no kernel.
        """
        self._flying()
        (array,) = inputs.values()

        def fill(memory: Bytes) -> None:
            np.copyto(memory.view(np.float32).reshape(array.shape), array, casting="same_kind")

        with self._lock:
            flight = self._flying()
            return flight.submit(self.feed, fill, timed=timed and self.device.stamps)

    def _flying(self) -> Flight:
        self._check_open()
        if self._flight is None:
            raise InferenceError(
                f"{self.name}: {', '.join(self.fallbacks) or 'an output'} is not computed on the "
                "GPU, so that frames cannot be in flight"
            )
        return self._flight

    def answer(self, ticket: Ticket) -> dict[str, Array]:
        """Wait for a frame's outputs; fresh arrays by name.

        Raises:
            InferenceError: the GPU failed.
        """
        with self._lock:
            parts = ticket.parts()
        return {
            name: np.array(view(part, self._lowered.outputs[name]))
            for name, part in zip(self._graph_outputs, parts, strict=True)
        }

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once.

        Args:
            inputs: float32 array by input name, of the graph's shapes.

        Returns:
            Array by output name; fresh arrays.

        Raises:
            InferenceError: the GPU or a node without a kernel failed, or the program is closed.
        """
        if self._flight is not None:
            return self.answer(self.submit(inputs))
        with self._lock:
            self._check_open()
            try:
                return self._run_in_parts(inputs)
            except FAILURES as why:
                raise InferenceError(
                    f"{TITLE}: {self.adapter.name} failed: {one_line(why)}",
                    hint="Load the network again; it gets a new device.",
                ) from why

    def _run_in_parts(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run kernels and reference nodes in turns."""
        held = {name: np.ascontiguousarray(a, np.float32) for name, a in inputs.items()}
        if self._input is not None:
            self.device.write(self._input, next(iter(held.values())))
        values: dict[str, Array] = dict(held)
        values |= {n: cast_like(a, np.empty(0, np.float32)) for n, a in self._constants.items()}
        for part in self._segments:
            if isinstance(part, Reference):
                self._refer(part, values)
                continue
            encoder = self.device.raw.create_command_encoder()
            compute = encoder.begin_compute_pass()
            part.record(compute)
            compute.end()
            self.device.submit(encoder.finish())
        return {name: self._answer(name, values) for name in self._graph_outputs}

    def _answer(self, name: str, values: Mapping[str, Array]) -> Array:
        stored = self._lowered.outputs.get(name)
        if stored is None or name in self._graph_inputs:
            return np.array(values[name])
        return self.read(stored)

    def _refer(self, step: Reference[Tensor], values: dict[str, Array]) -> None:
        """Run one node's reference forward on what lies on the GPU."""
        node = step.node
        taken = [
            self.read(step.stored[name]) if name in step.stored else values[name]
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
            tensor = step.result.tensor
            full = np.zeros(
                (tensor.batch, tensor.height, tensor.width, tensor.buffer.quads * 4),
                _TYPES[tensor.dtype],
            )
            cube = np.asarray(answer).reshape(
                tensor.batch, tensor.channels, tensor.height, tensor.width
            )
            full[..., tensor.first * 4 :][..., : tensor.channels] = cube.transpose(0, 2, 3, 1)
            self.device.write(self.device.memory(tensor.buffer), full)

    def read(self, stored: Stored) -> Array:
        """A value as the graph has it, as float32."""
        buffer = stored.tensor.buffer
        data = self.device.read(self.device.memory(buffer), buffer.size)
        return np.ascontiguousarray(view(data, stored), np.float32)

    def values(self) -> Iterator[tuple[str, Array]]:
        """All values that kernels hold, after a run of a program that shares no memory.

        Gives (name, array as the graph has it), float32. What was fused away is not among them.
        """
        for name, stored in self._lowered.values.items():
            yield name, self.read(stored)

    def _check_open(self) -> None:
        if not self._open:
            raise InferenceError(f"{self.name}: the program was closed")

    def close(self) -> None:
        """Wait for frames under way and give the device back; may be called twice."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            if self._flight is not None:
                self._flight.close()
            self._flight = None
            self._calls.clear()
            self._segments = []
            self.device.close()


def view(data: Array, stored: Stored) -> Array:
    """A value's bytes as the graph has it: NCHW, or rows; not always a copy."""
    tensor = stored.tensor
    samples = data.view(_TYPES[tensor.dtype])
    if stored.planes:
        channels, height, width = stored.planes
        each = -(-channels // 4) * 4
        cube = samples.reshape(tensor.batch, height, width, each)[..., :channels]
        return cube.transpose(0, 3, 1, 2).reshape(stored.shape)
    full = samples.reshape(tensor.batch, tensor.height, tensor.width, tensor.buffer.quads * 4)
    cube = full[..., tensor.first * 4 :][..., : tensor.channels].transpose(0, 3, 1, 2)
    return cube.reshape(stored.shape)
