"""Which kernel computes which layer: one function for each kind, and a table of them.

A rule appends kernels and answers True, or leaves everything as it was and answers False; then
the layer's reference forward runs instead.
"""

from __future__ import annotations

from collections.abc import Callable

from twinlens.engine.graph import Node
from twinlens.engine.layers import (
    ELU,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
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
    LeakyReLU,
    Linear,
    MatMul,
    MaxPool2d,
    Mul,
    PReLU,
    ReduceMean,
    ReLU,
    ReLU6,
    Reshape,
    Sigmoid,
    SiLU,
    Softmax,
    Squeeze,
    Sub,
    Tanh,
    Unsqueeze,
)
from twinlens.engine.layers.base import Layer
from twinlens.engine.targets.cpu.lower import Lowering
from twinlens.engine.targets.cpu.rules_pictures import (
    activation,
    arithmetic,
    batch_norm,
    concat,
    global_pool,
    identity,
    pool,
    prelu,
    reshape,
    softmax,
)
from twinlens.engine.targets.cpu.rules_products import convolution, gemm, linear, matmul

Rule = Callable[[Lowering, Node], bool]


_ACTIVATIONS: tuple[type[Layer], ...] = (
    Clip,
    ELU,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Tanh,
)

RULES: dict[type[Layer], Rule] = {
    Conv2d: convolution,
    DepthwiseConv2d: convolution,
    Linear: linear,
    Gemm: gemm,
    MatMul: matmul,
    MaxPool2d: pool,
    AvgPool2d: pool,
    GlobalAvgPool2d: global_pool,
    GlobalMaxPool2d: global_pool,
    ReduceMean: global_pool,
    Softmax: softmax,
    BatchNorm2d: batch_norm,
    PReLU: prelu,
    Add: arithmetic,
    Sub: arithmetic,
    Mul: arithmetic,
    Div: arithmetic,
    Concat: concat,
    Flatten: reshape,
    Reshape: reshape,
    Squeeze: reshape,
    Unsqueeze: reshape,
    Identity: identity,
    Dropout: identity,
    **dict.fromkeys(_ACTIVATIONS, activation),
}
