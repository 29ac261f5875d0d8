"""MobileNet-v3 small (Howard et al. 2019, table 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from twinlens.engine.graph import Graph
from twinlens.engine.layers import (
    Add,
    Array,
    GlobalAvgPool2d,
    HardSigmoid,
    HardSwish,
    Layer,
    Mul,
    ReLU,
    Softmax,
)
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

BLOCKS = (
    # kernel, expanded channels, channels, squeeze and excite, activation, stride
    (3, 16, 16, True, ReLU(), 2),
    (3, 72, 24, False, ReLU(), 2),
    (3, 88, 24, False, ReLU(), 1),
    (5, 96, 40, True, HardSwish(), 2),
    (5, 240, 40, True, HardSwish(), 1),
    (5, 240, 40, True, HardSwish(), 1),
    (5, 120, 48, True, HardSwish(), 1),
    (5, 144, 48, True, HardSwish(), 1),
    (5, 288, 96, True, HardSwish(), 2),
    (5, 576, 96, True, HardSwish(), 1),
    (5, 576, 96, True, HardSwish(), 1),
)


def mobilenet_v3_small(
    parameters: Mapping[str, Array] | None = None,
    size: int = 224,
    classes: int = 1000,
    *,
    naming: Naming = OWN,
    padding: Padding = "half",
) -> Graph:
    """Assemble the network.

    Args:
        parameters: trained arrays; None leaves the network without numbers.
        size: height and width of the input picture in pixels.
        classes: outputs.
        naming: how the parameters are named and laid out.
        padding: PyTorch's "half", or TensorFlow's "same".

    Returns:
        A graph from "input", (1, 3, size, size) RGB less ImageNet's mean over its deviation, to
        "probabilities", (1, classes).

    Raises:
        ParameterError: parameters do not fit; names all that do not.
    """
    net = Assembly("MobileNet-v3 small", (1, 3, size, size), padding=padding)
    net.conv("conv0", 16, 3, 2, then=HardSwish())
    for number, block in enumerate(BLOCKS, 1):
        _block(net, f"block{number}", *block)
    net.conv("conv12", 576, 1, then=HardSwish())
    net.add("pooled", GlobalAvgPool2d())
    net.dense("hidden", 1024, then=HardSwish())
    net.dense("classifier", classes)
    net.add("probabilities", Softmax(axis=1))
    return net.graph(parameters, naming)


def _block(
    net: Assembly,
    name: str,
    kernel: int,
    expanded: int,
    outputs: int,
    excite: bool,
    activation: Layer,
    stride: int,
) -> None:
    """Expand 1×1, filter each channel, weigh the channels, project 1×1, add where it fits."""
    before, same = net.value, stride == 1 and net.channels == outputs
    if expanded != net.channels:
        net.conv(f"{name}_expand", expanded, 1, then=activation)
    net.depthwise(f"{name}_filter", kernel, stride, then=activation)
    if excite:
        _squeeze_excite(net, f"{name}_excite")
    net.conv(f"{name}_project", outputs, 1)
    if same:
        net.add(name, Add(), before)


def _squeeze_excite(net: Assembly, name: str) -> None:
    """Weigh each channel by a function of all means (Hu et al. 2017, with a hard sigmoid)."""
    x, channels = net.value, net.channels
    net.add(f"{name}_mean", GlobalAvgPool2d())
    net.conv(f"{name}_fc1", make_divisible(channels / 4), 1, then=ReLU())
    weights = net.conv(f"{name}_fc2", channels, 1, then=HardSigmoid(1 / 6, 0.5))
    net.join(name, Mul(), x, weights)


def _torchvision(layer: str) -> str:
    if layer in {"hidden", "classifier"}:
        return "classifier.0" if layer == "hidden" else "classifier.3"
    stage, _, part = layer.removeprefix("conv").removeprefix("block").partition("_")
    if not part:
        return f"features.{stage}.0"
    _, expanded, _, excite, _, _ = BLOCKS[int(stage) - 1]
    # The first block's input is as wide as its middle, so that it lacks the expansion.
    parts = ["expand"] * (expanded != 16) + ["filter"] + ["excite"] * excite + ["project"]
    kind, _, inner = part.partition("_")
    return f"features.{stage}.block.{parts.index(kind)}.{inner or 0}"


def _torchvision_norm(layer: str) -> str | None:
    name = _torchvision(layer)
    return f"{name[:-1]}1" if name.startswith("features") and name.endswith(".0") else None


TORCHVISION = pytorch("torchvision", _torchvision, _torchvision_norm, epsilon=1e-3)


def _timm(layer: str) -> str:
    names = {"conv0": "conv_stem", "conv12": "blocks.5.0.conv", "hidden": "conv_head"}
    if not layer.startswith("block"):
        return names.get(layer, layer)
    number, _, part = layer.removeprefix("block").partition("_")
    kind, _, inner = part.partition("_")
    parts = SEPARABLE if number == "1" else INVERTED
    order = ("filter", "project") if number == "1" else ("expand", "filter", "project")
    if kind == "excite":
        parts, order = ("se.conv_reduce", "se.conv_expand"), ("fc1", "fc2")
        kind = inner
    return timm_block(int(number), order.index(kind), (1, 2, 3, 2, 3), parts)


def _timm_norm(layer: str) -> str | None:
    if not layer.startswith("block"):
        return {"conv0": "bn1", "conv12": "blocks.5.0.bn1"}.get(layer)
    block, _, part = _timm(layer).rpartition(".")
    if block.endswith("se"):
        return None
    return f"{block}.bn{(SEPARABLE if block == 'blocks.0.0' else INVERTED).index(part) + 1}"


TIMM = pytorch("timm", _timm, _timm_norm)
"""As PyTorch Image Models names `mobilenetv3_small_100`."""
TIMM_TF = replace(TIMM, title="timm's port of TensorFlow", epsilon=1e-3)
"""The same of `tf_mobilenetv3_small_100`, which pads as TensorFlow does."""
