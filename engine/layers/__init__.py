"""The layers that networks are assembled from: parameters, shape rule, reference forward.

Goes in: one class a layer, with formula and source. Stays out: kernels, and every file format.
"""

from __future__ import annotations

from twinlens.engine.layers.activation import (
    CELU,
    ELU,
    GELU,
    SELU,
    Activation,
    Clip,
    Erf,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    ThresholdedReLU,
)
from twinlens.engine.layers.arithmetic import (
    Add,
    Constant,
    Div,
    Dropout,
    Identity,
    Mul,
    ReduceMean,
    Sub,
)
from twinlens.engine.layers.base import Array, Layer, Shape, cast_like
from twinlens.engine.layers.conv import (
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    transpose_padding,
)
from twinlens.engine.layers.linear import Gemm, Linear, MatMul
from twinlens.engine.layers.normalization import BatchNorm2d, InstanceNorm2d, LocalResponseNorm
from twinlens.engine.layers.pooling import AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from twinlens.engine.layers.quantize import DequantizeLinear, QuantizeLinear
from twinlens.engine.layers.resize import Resize
from twinlens.engine.layers.shape import (
    Concat,
    Flatten,
    Pad,
    Reshape,
    Squeeze,
    Transpose,
    Unsqueeze,
)
from twinlens.engine.layers.windows import same_padding

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "Add",
    "Array",
    "AvgPool2d",
    "BatchNorm2d",
    "Clip",
    "Concat",
    "Constant",
    "Conv2d",
    "ConvTranspose2d",
    "DepthwiseConv2d",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Erf",
    "Flatten",
    "Gemm",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNorm2d",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MatMul",
    "MaxPool2d",
    "Mish",
    "Mul",
    "PReLU",
    "Pad",
    "QuantizeLinear",
    "ReLU",
    "ReLU6",
    "ReduceMean",
    "Reshape",
    "Resize",
    "Shape",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Squeeze",
    "Sub",
    "Tanh",
    "ThresholdedReLU",
    "Transpose",
    "Unsqueeze",
    "cast_like",
    "same_padding",
    "transpose_padding",
]
