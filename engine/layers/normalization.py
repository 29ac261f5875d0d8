"""Normalisation layers, as they work at inference."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape, cast_like
from twinlens.engine.layers.checks import broadcast, channel_input, normal_axis, one_input, vector


class BatchNorm2d(Layer):
    """``y = scale * (x - mean) / sqrt(variance + epsilon) + bias`` per channel (axis 1).

    Args:
        scale: (channels,), also called gamma.
        bias: (channels,), also called beta.
        mean: (channels,), the running mean.
        variance: (channels,), the running variance.
        epsilon: added to the variance.

    Raises:
        ParameterError: a parameter of the wrong shape, or a variance + epsilon that is not
            positive.

    Reference: Ioffe and Szegedy 2015.
    """

    def __init__(
        self, scale: Array, bias: Array, mean: Array, variance: Array, *, epsilon: float = 1e-5
    ) -> None:
        self.scale = vector(self.kind, "scale", scale)
        channels = self.scale.shape[0]
        self.bias = vector(self.kind, "bias", bias, channels)
        self.mean = vector(self.kind, "mean", mean, channels)
        self.variance = vector(self.kind, "variance", variance, channels)
        self.epsilon = float(epsilon)
        if channels and not float(self.variance.min()) + self.epsilon > 0:
            raise ParameterError(
                f"{self.kind}: smallest variance {float(self.variance.min())} + epsilon "
                f"{self.epsilon} is not positive; a positive sum is required"
            )

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``scale``, ``bias``, ``mean`` and ``variance``."""
        return {
            "scale": self.scale,
            "bias": self.bias,
            "mean": self.mean,
            "variance": self.variance,
        }

    @property
    def channels(self) -> int:
        """Channels that the input must have."""
        return int(self.scale.shape[0])

    def scale_shift(self) -> tuple[Array, Array]:
        """The same layer as ``factor * x + shift``, for folding into a convolution.

        Returns:
            (factor, shift), each float64 of shape (channels,).
        """
        real = np.float64
        factor = self.scale.astype(real) / np.sqrt(self.variance.astype(real) + self.epsilon)
        return factor, self.bias.astype(real) - self.mean.astype(real) * factor

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        return channel_input(self.kind, inputs, self.channels)

    def forward(self, *inputs: Array) -> Array:
        """Normalise one input (N, C, ...)."""
        (x,) = inputs
        self.output_shape(x.shape)
        factor, shift = (_per_channel(cast_like(part, x), x.ndim) for part in self.scale_shift())
        return np.asarray(x * factor + shift)

    def macs(self, *inputs: Shape) -> int:
        """One per sample."""
        return prod(self.output_shape(*inputs))

    def describe(self) -> str:
        """Channels."""
        return f"{self.channels} channels"


class InstanceNorm2d(Layer):
    """``y = scale * (x - mean) / sqrt(variance + epsilon) + bias`` per image and channel.

    Mean and variance (divided by the count) are those of the channel's own samples.

    Args:
        scale: (channels,).
        bias: (channels,).
        epsilon: added to the variance; positive.

    Raises:
        ParameterError: a parameter of the wrong shape, or an epsilon that is not positive.

    Reference: Ulyanov et al. 2016.
    """

    def __init__(self, scale: Array, bias: Array, *, epsilon: float = 1e-5) -> None:
        self.scale = vector(self.kind, "scale", scale)
        self.bias = vector(self.kind, "bias", bias, self.scale.shape[0])
        if not epsilon > 0:
            raise ParameterError(
                f"{self.kind}: epsilon is {epsilon}; a positive number is required"
            )
        self.epsilon = float(epsilon)

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``scale`` and ``bias``."""
        return {"scale": self.scale, "bias": self.bias}

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        return channel_input(self.kind, inputs, int(self.scale.shape[0]))

    def forward(self, *inputs: Array) -> Array:
        """Normalise one input (N, C, ...)."""
        (x,) = inputs
        self.output_shape(x.shape)
        axes = tuple(range(2, x.ndim))
        centred = x - x.mean(axis=axes, keepdims=True)
        variance = np.square(centred).mean(axis=axes, keepdims=True)
        scale = _per_channel(cast_like(self.scale, x), x.ndim)
        bias = _per_channel(cast_like(self.bias, x), x.ndim)
        spread = np.sqrt(variance + x.dtype.type(self.epsilon))
        return np.asarray(scale * (centred / spread) + bias)

    def macs(self, *inputs: Shape) -> int:
        """Three per sample: mean, variance, scale."""
        return 3 * prod(self.output_shape(*inputs))

    def describe(self) -> str:
        """Channels."""
        return f"{self.scale.shape[0]} channels"


class LocalResponseNorm(Layer):
    """``y = x / (bias + alpha / size * sum(x²))**beta``, the sum over neighbouring channels.

    The window of channel c is [c - floor((size - 1) / 2), c + ceil((size - 1) / 2)], cut at the
    first and last channel; the division is always by ``size``.

    Args:
        size: channels in the window.
        alpha: factor of the mean square.
        beta: exponent.
        bias: added to it; also called k.

    Raises:
        ParameterError: the size is not at least 1.

    Reference: Krizhevsky et al. 2012.
    """

    def __init__(
        self, size: int, *, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
    ) -> None:
        if size < 1:
            raise ParameterError(f"{self.kind}: size is {size}; at least 1 is required")
        self.size = int(size)
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.bias = float(bias)

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        return channel_input(self.kind, inputs)

    def forward(self, *inputs: Array) -> Array:
        """Normalise one input (N, C, ...)."""
        (x,) = inputs
        self.output_shape(x.shape)
        real, channels = x.dtype.type, x.shape[1]
        squares = np.square(x)
        total = np.zeros_like(x)
        before = (self.size - 1) // 2
        # A window may be wider than there are channels.
        for shift in range(max(-before, -channels), min(self.size - before, channels)):
            low, high = max(0, -shift), min(channels, channels - shift)
            if low < high:
                total[:, low:high] += squares[:, low + shift : high + shift]
        base = real(self.bias) + real(self.alpha / self.size) * total
        return np.asarray(x / base ** real(self.beta))

    def macs(self, *inputs: Shape) -> int:
        """Window size per sample."""
        return self.size * prod(self.output_shape(*inputs))

    def describe(self) -> str:
        """Window and constants."""
        return f"size {self.size}, alpha {self.alpha:g}, beta {self.beta:g}, bias {self.bias:g}"


def _per_channel(values: Array, rank: int) -> Array:
    """(C,) as (C, 1, ...) so that it broadcasts over (N, C, ...)."""
    return values.reshape(-1, *([1] * (rank - 2)))


class _SampleNorm(Layer):
    """What LayerNorm and RMSNorm share: they normalise over all axes from one on."""

    def __init__(self, scale: Array, axis: int, epsilon: float) -> None:
        self.scale = np.asarray(scale)
        self.axis = int(axis)
        if not epsilon >= 0:
            raise ParameterError(f"{self.kind}: epsilon is {epsilon}; at least 0 is required")
        self.epsilon = float(epsilon)

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``scale``."""
        return {"scale": self.scale}

    def output_shape(self, *inputs: Shape) -> Shape:
        """The input's shape."""
        shape = one_input(self.kind, inputs)
        inner = shape[normal_axis(self.kind, self.axis, len(shape)) :]
        for name, array in self.parameters.items():
            if broadcast(self.kind, inner, array.shape) != inner:
                raise ShapeError(
                    f"{self.kind}: {name} has shape {array.shape}; one that broadcasts to {inner} "
                    "is required"
                )
        return shape

    def macs(self, *inputs: Shape) -> int:
        """One per sample."""
        return prod(one_input(self.kind, inputs))

    def describe(self) -> str:
        """The axis."""
        return f"from axis {self.axis} on"


