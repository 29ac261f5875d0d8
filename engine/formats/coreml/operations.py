"""Operations of ML Programs as layers: one function for each kind, and a table of them.

Those that slide a window over a picture are in ``windows``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from twinlens.engine.formats.coreml import compressed as coreml_compressed
from twinlens.engine.formats.coreml.layer import gelu_of
from twinlens.engine.formats.coreml.operation import OperationStep
from twinlens.engine.formats.coreml.windows import conv, conv_transpose, pool
from twinlens.engine.layers import (
    ELU,
    Add,
    BatchNorm2d,
    Clip,
    Concat,
    Div,
    Erf,
    Flatten,
    GlobalMaxPool2d,
    HardSigmoid,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    MatMul,
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
    Softplus,
    Softsign,
    Squeeze,
    Sub,
    Tanh,
    ThresholdedReLU,
    Transpose,
    Unsqueeze,
)
from twinlens.engine.layers.base import Layer
from twinlens.engine.layers.saturate import saturated

Builder = Callable[[OperationStep], None]


def linear(op: OperationStep) -> None:
    """A matrix (outputs, inputs) times each row."""
    op.finish(op.emit(Linear(op.array("weight"), op.optional("bias")), op.value("x")))


def matmul(op: OperationStep) -> None:
    """Product of two inputs; a known matrix on the right makes a Linear layer."""
    if op.flag("transpose_x"):
        raise op.unsupported("transposed inputs are not implemented")
    matrix = op.known("y")
    if isinstance(matrix, np.ndarray) and matrix.ndim == 2:
        weight = matrix if op.flag("transpose_y") else np.ascontiguousarray(matrix.T)
        op.finish(op.emit(Linear(weight), op.value("x")))
        return
    if op.flag("transpose_y"):
        raise op.unsupported("transposed inputs are not implemented")
    op.finish(op.emit(MatMul(), op.value("x"), op.value("y")))


def batch_norm(op: OperationStep) -> None:
    """Batch normalisation with known statistics."""
    mean, variance = op.array("mean"), op.array("variance")
    gamma, beta = op.optional("gamma"), op.optional("beta")
    layer = BatchNorm2d(
        np.ones_like(mean) if gamma is None else gamma,
        np.zeros_like(mean) if beta is None else beta,
        mean,
        variance,
        epsilon=op.number("epsilon", 1e-5),
    )
    op.finish(op.emit(layer, op.value("x")))


def instance_norm(op: OperationStep) -> None:
    """Normalisation of each channel by its own statistics."""
    x = op.value("x")
    channels = op.shape_of(x)[1]
    gamma, beta = op.optional("gamma"), op.optional("beta")
    layer = InstanceNorm2d(
        np.ones(channels, np.float32) if gamma is None else gamma,
        np.zeros(channels, np.float32) if beta is None else beta,
        epsilon=op.number("epsilon", 1e-5),
    )
    op.finish(op.emit(layer, x))


def arithmetic(op: OperationStep) -> None:
    """add, sub, mul, real_div."""
    kinds: dict[str, type[Layer]] = {"add": Add, "sub": Sub, "mul": Mul, "real_div": Div}
    op.finish(op.emit(kinds[op.kind](), op.value("x"), op.value("y")))


def bound(op: OperationStep) -> None:
    """maximum and minimum of a value and a number."""
    for limit, other in (("y", "x"), ("x", "y")):
        known = op.known(limit)
        if isinstance(known, np.ndarray) and known.size == 1:
            number = float(known.reshape(()))
            layer = Clip(number, None) if op.kind == "maximum" else Clip(None, number)
            op.finish(op.emit(layer, op.value(other)))
            return
    raise op.unsupported("the larger or smaller of two values is implemented for numbers only")


def function(op: OperationStep) -> None:
    """Functions of each sample."""
    op.finish(op.emit(_FUNCTIONS[op.kind](op), op.value("x")))


def prelu(op: OperationStep) -> None:
    """A slope for each channel."""
    x = op.value("x")
    slope = op.array("alpha").reshape(-1, *(1,) * (len(op.shape_of(x)) - 2))
    op.finish(op.emit(PReLU(slope), x))


def linear_activation(op: OperationStep) -> None:
    """``alpha * x + beta``."""
    op.finish(op.affine(op.value("x"), op.number("alpha", 1.0), op.number("beta")))


def scaled_tanh(op: OperationStep) -> None:
    """``alpha * tanh(beta * x)``."""
    inner = op.affine(op.value("x"), op.number("beta", 1.0), 0, "inner_")
    op.finish(op.affine(op.emit(Tanh(), inner), op.number("alpha", 1.0), 0, "outer_"))


def clamped_relu(op: OperationStep) -> None:
    """Leaky below 0, limited above."""
    x = op.emit(LeakyReLU(op.number("alpha")), op.value("x"), step="leaky")
    op.finish(op.emit(Clip(None, op.number("beta")), x))


def square(op: OperationStep) -> None:
    """``x * x``."""
    op.finish(op.emit(Mul(), op.value("x"), op.value("x")))


def reduce(op: OperationStep) -> None:
    """reduce_mean, reduce_sum; reduce_max over height and width."""
    x = op.value("x")
    shape = op.shape_of(x)
    axes = op.numbers("axes", tuple(range(len(shape))))
    keep = op.flag("keep_dims")
    if op.kind == "reduce_max":
        if len(shape) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
            raise op.unsupported(f"the largest over axes {axes} of {shape} is not implemented")
        x = op.emit(GlobalMaxPool2d(), x)
        op.finish(x if keep else op.emit(Squeeze((2, 3)), x))
        return
    mean = op.emit(ReduceMean(axes, keep_dims=keep), x)
    count = prod(shape[axis] for axis in axes) if op.kind == "reduce_sum" else 1
    op.finish(op.affine(mean, count, 0, "sum_"))


def softmax(op: OperationStep) -> None:
    """Softmax along an axis."""
    op.finish(op.emit(Softmax(int(op.number("axis", -1))), op.value("x")))


def concat(op: OperationStep) -> None:
    """Inputs joined along an axis."""
    if op.flag("interleave"):
        raise op.unsupported("interleaving is not implemented")
    names = [op.value("values", index) for index in range(op.count("values"))]
    op.finish(op.emit(Concat(int(op.number("axis"))), *names))


def reshape(op: OperationStep) -> None:
    """Another shape that is known; 0 keeps an axis."""
    op.finish(op.emit(Reshape(op.numbers("shape")), op.value("x")))


def flatten(op: OperationStep) -> None:
    """Two axes."""
    op.finish(op.emit(Flatten(int(op.number("axis", 1))), op.value("x")))


def squeeze(op: OperationStep) -> None:
    """Axes of size 1 taken away."""
    axes = op.numbers("axes") if op.has("axes") else None
    op.finish(op.emit(Squeeze(axes), op.value("x")))


def expand(op: OperationStep) -> None:
    """Axes of size 1 put in."""
    op.finish(op.emit(Unsqueeze(op.numbers("axes")), op.value("x")))


def transpose(op: OperationStep) -> None:
    """Axes in another order."""
    op.finish(op.emit(Transpose(op.numbers("perm")), op.value("x")))


def pad(op: OperationStep) -> None:
    """A border around the last axes."""
    x = op.value("x")
    rank, amounts = len(op.shape_of(x)), op.numbers("pad")
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    mode = modes.get(op.text("mode", "constant"))
    if mode is None or len(amounts) % 2 or len(amounts) > 2 * rank:
        raise op.unsupported(f"{len(amounts)} pads in mode {op.text('mode', 'constant')!r}")
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    pads = [(0, 0)] * (rank - len(pairs)) + pairs
    op.finish(op.emit(Pad(pads, mode=mode, value=op.number("constant_val")), x))


def upsample(op: OperationStep) -> None:
    """upsample_nearest_neighbor and upsample_bilinear by factors."""
    scales = [op.number("scale_factor_height", 1.0), op.number("scale_factor_width", 1.0)]
    if op.kind == "upsample_bilinear":
        corners = op.flag("align_corners", True)
        centers = op.flag("half_pixel_centers", not corners)
        if corners and centers:
            raise op.unsupported("corners and centers of pixels cannot both be kept in place")
        coordinates = "align_corners" if corners else "half_pixel" if centers else "asymmetric"
        layer = Resize(scales=scales, axes=(2, 3), mode="linear", coordinates=coordinates)
    else:
        layer = Resize(scales=scales, axes=(2, 3), coordinates="asymmetric", nearest_mode="floor")
    op.finish(op.emit(layer, op.value("x")))


def resize(op: OperationStep) -> None:
    """resize_nearest_neighbor and resize_bilinear to a size."""
    sizes = [int(op.number(f"target_size_{side}", 0)) for side in ("height", "width")]
    if op.kind == "resize_nearest_neighbor":
        layer = Resize(sizes=sizes, axes=(2, 3), coordinates="asymmetric", nearest_mode="floor")
    else:
        rules = {
            "STRICT_ALIGN_CORNERS": "align_corners",
            "ALIGN_CORNERS": "align_corners",
            "DEFAULT": "asymmetric",
            "UNALIGN_CORNERS": "half_pixel",
        }
        rule = rules.get(op.text("sampling_mode", "DEFAULT"))
        if rule is None:
            raise op.unsupported(f"sampling {op.text('sampling_mode', 'DEFAULT')!r}")
        layer = Resize(sizes=sizes, axes=(2, 3), mode="linear", coordinates=rule)
    op.finish(op.emit(layer, op.value("x")))


def lrn(op: OperationStep) -> None:
    """Local response normalisation over neighbouring channels."""
    layer = LocalResponseNorm(
        int(op.number("size", 1)),
        alpha=op.number("alpha", 1e-4),
        beta=op.number("beta", 0.75),
        bias=op.number("k", 1.0),
    )
    op.finish(op.emit(layer, op.value("x")))


def same(op: OperationStep) -> None:
    """identity, and cast between float types, all of which are float32 here."""
    known = op.known("x")
    if isinstance(known, np.ndarray) and op.kind == "cast":
        whole = op.text("dtype", "fp32").startswith(("int", "uint"))
        if whole and known.dtype.kind == "f":
            op.finish(op.keep(saturated(known, np.int64), "cast"))
        else:
            op.finish(op.keep(known.astype(np.int64 if whole else np.float32), "cast"))
        return
    if op.kind == "cast" and not op.text("dtype", "fp32").startswith("fp"):
        raise op.unsupported(f"a cast to {op.text('dtype', 'fp32')} is not implemented")
    op.finish(op.value("x"))


def classify(op: OperationStep) -> None:
    """The class itself is found by whoever runs the graph."""
    op.finish(op.value("probabilities"))


_FUNCTIONS: dict[str, Callable[[OperationStep], Layer]] = {
    "clip": lambda op: Clip(op.number("alpha"), op.number("beta")),
    "elu": lambda op: ELU(op.number("alpha", 1.0)),
    "erf": lambda op: Erf(),
    "gelu": lambda op: gelu_of(op, op.text("mode", "EXACT")),
    "leaky_relu": lambda op: LeakyReLU(op.number("alpha", 0.01)),
    "relu": lambda op: ReLU(),
    "relu6": lambda op: ReLU6(),
    "sigmoid": lambda op: Sigmoid(),
    "sigmoid_hard": lambda op: HardSigmoid(op.number("alpha", 0.2), op.number("beta", 0.5)),
    "silu": lambda op: SiLU(),
    "softplus": lambda op: Softplus(),
    "softsign": lambda op: Softsign(),
    "tanh": lambda op: Tanh(),
    "thresholded_relu": lambda op: ThresholdedReLU(op.number("alpha", 1.0)),
}

BUILDERS: dict[str, Builder] = {
    **coreml_compressed.BUILDERS,
    **dict.fromkeys(_FUNCTIONS, function),
    **dict.fromkeys(("add", "mul", "real_div", "sub"), arithmetic),
    **dict.fromkeys(("avg_pool", "max_pool"), pool),
    **dict.fromkeys(("cast", "identity"), same),
    **dict.fromkeys(("maximum", "minimum"), bound),
    **dict.fromkeys(("reduce_max", "reduce_mean", "reduce_sum"), reduce),
    **dict.fromkeys(("resize_bilinear", "resize_nearest_neighbor"), resize),
    **dict.fromkeys(("upsample_bilinear", "upsample_nearest_neighbor"), upsample),
    "batch_norm": batch_norm,
    "clamped_relu": clamped_relu,
    "classify": classify,
    "concat": concat,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "expand_dims": expand,
    "flatten2d": flatten,
    "instance_norm": instance_norm,
    "linear": linear,
    "linear_activation": linear_activation,
    "local_response_norm": lrn,
    "matmul": matmul,
    "pad": pad,
    "prelu": prelu,
    "reshape": reshape,
    "scaled_tanh": scaled_tanh,
    "softmax": softmax,
    "square": square,
    "squeeze": squeeze,
    "transpose": transpose,
}
