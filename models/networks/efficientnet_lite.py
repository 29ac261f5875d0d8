"""EfficientNet-Lite0, 1 and 2 (Liu 2020, after Tan and Le 2019, table 1).

EfficientNet-B0 to B2 for small devices: ReLU6 in place of Swish, no squeeze and excite, and the
first convolution, the last, and the stages beside them not widened or repeated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from twinlens.engine.errors import ParameterError
from twinlens.engine.graph import Graph
from twinlens.engine.layers import Array, ReLU6
from twinlens.engine.params import OWN, Naming
from twinlens.models.networks.assembly import (
    INVERTED,
    SEPARABLE,
    Assembly,
    Padding,
    make_divisible,
    pytorch,
    timm_block,
)

STAGES = (
    # expansion, channels, repeats, stride of the first, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


VERSIONS = {
    # width, depth, pixels
    0: (1.0, 1.0, 224),
    1: (1.0, 1.1, 240),
    2: (1.1, 1.2, 260),
}


def efficientnet_lite(
    version: int,
    parameters: Mapping[str, Array] | None = None,
    size: int | None = None,
    classes: int = 1000,
    *,
    naming: Naming = OWN,
    padding: Padding = "same",
) -> Graph:
    """Assemble the network.

    Args:
        version: 0, 1 or 2.
        parameters: trained arrays; None leaves the network without numbers.
        size: height and width of the input picture in pixels; None is the published one.
        classes: outputs.
        naming: how the parameters are named and laid out.
        padding: TensorFlow's "same", or PyTorch's "half".

    Returns:
        A graph from "input", (1, 3, size, size) RGB in -1..1, to "probabilities", (1, classes).

    Raises:
        ParameterError: another version; or parameters that do not fit, all of them named.
    """
    if version not in VERSIONS:
        raise ParameterError(
            f"EfficientNet-Lite: version is {version}; one of {list(VERSIONS)} is required"
        )
    width, _, pixels = VERSIONS[version]
    size = size or pixels
    net = Assembly(f"EfficientNet-Lite{version}", (1, 3, size, size), padding=padding)
    net.conv("stem", 32, 3, 2, then=ReLU6())
    number = 0
    for (expansion, channels, _, first, kernel), count in zip(
        STAGES, repeats(version), strict=True
    ):
        for repeat in range(count):
            number += 1
            net.inverted_residual(
                f"block{number}",
                make_divisible(channels * width),
                1 if repeat else first,
                expansion=expansion,
                kernel=kernel,
                then=ReLU6(),
            )
    net.conv("head", 1280, 1, then=ReLU6())
    net.classifier("classifier", classes)
    return net.graph(parameters, naming)


def repeats(version: int) -> tuple[int, ...]:
    """Blocks in each stage."""
    depth = VERSIONS[version][1]
    inner = [math.ceil(depth * count) for _, _, count, _, _ in STAGES[1:-1]]
    return STAGES[0][2], *inner, STAGES[-1][2]


def _part(layer: str) -> tuple[int, int]:
    """Number of a block, and of the convolution in it."""
    number, _, part = layer.removeprefix("block").partition("_")
    return int(number), int(part)


def timm(version: int) -> Naming:
    """As PyTorch Image Models names `tf_efficientnet_lite0`, 1 and 2."""

    def name(layer: str) -> str:
        if not layer.startswith("block"):
            return layer if layer == "classifier" else f"conv_{layer}"
        block, part = _part(layer)
        return timm_block(block, part, repeats(version), SEPARABLE if block == 1 else INVERTED)

    def norm(layer: str) -> str | None:
        if not layer.startswith("block"):
            return {"stem": "bn1", "head": "bn2"}.get(layer)
        return f"{name(layer).rpartition('.')[0]}.bn{_part(layer)[1] + 1}"

    return pytorch("timm's port of TensorFlow", name, norm, epsilon=1e-3)


def _port(layer: str) -> str:
    if not layer.startswith("block"):
        return "_fc" if layer == "classifier" else f"_conv_{layer}"
    block, part = _part(layer)
    # The first block has no expansion.
    kind = ("_expand_conv", "_depthwise_conv", "_project_conv")[part + (block == 1)]
    return f"_blocks.{block - 1}.{kind}"


def _port_norm(layer: str) -> str | None:
    if not layer.startswith("block"):
        return {"stem": "_bn0", "head": "_bn1"}.get(layer)
    block, part = _part(layer)
    return f"_blocks.{block - 1}._bn{part + (block == 1)}"


PORT = pytorch("EfficientNet-Lite-PyTorch", _port, _port_norm, epsilon=1e-3)
"""As ML Illustrated ported TensorFlow's networks and numbers, padding included."""
