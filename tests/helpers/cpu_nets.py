"""Networks for the compiled target: drawn by hypothesis, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.cpu_check import Layers
from twinlens.engine.graph import Graph, optimize
from twinlens.engine.layers import (
    ELU,
    GELU,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    Div,
    Dropout,
    Flatten,
    Gemm,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    HardSigmoid,
    HardSwish,
    Identity,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    MatMul,
    MaxPool2d,
    Mish,
    Mul,
    Pad,
    PReLU,
    ReduceMean,
    ReLU,
    ReLU6,
    Reshape,
    Resize,
    Sigmoid,
    SiLU,
    Softmax,
    Squeeze,
    Sub,
    Tanh,
    Transpose,
    Unsqueeze,
)

Array = NDArray[Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

#: Channels at and around every tile's and vector's end.
CHANNELS = st.one_of(st.integers(1, 9), st.integers(1, 70), st.integers(127, 130))

ACTIVATIONS: tuple[Callable[[], Any], ...] = (
    ReLU,
    ReLU6,
    lambda: Clip(-0.4, 0.7),
    lambda: Clip(None, 0.3),
    lambda: Clip(-0.2, None),
    lambda: LeakyReLU(0.2),
    lambda: LeakyReLU(-0.5),
    lambda: ELU(1.3),
    HardSigmoid,
    lambda: HardSigmoid(1 / 6, 0.5),
    HardSwish,
    Sigmoid,
    SiLU,
    lambda: SiLU(1.7),
    Tanh,
)


class Weights:
    """Seeded parameters that keep values near 1."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def __call__(self, *shape: int) -> Array:
        """(out, ...) weights, or a vector."""
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 4
        return (self.random.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)

    def positive(self, *shape: int) -> Array:
        """Between 0.5 and 1.5."""
        return self.random.uniform(0.5, 1.5, shape).astype(np.float32)


