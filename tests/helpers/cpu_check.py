"""A compiled graph held to the layers' float64 forwards, value by value.

Every layer is fed what the program itself computed before, so that errors do not add up from
layer to layer and a bound says something about one kernel. The bounds, with ``largest`` the
layer's largest absolute value:

- arithmetic: ``1e-5 * largest`` in every precision, because all sum in float32 or in integers;
  ``largest`` is taken before an activation that is computed on the way. Where the terms of a sum
  cancel, 8 roundings of their absolute sum (a layer of one sample has no larger value to compare
  with);
- a value stored as bfloat16: half a unit in the last of its 8 places, ``2**-8`` of the sample;
- a value stored as u8: half a step of its scale, after it was limited to its range.

Weights that a kernel rounds (to bfloat16, or to 254 steps per output channel) are rounded in the
same way before the reference runs: that is the arithmetic that was asked for, not an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from twinlens.engine.errors import EngineError
from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import BatchNorm2d, Conv2d, Gemm, Linear, MatMul
from twinlens.engine.targets.cpu.codegen.isa import Isa, detect, limited
from twinlens.engine.targets.cpu.plan.lower import steps_of
from twinlens.engine.targets.cpu.run.program import Options, Program

Array = NDArray[Any]
Ranges = dict[str, tuple[float, float]]

#: Largest error of float32 arithmetic, as a share of the layer's largest value.
ARITHMETIC = 1e-5
#: The same as a share of the sum of the terms' absolute values.
CANCELLING = 8 * 2.0**-24
#: Largest error of rounding to bfloat16, as a share of the sample.
BFLOAT = 2.0**-8
#: How much an activation stretches an error at most: HardSwish at 3.
STEEPEST = 1.5
#: Largest error of rounding to u8, in steps; the rest is for arithmetic just beside a half.
STEP = 0.501

#: Byte that untouched memory is filled with: four of them are a float32 that is not a number,
#: so that a value which is read before it is written spoils the answer.
POISON = 0xFF

_NAMES = ("avx512", "avx512-plain", "avx2", "neon", "generic")


@cache
def isa_named(name: str) -> Isa | None:
    """An instruction set that this machine has, else None."""
    try:
        return limited(detect(), name)
    except EngineError:
        return None


@cache
def isas() -> tuple[Isa, ...]:
    """All that this machine can run."""
    return tuple(isa for isa in map(isa_named, _NAMES) if isa is not None)


def each_isa(*names: str) -> Any:
    """Parametrize a test over instruction sets (all, if none are named), missing ones skipped."""
    return pytest.mark.parametrize(
        "isa",
        [
            pytest.param(
                isa_named(name),
                id=name,
                marks=[]
                if isa_named(name)
                else pytest.mark.skip(reason=f"{detect().title} is what this machine has"),
            )
            for name in names or _NAMES
        ],
    )


def can(isa: Isa, precision: str) -> bool:
    """Whether an instruction set computes in a precision."""
    return {"fp32": True, "bf16": isa.bf16, "int8": isa.vnni}[precision]


def some_inputs(graph: Graph, seed: int, size: float = 1.0) -> dict[str, Array]:
    """Normally distributed float32 inputs."""
    rng = np.random.default_rng(seed)
    return {
        name: (size * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in graph.inputs.items()
    }


def reference(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """All values of a graph, in float64."""
    given = {name: array.astype(np.float64) for name, array in inputs.items()}
    values = dict(given)
    values |= {node.output: out.copy() for node, out in graph.run_traced(given)}
    return values


def ranges_of(graph: Graph, inputs: Mapping[str, Array], share: float = 1.0) -> Ranges:
    """Smallest and largest sample of every value; ``share`` below 1 leaves some outside."""
    return {
        name: (share * float(values.min()), share * float(values.max()))
        for name, values in reference(graph, inputs).items()
    }


@dataclass
class Checked:
    """What a check saw.

    Attributes:
        outputs: the program's answers.
        kernels: description by node name.
        fallbacks: nodes that ran in NumPy.
        worst: largest error in units of its bound; by node name.
    """

    outputs: dict[str, Array]
    kernels: dict[str, str]
    fallbacks: tuple[str, ...]
    worst: dict[str, float]


def check(
    graph: Graph,
    inputs: Mapping[str, Array],
    isa: Isa,
    *,
    precision: str = "fp32",
    ranges: Ranges | None = None,
    threads: int = 1,
    shared: bool = True,
) -> Checked:
    """Compile, run and compare all values; then the same with shared memory, unless told not to.

    The program that shares memory must give the very same bits, since it is the same code.
    """
    options = Options(precision, threads, ranges, share=False, gap=192, use_cache=False)
    with program_of(graph, options, isa) as program:
        poison(program)
        outputs = program.run(inputs)
        assert_untouched(program)
        worst = _compare(graph, inputs, program, outputs)
        seen = Checked(outputs, program.kernels, program.fallbacks, worst)
    if shared:
        _same_with_shared_memory(graph, inputs, options, isa, outputs)
    return seen


def _same_with_shared_memory(
    graph: Graph,
    inputs: Mapping[str, Array],
    options: Options,
    isa: Isa,
    outputs: Mapping[str, Array],
) -> None:
    with program_of(graph, replace(options, share=True, gap=0), isa) as program:
        poison(program)
        for _ in range(2):
            for name, answer in program.run(inputs).items():
                np.testing.assert_array_equal(
                    answer, outputs[name], err_msg=f"{name} differs where memory is shared"
                )


@contextmanager
def program_of(graph: Graph, options: Options, isa: Isa) -> Iterator[Program]:
    """A program that is closed afterwards."""
    program = Program(graph, options, isa)
    try:
        yield program
    finally:
        program.close()


def poison(program: Program) -> None:
    """Fill the arena and the scratch memory with what no kernel may read."""
    program._arena[...] = POISON
    program._scratch[...] = POISON


def assert_untouched(program: Program) -> None:
    """What lies between the buffers is as it was: nothing was written beside one."""
    free = np.ones(program.arena_size, bool)
    for buffer in program.lives:
        free[buffer.offset : buffer.offset + buffer.size] = False
    assert free.any() or not program.lives
    written = np.flatnonzero(free & (program._arena[: program.arena_size] != POISON))
    if written.size:
        near = min(program.lives, key=lambda b: abs(b.offset + b.size - int(written[0])))
        pytest.fail(f"{written.size} bytes beside buffers were written, from {written[0]}: {near}")


def _compare(
    graph: Graph, inputs: Mapping[str, Array], program: Program, outputs: Mapping[str, Array]
) -> dict[str, float]:
    """Every node's value against its reference; answers errors in units of their bounds."""
    stored = program._lowered.values
    seen = {name: array.astype(np.float64) for name, array in program.values()}
    known: dict[str, Array] = {name: a.astype(np.float64) for name, a in inputs.items()}
    known |= {name: a.astype(np.float64) for name, a in graph.constants.items()}
    # How far what only the reference knows may be from what the program had.
    slack: dict[str, float] = {}
    worst = {}
    for node in graph.nodes:
        kernel = program.kernels.get(node.name, "")
        taken = [_as_read(graph, node, known[name], name, program.options) for name in node.inputs]
        if node.name in program.fallbacks:
            # The same forward, in the program's own float type.
            taken = [a.astype(np.float32) if a.dtype == np.float64 else a for a in taken]
        computed, taken = _as_computed(node, kernel, taken)
        raw = computed.forward(*taken)
        expected = np.array(raw, np.float64)
        largest = _largest(replace(computed, activation=None).forward(*taken), expected)
        terms = max(largest, CANCELLING / ARITHMETIC * _terms(node, taken))
        bound = np.full(expected.shape, ARITHMETIC * terms)
        bound += sum(slack.get(name, 0.0) for name in node.inputs)
        bound *= 1.0 if node.activation is None else STEEPEST
        found = seen.get(node.output)
        if found is not None:
            tensor = stored[node.output].tensor
            expected, rounding = _as_stored(expected, tensor)
            worst[node.name] = _worst(node, kernel, found, expected, bound + rounding)
        if node.output in graph.outputs:
            tensor = stored[node.output].tensor if node.output in stored else None
            assert tensor is None or tensor.dtype == "f32" or found is not None
            answer = outputs[node.output].astype(np.float64)
            if found is None:
                worst[node.name] = _worst(node, kernel, answer, expected, bound)
            else:
                np.testing.assert_array_equal(answer, found)
        whole = np.issubdtype(raw.dtype, np.integer)
        known[node.output] = raw if whole else expected if found is None else found
        slack[node.output] = float(bound.max(initial=0.0)) if found is None else 0.0
    return worst


