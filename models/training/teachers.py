"""The teachers: float ONNX classifiers of Conv, Relu, Clip(0, 6) and Add, as PyTorch modules.

The files come from quantised TFLite networks whose weights were turned back to float32. Their
class 0 is background and is left out of the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

Step = Callable[[dict[str, Tensor]], Tensor]


class Teacher(nn.Module):
    """Runs the nodes of an ONNX file in order; answers (N, 1000) logits in float32.

    Input: (N, 3, H, W) RGB in -1..1, of any size from about 96 px. With `keep_features` the mean
    and variance of every convolution's output, per channel, are kept in `statistics`.
    """

    def __init__(self, path: Path, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        graph = onnx.load(path).graph
        constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.input_name = graph.input[0].name
        self.dtype = dtype
        self.steps: list[tuple[str, str, list[str], dict[str, object]]] = []
        self.keep_features = False
        self.statistics: list[tuple[Tensor, Tensor]] = []
        for position, node in enumerate(graph.node):
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            inputs = [name for name in node.input if name not in constants]
            if node.op_type == "Conv":
                weight = torch.tensor(constants[node.input[1]]).to(dtype)
                weight = weight.contiguous(memory_format=torch.channels_last)
                self.register_buffer(f"weight_{position}", weight)
                self.register_buffer(
                    f"bias_{position}", torch.tensor(constants[node.input[2]]).to(dtype)
                )
                attributes["position"] = position
            self.steps.append((node.op_type, node.output[0], inputs, attributes))

    def _convolve(self, x: Tensor, attributes: dict[str, Any]) -> Tensor:
        position = attributes["position"]
        top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
        if (top, left) != (bottom, right):
            x, top, left = functional.pad(x, (left, right, top, bottom)), 0, 0
        weight, bias = getattr(self, f"weight_{position}"), getattr(self, f"bias_{position}")
        y = functional.conv2d(
            x,
            weight,
            bias,
            stride=attributes.get("strides", (1, 1)),
            padding=(top, left),
            groups=attributes.get("group", 1),
        )
        if self.keep_features and y.shape[-1] > 1:
            wide = y.float()
            self.statistics.append((wide.mean((0, 2, 3)), wide.var((0, 2, 3))))
        return y

    def forward(self, x: Tensor) -> Tensor:
        """Answer logits without the background class."""
        values = {self.input_name: x.to(self.dtype)}
        self.statistics = []
        for kind, output, inputs, attributes in self.steps:
            y = values[inputs[0]]
            if kind == "Conv":
                y = self._convolve(y, attributes)
            elif kind == "Relu":
                y = y.relu()
            elif kind == "Clip":
                y = y.clamp(0, 6)
            elif kind == "Add":
                y = y + values[inputs[1]]
            elif kind == "GlobalAveragePool":
                y = y.mean((2, 3), keepdim=True)
            elif kind == "Flatten":
                y = y.flatten(1)
            elif kind != "Softmax":
                raise ValueError(f"{kind} node in a teacher file; known: Conv, Relu, Clip, Add")
            values[output] = y
        return y.float()[:, 1:]


class Ensemble(nn.Module):
    """The weighted mean of the teachers' probabilities, (N, 1000)."""

    def __init__(self, teachers: list[tuple[float, Teacher]]) -> None:
        super().__init__()
        total = sum(weight for weight, _ in teachers)
        self.weights = [weight / total for weight, _ in teachers]
        self.members = nn.ModuleList(teacher for _, teacher in teachers)

    def forward(self, x: Tensor) -> Tensor:
        """Answer probabilities."""
        parts = [w * t(x).softmax(1) for w, t in zip(self.weights, self.members, strict=True)]
        return torch.stack(parts).sum(0)
