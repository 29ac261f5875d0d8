"""ONNX operators of transformers, and those that ONNX Runtime's optimiser fuses into one.

The operators of ``com.microsoft`` are those that stand in optimised and 4-bit exports:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from twinlens.engine.formats.onnx import images, math, windows
from twinlens.engine.formats.onnx.operator import Operator
from twinlens.engine.layers import (
    GELU,
    Add,
    And,
    Attention,
    Clip,
    HardSigmoid,
    LayerNorm,
    LeakyReLU,
    Linear,
    MatMul,
    Mul,
    ReLU,
    Reshape,
    RMSNorm,
    Sigmoid,
    SiLU,
    Slice,
    Tanh,
    Transpose,
    Where,
)
from twinlens.engine.layers.base import Array, Layer


def attention(operator: Operator) -> None:
    """Attention: causal order and windows become a mask that is known at import."""
    if any(operator.has(place) for place in (4, 5, 6)) or any(
        operator.uses_output(place) for place in (1, 2, 3)
    ):
        raise operator.unsupported("keys and values that are kept between runs, and scores given")
    heads = operator.attribute("q_num_heads", 0) or None
    layer = Attention(
        heads if len(operator.shape()) == 3 else None,
        operator.attribute("kv_num_heads", 0) or heads if len(operator.shape()) == 3 else None,
        scale=operator.attribute("scale", 0.0) if operator.has_attribute("scale") else None,
        softcap=operator.attribute("softcap", 0.0),
    )
    q, k, v = (operator.input(place) for place in range(3))
    inputs = [q, k, v]
    queries, keys = (operator.shape(place)[-2] for place in (0, 1))
    allowed = _allowed(operator, queries, keys)
    if operator.has(3):
        inputs.append(_with(operator, _mask(operator, keys), allowed))
    elif allowed is not None:
        inputs.append(operator.keep(allowed, "order"))
    operator.emit(layer, *inputs)


def _allowed(operator: Operator, queries: int, keys: int) -> Array | None:
    """(queries, keys): which keys count by their place; None where all do."""
    left, right = (operator.attribute(f"{side}_window_size", -1) for side in ("left", "right"))
    if operator.attribute("is_causal", False):
        right = 0 if right < 0 else min(right, 0)
    if left < 0 and right < 0:
        return None
    ahead = np.arange(keys)[None, :] - np.arange(queries)[:, None]
    kept = np.ones((queries, keys), bool)
    if left >= 0:
        kept &= ahead >= -left
    if right >= 0:
        kept &= ahead <= right
    return kept


def _mask(operator: Operator, keys: int) -> str:
    """The given mask, with keys that it does not reach left out."""
    shape, mask = operator.shape(3), operator.input(3)
    short = keys - shape[-1]
    if short <= 0 or shape[-1] == 1:
        return mask
    from twinlens.engine.layers import Pad  # late: hardly any model has such a mask

    none = 0 if operator.dtype(3).kind == "b" else -np.inf
    pads = [(0, 0)] * (len(shape) - 1) + [(0, short)]
    return operator.emit(Pad(pads, value=none), mask, step="mask")


def _with(operator: Operator, mask: str, allowed: Array | None) -> str:
    """A mask and the order of tokens as one."""
    if allowed is None:
        return mask
    order = operator.keep(allowed, "order")
    if operator.dtype(3).kind == "b":
        return operator.emit(And(), mask, order, step="ordered")
    never = operator.keep(np.float32(-np.inf), "never")
    return operator.emit(Where(), order, mask, never, step="ordered")


def swiglu(operator: Operator) -> None:
    """SwiGLU."""
    gate = operator.emit(SiLU(operator.attribute("alpha", 1.0)), operator.input(0), step="gate")
    operator.emit(Mul(), gate, operator.input(1))


# What ONNX Runtime's optimiser writes.


def biased_gelu(operator: Operator) -> None:
    """Gelu, BiasGelu and FastGelu: of x, or of x + bias."""
    x = operator.input(0)
    if operator.has(1):
        x = operator.emit(Add(), x, operator.input(1), step="biased")
    fast = operator.type == "FastGelu"
    operator.emit(GELU("tanh" if fast else "none"), x)


def quick_gelu(operator: Operator) -> None:
    """QuickGelu: x · sigmoid(alpha · x)."""
    operator.emit(SiLU(operator.attribute("alpha", 1.702)), operator.input(0))


def skip_norm(operator: Operator) -> None:
    """SkipLayerNormalization: a norm of a sum, which is given as well where something reads it."""
    if operator.uses_output(1) or operator.uses_output(2):
        raise operator.unsupported("mean and deviation as outputs")
    simple = operator.type.startswith("SkipSimplified")
    bias = 3 if simple else 4
    total = operator.emit(Add(), operator.input(0), operator.input(1), step="sum")
    if operator.has(bias):
        total = operator.emit(Add(), total, operator.input(bias), step="biased")
    epsilon = operator.attribute("epsilon", 1e-12 if not simple else 1e-6)
    scale = operator.constant(2, "scale")
    if simple:
        layer: Layer = RMSNorm(scale, epsilon=epsilon)
    else:
        layer = LayerNorm(scale, operator.optional(3, "bias"), epsilon=epsilon)
    operator.emit(layer, total)
    if operator.uses_output(3):
        operator.emit(Reshape(operator.shape()), total, output=3)


def simplified_norm(operator: Operator) -> None:
    """SimplifiedLayerNormalization: RMSNormalization by an older name."""
    if operator.uses_output(1):
        raise operator.unsupported("the deviation as output")
    images.rms_normalization(operator)


def fused_conv(operator: Operator) -> None:
    """FusedConv: a convolution, something added, an activation."""
    after = _activation(operator, "activation_params")
    weight, bias = operator.constant(1, "weight"), operator.optional(2, "bias")
    added = operator.has(3)
    step = "conv" if added or after else ""
    y = windows.convolve(operator, operator.input(0), weight, bias, None, step=step)
    if added:
        y = operator.emit(Add(), y, operator.input(3), step="sum" if after else "")
    if after is not None:
        operator.emit(after, y)


def fused_gemm(operator: Operator) -> None:
    """FusedGemm: a product and an activation."""
    after = _activation(operator, "")
    product = math.gemm(operator, step="product" if after else "")
    if after is not None:
        operator.emit(after, product)


def _activation(operator: Operator, values: str) -> Layer | None:
    kind = operator.attribute("activation", "")
    numbers = operator.attribute(values, [0.0]) if values else []
    if not values:
        names = ("activation_alpha", "activation_beta", "activation_gamma")
        numbers = [operator.attribute(n, 0.0) for n in names if operator.has_attribute(n)]
    made = _ACTIVATIONS.get(kind)
    if kind and made is None:
        raise operator.unsupported(f"the activation {kind!r} is not implemented")
    return made(*numbers) if made is not None else None


_ACTIVATIONS: dict[str, Callable[..., Layer]] = {
    "Clip": lambda low, high: Clip(low, high),
    "HardSigmoid": lambda alpha=0.2, beta=0.5: HardSigmoid(alpha=alpha, beta=beta),
    "LeakyRelu": lambda alpha=0.01: LeakyReLU(alpha=alpha),
    "Relu": lambda *_: ReLU(),
    "Sigmoid": lambda *_: Sigmoid(),
    "Tanh": lambda *_: Tanh(),
}


def fused_matmul(operator: Operator) -> None:
    """FusedMatMul: a product of inputs that may be transposed, times a number."""
    if operator.attribute("transBatchA", False) or operator.attribute("transBatchB", False):
        raise operator.unsupported("batches that are transposed")
    sides = []
    for place, letter in enumerate("AB"):
        name, rank = operator.input(place), len(operator.shape(place))
        if operator.attribute(f"trans{letter}", False) and rank > 1:
            turned = (*range(rank - 2), rank - 1, rank - 2)
            name = operator.emit(Transpose(turned), name, step=f"turned_{letter}")
        sides.append(name)
    alpha = operator.attribute("alpha", 1.0)
    product = operator.emit(MatMul(), *sides, step="product" if alpha != 1 else "")
    if alpha != 1:
        operator.emit(Mul(), product, operator.keep(np.float32(alpha), "alpha"))


def packed_attention(operator: Operator) -> None:
    """Attention of ``com.microsoft``: q, k and v by one product of the tokens."""
    _no_state(operator, (3, 4, 6), (1,))
    weight, bias = operator.constant(1, "weight"), operator.optional(2, "bias")
    heads = operator.attribute("num_heads", 0)
    third = weight.shape[1] // 3
    sizes = operator.attribute("qkv_hidden_sizes", [third] * 3)
    product = Linear(np.ascontiguousarray(weight.T), bias)
    packed = operator.emit(product, operator.input(0), step="qkv")
    parts, start = [], 0
    for name, size in zip("qkv", sizes, strict=True):
        cut = Slice([start], [start + size], [2])
        parts.append(operator.emit(cut, packed, step=name))
        start += size
    _attend(operator, heads, parts, 5)


def multi_head_attention(operator: Operator) -> None:
    """MultiHeadAttention: q, k and v as (N, L, width), and a bias for all three."""
    _no_state(operator, (4, 6, 7, 8, 9), (1, 2))
    if not (operator.has(1) and operator.has(2)) or len(operator.shape(1)) != 3:
        raise operator.unsupported("packed keys and values are not implemented")
    parts = [operator.input(place) for place in range(3)]
    if operator.has(3):
        bias, start = operator.constant(3, "bias"), 0
        for place, name in enumerate("qkv"):
            width = operator.shape(place)[2]
            own = operator.keep(bias[start : start + width], f"bias_{name}")
            parts[place] = operator.emit(Add(), parts[place], own, step=name)
            start += width
    _attend(operator, operator.attribute("num_heads", 0), parts, 5)


def _no_state(operator: Operator, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    given = any(operator.has(place) for place in inputs)
    if given or any(operator.uses_output(place) for place in outputs):
        raise operator.unsupported("masks by length, and keys and values kept between runs")
    if operator.attribute("unidirectional", False) or operator.attribute("do_rotary", False):
        raise operator.unsupported("attention in one direction is not implemented")


def _attend(operator: Operator, heads: int, parts: list[str], bias: int) -> None:
    """Attention of q, k and v, with what is added to the scores at an index."""
    scale = operator.attribute("scale", 0.0)
    mask = [operator.input(bias)] if operator.has(bias) else []
    operator.emit(Attention(heads, scale=scale or None), *parts, *mask)


def matmul_nbits(operator: Operator) -> None:
    """MatMulNBits: a product with weights of 2, 4 or 8 bits, a scale a block of them."""
    columns, rows = operator.attribute("N", 0), operator.attribute("K", 0)
    bits, block = operator.attribute("bits", 4), operator.attribute("block_size", 32)
    if bits not in (2, 4, 8) or block < 1 or operator.has(4):
        raise operator.unsupported(f"weights of {bits} bits in blocks of {block}")
    blocks = -(-rows // block)
    packed = operator.constant(1, "weight").reshape(columns, blocks, -1)
    weight = _unpacked(packed, bits)[:, :, :block].astype(np.float32)
    scale = operator.constant(2, "scale").reshape(columns, blocks, 1).astype(np.float32)
    zero: Array = np.asarray(float(1 << (bits - 1)), np.float32)
    given = operator.optional(3, "zero point")
    if given is not None and given.dtype == np.uint8:
        zero = _unpacked(given.reshape(columns, -1), bits)[:, :blocks, None].astype(np.float32)
    elif given is not None:
        zero = given.reshape(columns, blocks, 1).astype(np.float32)
    weight = ((weight - zero) * scale).reshape(columns, -1)[:, :rows]
    bias = operator.optional(5, "bias")
    operator.emit(Linear(np.ascontiguousarray(weight), bias), operator.input(0))


def _unpacked(packed: Array, bits: int) -> Array:
    """Numbers of some bits out of bytes, the lowest bits first, along the last axis."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = (packed[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return np.asarray(parts.reshape(*packed.shape[:-1], -1))


BUILDERS: dict[str, Callable[[Operator], None]] = {
    "Attention": attention,
    "SimplifiedLayerNormalization": simplified_norm,
    "SwiGLU": swiglu,
    "com.microsoft::Attention": packed_attention,
    "com.microsoft::BiasGelu": biased_gelu,
    "com.microsoft::FastGelu": biased_gelu,
    "com.microsoft::FusedConv": fused_conv,
    "com.microsoft::FusedGemm": fused_gemm,
    "com.microsoft::FusedMatMul": fused_matmul,
    "com.microsoft::Gelu": biased_gelu,
    "com.microsoft::MatMulNBits": matmul_nbits,
    "com.microsoft::MultiHeadAttention": multi_head_attention,
    "com.microsoft::QuickGelu": quick_gelu,
    "com.microsoft::SkipLayerNormalization": skip_norm,
    "com.microsoft::SkipSimplifiedLayerNormalization": skip_norm,
}