def _largest(*arrays: Array) -> float:
    return max(float(np.abs(array).max(initial=0.0)) for array in arrays)


def _terms(node: Node, taken: Sequence[Array]) -> float:
    """Largest sum of absolute terms that a sample of a node is made of; 0 where none are added."""
    layer = copy(node.layer)
    if isinstance(layer, BatchNorm2d):
        factor, _ = layer.scale_shift()
        shape = (-1, *(1 for _ in taken[0].shape[2:]))
        parts = (factor * layer.mean, layer.bias)
        added = sum(np.abs(part).reshape(shape) for part in parts)
        return float((np.abs(taken[0]) * np.abs(factor).reshape(shape) + added).max())
    if isinstance(layer, (Conv2d, Linear)):
        layer.weight = np.abs(layer.weight)
        layer.bias = None if layer.bias is None else np.abs(layer.bias)
    elif not isinstance(layer, (Gemm, MatMul)):
        return 0.0
    return float(layer.forward(*(np.abs(array) for array in taken)).max())


def _worst(node: Node, kernel: str, found: Array, expected: Array, bound: Array) -> float:
    assert found.shape == expected.shape, f"{node.name}: {found.shape} is not {expected.shape}"
    error = np.abs(found - expected)
    # Two infinities are no difference; a bound of zero admits no error.
    error[found == expected] = 0.0
    too_far = ~(error <= bound)
    if too_far.any():
        at = tuple(int(i) for i in np.argwhere(too_far)[0])
        pytest.fail(
            f"{node.name} ({node.kind}, {kernel or 'reference'}): {int(too_far.sum())} of "
            f"{found.size} samples are wrong; at {at}: {found[at]!r}, but {expected[at]!r} "
            f"± {bound[at]:.3g} is right"
        )
    shares = np.divide(error, bound, out=np.zeros_like(error), where=bound > 0)
    return float(shares.max(initial=0.0))


