"""What every kernel is: tensors in and out, constants, and code for a range of its units."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from llvmlite import ir

from twinlens.engine.layers.base import Array, Layer
from twinlens.engine.targets.cpu.codegen.emit import I64, PTR, VOID, Emitter, Value
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.codegen.tensor import Tensor

#: Slots of the table of addresses that every kernel gets.
ARENA, WEIGHTS, INPUT, OUTPUT, SCRATCH = range(5)


@dataclass
class Context:
    """What a kernel's code is written with.

    Attributes:
        e: writes the kernel's function.
        table: address of the table of addresses.
        thread: index of the thread that runs.
        low, high: units to compute.
        place: bytes from the weights' start to one of the kernel's constants, by its position.
        helpers: inner functions, shared by all kernels of a module, by what they do.
        scratch: bytes of scratch memory that each thread has.
    """

    e: Emitter
    table: Value
    thread: Value
    low: Value
    high: Value
    place: Callable[[int], int]
    helpers: dict[object, ir.Function]
    scratch: int = 0

    def address(self, slot: int) -> Value:
        """Load an address from the table."""
        return self.e.load(self.e.at(self.table, 8 * slot), PTR, 8)

    def constant(self, position: int) -> Value:
        """Address of one of the kernel's constants."""
        return self.e.at(self.address(WEIGHTS), self.place(position))

    def helper(
        self, key: object, arguments: Sequence[ir.Type], write: Callable[[Emitter], None]
    ) -> ir.Function:
        """An inner function; written when it is first asked for."""
        known = self.helpers.get(key)
        if known is None:
            kind = ir.FunctionType(VOID, list(arguments))
            known = ir.Function(self.e.module, kind, f"inner{len(self.helpers)}")
            known.linkage = "internal"
            known.attributes.add("noinline")
            self.helpers[key] = known
            write(Emitter(self.e.module, known, self.e.isa))
        return known


class Op(ABC):
    """One kernel of a plan, for one node of a graph or for several that were fused.

    Attributes:
        kind: what is shown as "runs as".
        nodes: names of the graph's nodes that it computes.
    """

    kind: ClassVar[str] = ""
    nodes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def inputs(self) -> tuple[Tensor, ...]:
        """What is read."""

    @property
    @abstractmethod
    def output(self) -> Tensor:
        """What is written."""

    @abstractmethod
    def units(self, isa: Isa) -> int:
        """Into how many parts the work falls; any range of them can be computed by one call."""

    def parts(self) -> tuple[Op, ...]:
        """The kernels that it is run as; mostly itself."""
        return (self,)

    def constants(self, isa: Isa) -> list[Array]:
        """Arrays that the code reads, packed as it reads them."""
        del isa
        return []

    def scratch(self, isa: Isa) -> int:
        """Bytes of memory that each thread needs while it runs."""
        del isa
        return 0

    def work(self) -> int:
        """Rough cost, in multiply-adds, to decide what is worth sharing between threads."""
        out = self.output
        return out.height * out.width * out.channels

    @abstractmethod
    def emit(self, c: Context) -> None:
        """Write the code for units ``c.low`` to ``c.high``."""

    def describe(self, isa: Isa) -> str:
        """Kernel and variant, for the summary."""
        del isa
        return self.kind


def signature() -> ir.FunctionType:
    """Type of a kernel's function: table, thread, low, high."""
    return ir.FunctionType(VOID, [PTR, I64, I64, I64])


def float_array(values: Array) -> Array:
    """A C-contiguous float32 copy or view."""
    return np.ascontiguousarray(values, np.float32)


def activation_key(layer: Layer | None) -> tuple[object, ...]:
    """What an activation does, comparable: its kind and its settings."""
    if layer is None:
        return ()
    return (layer.kind, *sorted(vars(layer).items()))