def conv(
    weights: Weights,
    channels_in: int,
    channels_out: int,
    kernel: tuple[int, int] = (3, 3),
    *,
    bias: bool = True,
    groups: int = 1,
    **settings: Any,
) -> Conv2d:
    """A convolution with such weights."""
    weight = weights(channels_out, channels_in // groups, *kernel)
    return Conv2d(weight, weights(channels_out) if bias else None, groups=groups, **settings)


def depthwise(
    weights: Weights, channels: int, kernel: tuple[int, int] = (3, 3), **settings: Any
) -> DepthwiseConv2d:
    """A depthwise convolution with such weights."""
    return DepthwiseConv2d(weights(channels, 1, *kernel), weights(channels), **settings)


def pools(kernel: tuple[int, int], shape: tuple[int, ...], **settings: Any) -> list[Any]:
    """All pools with such windows; none where a window holds nothing but padding."""
    means = [AvgPool2d(kernel, **settings, count_include_pad=counted) for counted in (False, True)]
    if means[0].counts(shape).min() < 1:
        return []
    return [MaxPool2d(kernel, **settings), *means]


def joined(net: Layers, *, outputs: tuple[str, ...] = ()) -> Graph:
    """Join what nobody reads to one row, so that it is stored as other inner values are."""
    read = {name for node in net.nodes for name in node.inputs}
    ends = [n.output for n in net.nodes if n.output not in (*read, *outputs)]
    rows = []
    for end in ends:
        pooled = net.add(GlobalMaxPool2d(), end) if len(net.shapes[end]) == 4 else end
        flat = net.add(Flatten(), pooled) if len(net.shapes[pooled]) != 2 else pooled
        rows.append(flat)
    last = (net.add(Concat(1), *rows),) if rows else ()
    return net.graph(*outputs, *last)


@st.composite
def networks(draw: Draw, most: int = 10) -> Graph:
    """A network of any layers: chains, branches, joins, layers without a kernel, outputs inside.

    Optimised, as programs take them.
    """
    grower = _Grower(draw)
    for _ in range(draw(st.integers(2, most))):
        grower.grow()
    outputs = draw(st.lists(st.sampled_from(grower.computed), max_size=2, unique=True))
    return optimize(joined(grower.net, outputs=tuple(outputs)))


class _Grower:
    """Adds one drawn layer after the other."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.weights = Weights(draw(st.integers(0, 2**16)))
        channels = draw(st.sampled_from((1, 2, 3, 3, 4, 5, 8, 17)))
        height, width = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
        self.net = Layers(x=(1, channels, height, width))

    @property
    def computed(self) -> list[str]:
        """Names of all layers' outputs."""
        return [node.output for node in self.net.nodes]

    def grow(self) -> None:
        """Add a layer that fits what is there."""
        # Late values are likelier, so that networks grow deep as well as wide.
        names = ["x", *self.computed]
        name = names[-1 - min(self.draw(st.integers(0, len(names) - 1)), len(names) - 1)]
        rank = len(self.net.shapes[name])
        if rank == 4:
            kinds = _PICTURE
        elif rank == 2:
            kinds = _ROW
        else:
            kinds = (_flatten,)
        before = len(self.net.nodes)
        self.draw(st.sampled_from(kinds))(self, name)
        if len(self.net.nodes) > before and self.draw(st.integers(0, 2)) == 0:
            activation = self.draw(st.sampled_from(ACTIVATIONS))()
            self.net.add(activation, self.net.nodes[-1].output)

    def same_shape(self, name: str) -> list[str]:
        """Values of the same shape."""
        shape = self.net.shapes[name]
        return [n for n in ("x", *self.computed) if self.net.shapes[n] == shape]

    def window(self, size: tuple[int, int], largest: int = 7) -> dict[str, Any]:
        """Kernel, stride, dilation and pads that fit a picture."""
        sides: list[tuple[int, int, int, int, int]] = []
        for length in size:
            kernel = self.draw(st.integers(1, largest))
            dilation = self.draw(st.sampled_from((1, 1, 1, 2, 3)))
            extent = dilation * (kernel - 1) + 1
            before = self.draw(st.integers(0, min(3, extent - 1)))
            after = self.draw(st.integers(0, min(3, extent - 1)))
            if length + before + after < extent:
                kernel, dilation, before, after = 1, 1, 0, 0
            sides.append((kernel, self.draw(st.integers(1, 3)), dilation, before, after))
        (kh, sh, dh, top, bottom), (kw, sw, dw, left, right) = sides
        return {
            "kernel": (kh, kw),
            "stride": (sh, sw),
            "dilation": (dh, dw),
            "pads": (top, left, bottom, right),
        }


def _conv(grower: _Grower, name: str) -> None:
    _, channels, *size = grower.net.shapes[name]
    window = grower.window((size[0], size[1]))
    divisors = [n for n in range(1, channels + 1) if channels % n == 0]
    groups = grower.draw(st.sampled_from((1, 1, 1, *divisors)))
    per_group = grower.draw(CHANNELS) if groups == 1 else grower.draw(st.integers(1, 5))
    kernel = window.pop("kernel")
    layer = conv(
        grower.weights,
        channels,
        per_group * groups,
        kernel,
        bias=grower.draw(st.booleans()),
        groups=groups,
        **window,
    )
    grower.net.add(layer, name)


def _same_conv(grower: _Grower, name: str) -> None:
    """Stride 1 and 3 × 3 with any pads: Winograd where the map is large."""
    _, channels, height, width = grower.net.shapes[name]
    pads = grower.draw(st.sampled_from(((1, 1, 1, 1), (1, 1, 1, 1), (0, 2, 1, 0), (2, 0, 0, 1))))
    if height + pads[0] + pads[2] < 3 or width + pads[1] + pads[3] < 3:
        pads = (1, 1, 1, 1)
    outputs = grower.draw(st.sampled_from((channels, channels, 8, 9, 16, 19)))
    grower.net.add(conv(grower.weights, channels, outputs, pads=pads), name)


def _depthwise(grower: _Grower, name: str) -> None:
    _, channels, *size = grower.net.shapes[name]
    window = grower.window((size[0], size[1]))
    grower.net.add(depthwise(grower.weights, channels, window.pop("kernel"), **window), name)


def _pool(grower: _Grower, name: str) -> None:
    _, _, *size = grower.net.shapes[name]
    window = grower.window((size[0], size[1]), largest=4)
    ceil = grower.draw(st.booleans())
    layers = pools(window.pop("kernel"), grower.net.shapes[name], ceil_mode=ceil, **window)
    if layers:
        grower.net.add(grower.draw(st.sampled_from(layers)), name)


def _global_pool(grower: _Grower, name: str) -> None:
    layers = (
        GlobalAvgPool2d(),
        GlobalMaxPool2d(),
        ReduceMean((2, 3)),
        ReduceMean((-1, -2), keep_dims=False),
    )
    grower.net.add(grower.draw(st.sampled_from(layers)), name)


def _activation(grower: _Grower, name: str) -> None:
    grower.net.add(grower.draw(st.sampled_from(ACTIVATIONS))(), name)


def _softmax(grower: _Grower, name: str) -> None:
    axis = grower.draw(st.sampled_from((1, 1, -1)))
    grower.net.add(Softmax(axis), name)


def _norm(grower: _Grower, name: str) -> None:
    channels, weights = grower.net.shapes[name][1], grower.weights
    if grower.draw(st.booleans()):
        slope = weights(1) if grower.draw(st.booleans()) else weights(channels, 1, 1)
        grower.net.add(PReLU(slope), name)
        return
    vectors = (weights.positive(channels), weights(channels), weights(channels))
    grower.net.add(BatchNorm2d(*vectors, weights.positive(channels)), name)


def _residual(grower: _Grower, name: str) -> None:
    """A value plus what a convolution makes of it, in either order."""
    channels = grower.net.shapes[name][1]
    kernel = grower.draw(st.sampled_from(((1, 1), (3, 3))))
    pads = (1, 1, 1, 1) if kernel == (3, 3) else (0, 0, 0, 0)
    made = grower.net.add(conv(grower.weights, channels, channels, kernel, pads=pads), name)
    other = grower.draw(st.sampled_from(grower.same_shape(made)))
    pair = (made, other) if grower.draw(st.booleans()) else (other, made)
    grower.net.add(Add(), *pair)


def _join(grower: _Grower, name: str) -> None:
    """Sum, difference, product or quotient with a value, a pixel or a constant."""
    net, weights = grower.net, grower.weights
    shape = net.shapes[name]
    kind = grower.draw(st.sampled_from(("same", "pixel", "constant", "number")))
    layer = grower.draw(st.sampled_from((Add, Sub, Mul)))()
    if kind == "same":
        other = grower.draw(st.sampled_from(grower.same_shape(name)))
    elif kind == "pixel" and len(shape) == 4:
        pooled = net.add(GlobalAvgPool2d(), name)
        other = net.add(conv(weights, shape[1], shape[1], (1, 1)), pooled)
    else:
        size = (1,) if kind == "number" else (shape[1], *(1 for _ in shape[2:]))
        other = net.constant(weights.positive(*size))
        layer = grower.draw(st.sampled_from((Add, Sub, Mul, Div)))()
    swap = not isinstance(layer, Div) and grower.draw(st.booleans())
    net.add(layer, *((other, name) if swap else (name, other)))


def _concat(grower: _Grower, name: str) -> None:
    """Channels of several values of one size, perhaps the same value twice."""
    shapes = grower.net.shapes
    size = shapes[name][2:]
    fits = [
        n
        for n in ("x", *grower.computed)
        if len(shapes[n]) == len(shapes[name]) and shapes[n][2:] == size
    ]
    others = grower.draw(st.lists(st.sampled_from(fits), min_size=0, max_size=3))
    if sum(shapes[n][1] for n in (name, *others)) <= 300:
        grower.net.add(Concat(1), name, *others)


def _flatten(grower: _Grower, name: str) -> None:
    shape = grower.net.shapes[name]
    layers: list[Any] = [Flatten(), Reshape((1, -1))]
    if len(shape) == 4 and shape[2:] == (1, 1):
        layers.append(Squeeze((2, 3)))
    grower.net.add(grower.draw(st.sampled_from(layers)), name)


def _unflatten(grower: _Grower, name: str) -> None:
    width = grower.net.shapes[name][1]
    layers = (Unsqueeze((2, 3)), Reshape((1, width, 1, 1)), Reshape((1, 1, width)))
    grower.net.add(grower.draw(st.sampled_from(layers)), name)


def _linear(grower: _Grower, name: str) -> None:
    net, weights = grower.net, grower.weights
    inputs = net.shapes[name][1]
    if inputs > 3000:
        return
    outputs = grower.draw(CHANNELS)
    kind = grower.draw(st.sampled_from(("linear", "gemm", "gemm-t", "matmul")))
    if kind == "linear":
        bias = weights(outputs) if grower.draw(st.booleans()) else None
        net.add(Linear(weights(outputs, inputs), bias), name)
    elif kind == "matmul":
        net.add(MatMul(), name, net.constant(weights(outputs, inputs).T.copy()))
    else:
        flip = kind == "gemm-t"
        matrix = weights(outputs, inputs)
        names = [name, net.constant(matrix if flip else np.ascontiguousarray(matrix.T))]
        if grower.draw(st.booleans()):
            shape = grower.draw(st.sampled_from(((outputs,), (1, outputs), (1,))))
            names.append(net.constant(weights(*shape)))
        net.add(Gemm(alpha=0.7, beta=1.4, transpose_b=flip), *names)


def _without_kernel(grower: _Grower, name: str) -> None:
    """A layer that runs in NumPy, in the middle of others."""
    net, weights = grower.net, grower.weights
    _, channels, height, width = net.shapes[name]
    layers: list[Any] = [
        LocalResponseNorm(3),
        InstanceNorm2d(weights.positive(channels), weights(channels)),
        Pad(((0, 0), (0, 0), (1, 0), (0, 2))),
        Transpose((0, 1, 3, 2)),
        Mish(),
        GELU(),
    ]
    if height * width <= 100:
        layers.append(Resize(scales=(1.0, 1.0, 2.0, 2.0)))
        layers.append(ConvTranspose2d(weights(channels, 5, 2, 2), stride=(2, 2)))
    net.add(grower.draw(st.sampled_from(layers)), name)


def _same(grower: _Grower, name: str) -> None:
    grower.net.add(grower.draw(st.sampled_from((Identity(), Dropout()))), name)


_PICTURE = (
    _conv,
    _conv,
    _same_conv,
    _depthwise,
    _pool,
    _global_pool,
    _activation,
    _softmax,
    _norm,
    _residual,
    _join,
    _concat,
    _concat,
    _flatten,
    _without_kernel,
    _same,
)
_ROW = (_linear, _linear, _activation, _softmax, _join, _concat, _unflatten, _same)


def everything(seed: int = 0, channels: int = 3, size: tuple[int, int] = (21, 18)) -> Graph:
    """One network with every kind of kernel, odd sizes, joins, and layers without a kernel."""
    net, w = Layers(x=(1, channels, *size)), Weights(seed)
    stem = net.add(conv(w, channels, 13, (7, 5), stride=(2, 1), pads=(3, 1, 2, 2)), "x")
    stem = net.add(HardSwish(), stem)
    wide = net.add(ReLU(), net.add(conv(w, channels, 9, pads=(1, 1, 1, 1)), "x"))
    # Winograd twice, the second with something added; then the same by the direct sum.
    first = net.add(SiLU(), net.add(conv(w, 9, 11, pads=(1, 1, 1, 1)), wide))
    second = net.add(conv(w, 11, 9, pads=(1, 1, 1, 1)), first)
    second = net.add(ReLU6(), net.add(Add(), second, wide))
    third = net.add(conv(w, 9, 9, (1, 1)), second)
    third = net.add(Add(), second, third)
    grouped = net.add(conv(w, 9, 15, (3, 2), groups=3, pads=(1, 0, 0, 1)), third)
    deep = net.add(Tanh(), net.add(depthwise(w, 15, pads=(1, 1, 1, 1)), grouped))
    dilated = {"stride": (2, 1), "dilation": (1, 2), "pads": (2, 2, 1, 2)}
    deep = net.add(depthwise(w, 15, (5, 3), **dilated), deep)
    gate = net.add(ReLU(), net.add(conv(w, 15, 5, (1, 1)), net.add(GlobalAvgPool2d(), deep)))
    gate = net.add(HardSigmoid(), net.add(conv(w, 5, 15, (1, 1)), gate))
    deep = net.add(PReLU(w(15, 1, 1)), net.add(Mul(), deep, gate))
    pooled = net.add(MaxPool2d((3, 2), stride=(2, 2), pads=(1, 1, 1, 0), ceil_mode=True), stem)
    window = {"stride": (2, 2), "pads": (1, 0, 0, 1)}
    mean = net.add(AvgPool2d((3, 2), **window, count_include_pad=True), stem)
    both = net.add(Concat(1), net.add(MaxPool2d((3, 2), **window), stem), mean, mean)
    both = net.add(conv(w, 39, 17, pads=(1, 1, 1, 1), dilation=(1, 1)), both)
    again = net.add(Concat(1), both, net.add(LeakyReLU(0.1), net.add(conv(w, 17, 6, (1, 1)), both)))
    again = net.add(conv(w, 23, 33, (3, 3), stride=(2, 2), pads=(0, 2, 1, 0)), again)
    norm = BatchNorm2d(w.positive(33), w(33), w(33), w.positive(33))
    again = net.add(norm, net.add(LocalResponseNorm(3), again))
    again = net.add(Resize(scales=(1.0, 1.0, 2.0, 1.0)), net.add(Clip(-0.5, 0.8), again))
    again = net.add(Softmax(1), net.add(conv(w, 33, 7, (2, 2)), again))
    rows = [
        net.add(Flatten(), net.add(MaxPool2d((3, 3), stride=(3, 3)), name))
        for name in (pooled, deep, again)
    ]
    rows = [
        net.add(Linear(w(5, net.shapes[rows[0]][1]), w(5)), rows[0]),
        net.add(ELU(), net.add(Linear(w(65, net.shapes[rows[1]][1])), rows[1])),
        net.add(MatMul(), rows[2], net.constant(w(6, net.shapes[rows[2]][1]).T.copy())),
        net.add(Flatten(), net.add(GlobalMaxPool2d(), again)),
    ]
    row = net.add(Concat(1), *rows)
    last = net.add(Gemm(alpha=0.5), row, net.constant(w(83, 130)), net.constant(w(130)))
    return optimize(net.graph(net.add(Softmax(), last), third, row))
