"""A Keras model's description as layers and calls, the same for Keras 2 and 3.

Keras 2 writes a call as ``["layer", node, index, {arguments}]``, or a list of these; Keras 3 writes
``{"args": [...], "kwargs": {...}}`` with tensors as ``{"class_name": "__keras_tensor__", ...}``.
A Sequential is a chain; both may hold models as layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from twinlens.engine.errors import ModelFileError

MAX_LAYERS = 50_000
_MAX_NESTING = 16
_SEQUENTIAL, _MODELS = "Sequential", ("Functional", "Model", "Sequential")
_CONSTANT = "_CONSTANT_VALUE"


@dataclass(frozen=True)
class Ref:
    """What a layer gave in one of its calls.

    Attributes:
        layer: its name.
        call: which of its calls.
        index: which of the call's outputs.
    """

    layer: str
    call: int = 0
    index: int = 0


@dataclass(frozen=True)
class CallOf:
    """One use of a layer.

    Attributes:
        args: positional arguments: ``Ref``, lists of them, or plain values.
        kwargs: named ones.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def refs(self) -> Iterator[Ref]:
        """Every value that the call reads."""
        waiting: list[Any] = [self.args, list(self.kwargs.values())]
        while waiting:
            item = waiting.pop()
            if isinstance(item, Ref):
                yield item
            elif isinstance(item, (list, tuple)):
                waiting += item


@dataclass(frozen=True)
class LayerOf:
    """A layer.

    Attributes:
        kind: its class.
        package: where the class comes from, for errors; "" for Keras' own.
        name: unique in its model.
        settings: its configuration.
        calls: its uses, in order.
        operation: whether it is an operator of Keras 3 (``x + y``), which is no layer.
        model: the model that it is, None for a plain layer.
        first_call: number of the first use: Keras 2 counts a nested model's own definition, too.
    """

    kind: str
    package: str
    name: str
    settings: Mapping[str, Any]
    calls: tuple[CallOf, ...]
    operation: bool = False
    model: ModelOf | None = None
    first_call: int = 0


@dataclass(frozen=True)
class ModelOf:
    """A model, Functional or Sequential.

    Attributes:
        name: its name.
        layers: its layers by name, in the file's order.
        inputs: its inputs.
        outputs: its outputs.
        trainable: whether it was trained as a whole.
    """

    name: str
    layers: Mapping[str, LayerOf]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    trainable: bool = True


