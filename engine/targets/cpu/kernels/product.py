"""The inner step of a matrix product in each arithmetic: how factors are packed and multiplied."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from twinlens.engine.errors import EngineError
from twinlens.engine.layers.base import Array
from twinlens.engine.targets.cpu.codegen.emit import BF16, F32, I8, I32, Emitter, Value, vector
from twinlens.engine.targets.cpu.codegen.isa import Isa


class Product(ABC):
    """Arithmetic of a matrix product.

    Attributes:
        name: as shown.
        step: values of the inner axis that one instruction takes.
        item: bytes of a packed weight.
        folds: whether the instruction repeats its other factor from memory by itself.
    """

    name: ClassVar[str]
    step: ClassVar[int]
    item: ClassVar[int]
    folds: bool = True

    def packed(self, matrix: Array, runs: Sequence[int], width: int) -> Array:
        """Weights (columns, inner) of one block as the code reads them.

        Args:
            matrix: one row per column of the product.
            runs: lengths of the stretches of the inner axis that are read in one go; each is
                filled up to a multiple of ``step``.
            width: columns to fill up to.

        Returns:
            (steps, width, step), C order.
        """
        parts = []
        start = 0
        for run in runs:
            size = -(-run // self.step) * self.step
            part = np.zeros((width, size), self.stored)
            part[: matrix.shape[0], :run] = self.convert(matrix[:, start : start + run])
            parts.append(part.reshape(width, size // self.step, self.step).transpose(1, 0, 2))
            start += run
        return np.ascontiguousarray(np.concatenate(parts))

    @property
    @abstractmethod
    def stored(self) -> type[np.generic]:
        """NumPy type of a packed weight."""

    def convert(self, matrix: Array) -> Array:
        """Weights in the stored type."""
        return matrix

    @abstractmethod
    def weight(self, e: Emitter, pointer: Value, width: int) -> Value:
        """Load the packed weights of one step."""

    @abstractmethod
    def factor(self, e: Emitter, pointer: Value, width: int) -> Value:
        """Load the other factor of one step and repeat it."""

    @abstractmethod
    def accumulate(self, e: Emitter, total: Value, factor: Value, weight: Value) -> Value:
        """``total + factor * weight``."""


class FloatProduct(Product):
    """float32 by float32."""

    name = "fp32"
    step = 1
    item = 4

    def __init__(self, source: str = "f32") -> None:
        self.source = source
        self.folds = source == "f32"

    @property
    def stored(self) -> type[np.generic]:
        """float32."""
        return np.float32

    def weight(self, e: Emitter, pointer: Value, width: int) -> Value:
        """``width`` weights."""
        return e.load(pointer, vector(F32, width), 4)

    def factor(self, e: Emitter, pointer: Value, width: int) -> Value:
        """One value, repeated."""
        if self.source == "f32":
            return e.load_splat(pointer, F32, width, 4)
        single = e.load_floats(pointer, 1, self.source)
        return e.shuffle(single, single, [0] * width)

    def accumulate(self, e: Emitter, total: Value, factor: Value, weight: Value) -> Value:
        """Fused multiply-add."""
        return e.fma(factor, weight, total)


class BFloatProduct(Product):
    """bfloat16 by bfloat16, two products a lane, summed in float32 (``vdpbf16ps``)."""

    name = "bf16"
    step = 2
    item = 2
    folds = False

    @property
    def stored(self) -> type[np.generic]:
        """The upper half of a float32."""
        return np.uint16

    def convert(self, matrix: Array) -> Array:
        """Round to the nearest bfloat16, halves to even; what is not a number stays none."""
        numbers = np.ascontiguousarray(matrix, np.float32)
        bits = numbers.view(np.uint32)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        # Rounded, it could be carried over into 0, or lose the only bits that make it one.
        return np.where(np.isnan(numbers), (bits >> 16) | 0x40, rounded).astype(np.uint16)

    def weight(self, e: Emitter, pointer: Value, width: int) -> Value:
        """Two weights for each of ``width`` columns."""
        return e.load(pointer, vector(BF16, 2 * width), 2)

    def factor(self, e: Emitter, pointer: Value, width: int) -> Value:
        """Two neighbours, repeated."""
        pair = e.load_splat(pointer, I32, width, 2)
        return e.b.bitcast(pair, vector(BF16, 2 * width))

    def accumulate(self, e: Emitter, total: Value, factor: Value, weight: Value) -> Value:
        """Add two products to each lane."""
        bits = 32 * total.type.count
        name = f"llvm.x86.avx512bf16.dpbf16ps.{bits}"
        return e.intrinsic(name, total.type, total, factor, weight)


class IntegerProduct(Product):
    """uint8 by int8, four products a lane, summed in int32 (``vpdpbusd``)."""

    name = "int8"
    step = 4
    item = 1

    @property
    def stored(self) -> type[np.generic]:
        """int8."""
        return np.int8

    def weight(self, e: Emitter, pointer: Value, width: int) -> Value:
        """Four weights for each of ``width`` columns."""
        return e.load(pointer, vector(I32, width), 1)

    def factor(self, e: Emitter, pointer: Value, width: int) -> Value:
        """Four neighbours, repeated."""
        return e.load_splat(pointer, I32, width, 1)

    def accumulate(self, e: Emitter, total: Value, factor: Value, weight: Value) -> Value:
        """Add four products to each lane."""
        count = total.type.count
        bytes_ = vector(I8, 4 * count)
        name = f"llvm.x86.avx512.vpdpbusd.{32 * count}"
        return e.intrinsic(
            name, total.type, total, e.b.bitcast(factor, bytes_), e.b.bitcast(weight, bytes_)
        )


def product_for(precision: str, source: str, run: int, isa: Isa) -> Product:
    """The arithmetic for a layer.

    Args:
        precision: what was asked for: ``"fp32"``, ``"bf16"`` or ``"int8"``.
        source: how the input is stored.
        run: shortest stretch of the inner axis that is read in one go.
        isa: what the processor has.

    Raises:
        EngineError: the processor lacks the instruction.
    """
    if precision == "bf16" and source == "bf16" and run % 2 == 0:
        if not isa.bf16:
            raise EngineError("bf16 needs a processor with AVX512-BF16")
        return BFloatProduct()
    if precision == "int8" and source == "u8":
        if not isa.vnni:
            raise EngineError("int8 needs a processor with VNNI")
        return IntegerProduct()
    return FloatProduct(source)
