"""Building blocks of generated code: pointers, vectors, loops.

A thin layer over llvmlite's ``IRBuilder``. Offsets are bytes; vectors have any length, because
LLVM splits an odd one into exact loads and stores, so that no kernel ever touches memory next to
the values it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from twinlens.engine.targets.cpu.codegen.isa import Isa

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F32 = ir.FloatType()
PTR = ir.PointerType()
VOID = ir.VoidType()

# llvmlite's values carry no useful static types.
Value = Any

# 1.5 * 2**23, and its bits.
_SHIFT, _SHIFT_BITS = 12582912.0, 0x4B400000

#: Bytes of one stored element.
SIZES = {"f32": 4, "bf16": 2, "u8": 1}


class _BFloatType(ir.Type):  # type: ignore[misc]
    """LLVM's ``bfloat``, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloatType)

    def __hash__(self) -> int:
        return hash(_BFloatType)


BF16 = _BFloatType()


def vector(element: ir.Type, lanes: int) -> ir.Type:
    """A vector type."""
    return ir.VectorType(element, lanes)


def i64(value: int | Value) -> Value:
    """A 64-bit integer constant; a value passes through."""
    return ir.Constant(I64, value) if isinstance(value, int) else value


class Loop:
    """A counted loop with values carried from turn to turn; made by ``Emitter.loop``.

    Attributes:
        index: the counter.
        carry: what the body starts with; the body replaces it by what the next turn gets.
    """

    def __init__(self, index: Value, carry: Sequence[Value]) -> None:
        self.index = index
        self.carry: list[Value] = list(carry)


