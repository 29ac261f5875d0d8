"""A graph's nodes as the calls of ``engine.graph.Builder`` that append them."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twinlens.engine import layers as kinds
from twinlens.engine.errors import UnsupportedOperatorError
from twinlens.engine.formats.python.names import layer_name
from twinlens.engine.graph import Graph, Node
from twinlens.engine.graph.arrays import layer_arrays
from twinlens.engine.layers import Array, Layer

Setting = object
"""A number, word, boolean, None, or a tuple of them."""


@dataclass(frozen=True)
class Slot:
    """A setting of a call.

    Attributes:
        key: name of the argument.
        value: what it is set to.
        default: what it is when left out; ``...`` when it cannot be.
        named: whether it is written as ``key=value``.
        spread: whether a tuple is written as several arguments.
    """

    key: str
    value: Setting
    default: Setting = ...
    named: bool = True
    spread: bool = False


@dataclass(frozen=True)
class Made:
    """A layer that is made in the call: its class, its settings, and its arrays.

    Attributes:
        kind: name of the class.
        slots: settings, in the order of the constructor.
        arrays: shape and type of each array by attribute; they stand among the slots by name.
    """

    kind: str
    slots: tuple[Slot, ...]
    arrays: tuple[tuple[str, tuple[int, ...], str], ...] = ()


@dataclass(frozen=True)
class Constant:
    """A constant that a call reads."""

    name: str
    array: Array

    @property
    def dtype(self) -> str:
        """Type in the file."""
        return stored_type(self.array)


@dataclass(frozen=True)
class Line:
    """One line of a network.

    Attributes:
        name: of the layer.
        method: of the builder.
        slots: the method's settings.
        made: the layer, for ``add``.
        then: activation behind it.
        inputs: place of the line whose value is read (negative: an input), or a constant.
        arrays: the layer's own arrays by attribute.
    """

    name: str
    method: str
    slots: tuple[Slot, ...]
    made: Made | None
    then: Made | None
    inputs: tuple[int | Constant, ...]
    arrays: Mapping[str, Array]

    @property
    def form(self) -> tuple[object, ...]:
        """What has to be equal in two lines that are one line of a function."""
        fixed = tuple((s.key, s.value) for s in self.slots if s.key in _FIXED)
        return (
            self.method,
            fixed,
            tuple(slot.key for slot in self.slots),
            *((m.kind, m.arrays_form) if m else None for m in map(_with_form, self._parts)),
        )

    @property
    def _parts(self) -> tuple[Made | None, Made | None]:
        return self.made, self.then


@dataclass(frozen=True)
class _Form:
    kind: str
    arrays_form: tuple[object, ...]


def _with_form(made: Made | None) -> _Form | None:
    if made is None:
        return None
    return _Form(made.kind, tuple((name, len(s), dtype) for name, s, dtype in made.arrays))


_FIXED = frozenset({"bias", "quantized", "zero_point"})


def stored_type(array: Array) -> str:
    """Type of an array in a file: floats are float32."""
    return "float32" if np.issubdtype(array.dtype, np.floating) else str(array.dtype)


def lines_of(graph: Graph) -> tuple[list[Line], dict[str, int]]:
    """A graph's nodes as calls.

    Returns:
        The calls in order; and by value the place of the call that gives it, negative for inputs.

    Raises:
        UnsupportedOperatorError: layers that Twinlens does not have; names all.
    """
    _check(graph)
    places = {name: -1 - number for number, name in enumerate(graph.inputs)}
    places |= {node.output: place for place, node in enumerate(graph.nodes)}
    found = []
    for node in graph.nodes:
        inputs = tuple(
            Constant(name, graph.constants[name]) if name in graph.constants else places[name]
            for name in node.inputs
        )
        found.append(_line(node, node.name, inputs))
    kept = [places[name] for name in graph.outputs if name in places]
    lines, moved = _with_pairs(found, kept)
    given = {name: moved.get(place, place) for name, place in places.items()}
    return _named(lines, input_names(graph)), given


def _with_pairs(lines: list[Line], kept: Collection[int]) -> tuple[list[Line], dict[int, int]]:
    """Each quantiser and the dequantiser that alone reads it, of one scale, as one line.

    Args:
        lines: one for each node.
        kept: places of the network's outputs.

    Returns:
        The lines; and by the old place of each value the new one.
    """
    readers = Counter(one for line in lines for one in line.inputs if isinstance(one, int))
    readers.update(kept)
    found: list[Line] = []
    places: dict[int, int] = {}
    for place, line in enumerate(lines):
        before = lines[place - 1] if place else None
        paired = line.method == "dequantize" and line.inputs == (place - 1,)
        if paired and before is not None and readers[place - 1] == 1 and _one_scale(before, line):
            name = before.name.removesuffix("quantize").rstrip("_/.:-") or before.name
            found[-1] = replace(found[-1], name=name, method="fake_quantize")
        else:
            moved = (places.get(one, one) if isinstance(one, int) else one for one in line.inputs)
            found.append(replace(line, inputs=tuple(moved)))
        places[place] = len(found) - 1
    return found, places


def _one_scale(one: Line, other: Line) -> bool:
    """Whether a quantiser and a dequantiser have the same numbers and settings."""
    if one.method != "quantize" or one.slots != other.slots:
        return False
    return one.arrays.keys() == other.arrays.keys() and all(
        np.array_equal(array, other.arrays[key]) for key, array in one.arrays.items()
    )


def input_names(graph: Graph) -> list[str]:
    """Safe names of the inputs, in order."""
    names: list[str] = []
    for name in graph.inputs:
        names.append(_unique(layer_name(name), ("",), set(names)))
    return names


def _named(lines: Sequence[Line], inputs: Sequence[str]) -> list[Line]:
    """The lines with safe, unique names, also of their arrays."""
    start = _common_start([line.name for line in lines])
    values, stored = set(inputs), set[str]()
    constants: dict[str, str] = {}
    for line in lines:
        for one in line.inputs:
            if isinstance(one, Constant) and one.name not in constants:
                name = _unique(layer_name(one.name), ("",), values)
                constants[one.name] = name
                values.add(name)
                stored.add(name)
    found = []
    for line in lines:
        wanted = layer_name(line.name.removeprefix(start))
        own = _PAIR if line.method == "fake_quantize" else ("",)
        keys = tuple(f"_{key}" for key in line.arrays)
        name = wanted
        while (free := _unique(name, own, values)) != (clear := _unique(free, keys, stored)):
            name = clear
        name = free
        values.update(f"{name}{ending}" for ending in own)
        stored.update(f"{name}{ending}" for ending in keys)
        inputs_of = tuple(
            replace(one, name=constants[one.name]) if isinstance(one, Constant) else one
            for one in line.inputs
        )
        found.append(replace(line, name=name, inputs=inputs_of))
    return found


_PAIR = ("_quantize", "_dequantize")


def _unique(name: str, endings: Sequence[str], taken: Collection[str]) -> str:
    """The name, numbered where with one of the endings it is taken."""
    number, found = 1, name
    while any(f"{found}{ending}" in taken for ending in endings):
        number += 1
        found = f"{name}_{number}"
    return found


def _common_start(names: Sequence[str]) -> str:
    """The first part of a path that most names have in common; mostly the network's own name."""
    starts = Counter(name.split("/")[0] for name in names if "/" in name)
    if not starts:
        return ""
    start, count = starts.most_common(1)[0]
    return f"{start}/" if count * 2 > len(names) else ""


