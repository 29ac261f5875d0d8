"""ResNets of 18 to 152 layers (He et al. 2015, table 1), with torchvision's names, and timm's.

The stride of a bottleneck lies in its 3×3 convolution, as in torchvision, not in its first 1×1.
"""

from __future__ import annotations

from collections.abc import Mapping

from twinlens.engine.errors import ParameterError
from twinlens.engine.graph import Graph
from twinlens.engine.layers import Add, Array, ReLU
from twinlens.engine.params import OWN, Naming
from twinlens.models.networks.assembly import Assembly, pytorch

STAGES = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks in each of the four stages, by depth."""


class _ResNet(Assembly):
    """Blocks whose input is added to their output."""

    def basic(self, name: str, channels: int, stride: int) -> None:
        """Two 3×3 convolutions."""
        before = self.value
        self.conv(f"{name}.conv1", channels, 3, stride, then=ReLU())
        after = self.conv(f"{name}.conv2", channels, 3)
        self.shortcut(name, before, after, stride)

    def bottleneck(self, name: str, channels: int, stride: int) -> None:
        """1×1 down, 3×3, 1×1 up to four times the channels."""
        before = self.value
        self.conv(f"{name}.conv1", channels, 1, then=ReLU())
        self.conv(f"{name}.conv2", channels, 3, stride, then=ReLU())
        after = self.conv(f"{name}.conv3", channels * 4, 1)
        self.shortcut(name, before, after, stride)

    def shortcut(self, name: str, before: str, after: str, stride: int) -> None:
        """Add the block's input, by a 1×1 convolution where its shape differs, and ReLU."""
        channels = self.channels
        self.value = before
        if self.shape != self.shapes[after]:
            self.conv(f"{name}.downsample.0", channels, 1, stride)
        self.join(name, Add(), after, self.value)
        self.add(f"{name}.relu", ReLU())


def resnet(
    depth: int,
    parameters: Mapping[str, Array] | None = None,
    size: int = 224,
    classes: int = 1000,
    *,
    naming: Naming = OWN,
) -> Graph:
    """Assemble the network.

    Args:
        depth: 18, 34, 50, 101 or 152.
        parameters: trained arrays; None leaves the network without numbers.
        size: height and width of the input picture in pixels.
        classes: outputs.
        naming: how the parameters are named and laid out.

    Returns:
        A graph from "input", (1, 3, size, size) RGB less ImageNet's mean over its deviation, to
        "probabilities", (1, classes).

    Raises:
        ParameterError: another depth; or parameters that do not fit, all of them named.
    """
    if depth not in STAGES:
        raise ParameterError(f"ResNet: depth is {depth}; one of {list(STAGES)} is required")
    net = _ResNet(f"ResNet-{depth}", (1, 3, size, size))
    net.conv("conv1", 64, 7, 2, then=ReLU())
    net.max_pool("maxpool", 3, 2)
    block = net.basic if depth < 50 else net.bottleneck
    for stage, repeats in enumerate(STAGES[depth]):
        for repeat in range(repeats):
            stride = 2 if stage and not repeat else 1
            block(f"layer{stage + 1}.{repeat}", 64 << stage, stride)
    net.classifier("fc", classes)
    return net.graph(parameters, naming)


def _norm(layer: str) -> str | None:
    if layer == "fc":
        return None
    if layer.endswith("downsample.0"):
        return layer.removesuffix("0") + "1"
    return layer.replace("conv", "bn")


TORCHVISION = pytorch("torchvision", norm=_norm)
