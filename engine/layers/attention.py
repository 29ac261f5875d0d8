"""Attention of tokens to tokens."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Layer, Shape
from twinlens.engine.layers.checks import broadcast


class Attention(Layer):
    """``softmax(scale · q @ kᵀ + mask) @ v`` for each head; inputs: q, k, v and perhaps a mask.

    Tokens are (N, heads, L, size), or (N, L, heads · size) where ``heads`` says how many there
    are. k and v may have fewer heads, each of which then serves several of q's. A mask broadcasts
    to (N, heads, L of q, L of k): truth values say which tokens count, floats are added. A token
    to which nothing counts gets 0.

    Args:
        heads: of q, for inputs of three axes.
        kv_heads: of k and v, likewise; None for as many.
        scale: None for ``1 / √size``.
        softcap: scores go through ``softcap · tanh(score / softcap)`` before the mask; 0 for not.

    Raises:
        ParameterError: heads of which q's are no multiple of k's, or a negative softcap.

    Reference: Vaswani et al. 2017; https://onnx.ai/onnx/operators/onnx__Attention.html
    """

    def __init__(
        self,
        heads: int | None = None,
        kv_heads: int | None = None,
        *,
        scale: float | None = None,
        softcap: float = 0.0,
    ) -> None:
        self.heads = None if heads is None else int(heads)
        self.kv_heads = self.heads if kv_heads is None else int(kv_heads)
        if self.heads is not None and (
            self.heads < 1 or not self.kv_heads or self.kv_heads < 1 or self.heads % self.kv_heads
        ):
            raise ParameterError(
                f"{self.kind}: {heads} heads for {kv_heads} of keys; a multiple is required"
            )
        if not softcap >= 0:
            raise ParameterError(f"{self.kind}: softcap is {softcap}; at least 0 is required")
        self.scale = None if scale is None else float(scale)
        self.softcap = float(softcap)

    def _by_head(self, shape: Shape, heads: int | None) -> Shape:
        """(N, heads, L, size) of tokens."""
        if heads is None and len(shape) == 4:
            return shape
        if heads is not None and len(shape) == 3 and shape[2] % heads == 0:
            return shape[0], heads, shape[1], shape[2] // heads
        wanted = "(N, heads, L, size)" if heads is None else f"(N, L, {heads} · size)"
        raise ShapeError(f"{self.kind}: tokens are {shape}; {wanted} is required")

    def output_shape(self, *inputs: Shape) -> Shape:
        """As q, with the size of v."""
        if len(inputs) not in (3, 4):
            raise ShapeError(f"{self.kind}: received {len(inputs)} inputs; 3 or 4 are required")
        q = self._by_head(inputs[0], self.heads)
        k, v = (self._by_head(shape, self.kv_heads) for shape in inputs[1:3])
        fits = q[0] == k[0] == v[0] and k[1:3] == v[1:3] and q[3] == k[3]
        if not fits or k[1] == 0 or q[1] % k[1]:
            raise ShapeError(f"{self.kind}: q {inputs[0]}, k {inputs[1]}, v {inputs[2]} do not fit")
        scores = (*q[:3], k[2])
        if len(inputs) == 4 and broadcast(self.kind, scores, inputs[3]) != scores:
            raise ShapeError(f"{self.kind}: a mask of {inputs[3]} does not fit scores of {scores}")
        if self.heads is None:
            return (*q[:3], v[3])
        return q[0], q[2], q[1] * v[3]

    def forward(self, *inputs: Array) -> Array:
        """Attend; the answer has the type of q."""
        shape = self.output_shape(*(x.shape for x in inputs))
        q = self._split(inputs[0], self.heads)
        k, v = (self._split(x, self.kv_heads) for x in inputs[1:3])
        if k.shape[1] != q.shape[1]:
            k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
        scale = 1 / sqrt(q.shape[3]) if self.scale is None else self.scale
        scores = np.matmul(q * q.dtype.type(scale), np.swapaxes(k, 2, 3))
        if self.softcap:
            cap = q.dtype.type(self.softcap)
            scores = np.tanh(scores / cap) * cap
        if len(inputs) == 4:
            mask = inputs[3]
            if mask.dtype == np.bool_:
                scores = np.where(mask, scores, scores.dtype.type(-np.inf))
            else:
                scores = scores + mask.astype(scores.dtype, copy=False)
        answer = np.matmul(_weights(scores), v)
        if self.heads is not None:
            answer = answer.transpose(0, 2, 1, 3)
        return np.ascontiguousarray(answer).reshape(shape)

    def _split(self, x: Array, heads: int | None) -> Array:
        if heads is None:
            return x
        n, length, width = x.shape
        return x.reshape(n, length, heads, width // heads).transpose(0, 2, 1, 3)

    def macs(self, *inputs: Shape) -> int:
        """Those of both products."""
        q = self._by_head(inputs[0], self.heads)
        k, v = (self._by_head(shape, self.kv_heads) for shape in inputs[1:3])
        return prod(q[:3]) * k[2] * (q[3] + v[3])

    def describe(self) -> str:
        """Heads, scale and cap."""
        parts = [] if self.heads is None else [f"{self.heads} heads"]
        parts += [] if self.scale is None else [f"scale {self.scale:g}"]
        parts += [f"softcap {self.softcap:g}"] if self.softcap else []
        return ", ".join(parts)


def _weights(scores: Array) -> Array:
    """Softmax over the last axis; zeros where all scores are minus infinity."""
    most = scores.max(axis=-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isneginf(most), 0, most).astype(scores.dtype))
    total = powers.sum(axis=-1, keepdims=True)
    return np.asarray(powers / np.where(total == 0, 1, total).astype(scores.dtype))
