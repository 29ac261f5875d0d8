"""MobileNet (Howard et al. 2017, table 1), at any width and resolution."""

from __future__ import annotations

from collections.abc import Mapping

from twinlens.engine.graph import Graph
from twinlens.engine.layers import Array, Flatten, GlobalAvgPool2d, ReLU6, Softmax
from twinlens.engine.params import OWN, TENSORFLOW, Naming
from twinlens.models.networks.assembly import (
    SEPARABLE,
    Assembly,
    Padding,
    pytorch,
    timm_block,
)

PAIRS = (
    # channels and stride of each depthwise convolution and the 1×1 that follows it
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *[(512, 1)] * 5,
    *((1024, 2), (1024, 1)),
)


def mobilenet_v1(
    parameters: Mapping[str, Array] | None = None,
    size: int = 224,
    width: float = 1.0,
    classes: int = 1000,
    *,
    naming: Naming = OWN,
    padding: Padding = "same",
) -> Graph:
    """Assemble the network.

    Args:
        parameters: trained arrays; None leaves the network without numbers.
        size: height and width of the input picture in pixels.
        width: factor on all channels.
        classes: outputs.
        naming: how the parameters are named and laid out.
        padding: TensorFlow's "same", or PyTorch's "half".

    Returns:
        A graph from "input", (1, 3, size, size) RGB in -1..1, to "probabilities", (1, classes).

    Raises:
        ParameterError: parameters do not fit; names all that do not.
    """
    net = Assembly("MobileNet", (1, 3, size, size), padding=padding)
    net.conv("conv1", int(32 * width), 3, 2, then=ReLU6())
    for number, (channels, stride) in enumerate(PAIRS, 1):
        net.depthwise(f"conv_dw_{number}", 3, stride, then=ReLU6())
        net.conv(f"conv_pw_{number}", int(channels * width), 1, then=ReLU6())
    net.add("pooled", GlobalAvgPool2d())
    net.conv("conv_preds", classes, 1)
    net.add("flat", Flatten())
    net.add("probabilities", Softmax(axis=1))
    return net.graph(parameters, naming)


KERAS = Naming(
    "Keras",
    TENSORFLOW,
    weight=("{}/kernel", "{}/depthwise_kernel"),
    bias=("{}/bias",),
    norm=lambda layer: None if layer == "conv_preds" else f"{layer}_bn",
    gamma="{}/gamma",
    beta="{}/beta",
    mean="{}/moving_mean",
    variance="{}/moving_variance",
    epsilon=1e-3,
)
"""As `keras.applications.MobileNet` names them."""


def _timm(layer: str) -> str:
    names = {"conv1": "conv_stem", "conv_preds": "classifier"}
    if layer in names:
        return names[layer]
    kind, number = layer.removeprefix("conv_").split("_")
    return timm_block(int(number), kind == "pw", (1, 2, 2, 6, 2), SEPARABLE)


def _timm_norm(layer: str) -> str | None:
    if layer in {"conv1", "conv_preds"}:
        return "bn1" if layer == "conv1" else None
    name = _timm(layer)
    return f"{name.rpartition('.')[0]}.bn{1 if name.endswith('dw') else 2}"


TIMM = pytorch("timm", _timm, _timm_norm)
"""As PyTorch Image Models names `mobilenetv1_100`, which pads as PyTorch does."""
