"""From kernels to machine code: one module of LLVM IR, one object, kept on disk.

Nothing in the object is an address of this process, so that it can be loaded by a later one.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import llvmlite
import numpy as np
from llvmlite import binding, ir

from twinlens.engine.cancel import checkpoint
from twinlens.engine.layers.base import Array
from twinlens.engine.native import native_work
from twinlens.engine.targets.cpu.codegen.driver import YIELD, Driver
from twinlens.engine.targets.cpu.codegen.emit import Emitter
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.codegen.tensor import aligned
from twinlens.engine.targets.cpu.kernels.base import Context, Op, signature

# A part of a kernel below so many multiply-adds, about a microsecond's, is not worth another
# thread's cache misses.
_SMALLEST_PART = 150_000

# What tidies the code: folded address arithmetic, and loops that test at their end.
_PASSES = (
    "simplify_cfg",
    "instruction_combine",
    "loop_simplify",
    "lcssa",
    "loop_rotate",
    "instruction_combine",
    "simplify_cfg",
)


@dataclass(frozen=True)
class Constants:
    """Packed arrays of all kernels, laid out one behind the other.

    Attributes:
        offsets: for each kernel, where each of its arrays begins.
        size: bytes altogether.
    """

    offsets: tuple[tuple[int, ...], ...]
    size: int

    @classmethod
    def plan(cls, sizes: Sequence[Sequence[int]]) -> Constants:
        """Lay out arrays of these sizes in bytes."""
        offsets = []
        end = 0
        for of_kernel in sizes:
            places = []
            for size in of_kernel:
                places.append(end)
                end += aligned(size)
            offsets.append(tuple(places))
        return cls(tuple(offsets), end)


@dataclass
class Machine:
    """Machine code that is loaded, with its two entries.

    Attributes:
        run: ``run(table, state, threads, first, last)``.
        serve: ``serve(table, state, thread, seen, spins)``, answers the last run's number.
    """

    run: Any
    serve: Any
    keep: list[object] = field(default_factory=list)


def build(ops: Sequence[Op], constants: Constants, isa: Isa, scratch: int = 0) -> str:
    """Write the module of a plan as LLVM IR text."""
    module = ir.Module("plan")
    module.triple = binding.get_process_triple()
    helpers: dict[object, ir.Function] = {}
    functions = []
    for position, op in enumerate(ops):
        checkpoint()
        function = ir.Function(module, signature(), f"kernel{position}")
        function.linkage = "internal"
        table, thread, low, high = function.args
        places = constants.offsets[position]
        context = Context(
            e=Emitter(module, function, isa),
            table=table,
            thread=thread,
            low=low,
            high=high,
            place=places.__getitem__,
            helpers=helpers,
            scratch=scratch,
        )
        op.emit(context)
        functions.append(function)
    units = [op.units(isa) for op in ops]
    parts = [max(1, min(n, op.work() // _SMALLEST_PART)) for n, op in zip(units, ops, strict=True)]
    Driver(module, isa, functions, units, parts).write()
    return str(module)


def compile_object(text: str, isa: Isa) -> bytes:
    """Compile IR text to an object file."""
    _start()
    checkpoint()
    module = binding.parse_assembly(text)
    machine = _target_machine(isa)
    # The code comes as it shall run: tiles unrolled, values in registers. LLVM's own pipeline takes
    # ten times as long, and its unrolling makes tiles slower and large.
    manager = binding.newpassmanagers.create_new_module_pass_manager()
    for name in _PASSES:
        getattr(manager, f"add_{name}_pass")()
    tuning = binding.create_pipeline_tuning_options(speed_level=2)
    checkpoint()
    manager.run(module, binding.create_pass_builder(machine, tuning))
    checkpoint()
    return bytes(machine.emit_object(module))


def load_object(data: bytes, isa: Isa) -> Machine:
    """Load an object file into this process."""
    _start()
    checkpoint()
    with native_work("layers-cpu loads a plan"):
        engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _target_machine(isa))
        engine.add_object_file(binding.ObjectFileRef.from_data(data))
        engine.finalize_object()
    word, pointer = ctypes.c_int64, ctypes.c_void_p
    run = ctypes.CFUNCTYPE(None, pointer, pointer, word, word, word)
    serve = ctypes.CFUNCTYPE(word, pointer, pointer, word, word, word)
    return Machine(
        run=run(engine.get_function_address("run")),
        serve=serve(engine.get_function_address("serve")),
        keep=[engine],
    )


def code_key(text_parts: Sequence[object], isa: Isa) -> str:
    """Name of a plan's object: whatever changes the code changes it."""
    digest = hashlib.sha256()
    for part in (llvmlite.__version__, binding.get_process_triple(), isa, *text_parts):
        digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def fill(target: Array, packed: Sequence[list[Array]], constants: Constants) -> None:
    """Copy every kernel's packed arrays to their places, dropping each as it is copied.

    Args:
        target: (constants.size,), uint8.
        packed: each kernel's arrays; the lists are emptied.
        constants: the layout.
    """
    for arrays, places in zip(packed, constants.offsets, strict=True):
        checkpoint()
        for array, start in zip(arrays, places, strict=True):
            raw = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
            target[start : start + raw.size] = raw
        arrays.clear()


def _target_machine(isa: Isa) -> Any:
    target = binding.Target.from_triple(binding.get_process_triple())
    return target.create_target_machine(cpu=isa.cpu, features=isa.features, opt=2)


@cache
def _start() -> None:
    """Prepare LLVM for this processor; once."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.add_symbol(YIELD, _yield_address())


def _yield_address() -> int:
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)
