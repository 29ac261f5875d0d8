"""Functions of each sample, and softmax over an axis."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from math import pi, prod, sqrt

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape, cast_like
from twinlens.engine.layers.checks import broadcast, choice, normal_axis, one_input
from twinlens.engine.layers.erf import erf


class Activation(Layer):
    """A function of each sample: the output has the input's shape and dtype."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        return one_input(self.kind, inputs)

    def forward(self, *inputs: Array) -> Array:
        """Apply the function to one input."""
        one_input(self.kind, [x.shape for x in inputs])
        x = inputs[0]
        # Python scalars take part as weak types only from NumPy 2 on, and 0-d arrays decay to
        # scalars; the cast keeps the dtype in both cases and is free otherwise.
        return np.asarray(self.function(x)).astype(x.dtype, copy=False)

    @abstractmethod
    def function(self, x: Array) -> Array:
        """The function itself, element by element."""


class ReLU(Activation):
    """``max(x, 0)``."""

    def function(self, x: Array) -> Array:
        """``max(x, 0)``."""
        return np.asarray(np.maximum(x, x.dtype.type(0)))


class Clip(Activation):
    """``min(max(x, minimum), maximum)``; a None bound does nothing.

    When the bounds cross, the maximum wins, as in ONNX.
    """

    def __init__(self, minimum: float | None = None, maximum: float | None = None) -> None:
        for name, bound in (("minimum", minimum), ("maximum", maximum)):
            if bound is not None and np.isnan(bound):
                raise ParameterError(f"{self.kind}: {name} is {bound}; a number is required")
        # Plain numbers, whatever kind of scalar came in: targets compare settings.
        self.minimum = None if minimum is None else float(minimum)
        self.maximum = None if maximum is None else float(maximum)

    def function(self, x: Array) -> Array:
        """Limit each sample."""
        result = x
        if self.minimum is not None:
            result = np.maximum(result, _bound(self.minimum, x))
        if self.maximum is not None:
            # A second pass in place: a fresh array costs more than the comparison itself.
            reuse = result if result is not x and isinstance(result, np.ndarray) else None
            result = np.minimum(result, _bound(self.maximum, x), out=reuse)
        return result.copy() if result is x else np.asarray(result)

    def describe(self) -> str:
        """The bounds."""
        low = "-∞" if self.minimum is None else f"{self.minimum:g}"
        high = "∞" if self.maximum is None else f"{self.maximum:g}"
        return f"{low} to {high}"


class ReLU6(Clip):
    """``min(max(x, 0), 6)``."""

    def __init__(self) -> None:
        super().__init__(0.0, 6.0)

    def describe(self) -> str:
        """Nothing: the name says it."""
        return ""


class _AlphaActivation(Activation):
    """An activation with one setting, ``alpha``."""

    def __init__(self, alpha: float) -> None:
        if not np.isfinite(alpha):
            raise ParameterError(f"{self.kind}: alpha is {alpha}; a finite number is required")
        self.alpha = float(alpha)

    def describe(self) -> str:
        """The setting."""
        return f"alpha {self.alpha:g}"


class LeakyReLU(_AlphaActivation):
    """``x`` where positive, ``alpha * x`` elsewhere."""

    def __init__(self, alpha: float = 0.01) -> None:
        super().__init__(alpha)

    def function(self, x: Array) -> Array:
        """Scale the negative samples."""
        return np.where(x < 0, x * x.dtype.type(self.alpha), x)


class ThresholdedReLU(_AlphaActivation):
    """``x`` where ``x > alpha``, 0 elsewhere."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha)

    def function(self, x: Array) -> Array:
        """Zero the samples up to ``alpha``."""
        return np.where(x > x.dtype.type(self.alpha), x, x.dtype.type(0))


class ELU(_AlphaActivation):
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha)

    def function(self, x: Array) -> Array:
        """Bend the negative samples."""
        # The minimum keeps exp from overflowing in the branch that is not taken.
        bent = np.expm1(np.minimum(x, x.dtype.type(0))) * x.dtype.type(self.alpha)
        return np.where(x > 0, x, bent)


class CELU(_AlphaActivation):
    """``max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))``; alpha must not be 0."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha)
        if alpha == 0:
            raise ParameterError(f"{self.kind}: alpha is 0; another number is required")

    def function(self, x: Array) -> Array:
        """Bend the negative samples."""
        zero, alpha = x.dtype.type(0), x.dtype.type(self.alpha)
        # The bent part is never below 0 for positive samples, whatever alpha's sign is.
        safe = np.minimum(x, zero)
        return np.asarray(np.maximum(x, zero) + np.minimum(zero, alpha * np.expm1(safe / alpha)))