class Emitter:
    """Writes instructions into one function.

    Args:
        module: where functions and intrinsics are declared.
        function: the function that is written.
        isa: what the code is for.
    """

    def __init__(self, module: ir.Module, function: ir.Function, isa: Isa) -> None:
        self.module = module
        self.function = function
        self.isa = isa
        self.lanes = isa.lanes
        self.b = ir.IRBuilder(function.append_basic_block("entry"))

    # Integers and control flow

    @staticmethod
    def i64(value: int | Value) -> Value:
        """A 64-bit integer constant; a value passes through."""
        return i64(value)

    def mul(self, a: Value, by: int) -> Value:
        """``a * by``."""
        if by == 1:
            return a
        return self.b.mul(a, i64(by), flags=("nsw",))

    def add(self, a: Value, b: int | Value) -> Value:
        """``a + b``."""
        return a if isinstance(b, int) and b == 0 else self.b.add(a, i64(b), flags=("nsw",))

    def least(self, a: Value, b: int | Value) -> Value:
        """The smaller of two signed integers."""
        return self.b.select(self.b.icmp_signed("<", a, i64(b)), a, i64(b))

    def most(self, a: Value, b: int | Value) -> Value:
        """The larger of two signed integers."""
        return self.b.select(self.b.icmp_signed(">", a, i64(b)), a, i64(b))

    @contextmanager
    def loop(
        self, start: int | Value, stop: int | Value, step: int = 1, carry: Sequence[Value] = ()
    ) -> Iterator[Loop]:
        """A loop over ``range(start, stop, step)``; afterwards ``carry`` has what came out."""
        b = self.b
        before = b.block
        head, body, after = (self.function.append_basic_block(n) for n in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        index = b.phi(I64)
        index.add_incoming(i64(start), before)
        phis = []
        for value in carry:
            phi = b.phi(value.type)
            phi.add_incoming(value, before)
            phis.append(phi)
        b.cbranch(b.icmp_signed("<", index, i64(stop)), body, after)
        b.position_at_end(body)
        loop = Loop(index, phis)
        yield loop
        following = b.add(index, i64(step), flags=("nsw",))
        index.add_incoming(following, b.block)
        for phi, value in zip(phis, loop.carry, strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(after)
        loop.carry = phis

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Code that runs where a condition holds."""
        with self.b.if_then(condition):
            yield

    # Memory

    def at(self, pointer: Value, offset: int | Value) -> Value:
        """``pointer`` moved by bytes."""
        if isinstance(offset, int) and offset == 0:
            return pointer
        return self.b.gep(pointer, [i64(offset)], source_etype=I8)

    def load(self, pointer: Value, type_: ir.Type, align: int) -> Value:
        """Load a value that is aligned to ``align`` bytes only."""
        return self.b.load(pointer, align=align, typ=type_)

    def store(self, value: Value, pointer: Value, align: int) -> None:
        """Store a value that is aligned to ``align`` bytes only."""
        self.b.store(value, pointer, align=align)

    def store_atomic(self, value: Value, pointer: Value) -> None:
        """Store 64 bits whole, behind all that was stored before."""
        # A pointer with its type, which llvmlite compares with the value's; LLVM drops the casts.
        typed = self.b.inttoptr(self.b.ptrtoint(pointer, I64), I64.as_pointer())
        self.b.store_atomic(value, typed, "release", 8)

    def load_floats(self, pointer: Value, count: int, dtype: str = "f32") -> Value:
        """Load ``count`` stored elements as float32."""
        if dtype == "f32":
            return self.load(pointer, vector(F32, count), 4)
        if dtype == "bf16":
            raw = self.load(pointer, vector(I16, count), 2)
            wide = self.b.zext(raw, vector(I32, count))
            shifted = self.b.shl(wide, self.splat_int(16, I32, count))
            return self.b.bitcast(shifted, vector(F32, count))
        raw = self.load(pointer, vector(I8, count), 1)
        return self.b.uitofp(self.b.zext(raw, vector(I32, count)), vector(F32, count))

    def store_floats(self, value: Value, pointer: Value, count: int, dtype: str = "f32") -> None:
        """Store the first ``count`` lanes of a float32 vector.

        As u8 the value is rounded, halves to even, and limited to 0 to 255, and what is not a
        number becomes 0; scaling is the caller's.
        """
        value = self.first(value, count)
        if dtype == "f32":
            self.store(value, pointer, 4)
        elif dtype == "bf16":
            self.store(self.b.fptrunc(value, vector(BF16, count)), pointer, 2)
        else:
            # In this order, what is not a number becomes the limit.
            zero = self.splat(0.0, count)
            limited = self.b.select(self.b.fcmp_ordered(">", value, zero), value, zero)
            _, steps = self.nearest(self.minimum(limited, 255.0))
            self.store(self.b.trunc(steps, vector(I8, count)), pointer, 1)

    def prefetch(self, pointer: Value) -> None:
        """Ask for a cache line that is read soon; an address outside the arrays does no harm."""
        flags = [ir.Constant(I32, flag) for flag in (0, 3, 1)]
        self.intrinsic("llvm.prefetch.p0", VOID, pointer, *flags)

    def zero(self, pointer: Value, count: int, dtype: str, value: int = 0) -> None:
        """Fill ``count`` elements; ``value`` is a stored byte (a zero point) where dtype is u8."""
        size = SIZES[dtype]
        element = {"f32": F32, "bf16": I16, "u8": I8}[dtype]
        width = self.lanes * 4 // size
        constant = ir.Constant(vector(element, width), [value if dtype == "u8" else 0] * width)
        whole, rest = divmod(count, width)
        if whole > 4:
            with self.loop(0, whole) as turn:
                self.store(constant, self.at(pointer, self.mul(turn.index, width * size)), size)
        else:
            for i in range(whole):
                self.store(constant, self.at(pointer, i * width * size), size)
        if rest:
            tail = ir.Constant(vector(element, rest), [value if dtype == "u8" else 0] * rest)
            self.store(tail, self.at(pointer, whole * width * size), size)

    # Vectors

    def splat(self, value: float | Value, count: int) -> Value:
        """A float32 vector of equal values."""
        if isinstance(value, (int, float)):
            return ir.Constant(vector(F32, count), [float(value)] * count)
        return self._spread(value, count)

    def splat_int(self, value: int, type_: ir.Type, count: int) -> Value:
        """A constant integer vector of equal values."""
        return ir.Constant(vector(type_, count), [value] * count)

    def _spread(self, value: Value, count: int) -> Value:
        type_ = vector(value.type, count)
        undefined = ir.Constant(type_, ir.Undefined)
        single = self.b.insert_element(undefined, value, ir.Constant(I32, 0))
        return self.b.shuffle_vector(single, undefined, self.splat_int(0, I32, count))

    def load_splat(self, pointer: Value, type_: ir.Type, count: int, align: int) -> Value:
        """Load one element and repeat it."""
        return self._spread(self.load(pointer, type_, align), count)

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """Choose lanes of two vectors laid end to end."""
        return self.b.shuffle_vector(a, b, ir.Constant(vector(I32, len(lanes)), list(lanes)))

    def first(self, value: Value, count: int) -> Value:
        """The first lanes of a vector."""
        if value.type.count == count:
            return value
        return self.shuffle(value, value, range(count))

    def widened(self, value: Value, count: int) -> Value:
        """A shorter vector filled up with zeros."""
        if value.type.count == count:
            return value
        zeros = ir.Constant(value.type, None)
        have = value.type.count
        return self.shuffle(value, zeros, [i if i < have else have for i in range(count)])

    def call(self, name: str, *args: Value) -> Value:
        """Call an overloaded intrinsic whose result has the first argument's type."""
        type_ = args[0].type
        element = {F32: "f32", I32: "i32", I16: "i16"}[type_.element]
        return self.intrinsic(f"{name}.v{type_.count}{element}", type_, *args)

    def intrinsic(self, name: str, result: ir.Type, *args: Value, fast: bool = False) -> Value:
        """Call an intrinsic by its full name, declaring it first."""
        known = self.module.globals.get(name)
        if known is None:
            kind = ir.FunctionType(result, [arg.type for arg in args])
            known = ir.Function(self.module, kind, name)
        return self.b.call(known, args, fastmath=("nnan", "nsz") if fast else ())

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """``a * b + c``, fused where the processor can."""
        return self.call("llvm.fmuladd", a, b, c)

    def _like(self, value: float | Value, other: Value) -> Value:
        return self.splat(value, other.type.count) if isinstance(value, (int, float)) else value

    def nearest(self, value: Value, by: float = 1.0) -> tuple[Value, Value]:
        """The nearest integers of ``value * by``, halves to even: as float32, and as int32.

        Right within ±2**22. LLVM's own conversion leaves open what it makes of a number beyond
        the integers, or of none at all, and may then leave out what depends on it; this gives
        some integer, and as a float what ``value`` is where that is no number.
        """
        count = value.type.count
        # From 2**23 on a float32 has no places behind the point: the sum's low bits count.
        shift = self.splat(_SHIFT, count)
        if by == 1.0:
            shifted = self.b.fadd(value, shift)
        else:
            shifted = self.fma(value, self.splat(by, count), shift)
        bits = self.b.bitcast(shifted, vector(I32, count))
        steps = self.b.sub(bits, self.splat_int(_SHIFT_BITS, I32, count))
        return self.b.fsub(shifted, shift), steps

    def or_else(self, value: Value, other: float) -> Value:
        """The value, or another, lane by lane, where it is not a number."""
        known = self.b.fcmp_ordered("ord", value, value)
        return self.b.select(known, value, self.splat(other, value.type.count))

    def maximum(self, a: Value, b: float | Value) -> Value:
        """The larger, lane by lane; a where it is not a number."""
        b = self._like(b, a)
        return self.b.select(self.b.fcmp_ordered(">", b, a), b, a)

    def minimum(self, a: Value, b: float | Value) -> Value:
        """The smaller, lane by lane; a where it is not a number."""
        b = self._like(b, a)
        return self.b.select(self.b.fcmp_ordered("<", b, a), b, a)

    def return_(self) -> None:
        """End the function."""
        self.b.ret_void()
