"""Classifiers that take their picture in every way that exporters write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "int32": TensorProto.INT32,
}


def picture_net(
    path: Path,
    shape: tuple[Any, ...] = (1, 3, 16, 24),
    *,
    dtype: str = "float32",
    classes: int = 4,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A network of one convolution and one product; channels are where the shape has 1, 3 or 4.

    Integers and doubles are cast to floats first; what is not (N, C, H, W) is transposed or gets
    its batch.
    """
    whole = len(shape) == 4
    last = shape[-1] in (1, 3, 4) and shape[-3] not in (1, 3, 4)
    channels = shape[-1] if last else shape[-3]
    cast = "int" in dtype or dtype == "float64"  # ONNX Runtime has few operators on doubles
    inside = "float32" if cast else dtype
    random = np.random.default_rng(0)

    def constant(name: str, *size: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.standard_normal(size).astype(inside) / 4, name)

    nodes, x = [], "x"
    weights = [constant("k", 5, channels, 3, 3), constant("w", 5, classes)]

    def add(operator: str, *more: str, **attributes: Any) -> None:
        nonlocal x
        nodes.append(helper.make_node(operator, [x, *more], [f"v{len(nodes)}"], **attributes))
        x = nodes[-1].output[0]

    if cast:
        add("Cast", to=TensorProto.FLOAT)
    if not whole:
        weights.append(numpy_helper.from_array(np.array([0]), "axes"))
        add("Unsqueeze", "axes")
    if last:
        add("Transpose", perm=[0, 3, 1, 2])
    add("Conv", "k", kernel_shape=[3, 3])
    add("GlobalAveragePool")
    add("Flatten")
    add("MatMul", "w")
    kind = TYPES[inside]
    rows = shape[0] if whole else 1
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TYPES[dtype], shape)],
        [helper.make_tensor_value_info(x, kind, [rows, classes])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    return path