class SELU(Activation):
    """``gamma * x`` where positive, ``gamma * alpha * (exp(x) - 1)`` elsewhere.

    The defaults are the fixed point of Klambauer et al. 2017, in float32 as ONNX writes them.
    """

    def __init__(
        self, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875
    ) -> None:
        if not (np.isfinite(alpha) and np.isfinite(gamma)):
            raise ParameterError(
                f"{self.kind}: alpha is {alpha} and gamma {gamma}; finite numbers are required"
            )
        self.alpha = float(alpha)
        self.gamma = float(gamma)

    def function(self, x: Array) -> Array:
        """Scale all and bend the negative samples."""
        bent = np.expm1(np.minimum(x, x.dtype.type(0))) * x.dtype.type(self.alpha)
        return np.asarray(np.where(x > 0, x, bent) * x.dtype.type(self.gamma))

    def describe(self) -> str:
        """The settings."""
        return f"alpha {self.alpha:g}, gamma {self.gamma:g}"


class PReLU(Layer):
    """``x`` where positive, ``slope * x`` elsewhere, with a trained slope.

    Args:
        slope: broadcasts to the input by NumPy's rule, e.g. (C, 1, 1).

    Raises:
        ParameterError: the slope is empty.
    """

    def __init__(self, slope: Array) -> None:
        self.slope = np.asarray(slope)
        if self.slope.size == 0:
            raise ParameterError(
                f"{self.kind}: slope has shape {self.slope.shape}; a value is required"
            )

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``slope``."""
        return {"slope": self.slope}

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        shape = one_input(self.kind, inputs)
        if broadcast(self.kind, shape, self.slope.shape) != shape:
            raise ShapeError(
                f"{self.kind}: slope has shape {self.slope.shape}; it must broadcast to the "
                f"input's {shape}"
            )
        return shape

    def forward(self, *inputs: Array) -> Array:
        """Scale the negative samples of one input."""
        (x,) = inputs
        self.output_shape(x.shape)
        return np.asarray(np.where(x < 0, x * cast_like(self.slope, x), x))

    def macs(self, *inputs: Shape) -> int:
        """One multiplication per sample."""
        return prod(self.output_shape(*inputs))

    def describe(self) -> str:
        """How many slopes."""
        return f"{self.slope.size} slopes"


class Sigmoid(Activation):
    """``1 / (1 + exp(-x))``."""

    def function(self, x: Array) -> Array:
        """Squash to (0, 1)."""
        return sigmoid(x)


class HardSigmoid(Activation):
    """``max(0, min(1, alpha * x + beta))``; PyTorch and MobileNet-v3 use alpha 1/6, beta 0.5."""

    def __init__(self, alpha: float = 0.2, beta: float = 0.5) -> None:
        if not (np.isfinite(alpha) and np.isfinite(beta)):
            raise ParameterError(
                f"{self.kind}: alpha is {alpha} and beta {beta}; finite numbers are required"
            )
        self.alpha = float(alpha)
        self.beta = float(beta)

    def function(self, x: Array) -> Array:
        """Squash to [0, 1] by a straight line."""
        real = x.dtype.type
        return np.asarray(np.clip(x * real(self.alpha) + real(self.beta), real(0), real(1)))

    def describe(self) -> str:
        """The settings."""
        return f"alpha {self.alpha:g}, beta {self.beta:g}"


class HardSwish(Activation):
    """``x * max(0, min(1, x / 6 + 0.5))``."""

    def function(self, x: Array) -> Array:
        """Gate each sample by a straight line of itself."""
        real = x.dtype.type
        return np.asarray(x * np.clip(x * real(1 / 6) + real(0.5), real(0), real(1)))


class SiLU(Activation):
    """``x * sigmoid(alpha * x)``; also called Swish."""

    def __init__(self, alpha: float = 1.0) -> None:
        if not np.isfinite(alpha):
            raise ParameterError(f"{self.kind}: alpha is {alpha}; a finite number is required")
        self.alpha = float(alpha)

    def function(self, x: Array) -> Array:
        """Gate each sample by its sigmoid."""
        return np.asarray(x * sigmoid(x * x.dtype.type(self.alpha)))

    def describe(self) -> str:
        """The setting, unless it is 1."""
        return "" if self.alpha == 1 else f"alpha {self.alpha:g}"


class Mish(Activation):
    """``x * tanh(softplus(x))``."""

    def function(self, x: Array) -> Array:
        """Gate each sample by its softplus."""
        return np.asarray(x * np.tanh(np.logaddexp(x, x.dtype.type(0))))


class GELU(Activation):
    """``x * Φ(x)`` with the normal distribution Φ, exact or by its tanh approximation.

    Args:
        approximate: ``"none"`` (``0.5 * x * (1 + erf(x / sqrt 2))``) or ``"tanh"``
            (``0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))``).

    Raises:
        ParameterError: another approximation.
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = choice(self.kind, "approximate", approximate, ("none", "tanh"))

    def function(self, x: Array) -> Array:
        """Gate each sample by Φ."""
        real = x.dtype.type
        if self.approximate == "tanh":
            inner = real(sqrt(2 / pi)) * (x + real(0.044715) * x * x * x)
            return np.asarray(real(0.5) * x * (real(1) + np.tanh(inner)))
        return np.asarray(real(0.5) * x * (real(1) + erf(x * real(sqrt(0.5)))))

    def describe(self) -> str:
        """The approximation, if any."""
        return "tanh" if self.approximate == "tanh" else ""


