"""Which kernel computes which layer: one function for each kind, and a table of them."""

from __future__ import annotations

from collections.abc import Callable

from twinlens.engine.graph import Node
from twinlens.engine.layers import BatchNorm2d, Concat, LogSoftmax, PReLU, Softmax, Transpose
from twinlens.engine.layers.base import Layer
from twinlens.engine.targets import rules as shared
from twinlens.engine.targets.gpu.plan.lower import Lowering
from twinlens.engine.targets.gpu.plan.rules_pictures import (
    activation,
    arithmetic,
    batch_norm,
    concat,
    global_pool,
    pool,
    prelu,
    reshape,
    softmax,
    transpose,
)
from twinlens.engine.targets.gpu.plan.rules_products import convolution, product

Rule = Callable[[Lowering, Node], bool]

RULES: dict[type[Layer], Rule] = {
    **dict.fromkeys(shared.CONVOLUTIONS, convolution),
    **dict.fromkeys(shared.PRODUCTS, product),
    **dict.fromkeys(shared.POOLS, pool),
    **dict.fromkeys(shared.GLOBAL_POOLS, global_pool),
    **dict.fromkeys(shared.ARITHMETIC, arithmetic),
    **dict.fromkeys(shared.RESHAPES, reshape),
    **dict.fromkeys(shared.NAMES, shared.identity),
    **dict.fromkeys(shared.ACTIVATIONS, activation),
    BatchNorm2d: batch_norm,
    Concat: concat,
    LogSoftmax: softmax,
    PReLU: prelu,
    Softmax: softmax,
    Transpose: transpose,
}