def _check(graph: Graph) -> None:
    layers = [layer for node in graph.nodes for layer in (node.layer, node.activation) if layer]
    odd = {layer.kind for layer in layers if getattr(kinds, type(layer).__name__, None) is None}
    # An activation is written without arrays; PReLU and the like are layers of their own.
    odd |= {a.kind for a in (node.activation for node in graph.nodes) if a and a.parameters}
    if odd:
        raise UnsupportedOperatorError(f"{graph.name}: no Python form of {', '.join(sorted(odd))}")


def _line(node: Node, name: str, inputs: tuple[int | Constant, ...]) -> Line:
    layer, arrays = node.layer, layer_arrays(node.layer)
    then = None if node.activation is None else _made(node.activation)
    method, slots = _method(layer, node.activation is None, inputs)
    made = _made(layer) if method == "add" else None
    return Line(name, method, slots, made, then, inputs, arrays)


def _method(
    layer: Layer, bare: bool, inputs: tuple[int | Constant, ...]
) -> tuple[str, tuple[Slot, ...]]:
    """The builder's method for a layer, and its settings."""
    if len(inputs) != 1 or isinstance(inputs[0], Constant):
        return "add", ()
    # The builder makes plain classes, not classes that are derived from them.
    kind = type(layer)
    if isinstance(layer, kinds.Conv2d) and kind in (kinds.Conv2d, kinds.DepthwiseConv2d):
        return _convolution(layer)
    if isinstance(layer, kinds.Linear) and kind is kinds.Linear:
        outputs = Slot("outputs", int(layer.weight.shape[0]), named=False)
        return "linear", (outputs, *_flags(layer))
    if isinstance(layer, kinds.BatchNorm2d) and kind is kinds.BatchNorm2d:
        return "batch_norm", (Slot("epsilon", layer.epsilon, 1e-5),)
    if isinstance(layer, kinds.QuantizeLinear | kinds.DequantizeLinear) and bare:
        method = "quantize" if isinstance(layer, kinds.QuantizeLinear) else "dequantize"
        return method, _affine(layer)
    return "add", ()


