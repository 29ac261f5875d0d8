"""Runs programs whose every buffer and packed array lies beside memory that must not be touched.

Usage: ``python guarded.py SIDE ISA PRECISION ...``. ``SIDE`` is ``end`` (each ends at a
forbidden page) or ``start`` (each begins right behind one). Started by a test as a process of its
own, because a byte too far ends the process. Prints what it is about to run, so that the last
line tells where it ended.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.cpu_check import isa_named, ranges_of, reference, some_inputs
from helpers.cpu_nets import everything
from twinlens.engine.graph import Graph
from twinlens.engine.targets.cpu.codegen import compiler
from twinlens.engine.targets.cpu.codegen.tensor import Buffer
from twinlens.engine.targets.cpu.plan import memory
from twinlens.engine.targets.cpu.run import program
from twinlens.engine.targets.cpu.run.program import Options, Program

Array = NDArray[Any]
PAGE = mmap.PAGESIZE


class Guarded:
    """Memory in pages of its own, and how stretches are laid out in it."""

    def __init__(self, side: str) -> None:
        self.side = side
        self.kept: list[mmap.mmap] = []
        self.libc = ctypes.CDLL(None, use_errno=True)
        # Stretches (start, size) of the block that is allocated next, by its size.
        self.stretches: dict[int, list[tuple[int, int]]] = {}

    def lay_out(self, sizes: Sequence[int]) -> tuple[list[int], int]:
        """Offsets of stretches that each have a forbidden page on the chosen side."""
        offsets, end = [], PAGE
        for size in sizes:
            pages = -(-max(size, 1) // PAGE) * PAGE
            offsets.append(end if self.side == "start" else end + pages - size)
            end += pages + PAGE
        # A size that no other block has, so that the block is known by it.
        while end in self.stretches:
            end += PAGE
        self.stretches[end] = list(zip(offsets, sizes, strict=True))
        return offsets, end

    def allocate(self, size: int) -> Array:
        """Memory in which everything between the stretches is forbidden."""
        stretches = self.stretches.get(size)
        if stretches is None:
            (offset,), whole = self.lay_out([size])
            return self.allocate(whole)[offset : offset + size]
        block = mmap.mmap(-1, size)
        self.kept.append(block)
        array: Array = np.frombuffer(block, np.uint8)
        for offset, length in stretches:
            array[offset : offset + length] = 0
        edges = [0]
        for offset, length in sorted(stretches):
            first = offset // PAGE * PAGE
            edges += [first, -(-(offset + max(length, 1)) // PAGE) * PAGE]
        edges.append(size)
        for begin, end in list(pairwise(edges))[::2]:
            self._forbid(array.ctypes.data + begin, end - begin)
        return array

    def _forbid(self, address: int, length: int) -> None:
        if length and self.libc.mprotect(
            ctypes.c_void_p(address), ctypes.c_size_t(length), ctypes.c_int(0)
        ):
            raise OSError(ctypes.get_errno(), "mprotect")

    def place(
        self, buffers: Mapping[Buffer, memory.Life], *, share: bool = True, gap: int = 0
    ) -> int:
        """As ``memory.place``, every buffer in pages of its own."""
        del share, gap
        offsets, end = self.lay_out([buffer.size for buffer in buffers])
        for buffer, offset in zip(buffers, offsets, strict=True):
            buffer.offset = offset
        return end

    def plan(self, sizes: Sequence[Sequence[int]]) -> compiler.Constants:
        """As ``Constants.plan``, every packed array in pages of its own."""
        flat, end = self.lay_out([size for of_kernel in sizes for size in of_kernel])
        left = iter(flat)
        offsets = tuple(tuple(next(left) for _ in of_kernel) for of_kernel in sizes)
        return compiler.Constants(offsets, end)

    def copy(self, array: Array) -> Array:
        """An array in pages of its own."""
        raw = self.allocate(array.nbytes)
        raw[...] = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
        guarded: Array = raw.view(array.dtype).reshape(array.shape)
        return guarded


def run(guarded: Guarded, graph: Graph, isa: Any, precision: str) -> None:
    """Compile with guarded memory, run, and look whether the answer makes sense."""
    inputs = some_inputs(graph, 5)
    ranges = ranges_of(graph, inputs) if precision == "int8" else None
    kept = program._memory, memory.place, compiler.Constants.plan
    program._memory, memory.place = guarded.allocate, guarded.place
    compiler.Constants.plan = guarded.plan  # type: ignore[method-assign,assignment]
    try:
        made = Program(graph, Options(precision, 1, ranges, use_cache=False), isa)
        answers = made.run({name: guarded.copy(array) for name, array in inputs.items()})
    finally:
        program._memory, memory.place = kept[:2]
        compiler.Constants.plan = kept[2]  # type: ignore[method-assign]
    for name, expected in reference(graph, inputs).items():
        if name in answers:
            # How exact the answer is other tests tell.
            error = np.abs(answers[name] - expected).max()
            assert error <= (1e-4 if precision == "fp32" else 0.3) * np.abs(expected).max()


def main() -> None:
    side, *pairs = sys.argv[1:]
    for name, precision in zip(pairs[::2], pairs[1::2], strict=True):
        # Three planes are woven in registers on the way in, five copied one by one.
        channels, size = (3, (21, 18)) if precision != "fp32" or side == "end" else (5, (17, 25))
        print(f"{side} {name} {precision} {channels}×{size}", flush=True)
        run(Guarded(side), everything(1, channels, size), isa_named(name), precision)
    print("done", flush=True)


if __name__ == "__main__":
    main()
