"""What a kernel is, and the text around it: bindings, constants, the entry point."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinlens.engine.layers.base import Array
from twinlens.engine.targets.gpu.codegen.tensor import Buffer, Tensor, quads

Grid = tuple[int, int, int]

#: Dispatches go no further along one axis (WebGPU's ``maxComputeWorkgroupsPerDimension``).
MAX_GRID = 65_535
#: Threads of kernels that work value by value.
THREADS = 64


@dataclass(frozen=True)
class Target:
    """What kernels are written for.

    Attributes:
        dtype: ``"f32"`` or ``"f16"``: how values between kernels are stored.
        software: the adapter is a processor that plays a GPU; barriers are dear there.
        shared_bytes: workgroup memory.
        subgroups: whether threads that run together can add up without memory between them.
        units: roughly how many workgroups run at once.
    """

    dtype: str = "f32"
    software: bool = False
    shared_bytes: int = 16_384
    subgroups: bool = False
    units: int = 64


class Op(ABC):
    """One dispatch: it reads tensors and constants and writes a tensor."""

    result: Tensor
    nodes: tuple[str, ...]

    @property
    @abstractmethod
    def inputs(self) -> tuple[Tensor, ...]:
        """Tensors that are read."""

    @property
    def output(self) -> Tensor:
        """The tensor that is written."""
        return self.result

    def constants(self, target: Target) -> Sequence[Array]:
        """Arrays that are read, in the types in which the shader declares them."""
        del target
        return ()

    def variants(self, target: Target) -> Sequence[Op]:
        """Ways to do the same, the one that is expected to be fastest first."""
        del target
        return (self,)

    def signature(self) -> str:
        """What its time depends on; the same for kernels that differ in weights only."""
        return self.nodes[0] if self.nodes else type(self).__name__

    @abstractmethod
    def shader(self, target: Target) -> str:
        """WGSL with the entry point ``main``."""

    @abstractmethod
    def grid(self, target: Target) -> Grid:
        """Workgroups along x, y and z."""

    @abstractmethod
    def describe(self, target: Target) -> str:
        """What runs, for the summary."""


class Bindings:
    """Names and declarations of what a shader reads and writes.

    A buffer is bound once, also where two tensors lie in it, since WebGPU refuses one that is
    both read and written.

    Args:
        op: reads and writes.
        constants: WGSL element type of each of the op's constants.
    """

    def __init__(self, op: Op, constants: Sequence[str] = ()) -> None:
        self.buffers = bound_buffers(op)
        self._names = {buffer: f"b{place}" for place, buffer in enumerate(self.buffers)}
        self._constants = tuple(constants)
        self._written = op.output.buffer

    def declarations(self) -> str:
        """The ``enable`` line, if needed, and all variables."""
        types = [buffer.dtype for buffer in self.buffers]
        halves = "f16" in types or any("f16" in kind for kind in self._constants)
        lines = ["enable f16;"] if halves else []
        for place, buffer in enumerate(self.buffers):
            access = "read_write" if buffer is self._written else "read"
            lines.append(
                f"@group(0) @binding({place}) var<storage, {access}> {self._names[buffer]}: "
                f"array<vec4<{buffer.dtype}>>;"
            )
        for place, kind in enumerate(self._constants):
            number = place + len(self.buffers)
            lines.append(
                f"@group(0) @binding({number}) var<storage, read> w{place}: array<{kind}>;"
            )
        return "\n".join(lines)

    def at(self, tensor: Tensor, pixel: str, quad: str) -> str:
        """The place of four channels: ``b0[...]``."""
        first = f" + {tensor.first}u" if tensor.first else ""
        return f"{self._names[tensor.buffer]}[({pixel}) * {tensor.pixel}u + ({quad}){first}]"

    def load(self, tensor: Tensor, pixel: str, quad: str) -> str:
        """Four channels as ``vec4<f32>``."""
        place = self.at(tensor, pixel, quad)
        return place if tensor.dtype == "f32" else f"vec4<f32>({place})"

    def store(self, tensor: Tensor, pixel: str, quad: str, value: str) -> str:
        """A statement that stores a ``vec4<f32>``."""
        stored = value if tensor.dtype == "f32" else f"vec4<f16>({value})"
        return f"{self.at(tensor, pixel, quad)} = {stored};"


def bound_buffers(op: Op) -> tuple[Buffer, ...]:
    """The buffers of an op's tensors, each once, in the order of their bindings."""
    tensors = (*op.inputs, op.output)
    return tuple(dict.fromkeys(tensor.buffer for tensor in tensors))


def entry(threads: int, body: str, *, names: str = "") -> str:
    """The entry point around a body.

    Args:
        threads: of a workgroup.
        body: statements; they may use ``group`` (its number along x, y, z) and ``thread``.
        names: further built-in parameters.
    """
    more = f", {names}" if names else ""
    return (
        f"@compute @workgroup_size({threads})\n"
        "fn main(@builtin(workgroup_id) group: vec3<u32>, "
        f"@builtin(local_invocation_index) thread: u32{more}) {{\n{body}\n}}\n"
    )


def spread(count: int, threads: int = THREADS) -> Grid:
    """A grid of workgroups that covers so many threads; along y where x does not suffice."""
    groups = -(-count // threads)
    if groups <= MAX_GRID:
        return groups, 1, 1
    rows = -(-groups // MAX_GRID)
    return -(-groups // rows), rows, 1


def index_of(grid: Grid, threads: int = THREADS) -> str:
    """The number of a thread in a grid that ``spread`` made."""
    if grid[1] == 1:
        return f"group.x * {threads}u + thread"
    return f"(group.y * {grid[0]}u + group.x) * {threads}u + thread"


def packed(array: Array, target: Target) -> Array:
    """An array as it is stored for kernels."""
    return np.ascontiguousarray(array, np.float16 if target.dtype == "f16" else np.float32)


def in_quads(vector: Array) -> Array:
    """One value per channel, float32, filled up with zeros to groups of four."""
    result = np.zeros(quads(vector.size) * 4, np.float32)
    result[: vector.size] = vector
    return result


def number(value: float) -> str:
    """A float literal of WGSL."""
    text = repr(float(np.float32(value)))
    return f"f32({text})"


def mask_tail(channels: int, quad: str, name: str) -> str:
    """A statement that zeroes what fills up the last group of four; empty where it is full."""
    used = channels % 4
    if not used:
        return ""
    lanes = ", ".join("true" if lane < used else "false" for lane in range(4))
    kept = f"select(vec4<f32>(), {name}, vec4<bool>({lanes}))"
    return f"if (({quad}) == {channels // 4}u) {{ {name} = {kept}; }}"
