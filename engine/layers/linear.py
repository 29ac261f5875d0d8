"""Matrix products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape, cast_like
from twinlens.engine.layers.checks import broadcast, input_count, one_input, optional_vector


class Linear(Layer):
    """Fully connected layer: ``y = x @ weight.T + bias`` over the last axis.

    Args:
        weight: (outputs, inputs).
        bias: (outputs,) or None.
        weight_scale: (outputs,), for weights that were stored as integers; see ``Conv2d``.

    Raises:
        ParameterError: a parameter of the wrong shape.
    """

    def __init__(
        self, weight: Array, bias: Array | None = None, *, weight_scale: Array | None = None
    ) -> None:
        self.weight = np.asarray(weight)
        if self.weight.ndim != 2 or 0 in self.weight.shape:
            raise ParameterError(
                f"{self.kind}: weight has shape {self.weight.shape}; (outputs, inputs) is required"
            )
        outputs = self.weight.shape[0]
        self.bias = optional_vector(self.kind, "bias", bias, outputs)
        self.weight_scale = optional_vector(self.kind, "weight_scale", weight_scale, outputs)

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``weight`` and, where there is one, ``bias``."""
        if self.bias is None:
            return {"weight": self.weight}
        return {"weight": self.weight, "bias": self.bias}

    def output_shape(self, *inputs: Shape) -> Shape:
        """(..., outputs)."""
        shape = one_input(self.kind, inputs)
        if not shape or shape[-1] != self.weight.shape[1]:
            raise ShapeError(
                f"{self.kind}: input shape is {shape}; a last axis of {self.weight.shape[1]} "
                "is required"
            )
        return *shape[:-1], int(self.weight.shape[0])

    def forward(self, *inputs: Array) -> Array:
        """Multiply one input (..., inputs)."""
        (x,) = inputs
        self.output_shape(x.shape)
        result: Array = np.matmul(x, cast_like(self.weight, x).T)
        if self.bias is not None:
            result = result + cast_like(self.bias, x)
        return result

    def macs(self, *inputs: Shape) -> int:
        """Outputs times inputs per output."""
        return prod(self.output_shape(*inputs)) * int(self.weight.shape[1])

    def describe(self) -> str:
        """Input and output width."""
        return f"{self.weight.shape[1]} → {self.weight.shape[0]}"


class MatMul(Layer):
    """Matrix product of two inputs by NumPy's rule: leading axes broadcast."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """(..., rows of the first, columns of the second); a one-axis input loses its axis."""
        input_count(self.kind, inputs, 2)
        first, second = inputs
        inner = second[-2] if len(second) > 1 else second[0] if second else 0
        if not first or not second or first[-1] != inner:
            raise ShapeError(
                f"{self.kind}: shapes {tuple(first)} and {tuple(second)} do not multiply; the "
                "first's last axis must equal the second's last but one"
            )
        lead = broadcast(self.kind, first[:-2], second[:-2])
        rows = first[-2:-1] if len(first) > 1 else ()
        columns = second[-1:] if len(second) > 1 else ()
        return *lead, *rows, *columns

    def forward(self, *inputs: Array) -> Array:
        """Multiply two inputs."""
        self.output_shape(*(x.shape for x in inputs))
        return np.asarray(np.matmul(inputs[0], inputs[1]))

    def macs(self, *inputs: Shape) -> int:
        """Outputs times the inner size."""
        return prod(self.output_shape(*inputs)) * inputs[0][-1]


class Gemm(Layer):
    """General matrix product ``alpha * A' @ B' + beta * C``, as in ONNX and BLAS.

    Inputs: A and B with two axes, and optionally C, which broadcasts to the product.

    Args:
        alpha: factor of the product.
        beta: factor of C.
        transpose_a: A' is A transposed.
        transpose_b: B' is B transposed.
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        beta: float = 1.0,
        transpose_a: bool = False,
        transpose_b: bool = False,
    ) -> None:
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.transpose_a = transpose_a
        self.transpose_b = transpose_b

    def output_shape(self, *inputs: Shape) -> Shape:
        """(rows of A', columns of B')."""
        if len(inputs) not in (2, 3) or len(inputs[0]) != 2 or len(inputs[1]) != 2:
            raise ShapeError(
                f"{self.kind}: received shapes {[tuple(shape) for shape in inputs]}; "
                "two matrices and at most one term to add are required"
            )
        first = inputs[0][::-1] if self.transpose_a else inputs[0]
        second = inputs[1][::-1] if self.transpose_b else inputs[1]
        if first[1] != second[0]:
            raise ShapeError(
                f"{self.kind}: matrices {tuple(first)} and {tuple(second)} do not multiply; "
                f"{first[1]} rows are required in the second"
            )
        result = (first[0], second[1])
        if len(inputs) == 3 and broadcast(self.kind, result, inputs[2]) != result:
            raise ShapeError(
                f"{self.kind}: added term is {tuple(inputs[2])}; it must broadcast to {result}"
            )
        return result

    def forward(self, *inputs: Array) -> Array:
        """Multiply A and B, and add C when there is one."""
        self.output_shape(*(x.shape for x in inputs))
        first = inputs[0].T if self.transpose_a else inputs[0]
        second = inputs[1].T if self.transpose_b else inputs[1]
        result = np.matmul(first, second)
        if self.alpha != 1.0:
            result = result * result.dtype.type(self.alpha)
        if len(inputs) == 3:
            result = result + inputs[2] * result.dtype.type(self.beta)
        return np.asarray(result)

    def macs(self, *inputs: Shape) -> int:
        """Outputs times the inner size."""
        return prod(self.output_shape(*inputs)) * inputs[0][0 if self.transpose_a else 1]


