"""How networks are mostly fed that do not say it: by what they compute first, or who made them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from twinlens.engine.formats.answer.chart import Chart, Step
from twinlens.engine.layers.base import Array

Usual = tuple[str, dict[str, Any]]
"""How it is fed in words, for display, and as plain values of ``Recipe``."""

# A factor below this, or a shift beyond it before the factor, is for pixels from 0 to 255.
SMALL, LARGE = 1 / 24, 24.0

_MINUS_ONE = ("−1 to 1", {"scale": 1 / 127.5, "mean": (1.0,) * 3, "std": (1.0,) * 3})
_CAFFE = (
    "BGR less the mean pixel",
    {"color": "BGR", "scale": 1.0, "mean": (103.939, 116.779, 123.68), "std": (1.0,) * 3},
)
_TORCH = (
    "ImageNet mean, std",
    {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
)
# By the name of a layer that this network of Keras Applications has; the first that is there
# counts, for ResNet's names are also some of ResNet-v2's and DenseNet's.
_NETWORKS = {
    "conv_dw_1": ("MobileNet", _MINUS_ONE),
    "block_1_expand": ("MobileNet-v2", _MINUS_ONE),
    "mixed10": ("Inception-v3", _MINUS_ONE),
    "mixed_5b": ("Inception-ResNet-v2", _MINUS_ONE),
    "block2_sepconv1": ("Xception", _MINUS_ONE),
    "stem_bn1": ("NASNet", _MINUS_ONE),
    "conv2_block1_preact_bn": ("ResNet-v2", _MINUS_ONE),
    "conv2_block1_concat": ("DenseNet", _TORCH),
    "conv2_block1_1_conv": ("ResNet", _CAFFE),
    "res2a_branch2a": ("ResNet", _CAFFE),
    "block5_conv3": ("VGG", _CAFFE),
}
# Programs that write ONNX from Keras or TensorFlow, and from Caffe, by the start of their names.
_FROM_TENSORFLOW = ("tf2onnx", "keras2onnx", "tensorflow", "keras")
_FROM_CAFFE = ("onnx-caffe2", "caffe")


def of_keras_applications(names: Iterable[str]) -> Usual | None:
    """As Keras feeds the network that names of layers, or of what they compute, are from."""
    parts = {part for name in names for part in re.split("[/;:]", name)}
    for marker, (network, (values, recipe)) in _NETWORKS.items():
        if marker in parts:
            return f"{values}, as Keras feeds {network}", dict(recipe)
    return None


def of_producer(producer: str, names: Iterable[str]) -> Usual | None:
    """As networks in colours are mostly fed that a program wrote as ONNX, by its name."""
    producer = producer.lower()
    if producer.startswith(_FROM_CAFFE):
        return f"{_CAFFE[0]}, as Caffe's networks are fed", dict(_CAFFE[1])
    if producer.startswith(_FROM_TENSORFLOW):
        return of_keras_applications(names) or flat(1 / 255, 3)
    return None


def flat(scale: float, channels: int) -> Usual:
    """Pixels times one factor."""
    values = {"scale": scale, "mean": (0.0,) * channels, "std": (1.0,) * channels}
    return "0 to 255" if scale == 1 else "0 to 1", values


def symmetric(channels: int) -> Usual:
    """Pixels from -1 to 1."""
    ones = (1.0,) * channels
    return _MINUS_ONE[0], {"scale": 1 / 127.5, "mean": ones, "std": ones}


def imagenet() -> Usual:
    """Less the mean of ImageNet's colours, by their deviation."""
    return _TORCH[0], dict(_TORCH[1])


def scaled_inside(chart: Chart, entering: str, channels: int) -> Usual | None:
    """How pixels come where the network scales them itself; None where it does not.

    Args:
        chart: the network's operators.
        entering: the value that goes in.
        channels: how many it has.
    """
    slope, shift = _first_steps(chart, entering)
    if not slope:
        return None
    words, values = flat(1.0 if slope <= SMALL or shift / slope >= LARGE else 1 / 255, channels)
    return f"{words}, as it scales them itself", values


_STEPS = frozenset(("Add", "Sub", "Mul", "Div"))
_PASSED = frozenset(
    [
        *("Cast", "Concat", "Identity", "Pad", "Reshape", "Resize", "Transpose", "Upsample"),
        *("Gather", "Slice", "Split", "Squeeze", "Unsqueeze", "QuantizeLinear", "DequantizeLinear"),
        *("PAD", "PADV2", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "UNPACK"),
        "PACK",
    ]
)


def _first_steps(chart: Chart, entering: str) -> tuple[float, float]:
    """Largest factor and largest shift that pixels get first; (0, 0) where they get none."""
    readers: dict[str, list[Step]] = {}
    for step in chart.steps:
        for name in set(step.inputs):
            readers.setdefault(name, []).append(step)
    pixels = {entering: (1.0, 0.0)}
    last, found, waiting = (1.0, 0.0), False, [entering]
    while waiting:
        for step in readers.get(waiting.pop(0), ()):
            after = _after(chart, step, pixels)
            if after is None or step.outputs[0] in pixels:
                continue
            last = after
            found = found or step.kind in _STEPS
            for name in step.outputs:
                pixels[name] = after
                waiting.append(name)
    return last if found else (0.0, 0.0)


def _after(
    chart: Chart, step: Step, pixels: dict[str, tuple[float, float]]
) -> tuple[float, float] | None:
    """Factor and shift behind one more step, as the largest that they may be."""
    names = [name for name in step.inputs if name]
    given = [pixels[name] for name in names if name in pixels]
    if step.kind in _PASSED:
        whole = step.kind not in ("Concat", "PACK") or len(given) == len(names)
        return (max(s for s, _ in given), max(t for _, t in given)) if given and whole else None
    constants = [c for name in names if (c := chart.constant(name)) is not None]
    if step.kind not in _STEPS or len(given) != 1 or len(names) != 2 or len(constants) != 1:
        return None
    return _stepped(step, given[0], constants[0])


def _stepped(step: Step, before: tuple[float, float], constant: Array) -> tuple[float, float]:
    size = float(np.abs(np.asarray(constant, np.float64)).max(initial=0.0))
    slope, shift = before
    if step.kind in ("Add", "Sub"):
        return slope, shift + size
    factor = size if step.kind == "Mul" else 1 / size if size else 0.0
    return slope * factor, shift * factor
