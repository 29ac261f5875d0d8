"""Write a trained student as an ONNX file: normalisation folded, weights stored as float16.

    python -m twinlens.models.training.export student_fp16.pt twinlens_208.onnx

Each stored tensor is followed by a Cast to float32, which both importers fold away at load, so
that the arithmetic is float32 and the file half the size.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from .student import InvertedResidual, Student


def folded(unit: nn.Sequential) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Filter and bias of a convolution with its normalisation multiplied in."""
    norm = unit[1]
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight = unit[0].weight.double() * scale.view(-1, 1, 1, 1)
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return weight.detach().numpy(), bias.detach().numpy()


class Writer:
    """Collects the nodes and tensors of one graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node and answer the name of its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def tensor(self, name: str, values: NDArray[np.floating]) -> str:
        """Store float16 values (biases too: they are small) and their Cast to float32."""
        self.tensors.append(numpy_helper.from_array(values.astype(np.float16), name + "_half"))
        return self.add("Cast", [name + "_half"], name, to=TensorProto.FLOAT)

    def convolution(self, x: str, name: str, unit: nn.Sequential) -> str:
        """Write one unit: Conv and, where it has one, ReLU6 as Clip."""
        layer = unit[0]
        weight, bias = folded(unit)
        side = layer.padding[0]
        y = self.add(
            "Conv",
            [x, self.tensor(name + "_weight", weight), self.tensor(name + "_bias", bias)],
            name,
            kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride),
            pads=[side] * 4,
            group=layer.groups,
        )
        if len(unit) == 2:
            return y
        return self.add("Clip", [y, "zero", "six"], name + "_relu6")


def to_onnx(student: Student, size: int) -> onnx.ModelProto:
    """Build the ONNX model: "input" (1, 3, size, size) to "probabilities" (1, 1000)."""
    writer = Writer()
    for name, value in (("zero", 0.0), ("six", 6.0)):
        writer.tensors.append(numpy_helper.from_array(np.array(value, np.float32), name))
    x = "input"
    for number, block in enumerate(student.features):
        if isinstance(block, InvertedResidual):
            y = x
            for part, unit in enumerate(block.body):
                y = writer.convolution(y, f"block{number}_{part}", unit)
            x = writer.add("Add", [x, y], f"block{number}_add") if block.shortcut else y
        else:
            x = writer.convolution(x, f"conv{number}", block)
    x = writer.add("GlobalAveragePool", [x], "pooled")
    x = writer.add("Flatten", [x], "flat", axis=1)
    weight = student.classifier.weight.detach().numpy()
    bias = student.classifier.bias.detach().numpy()
    inputs = [x, writer.tensor("classifier_weight", weight)]
    inputs.append(writer.tensor("classifier_bias", bias))
    x = writer.add("Gemm", inputs, "logits", transB=1)
    writer.add("Softmax", [x], "probabilities", axis=1)
    graph = helper.make_graph(
        writer.nodes,
        "twinlens_208",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, len(bias)])],
        writer.tensors,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="twinlens")
    onnx.checker.check_model(model, full_check=True)
    return model


def main(source: Path, target: Path, size: int = 208) -> None:
    """Read float16 weights, write the ONNX file."""
    state = torch.load(source, map_location="cpu", weights_only=True)
    student = Student()
    floats = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    student.load_state_dict(floats)
    onnx.save(to_onnx(student.eval(), size), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
