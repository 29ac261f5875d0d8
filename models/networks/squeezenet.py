"""SqueezeNet 1.1 (Iandola et al. 2016, table 1, as its authors slimmed it for version 1.1)."""

from __future__ import annotations

from collections.abc import Mapping

from twinlens.engine.graph import Graph
from twinlens.engine.layers import Array, Flatten, GlobalAvgPool2d, ReLU, Softmax
from twinlens.engine.params import OWN, Naming
from twinlens.models.networks.assembly import Assembly, pytorch

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""Squeezed channels, and those of each of the two expansions, of fire2 … fire9."""


def squeezenet(
    parameters: Mapping[str, Array] | None = None,
    size: int = 224,
    classes: int = 1000,
    *,
    naming: Naming = OWN,
) -> Graph:
    """Assemble the network.

    Args:
        parameters: trained arrays; None leaves the network without numbers.
        size: height and width of the input picture in pixels.
        classes: outputs.
        naming: how the parameters are named and laid out.

    Returns:
        A graph from "input", (1, 3, size, size) RGB less ImageNet's mean over its deviation, to
        "probabilities", (1, classes).

    Raises:
        ParameterError: parameters do not fit; names all that do not.
    """
    net = Assembly("SqueezeNet 1.1", (1, 3, size, size), padding="valid")
    net.conv("conv1", 64, 3, 2, then=ReLU())
    for number, (squeezed, expanded) in enumerate(FIRES, 2):
        if number in {2, 4, 6}:
            net.max_pool(f"pool{number - 1}", 3, 2, ceil_mode=True)
        _fire(net, f"fire{number}", squeezed, expanded)
    net.conv("conv10", classes, 1, then=ReLU())
    net.add("pooled", GlobalAvgPool2d())
    net.add("flat", Flatten())
    net.add("probabilities", Softmax(axis=1))
    return net.graph(parameters, naming)


def _fire(net: Assembly, name: str, squeezed: int, expanded: int) -> None:
    """Squeeze by 1×1, expand by 1×1 and 3×3 side by side."""
    start = net.conv(f"{name}_squeeze", squeezed, 1, then=ReLU())
    one = net.conv(f"{name}_expand1x1", expanded, 1, then=ReLU())
    net.value = start
    three = net.conv(f"{name}_expand3x3", expanded, 3, padding="half", then=ReLU())
    net.concat(name, one, three)


def _torchvision(layer: str) -> str:
    if layer == "conv1":
        return "features.0"
    if layer == "conv10":
        return "classifier.1"
    fire, _, part = layer.partition("_")
    # Counted with the pools that stand between them.
    place = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}[int(fire.removeprefix("fire"))]
    return f"features.{place}.{part}"


TORCHVISION = pytorch("torchvision", _torchvision)
