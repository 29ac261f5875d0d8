"""The teachers: float ONNX classifiers of Conv, Relu, Clip(0, 6) and Add, as PyTorch modules.

The files come from quantised TFLite networks whose weights were turned back to float32. Their
class 0 is background and is left out of the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional


class Answer(NamedTuple):
    """What one network says of a batch, and what it saw on the way.

    logits: (N, 1000) float32; pooled: (N, C) features behind the global average pool; bottleneck:
    (N, C', h, w) what goes into the last convolution before that pool (stride 32).
    """

    logits: Tensor
    pooled: Tensor
    bottleneck: Tensor


class Teacher(nn.Module):
    """Runs the nodes of an ONNX file in order.

    Input: (N, 3, H, W) RGB in -1..1, of any size from about 96 px. With `keep_features` the mean
    and variance of every convolution's output, per channel, are kept in `statistics`.
    """

    def __init__(self, path: Path, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        graph = onnx.load(path).graph
        constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.input_name = graph.input[0].name
        self.dtype = dtype
        self.steps: list[tuple[str, str, list[str], dict[str, Any]]] = []
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
        self.bottleneck_name = self._last_convolution_before_the_pool()

    def _last_convolution_before_the_pool(self) -> str:
        """Name of what the last convolution before the pool reads."""
        last = ""
        for kind, _, inputs, _ in self.steps:
            if kind == "GlobalAveragePool":
                return last
            if kind == "Conv":
                last = inputs[0]
        raise ValueError("a teacher without GlobalAveragePool")

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

    def forward(self, x: Tensor) -> Answer:
        """Answer logits without the background class, and features."""
        values = {self.input_name: x.to(self.dtype)}
        self.statistics = []
        pooled = x
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
                pooled = y.flatten(1)
            elif kind == "Flatten":
                y = y.flatten(1)
            elif kind != "Softmax":
                raise ValueError(f"{kind} node in a teacher file; known: Conv, Relu, Clip, Add")
            values[output] = y
        return Answer(y.float()[:, 1:], pooled.float(), values[self.bottleneck_name])


class Ensemble(nn.Module):
    """Several teachers with weights that sum to 1."""

    def __init__(self, teachers: Iterable[tuple[float, Teacher]]) -> None:
        super().__init__()
        pairs = tuple(teachers)
        total = sum(weight for weight, _ in pairs)
        self.weights = [weight / total for weight, _ in pairs]
        self.members = nn.ModuleList(teacher for _, teacher in pairs)

    def forward(self, x: Tensor) -> list[Answer]:
        """Answer what each teacher says."""
        return [teacher(x) for teacher in self.members]

    def probabilities(self, answers: list[Answer]) -> Tensor:
        """The weighted mean of the teachers' probabilities, (N, 1000)."""
        pairs = zip(self.weights, answers, strict=True)
        return torch.stack([w * a.logits.softmax(1) for w, a in pairs]).sum(0)

    def logits(self, answers: list[Answer]) -> Tensor:
        """The weighted mean of the teachers' centred logits, (N, 1000)."""
        pairs = zip(self.weights, answers, strict=True)
        return torch.stack([w * (a.logits - a.logits.mean(1, keepdim=True)) for w, a in pairs]).sum(
            0
        )
