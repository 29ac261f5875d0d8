"""A network of every layer, and a model with a recipe and a title out of the common."""

from __future__ import annotations

import numpy as np

from twinlens.engine import layers as kinds
from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.graph import Graph, Node
from twinlens.engine.image import CropAndScale, Recipe


def all_layers() -> Graph:
    """Every layer, with settings that are not the usual ones."""
    rng = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)

    scale, zero = np.full(4, 0.25, np.float32), np.full(4, 3, np.int8)
    picture = [
        kinds.Conv2d(array(4, 2, 3, 2), array(4), groups=2, pads=(1, 0, 1, 1), dilation=(1, 1)),
        kinds.DepthwiseConv2d(array(8, 1, 1, 3), pads=(0, 1, 0, 1), multiplier=2),
        kinds.Conv2d(array(4, 8, 1, 1), None, stride=(1, 1)),
        kinds.ConvTranspose2d(array(4, 2, 2, 2), array(4), groups=2, output_padding=(1, 0)),
        kinds.BatchNorm2d(array(4), array(4), array(4), array(4), epsilon=1e-3),
        kinds.InstanceNorm2d(array(4), array(4), epsilon=1e-2),
        kinds.LocalResponseNorm(3, alpha=0.5, beta=0.5, bias=2.0),
        kinds.PReLU(array(4, 1, 1)),
        kinds.MaxPool2d((2, 3), stride=(1, 2), pads=(1, 0, 0, 1), ceil_mode=True),
        kinds.AvgPool2d((2, 2), pads=(1, 0, 0, 1), count_include_pad=True),
        kinds.QuantizeLinear(scale, zero),
        kinds.DequantizeLinear(scale, zero),
        kinds.QuantizeLinear(np.float32(0.25), dtype=np.int8),
        kinds.DequantizeLinear(np.float32(0.5)),
        kinds.Resize(sizes=(7, 9), axes=(2, 3), mode="linear", coordinates="align_corners"),
        kinds.Resize(scales=(1.0, 1.0, 2.0, 1.5)),
        kinds.Pad(((0, 0), (0, 0), (1, 0), (0, 2)), value=0.5),
        kinds.Pad(((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect"),
        kinds.Transpose((0, 1, 3, 2)),
        kinds.Transpose(),
        kinds.Transpose(),
        *(kinds.ReLU(), kinds.ReLU6(), kinds.Clip(-1.0, 4.0), kinds.Clip(maximum=5.0)),
        *(kinds.LeakyReLU(0.2), kinds.ThresholdedReLU(0.1), kinds.ELU(0.5), kinds.CELU(2.0)),
        *(kinds.SELU(1.5, 1.1), kinds.HardSigmoid(0.3, 0.4), kinds.HardSwish(), kinds.SiLU(2.0)),
        *(kinds.Mish(), kinds.GELU("tanh"), kinds.Erf(), kinds.Tanh(), kinds.Softplus()),
        *(kinds.Softsign(), kinds.Sigmoid(), kinds.Dropout(0.1), kinds.Identity()),
        *(kinds.Clip(0.0, float("inf")), kinds.Softmax(1), kinds.LogSoftmax(-1)),
        *(kinds.Unsqueeze((0,)), kinds.Squeeze((0,)), kinds.ReduceMean((2,), keep_dims=True)),
        *(kinds.Reshape((1, 4, -1)), kinds.Flatten(2), kinds.Reshape((1, 4, 0, 1))),
    ]
    # Reshape with 0 copies a size; here the third is the product that Flatten made.
    picture[-1] = kinds.Reshape((1, 4, -1, 1))
    nodes, x = [], "x"
    for number, layer in enumerate(picture):
        name = f"{layer.kind}{number}"
        nodes.append(Node(name, layer, (x,), name))
        x = name
    constants = {"c": array(4, 1, 1), "m": array(4, 3), "bias": array(1, 3)}
    for number, binary in enumerate((kinds.Add(), kinds.Sub(), kinds.Mul(), kinds.Div())):
        name = f"binary{number}"
        nodes.append(Node(name, binary, (x, "c"), name))
        x = name
    more = [
        ("fixed", kinds.Constant(array(1, 4, 17, 1)), ()),
        ("joined", kinds.Concat(axis=-1), (x, "fixed")),
        ("most", kinds.GlobalMaxPool2d(), ("joined",)),
        ("mean", kinds.GlobalAvgPool2d(), ("joined",)),
        ("sum", kinds.Add(), ("most", "mean")),
        ("flat", kinds.Flatten(), ("sum",)),
        ("gemm", kinds.Gemm(alpha=0.5, beta=2.0), ("flat", "m", "bias")),
        ("product", kinds.MatMul(), ("flat", "m")),
        ("linear", kinds.Linear(array(5, 3), None), ("gemm",)),
        *_more(array),
    ]
    nodes += [Node(name, layer, tuple(inputs), name) for name, layer, inputs in more]
    outputs = ["linear", "product", "last", "truth", "counts"]
    constants |= {
        "places": np.array([2, 0, -1]),
        "elements": rng.integers(0, 4, (1, 4, 2, 2)),
        "points": np.array([[0, 1], [0, -1]]),
        "two": np.float32(2),
        "point_rows": array(2, 2, 17),
        "fresh": array(1, 4, 2, 2),
        "places_2": np.array([[1]]),
        "columns": array(1, 4, 6),
        "key": array(1, 3, 34),
        "square": array(4, 4),
        "bytes": rng.integers(0, 255, (4, 3)).astype(np.uint8),
    }
    return Graph("all", {"x": (1, 4, 6, 5)}, outputs, nodes, constants=constants)


def odd_spec(graph: Graph) -> ModelSpec:
    """Settings that are not the usual ones, and a title that has to be tamed."""
    recipe = Recipe(
        5,
        6,
        crop_and_scale=CropAndScale.SCALE_FIT,
        color="BGR",
        scale=-1e-05,
        interpolation="nearest",
        padding=3,
    )
    # Wide letters count twice.
    title = '日本語 Ünïcode "quoted" \\back\\ \u202eright-to-left\u202c\n"""end""" {braces} 🦆' * 2
    return ModelSpec("odd", title, recipe, (), 1, "logits")


def _more(array) -> list[tuple[str, kinds.Layer, tuple[str, ...]]]:
    """Layers that take, reduce, compare and count, on a picture of (1, 4, 17, 1)."""
    functions = (
        *(kinds.Neg, kinds.Abs, kinds.Sqrt, kinds.Exp, kinds.Log, kinds.Sin, kinds.Cos, kinds.Tan),
        *(kinds.Atan, kinds.Sinh, kinds.Cosh, kinds.Asinh, kinds.Acosh, kinds.Reciprocal),
        *(kinds.Tanh, kinds.Asin, kinds.Acos, kinds.Floor, kinds.Sign, kinds.Round, kinds.Ceil),
        kinds.Atanh,
    )
    rows: list[tuple[str, kinds.Layer, tuple[str, ...]]] = []

    def add(name: str, layer: kinds.Layer, *inputs: str) -> str:
        rows.append((name, layer, inputs))
        return name

    x = add("picture", kinds.Reshape((1, 4, 2, -1)), "joined")
    for number, function in enumerate(functions):
        x = add(f"function{number}", function(), x)
    x = add("back", kinds.Add(), x, "picture")
    for name, layer in (
        ("layer_norm", kinds.LayerNorm(array(4, 1, 1), array(1, 1), axis=1, epsilon=1e-3)),
        ("rms", kinds.RMSNorm(array(1), axis=-2, epsilon=1e-4)),
        ("slice", kinds.Slice((0, -2), (4, -99), (-2, 3), (1, -2))),
        ("tile", kinds.Tile((1, 1, 2, 1))),
        ("expand", kinds.Expand((2, 1, 1, 1))),
        ("first", kinds.Slice((0,), (1,))),
        ("deep", kinds.SpaceToDepth(2, "CRD")),
        ("flat", kinds.DepthToSpace(2)),
        ("sum_up", kinds.CumSum(-1, exclusive=True, reverse=True)),
    ):
        x = add(name if name != "flat" else "wide", layer, x)
    x = add("gathered", kinds.Gather(1), x, "places")
    x = add("again", kinds.Gather(-3), x, "places")
    x = add("einsum", kinds.Einsum("bchw,cd->bdhw"), "picture", "square")
    x = add("elements_of", kinds.GatherElements(-1), x, "elements")
    points = add("points_of", kinds.GatherND(), "picture", "points")
    for number, kind in enumerate(
        (
            *(kinds.ReduceSum, kinds.ReduceMax, kinds.ReduceMin, kinds.ReduceProd, kinds.ReduceL1),
            *(kinds.ReduceL2, kinds.ReduceSumSquare, kinds.ReduceLogSum, kinds.ReduceLogSumExp),
        )
    ):
        reduced = add(f"reduced{number}", kind((-1,), keep_dims=True), "picture")
        x = add(f"with{number}", kinds.Maximum() if number % 2 else kinds.Minimum(), reduced, x)
    x = add("pow", kinds.Pow(), x, "two")
    x = add("mod", kinds.Mod(truncated=True), x, "two")
    names = [
        add(f"is{number}", kind(), x, "two")
        for number, kind in enumerate(
            (kinds.Equal, kinds.Greater, kinds.GreaterOrEqual, kinds.Less, kinds.LessOrEqual)
        )
    ]
    truth = add("and", kinds.And(), names[0], names[1])
    truth = add("or", kinds.Or(), truth, names[2])
    truth = add("xor", kinds.Xor(), truth, names[3])
    truth = add("not", kinds.Not(), truth)
    odd = add("inf", kinds.IsInf(negative=False), x)
    odd = add("odd", kinds.Or(), odd, add("nan", kinds.IsNaN(), x))
    add("truth", kinds.Or(), odd, truth)
    chosen = add("where", kinds.Where(), truth, x, "two")
    spots = add("most_at", kinds.ArgMax(1, keep_dims=False, last=True), chosen)
    spots = add("least_at", kinds.ArgMin(-1), add("spots", kinds.Cast("float32"), spots))
    add("spot", kinds.Cast(np.int32), spots)
    small = [
        add(part, kinds.DynamicQuantizeLinear(part), "picture")
        for part in ("values", "scale", "zero_point")
    ]
    weight = (array(3, 4, 1, 2) * 80).astype(np.uint8)
    zeros = np.array([3, 200, 128], np.uint8)
    layer = kinds.ConvInteger(weight, zeros, stride=(1, 2), pads=(0, 1, 1, 0))
    add("counts", layer, small[0], small[2])
    row = add("row", kinds.DynamicQuantizeLinear(), "flat")
    more = add("more", kinds.MatMulInteger(), row, "bytes", small[2], small[2])
    real = add("real", kinds.Mul(), add("cast", kinds.Cast("float32"), more), small[1])
    placed = add("placed", kinds.ScatterElements(1, "add"), "picture", "elements", "fresh")
    placed = add("pointed", kinds.ScatterND("max"), placed, "points", "point_rows")
    best = add("best", kinds.TopK(2, 1, largest=False), placed)
    best_at = add("best_at", kinds.TopK(2, 1, part="places"), placed)
    masked = add("masked", kinds.Bitwise("and"), best_at, "places_2")
    points_at = add("grid", kinds.Reshape((1, -1, 2, 2)), best)
    sampled = add(
        "sampled", kinds.GridSample("cubic", "border", align_corners=True), placed, points_at
    )
    folded = add("folded", kinds.Col2Im((3, 2), (2, 1), pads=(1, 0, 0, 0)), "columns")
    tokens = add("tokens", kinds.Reshape((1, 2, -1)), sampled)
    attended = add("attended", kinds.Attention(2, 1, scale=0.5, softcap=3.0), tokens, "key", "key")
    total = add("total", kinds.ReduceMean(), chosen)
    for number, value in enumerate(
        (attended, folded, add("masked_f", kinds.Cast("float32"), masked))
    ):
        total = add(
            f"sum{number}", kinds.Add(), total, add(f"mean{number}", kinds.ReduceMean(), value)
        )
    total = add("total2", kinds.Add(), total, add("point_sum", kinds.ReduceSum(), points))
    total = add("total3", kinds.Add(), total, add("again_mean", kinds.ReduceMean(), "again"))
    total = add("total4", kinds.Add(), total, add("spot_f", kinds.Cast("float32"), "spot"))
    add("last", kinds.Add(), real, total)
    return rows