def _as_read(graph: Graph, node: Node, value: Array, name: str, options: Options) -> Array:
    """A value as a kernel reads it: a colour picture may be rounded on its way in."""
    layer = node.layer
    wide = (
        isinstance(layer, Conv2d)
        and layer.groups == 1
        and name in graph.inputs
        and len(graph.inputs) == 1
        and graph.shapes[name][:2] == (1, 3)
    )
    if not wide or options.precision == "fp32":
        return value
    if options.precision == "bf16":
        return to_bfloat(value)
    if options.ranges is None or name not in options.ranges:
        return value
    scale, zero = steps_of(*options.ranges[name])
    # In float32, as the kernel does: a sample close to a half may fall on the other side else,
    # and be seen in every window that it lies in.
    steps = (value * np.float64(np.float32(1 / scale)) + zero).astype(np.float32)
    return (np.clip(np.rint(steps).astype(np.float64), 0, 255) - zero) * scale


def _as_stored(value: Array, tensor: Any) -> tuple[Array, Array | float]:
    """What a stored value is at best, and how far rounding may move it."""
    if tensor.dtype == "bf16":
        return value, BFLOAT * np.abs(value)
    if tensor.dtype == "u8":
        low, high = ((end - tensor.zero_point) * np.float64(tensor.scale) for end in (0, 255))
        return np.clip(value, low, high), STEP * tensor.scale
    return value, 0.0


def _as_computed(node: Node, kernel: str, taken: list[Array]) -> tuple[Node, list[Array]]:
    """A node and what it reads, with weights as the kernel has them."""
    layer = node.layer
    rounding = {"bf16": to_bfloat, "int8": to_steps}
    name = next((word for word in kernel.split() if word in rounding), None)
    if name is None:
        return node, taken
    changed = copy(layer)
    if isinstance(layer, (Conv2d, Linear)):
        flat = layer.weight.reshape(layer.weight.shape[0], -1)
        stored = getattr(layer, "weight_scale", None)
        rounded = to_bfloat(flat) if name == "bf16" else to_steps(flat, stored)
        changed.weight = rounded.reshape(layer.weight.shape)
    elif isinstance(layer, Gemm):
        columns = taken[1] if layer.transpose_b else taken[1].T
        rounded = rounding[name](columns.astype(np.float32) * np.float32(layer.alpha))
        changed.alpha = 1.0
        taken = [taken[0], rounded if layer.transpose_b else rounded.T, *taken[2:]]
    elif isinstance(layer, MatMul):
        taken = [taken[0], rounding[name](taken[1].T).T]
    return replace(node, layer=changed), taken


def to_bfloat(values: Array) -> Array:
    """Rounded to the nearest bfloat16, halves to even; float64."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)
    return (rounded.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)


def to_steps(matrix: Array, stored: Array | None = None) -> Array:
    """Each row rounded to whole steps: those that it was stored in, where it was, else 127.

    Args:
        matrix: one row per output channel.
        stored: (rows,): what a step of each row was worth in the file.
    """
    matrix = matrix.astype(np.float32)
    largest = np.abs(matrix).max(1)
    steps = np.where(largest > 0, largest / 127, 1.0).astype(np.float64)
    if stored is not None:
        before = stored.astype(np.float64)
        steps = np.where((before > 0) & (largest <= 127.5 * before), before, steps)
    rounded: Array = np.clip(np.rint(matrix / steps[:, None]), -127, 127) * steps[:, None]
    return rounded


class Layers:
    """A graph in the making: layers are added one by one, each named by its position."""

    def __init__(self, **inputs: Sequence[int]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.shapes: dict[str, tuple[int, ...]] = dict(self.inputs)
        self.constants: dict[str, Array] = {}
        self.nodes: list[Node] = []

    def constant(self, array: Array) -> str:
        """Add a constant that nodes read by name."""
        name = f"constant{len(self.constants)}"
        self.constants[name] = array
        self.shapes[name] = array.shape
        return name

    def add(self, layer: Any, *names: str, activation: Any = None) -> str:
        """Add a layer; answers the name of its output."""
        output = f"v{len(self.nodes)}"
        node = Node(f"{layer.kind}-{len(self.nodes)}", layer, names, output, activation)
        self.shapes[output] = node.output_shape(*(self.shapes[name] for name in names))
        self.nodes.append(node)
        return output

    def graph(self, *outputs: str) -> Graph:
        """The graph; without outputs, every value that nobody reads is one."""
        read = {name for node in self.nodes for name in node.inputs}
        chosen = outputs or tuple(n.output for n in self.nodes if n.output not in read)
        return Graph("net", self.inputs, chosen, self.nodes, constants=self.constants)
