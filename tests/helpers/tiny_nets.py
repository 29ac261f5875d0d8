"""A classifier small enough to make in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


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
