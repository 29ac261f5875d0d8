"""Classifiers small enough to make in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from twinlens.app.core.setup.golden import Golden
from twinlens.engine.image import PixelBuffer


def tiny_classifier(
    path: Path,
    classes: int,
    *,
    softmax: bool = True,
    shape: tuple[object, ...] = (1, 3, 16, 16),
    metadata: dict[str, str] | None = None,
) -> Path:
    """A classifier with random weights: global mean, linear, softmax."""
    rng = np.random.default_rng(0)
    channels = shape[1] if isinstance(shape[1], int) else 3
    weight = numpy_helper.from_array(rng.normal(size=(channels, classes)).astype("f"), "w")
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["logits"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(
                "y" if softmax else "logits", TensorProto.FLOAT, [1, classes]
            )
        ],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    return path


def color_reader(path: Path, *, metadata: dict[str, str] | None = None) -> Path:
    """A network that tells red, green and blue, and only when fed with -1 to 1 in R, G, B.

    Its logits are the channels' means, less for what lies outside of -1 to 1.
    """
    weight = numpy_helper.from_array(np.eye(3, dtype="f") * 8, "w")
    bounds = [numpy_helper.from_array(np.array(v, "f"), n) for n, v in (("lo", -1), ("hi", 1))]
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["m"]),
        helper.make_node("Flatten", ["m"], ["f"]),
        helper.make_node("Clip", ["f", "lo", "hi"], ["c"]),
        helper.make_node("MatMul", ["c", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colors",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [weight, *bounds],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    return path


COLORS = ("red", "green", "blue")


def plain(color: str) -> Golden:
    """A picture of one colour, named so."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., COLORS.index(color)] = 255
    return Golden(PixelBuffer.from_array(pixels, "RGB8"), (color,))


def two_heads(
    path: Path, *, metadata: dict[str, str] | None = None, names: tuple[str, str] = ("hue", "shade")
) -> Path:
    """A network with two outputs of which nothing says which is meant.

    The first tells red, green and blue, as ``color_reader`` does; the second, of two classes, dark
    from light. Both come from the same values by a softmax.
    """
    model = onnx.load(str(color_reader(path)))
    graph = model.graph
    weight = np.stack([-np.ones(3), np.ones(3)], 1).astype("f")
    graph.initializer.append(numpy_helper.from_array(weight, "v"))
    graph.node.extend(
        [
            helper.make_node("MatMul", ["c", "v"], ["levels"]),
            helper.make_node("Softmax", ["levels"], [names[1]]),
        ]
    )
    graph.node[4].output[0] = names[0]
    graph.output[0].name = names[0]
    graph.output.append(helper.make_tensor_value_info(names[1], TensorProto.FLOAT, [1, 2]))
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    return path


def hidden_shares(path: Path, *, metadata: dict[str, str] | None = None) -> Path:
    """A network whose probabilities are made by no softmax, so that they are taken for scores."""
    model = onnx.load(str(color_reader(path)))
    graph = model.graph
    del graph.node[4]
    graph.initializer.append(numpy_helper.from_array(np.ones((3, 3), "f"), "ones"))
    graph.node.extend(
        [
            helper.make_node("Softplus", ["logits"], ["s"]),
            helper.make_node("MatMul", ["s", "ones"], ["sum"]),
            helper.make_node("Div", ["s", "sum"], ["y"]),
        ]
    )
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    return path
