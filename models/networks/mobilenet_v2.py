"""The embedded model, assembled by hand: the low-level way to the network that the file holds.

MobileNet-v2 (Sandler et al. 2018, table 2), layer by layer, at any width and resolution. The
trained numbers come as plain named arrays; where they were stored does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twinlens.engine.graph import Graph
from twinlens.engine.layers import Array, ReLU6
from twinlens.engine.params import OWN, Naming, open_parameters
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
    # expansion, channels, repeats, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(
    parameters: Mapping[str, Array] | None = None,
    size: int = 208,
    width: float = 1.0,
    classes: int = 1000,
    *,
    naming: Naming = OWN,
    padding: Padding = "half",
) -> Graph:
    """Assemble the network.

    Args:
        parameters: weights OIHW (Linear: outputs, inputs) and biases (outputs,), named
            `conv0_weight`, `conv0_bias`, `block1_0_weight` … `classifier_bias`; batch
            normalisation is multiplied into them already, or is where the naming says. None
            leaves the network without numbers.
        size: height and width of the input picture in pixels.
        width: factor on all channels; the last layer stays at 1280 below 1.
        classes: outputs.
        naming: how the parameters are named and laid out.
        padding: PyTorch's "half", or TensorFlow's "same".

    Returns:
        A graph from "input", (1, 3, size, size) RGB in -1..1, to "probabilities", (1, classes).

    Raises:
        ParameterError: parameters do not fit; names all that do not.
    """
    net = Assembly("MobileNet-v2", (1, 3, size, size), padding=padding)
    net.conv("conv0", make_divisible(32 * width), 3, 2, then=ReLU6())
    number = 0
    for expansion, channels, repeats, first in STAGES:
        for repeat in range(repeats):
            number += 1
            net.inverted_residual(
                f"block{number}",
                make_divisible(channels * width),
                first if repeat == 0 else 1,
                expansion=expansion,
                then=ReLU6(),
            )
    net.conv(f"conv{number + 1}", make_divisible(1280 * max(1.0, width)), 1, then=ReLU6())
    net.classifier("classifier", classes)
    return net.graph(parameters, naming)


def read_parameters(path: Path) -> dict[str, Array]:
    """The trained arrays of the embedded ONNX file by name, as float32.

    Raises:
        ModelFileError: the file cannot be read.
    """
    # The file stores each array as float16, under its name and "_half", along with bounds of ReLU6.
    return {
        name.removesuffix("_half"): array.astype("float32")
        for name, array in open_parameters(path).items()
        if name.endswith("_half")
    }


def _torchvision(layer: str) -> str:
    """``block2_1`` is ``features.2.conv.1.0`` there, ``block1_1`` the second convolution of 1."""
    if layer == "classifier":
        return "classifier.1"
    stage, _, part = layer.removeprefix("conv").removeprefix("block").partition("_")
    if not part:
        return f"features.{stage}.0"
    last = int(part) == (1 if stage == "1" else 2)
    return f"features.{stage}.conv.{part}" if last else f"features.{stage}.conv.{part}.0"


def _torchvision_norm(layer: str) -> str | None:
    """Each convolution's norm is the next module."""
    if layer == "classifier":
        return None
    before, _, number = _torchvision(layer).rpartition(".")
    return f"{before}.{int(number) + 1}"


TORCHVISION = pytorch("torchvision", _torchvision, _torchvision_norm)


def _timm(layer: str) -> str:
    if not layer.startswith("block"):
        return {"conv0": "conv_stem", "conv18": "conv_head"}.get(layer, layer)
    number, _, part = layer.removeprefix("block").partition("_")
    parts = SEPARABLE if number == "1" else INVERTED
    return timm_block(int(number), int(part), [repeats for _, _, repeats, _ in STAGES], parts)


def _timm_norm(layer: str) -> str | None:
    if not layer.startswith("block"):
        return {"conv0": "bn1", "conv18": "bn2"}.get(layer)
    return f"{_timm(layer).rpartition('.')[0]}.bn{int(layer[-1]) + 1}"


TIMM = pytorch("timm", _timm, _timm_norm)
"""As PyTorch Image Models names `mobilenetv2_100`."""
