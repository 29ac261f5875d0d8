"""The student: MobileNet-v2 1.0 (Sandler et al. 2018, table 2), 3.5 M parameters.

300 M multiply-adds at 224 px, and only layers that both engines run fast: convolutions, depthwise
convolutions, ReLU6, addition, global average pool, one fully connected layer.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from .teachers import Answer

# expansion, channels, repeats, first stride
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def convolution(
    channels: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """Convolution, batch normalisation and, if wanted, ReLU6."""
    parts: list[nn.Module] = [
        nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, momentum=0.03),
    ]
    if relu:
        parts.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*parts)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1; with a shortcut where the shapes allow it."""

    def __init__(self, channels: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        parts = [convolution(channels, hidden, 1)] if expansion != 1 else []
        parts.append(convolution(hidden, hidden, 3, stride, hidden))
        parts.append(convolution(hidden, outputs, 1, relu=False))
        self.body = nn.Sequential(*parts)
        self.shortcut = stride == 1 and channels == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Answer the block's feature maps."""
        y = self.body(x)
        return x + y if self.shortcut else y


class Student(nn.Module):
    """(N, 3, H, W) RGB in -1..1 to (N, classes) logits."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        parts: list[nn.Module] = [convolution(3, 32, 3, 2)]
        channels = 32
        for expansion, outputs, repeats, stride in STAGES:
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                parts.append(InvertedResidual(channels, outputs, step, expansion))
                channels = outputs
        parts.append(convolution(channels, 1280, 1))
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Answer logits."""
        return self.answer(x).logits

    def answer(self, x: Tensor) -> Answer:
        """Answer logits, and the features that training compares with the teachers'."""
        bottleneck = self.features[:-1](x)
        pooled = self.features[-1](bottleneck).mean((2, 3))
        return Answer(self.classifier(pooled), pooled, bottleneck)

    def units(self) -> list[nn.Sequential]:
        """All convolution units in the order in which they run."""
        chains = (m for m in self.modules() if isinstance(m, nn.Sequential))
        return [chain for chain in chains if isinstance(chain[0], nn.Conv2d)]


@torch.no_grad()
def start_from_folded(student: Student, path: Path, pictures: Tensor) -> None:
    """Take over a folded ONNX file (Conv with bias) so that training can go on from it.

    Folding lost the batch normalisations. They are put back from the statistics of `pictures`
    (N, 3, H, W): each one then undoes its own normalisation, and the network answers as the file
    does. Filters are scaled to unit variance, so that steps have the size of a fresh network's.
    """
    graph = onnx.load(path).graph
    constants = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in graph.initializer}
    for cast in (n for n in graph.node if n.op_type == "Cast"):  # weights stored as float16
        constants[cast.output[0]] = constants[cast.input[0]].float()
    nodes = [n for n in graph.node if n.op_type == "Conv"]
    units = student.units()
    if len(nodes) != len(units):
        raise ValueError(f"{path.name}: {len(nodes)} convolutions, expected {len(units)}")
    device = pictures.device
    hooks = []
    for node, unit in zip(nodes, units, strict=True):
        weight, bias = (constants[name].to(device) for name in node.input[1:3])
        fan_in = weight[0].numel()
        scale = (2.0 / fan_in) ** 0.5 / weight.flatten(1).std(1, unbiased=False).clamp(min=1e-4)
        unit[0].weight.copy_(weight * scale.view(-1, 1, 1, 1))

        def set_normalisation(
            convolved: nn.Module,
            _: object,
            y: Tensor,
            unit: nn.Sequential = unit,
            bias: Tensor = bias,
            scale: Tensor = scale,
        ) -> None:
            variance, mean = torch.var_mean(y.float(), (0, 2, 3), unbiased=False)
            norm = unit[1]
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt() / scale)
            norm.bias.copy_(bias + mean / scale)

        hooks.append(unit[0].register_forward_hook(set_normalisation))
    gemm = next(n for n in graph.node if n.op_type == "Gemm")
    student.classifier.weight.copy_(constants[gemm.input[1]].to(device))
    student.classifier.bias.copy_(constants[gemm.input[2]].to(device))
    student.eval()
    student(pictures)
    for hook in hooks:
        hook.remove()
