"""EfficientNet-Lite0 (Liu 2020, after Tan and Le 2019, table 1).

EfficientNet-B0 for small devices: ReLU6 in place of Swish, and no squeeze and excite.
"""

from __future__ import annotations

from collections.abc import Mapping

from twinlens.engine.graph import Graph
from twinlens.engine.layers import Array, ReLU6
from twinlens.engine.params import OWN, Naming
from twinlens.models.networks.assembly import Assembly, pytorch

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


def efficientnet_lite0(
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
        A graph from "input", (1, 3, size, size) RGB in -1..1, to "probabilities", (1, classes).

    Raises:
        ParameterError: parameters do not fit; names all that do not.
    """
    net = Assembly("EfficientNet-Lite0", (1, 3, size, size), padding="same")
    net.conv("stem", 32, 3, 2, then=ReLU6())
    number = 0
    for expansion, channels, repeats, first, kernel in STAGES:
        for repeat in range(repeats):
            number += 1
            net.inverted_residual(
                f"block{number}",
                channels,
                1 if repeat else first,
                expansion=expansion,
                kernel=kernel,
                then=ReLU6(),
            )
    net.conv("head", 1280, 1, then=ReLU6())
    net.classifier("classifier", classes)
    return net.graph(parameters, naming)


def _timm(layer: str) -> str:
    """timm counts blocks within their stage, and names their parts."""
    if not layer.startswith("block"):
        return layer if layer == "classifier" else f"conv_{layer}"
    number, _, part = layer.removeprefix("block").partition("_")
    place, stage = int(number) - 1, 0
    while place >= STAGES[stage][2]:
        place -= STAGES[stage][2]
        stage += 1
    parts = ("conv_dw", "conv_pw") if stage == 0 else ("conv_pw", "conv_dw", "conv_pwl")
    return f"blocks.{stage}.{place}.{parts[int(part)]}"


def _timm_norm(layer: str) -> str | None:
    if not layer.startswith("block"):
        return {"stem": "bn1", "head": "bn2"}.get(layer)
    block, _, _ = _timm(layer).rpartition(".")
    return f"{block}.bn{int(layer[-1]) + 1}"


TIMM = pytorch("timm", _timm, _timm_norm, epsilon=1e-3)
"""As PyTorch Image Models names `tf_efficientnet_lite0`."""