class LayerNorm(_SampleNorm):
    """``y = scale * (x - mean) / sqrt(variance + epsilon) + bias`` over all axes from one on.

    Mean and variance (divided by the count) are those of each sample's own values.

    Args:
        scale: broadcasts to the normalised axes.
        bias: likewise, or None.
        axis: first of the axes; negative counts from the end.
        epsilon: added to the variance; at least 0.

    Raises:
        ParameterError: an epsilon that is negative or not a number.

    Reference: Ba et al. 2016; https://onnx.ai/onnx/operators/onnx__LayerNormalization.html
    """

    def __init__(
        self, scale: Array, bias: Array | None = None, *, axis: int = -1, epsilon: float = 1e-5
    ) -> None:
        super().__init__(scale, axis, epsilon)
        self.bias = None if bias is None else np.asarray(bias)

    @property
    def parameters(self) -> Mapping[str, Array]:
        """``scale`` and, where there is one, ``bias``."""
        return {"scale": self.scale} | ({} if self.bias is None else {"bias": self.bias})

    def forward(self, *inputs: Array) -> Array:
        """Normalise one input."""
        (x,) = inputs
        self.output_shape(x.shape)
        axes = tuple(range(self.axis % x.ndim, x.ndim))
        centred = x - np.mean(x, axes, keepdims=True, dtype=x.dtype)
        variance = np.mean(np.square(centred), axes, keepdims=True, dtype=x.dtype)
        scaled = centred / np.sqrt(variance + x.dtype.type(self.epsilon))
        scaled = scaled * cast_like(self.scale, x)
        return np.asarray(scaled if self.bias is None else scaled + cast_like(self.bias, x))


class RMSNorm(_SampleNorm):
    """``y = scale * x / sqrt(mean(x²) + epsilon)`` over all axes from one on.

    Args:
        scale: broadcasts to the normalised axes.
        axis: first of the axes; negative counts from the end.
        epsilon: added to the mean square; at least 0.

    Raises:
        ParameterError: an epsilon that is negative or not a number.

    Reference: Zhang and Sennrich 2019; https://onnx.ai/onnx/operators/onnx__RMSNormalization.html
    """

    def __init__(self, scale: Array, *, axis: int = -1, epsilon: float = 1e-5) -> None:
        super().__init__(scale, axis, epsilon)

    def forward(self, *inputs: Array) -> Array:
        """Normalise one input."""
        (x,) = inputs
        self.output_shape(x.shape)
        axes = tuple(range(self.axis % x.ndim, x.ndim))
        square = np.mean(np.square(x), axes, keepdims=True, dtype=x.dtype)
        scaled = x / np.sqrt(square + x.dtype.type(self.epsilon))
        return np.asarray(scaled * cast_like(self.scale, x))