class Einsum(Layer):
    """Products of inputs, summed over the letters that the output does not name.

    ``"bij,bjk->bik"`` is a batch of matrix products; ``...`` stands for any axes.
    https://onnx.ai/onnx/operators/onnx__Einsum.html

    Args:
        equation: letters of each input's axes, ``->``, letters of the output's. Without an arrow
            the output has the letters that come once, by the alphabet.
    """

    def __init__(self, equation: str) -> None:
        self.equation = "".join(equation.split())

    def _terms(self, inputs: Sequence[Shape]) -> tuple[list[str], str]:
        """One letter for each axis, of all inputs and of the output."""
        given, arrow, wanted = self.equation.partition("->")
        terms = given.split(",")
        input_count(self.kind, inputs, len(terms))
        free = [letter for letter in _LETTERS if letter not in self.equation]
        widest, full = 0, []
        for term, shape in zip(terms, inputs, strict=True):
            left = len(shape) - len(term.replace("...", ""))
            if left < 0 or (left and "..." not in term):
                raise ShapeError(f"{self.kind}: {self.equation!r} does not fit {list(inputs)}")
            widest = max(widest, left)
            full.append(term.replace("...", "".join(free[:left][::-1])))
        dots = "".join(free[:widest][::-1])
        if not arrow:
            letters = given.replace("...", "").replace(",", "")
            wanted = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
        return full, wanted.replace("...", dots)

    def output_shape(self, *inputs: Shape) -> Shape:
        """Sizes of the output's letters."""
        terms, wanted = self._terms(inputs)
        sizes: dict[str, int] = {}
        for term, shape in zip(terms, inputs, strict=True):
            for letter, size in zip(term, shape, strict=True):
                known = sizes.get(letter, 1)
                if 1 not in (known, size) and known != size:
                    raise ShapeError(f"{self.kind}: {self.equation!r} does not fit {list(inputs)}")
                sizes[letter] = size if known == 1 else known
        if any(letter not in sizes for letter in wanted):
            raise ShapeError(f"{self.kind}: {self.equation!r} gives letters that no input has")
        return tuple(sizes[letter] for letter in wanted)

    def forward(self, *inputs: Array) -> Array:
        """Multiply and add inputs of one float type."""
        terms, wanted = self._terms([x.shape for x in inputs])
        self.output_shape(*(x.shape for x in inputs))
        result = np.einsum(f"{','.join(terms)}->{wanted}", *inputs, optimize=len(inputs) > 2)
        return np.array(result, inputs[0].dtype)

    def macs(self, *inputs: Shape) -> int:
        """All letters' sizes multiplied."""
        terms, _ = self._terms(inputs)
        pairs = zip(terms, inputs, strict=True)
        return prod(
            {c: n for term, shape in pairs for c, n in zip(term, shape, strict=True)}.values()
        )

    def describe(self) -> str:
        """The equation."""
        return self.equation


_LETTERS = "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA"