class Parser:
    """Reads a model's description.

    Args:
        title: what errors call the file.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._count = 0

    def model(self, entry: Mapping[str, Any], depth: int = 0) -> ModelOf:
        """A model and all that it holds.

        Raises:
            ModelFileError: too many layers, nested too deep, or it contradicts itself.
        """
        if depth > _MAX_NESTING:
            raise ModelFileError(f"{self._title}: models are nested more than {_MAX_NESTING} deep")
        kind, settings = entry["class_name"], entry["config"]
        if kind == _SEQUENTIAL:
            return self._sequential(settings, depth)
        if isinstance(settings, dict) and "layers" in settings and "output_layers" in settings:
            return self._functional(settings, depth)
        raise ModelFileError(
            f"{self._title}: is a model of class {kind!r}, whose layers are Python code; a "
            "Sequential or Functional model is required",
            hint="In Python, where you trust the file: model.export('net.onnx', format='onnx').",
        )

    def _functional(self, settings: Mapping[str, Any], depth: int) -> ModelOf:
        layers: dict[str, LayerOf] = {}
        for entry in settings["layers"]:
            layer = self._layer(entry, depth, tuple(map(call_of, entry.get("inbound_nodes", ()))))
            if layer.name in layers:
                raise ModelFileError(f"{self._title}: two layers are named {layer.name!r}")
            layers[layer.name] = layer
        inputs, outputs = _ends(settings["input_layers"]), _ends(settings["output_layers"])
        for ref in (*inputs, *outputs):
            if ref.layer not in layers:
                raise ModelFileError(f"{self._title}: {ref.layer!r} is none of its layers")
        _count_from_one(layers, outputs)
        trainable = settings.get("trainable", True) is not False
        return ModelOf(str(settings.get("name", "")), layers, inputs, outputs, trainable)

    def _sequential(self, settings: Any, depth: int) -> ModelOf:
        about: Mapping[str, Any] = settings if isinstance(settings, dict) else {}
        entries = about["layers"] if isinstance(settings, dict) else settings
        layers: dict[str, LayerOf] = {}
        first = _class(entries[0]) if entries else ""
        if first != "InputLayer":
            entries = [_input_for(about, entries), *entries]
        before: Ref | None = None
        for entry in entries:
            calls = () if before is None else (CallOf((before,)),)
            layer = self._layer(entry, depth, calls)
            if layer.name in layers:
                raise ModelFileError(f"{self._title}: two layers are named {layer.name!r}")
            layers[layer.name] = layer
            before = Ref(layer.name)
        start, end = Ref(next(iter(layers))), before or Ref("")
        trainable = about.get("trainable", True) is not False
        return ModelOf(str(about.get("name", "")), layers, (start,), (end,), trainable)

    def _layer(self, entry: Mapping[str, Any], depth: int, calls: tuple[CallOf, ...]) -> LayerOf:
        self._count += 1
        if self._count > MAX_LAYERS:
            raise ModelFileError(f"{self._title}: has more than {MAX_LAYERS:,} layers")
        kind, settings = _class(entry), entry["config"]
        about = settings if isinstance(settings, dict) else {}
        name = str(entry.get("name") or about.get("name") or f"{kind}_{self._count}")
        module = str(entry.get("module") or "")
        registered = entry.get("registered_name") or entry["class_name"]
        package = str(registered).rpartition(">")[0]
        model = self.model({**entry, "class_name": kind}, depth + 1) if kind in _MODELS else None
        # An .h5 file of Keras 3 leaves the module out, and an operation is no trained layer.
        bare = not module and not {"trainable", "dtype"} & set(about)
        newer = any(isinstance(node, dict) for node in entry.get("inbound_nodes", ()))
        operation = ".ops." in f"{module}." or (bare and newer and kind != "InputLayer")
        return LayerOf(kind, package, name, about, calls, operation, model)


def _count_from_one(layers: dict[str, LayerOf], outputs: Sequence[Ref]) -> None:
    """Find the nested models whose uses are counted from 1: every use is read by something."""
    read: dict[str, set[int]] = {}
    calls = [call for layer in layers.values() for call in layer.calls]
    for ref in [*outputs, *(ref for call in calls for ref in call.refs())]:
        read.setdefault(ref.layer, set()).add(ref.call)
    for name, layer in layers.items():
        numbers = read.get(name, {0})
        if layer.model is not None and 0 not in numbers and max(numbers) == len(layer.calls):
            layers[name] = replace(layer, first_call=1)


def call_of(node: Any) -> CallOf:
    """One entry of ``inbound_nodes``."""
    if isinstance(node, dict):
        args = plain(node.get("args", ()))
        kwargs = node.get("kwargs") or {}
        return CallOf(tuple(args), {str(key): plain(value) for key, value in kwargs.items()})
    entries = [node] if node and isinstance(node[0], str) else list(node)
    if not entries:
        return CallOf(())
    args = [_older(entry) for entry in entries]
    kwargs = entries[0][3] if len(entries[0]) > 3 and isinstance(entries[0][3], dict) else {}
    named = {str(key): _older_argument(value) for key, value in kwargs.items()}
    return CallOf((args[0],) if len(args) == 1 else (args,), named)


def _older(entry: Sequence[Any]) -> Any:
    """A value as Keras 2 writes it."""
    if entry[0] == _CONSTANT:
        return plain(entry[2])
    return Ref(str(entry[0]), int(entry[1]), int(entry[2]))


def _older_argument(value: Any) -> Any:
    """A named argument as Keras 2 writes it: some lists are values."""
    if isinstance(value, list):
        whole = len(value) in (3, 4) and isinstance(value[0], str)
        if whole and all(type(number) is int for number in value[1:3]):
            return _older(value)
        return [_older_argument(item) for item in value]
    return plain(value)


def plain(value: Any) -> Any:
    """An argument as Keras 3 writes it: tensors, arrays, slices and plain values."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"start", "stop", "step"}:
        return slice(value["start"], value["stop"], value["step"])
    kind = value.get("class_name")
    settings: Any = value.get("config", {})
    if kind == "__keras_tensor__":
        layer, call, index = settings["keras_history"]
        return Ref(str(layer), int(call), int(index))
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__slice__":
        return slice(settings["start"], settings["stop"], settings["step"])
    if kind in ("__numpy__", "__tensor__"):
        dtype = np.dtype(str(settings["dtype"]))
        if dtype.kind not in "fiub":
            raise ValueError(f"a constant holds {dtype}, expected numbers")
        return np.asarray(settings["value"], dtype)
    if kind == "__tuple__":
        items: Any = value.get("items", settings)
        return [plain(item) for item in items]
    return {key: plain(inner) for key, inner in value.items()}


def _ends(entries: Any) -> tuple[Ref, ...]:
    """Inputs or outputs of a model: one, several, or named ones."""
    if isinstance(entries, dict):
        entries = list(entries.values())
    if entries and isinstance(entries[0], str):
        entries = [entries]
    return tuple(Ref(str(name), int(call), int(index)) for name, call, index in entries)


def _class(entry: Mapping[str, Any]) -> str:
    """A layer's class without its package."""
    return str(entry["class_name"]).rpartition(">")[2]


def _input_for(about: Mapping[str, Any], entries: Sequence[Any]) -> dict[str, Any]:
    """The input that a Sequential has, but does not list."""
    shape = about.get("build_input_shape")
    for _ in range(_MAX_NESTING):
        if shape is not None or not entries:
            break
        inner: Any = entries[0]["config"]
        if isinstance(inner, dict):
            shape = inner.get("batch_input_shape") or inner.get("batch_shape")
            entries = inner.get("layers") or ()
        else:
            entries = list(inner)
    name = f"{about.get('name') or 'model'}_input"
    return {"class_name": "InputLayer", "config": {"name": name, "batch_input_shape": shape}}