def _convolution(layer: kinds.Conv2d) -> tuple[str, tuple[Slot, ...]]:
    outputs = Slot("outputs", layer.output_channels, named=False)
    kernel = Slot("kernel", _size(layer.kernel), named=False)
    steps = (
        Slot("stride", _size(layer.stride), 1),
        Slot("pads", _size(layer.pads), 0),
        Slot("dilation", _size(layer.dilation), 1),
    )
    if type(layer) is kinds.DepthwiseConv2d:
        multiplier = Slot("multiplier", layer.output_channels // layer.groups, 1)
        return "depthwise", (kernel, *steps, multiplier, *_flags(layer))
    return "conv", (outputs, kernel, *steps, Slot("groups", layer.groups, 1), *_flags(layer))


def _flags(layer: kinds.Conv2d | kinds.Linear) -> tuple[Slot, ...]:
    scaled = layer.weight_scale is not None
    return Slot("bias", layer.bias is not None, True), Slot("quantized", scaled, False)


def _affine(layer: kinds.QuantizeLinear | kinds.DequantizeLinear) -> tuple[Slot, ...]:
    zero = layer.zero_point
    if isinstance(layer, kinds.QuantizeLinear):
        dtype = str(layer.dtype)
    else:
        dtype = "uint8" if zero is None else str(zero.dtype)
    slices = None if layer.scale.ndim == 0 else int(layer.scale.size)
    return (
        Slot("dtype", dtype, "uint8"),
        Slot("zero_point", zero is not None, True),
        Slot("slices", slices, None),
        Slot("axis", layer.axis, 1),
    )


def _made(layer: Layer) -> Made:
    """The call of a layer's own constructor."""
    arrays, slots = [], []
    multiplier = {}
    if isinstance(layer, kinds.DepthwiseConv2d):
        multiplier = {"multiplier": layer.output_channels // layer.groups}
    trained = layer_arrays(layer)
    for key, parameter in _constructor(type(layer)).items():
        value = multiplier.get(key, getattr(layer, key, None))
        empty = parameter.default is inspect.Parameter.empty
        named = parameter.kind is inspect.Parameter.KEYWORD_ONLY or not empty
        if key in trained:
            value = trained[key]
            shape = tuple(int(size) for size in value.shape)
            arrays.append((key, shape, stored_type(value)))
            slots.append(Slot(key, shape, named=named, spread=True))
        else:
            default = ... if empty else _plain(parameter.default)
            slots.append(Slot(key, _plain(value), default, named))
    return Made(type(layer).__name__, tuple(slots), tuple(arrays))


def _constructor(kind: type[Layer]) -> dict[str, inspect.Parameter]:
    if kind.__init__ is object.__init__:
        return {}
    parameters = dict(inspect.signature(kind.__init__).parameters)
    del parameters["self"]
    return parameters


def _plain(value: Any) -> Setting:
    """A setting as plain Python values."""
    if isinstance(value, np.dtype | type):
        return str(np.dtype(value))
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return tuple(_plain(part) for part in value)
    return value


def _size(values: tuple[int, ...]) -> Setting:
    """One number where all are equal."""
    plain = tuple(int(value) for value in values)
    return plain[0] if len(set(plain)) == 1 else plain