class Erf(Activation):
    """The error function, which exporters write GELU with."""

    def function(self, x: Array) -> Array:
        """``erf(x)``."""
        return erf(x)


class Tanh(Activation):
    """``tanh(x)``."""

    def function(self, x: Array) -> Array:
        """Squash to (-1, 1)."""
        return np.asarray(np.tanh(x))


class Softplus(Activation):
    """``log(1 + exp(x))``."""

    def function(self, x: Array) -> Array:
        """A smooth ``max(x, 0)``."""
        return np.asarray(np.logaddexp(x, x.dtype.type(0)))


class Softsign(Activation):
    """``x / (1 + |x|)``."""

    def function(self, x: Array) -> Array:
        """Squash to (-1, 1)."""
        return np.asarray(x / (x.dtype.type(1) + np.abs(x)))


class Softmax(Layer):
    """``exp(x) / sum(exp(x))`` along one axis.

    Args:
        axis: axis of the classes; negative counts from the end.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = int(axis)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        shape = one_input(self.kind, inputs)
        normal_axis(self.kind, self.axis, len(shape))
        return shape

    def forward(self, *inputs: Array) -> Array:
        """Normalise one input; its largest value goes first, so that exp cannot overflow."""
        (x,) = inputs
        self.output_shape(x.shape)
        # Taking the largest value off first keeps exp from overflowing.
        powers = np.exp(x - x.max(axis=self.axis, keepdims=True))
        return np.asarray(powers / powers.sum(axis=self.axis, keepdims=True))

    def describe(self) -> str:
        """The axis."""
        return f"axis {self.axis}"


class LogSoftmax(Softmax):
    """``log(softmax(x))`` along one axis, without the loss of taking the logarithm afterwards."""

    def forward(self, *inputs: Array) -> Array:
        """Normalise one input."""
        (x,) = inputs
        self.output_shape(x.shape)
        shifted = x - x.max(axis=self.axis, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True)))


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, exact at both ends: exp only ever sees negative numbers."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, x.dtype.type(1), small) / (x.dtype.type(1) + small))


def _bound(value: float, x: Array) -> Array:
    """A bound in the dtype of ``x``; beyond an integer's range it is that range's end."""
    if np.issubdtype(x.dtype, np.floating):
        return np.asarray(value, x.dtype)
    info = np.iinfo(x.dtype)
    return np.asarray(min(max(value, info.min), info.max)).astype(x.dtype)
