"""Keras' activation functions, given by a name, a function or a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from twinlens.engine.formats.keras.layer import PICTURE_AXES, Call, scalar, whole
from twinlens.engine.layers import (
    CELU,
    ELU,
    GELU,
    SELU,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    LogSoftmax,
    Mish,
    Mul,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Sub,
    Tanh,
    ThresholdedReLU,
)
from twinlens.engine.layers.base import Layer
from twinlens.engine.layers.checks import normal_axis

Settings = Mapping[str, Any]


def _hard_sigmoid(call: Call) -> Layer:
    # Keras 2: max(0, min(1, x / 5 + 1 / 2)); Keras 3: max(0, min(6, x + 3)) / 6.
    return HardSigmoid(0.2, 0.5) if call.net.version < 3 else HardSigmoid(1 / 6, 0.5)


# Functions of each sample, by Keras' names.
FUNCTIONS: dict[str, Callable[[Call], Layer]] = {
    "celu": lambda call: CELU(),
    "elu": lambda call: ELU(),
    "gelu": lambda call: GELU("none"),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda call: HardSwish(),
    "hard_swish": lambda call: HardSwish(),
    "hard_tanh": lambda call: Clip(-1.0, 1.0),
    "leaky_relu": lambda call: LeakyReLU(0.2),
    "mish": lambda call: Mish(),
    "relu": lambda call: ReLU(),
    "relu6": lambda call: ReLU6(),
    "selu": lambda call: SELU(),
    "sigmoid": lambda call: Sigmoid(),
    "silu": lambda call: SiLU(),
    "softplus": lambda call: Softplus(),
    "softsign": lambda call: Softsign(),
    "swish": lambda call: SiLU(),
    "tanh": lambda call: Tanh(),
}
_OVER_CLASSES = {"softmax": Softmax, "log_softmax": LogSoftmax}
_NOTHING = ("linear", "identity")


def known(spec: Any) -> bool:
    """Whether an activation can be built."""
    name, _ = named(spec)
    return name in FUNCTIONS or name in _OVER_CLASSES or name in _NOTHING or name in OBJECTS


def named(spec: Any) -> tuple[str, Settings]:
    """An activation's name, and the settings that it has as a layer."""
    if spec is None:
        return "linear", {}
    if isinstance(spec, str):
        return spec.rpartition(">")[2], {}
    if not isinstance(spec, Mapping):
        return repr(spec)[:60], {}
    kind, settings = str(spec.get("class_name", "")).rpartition(">")[2], spec.get("config")
    if kind == "function" or isinstance(settings, str):
        return named(settings if isinstance(settings, str) else spec.get("registered_name"))
    settings = settings if isinstance(settings, Mapping) else {}
    return named(settings.get("activation")) if kind == "Activation" else (kind, settings)


def activate(call: Call, value: str, spec: Any, *, picture: bool) -> str:
    """Apply an activation to a graph value.

    Raises:
        UnsupportedOperatorError: it is not known.
    """
    name, settings = named(spec)
    if name in _NOTHING:
        return value
    if name in _OVER_CLASSES:
        return call.emit(_OVER_CLASSES[name](1 if picture else -1), value, step=name)
    if name in FUNCTIONS:
        return call.emit(FUNCTIONS[name](call), value, step=name)
    if name in OBJECTS:
        return OBJECTS[name](call, value, settings, picture)
    raise call.unsupported(f"its activation is {name!r}")


def _number(settings: Settings, names: tuple[str, ...], default: float) -> float:
    """A setting that Keras has called by several names; the first that is there counts."""
    for name in names:
        if settings.get(name) is not None:
            return scalar(settings[name])
    return default


def relu(call: Call, value: str, settings: Settings, picture: bool) -> str:
    """ReLU: ``max_value`` above it, ``slope * (x - threshold)`` below the threshold, else x."""
    del picture
    slope = _number(settings, ("negative_slope", "alpha"), 0.0)
    threshold = _number(settings, ("threshold",), 0.0)
    limit = settings.get("max_value")
    top = None if limit is None else scalar(limit)
    if not threshold:
        if not slope:
            layer: Layer = ReLU() if top is None else ReLU6() if top == 6 else Clip(0.0, top)
            return call.emit(layer, value, step="relu")
        bent = call.emit(LeakyReLU(slope), value, step="relu")
        return bent if top is None else call.emit(Clip(None, top), bent, step="limit")
    kept = call.emit(ThresholdedReLU(threshold), value, step="relu")
    if top is not None:
        kept = call.emit(Clip(None, top), kept, step="limit")
    if not slope:
        return kept
    below = call.emit(ReLU(), call.affine(value, -1.0, threshold), step="below")
    factor = call.keep(np.float32(slope), "slope")
    return call.emit(Sub(), kept, call.emit(Mul(), below, factor, step="bent"), step="joined")


def leaky_relu(call: Call, value: str, settings: Settings, picture: bool) -> str:
    """LeakyReLU; the slope is ``alpha`` in Keras 2."""
    del picture
    slope = _number(settings, ("negative_slope", "alpha"), 0.3)
    return call.emit(LeakyReLU(slope), value, step="leaky_relu")


def elu(call: Call, value: str, settings: Settings, picture: bool) -> str:
    """ELU."""
    del picture
    return call.emit(ELU(_number(settings, ("alpha",), 1.0)), value, step="elu")


def thresholded_relu(call: Call, value: str, settings: Settings, picture: bool) -> str:
    """ThresholdedReLU."""
    del picture
    return call.emit(ThresholdedReLU(_number(settings, ("theta",), 1.0)), value, step="relu")


def softmax(call: Call, value: str, settings: Settings, picture: bool) -> str:
    """Softmax over one axis."""
    given = settings.get("axis", -1)
    axes = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(axes) != 1:
        raise call.unsupported(f"its softmax is over axes {axes}; one is required")
    axis = normal_axis(call.what, whole(axes[0]), len(call.net.values.shapes[value]))
    return call.emit(Softmax(PICTURE_AXES[axis] if picture else axis), value, step="softmax")


Builder = Callable[[Call, str, Settings, bool], str]

OBJECTS: dict[str, Builder] = {
    "ELU": elu,
    "LeakyReLU": leaky_relu,
    "ReLU": relu,
    "Softmax": softmax,
    "ThresholdedReLU": thresholded_relu,
}
