"""Keras models as graphs of layers, without TensorFlow and without running what the file holds.

The graph is (N, C, H, W) from its input on; where Keras' order of axes matters, as before Flatten,
a Transpose stands in it. Sizes are checked against the file's own numbers before an array is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import (
    ModelFileError,
    ParameterError,
    ShapeError,
    UnsupportedOperatorError,
)
from twinlens.engine.formats.damage import reading
from twinlens.engine.formats.hdf5 import array_of, opened, shape_and_type
from twinlens.engine.formats.keras.activations import known
from twinlens.engine.formats.keras.config import (
    MAX_LAYERS,
    CallOf,
    LayerOf,
    ModelOf,
    Parser,
    Ref,
)
from twinlens.engine.formats.keras.file import KerasFile, read_keras
from twinlens.engine.formats.keras.layer import TO_PICTURE, Call, Net, Place, ReadArray
from twinlens.engine.formats.keras.layers import LAYERS
from twinlens.engine.formats.keras.operators import OPERATORS, operate, operator_of
from twinlens.engine.formats.keras.weights import Places, named_places, numbered_places
from twinlens.engine.formats.onnx.assembly import node_list
from twinlens.engine.graph import Graph
from twinlens.engine.layers import Reshape
from twinlens.engine.layers.base import Array, Shape

_INPUT = "InputLayer"
_CHANNELS = (1, 3, 4)
_CODE = (
    "What a Lambda or a layer of your own computes is Python code, which is not run. In Python, "
    "where you trust the file: model.export('net.onnx', format='onnx')."
)
Arrays = Callable[[tuple[str, ...]], ReadArray]


def load_keras(path: str | Path, *, open_sizes: Sequence[int] | None = None) -> Graph:
    """Read a Keras model, ``.h5``, ``.hdf5`` or ``.keras``, as a graph of layers.

    Args:
        path: the file.
        open_sizes: (N, C, H, W) for the axes that the file leaves open.

    Returns:
        The graph as the file says, not optimised. Its input is float32 (N, C, H, W).

    Raises:
        ModelFileError: missing, too large, damaged, or contradicting itself.
        EngineUnavailableError: pyfive, which reads HDF5, is not installed.
        UnsupportedOperatorError: layers that are not implemented; names all of them.
        ShapeError, ParameterError: shapes or parameters do not fit; names the layer.
    """
    return graph_from_keras(read_keras(path), open_sizes=open_sizes)


def graph_from_keras(file: KerasFile, *, open_sizes: Sequence[int] | None = None) -> Graph:
    """Turn a file's contents into a graph of layers; as ``load_keras``."""
    model = parsed(file)
    with reading(f"{file.title}: its weights"), _stored(file, model) as arrays:
        return _build(file, model, arrays, open_sizes)


def outline(file: KerasFile, *, open_sizes: Sequence[int] | None = None) -> Graph:
    """The graph with ones for all arrays, which take no memory; raises as ``load_keras``."""

    def arrays(_: tuple[str, ...]) -> ReadArray:
        return lambda name, shape: np.broadcast_to(np.float32(1), shape)

    model = parsed(file)
    with reading(f"{file.title}: its description"):
        return _build(file, model, arrays, open_sizes)


def parsed(file: KerasFile) -> ModelOf:
    """A file's model, with all layers known.

    Raises:
        ModelFileError: it contradicts itself.
        UnsupportedOperatorError: layers that are not implemented; names all of them.
    """
    if file.version.startswith(("0.", "1.")):
        raise ModelFileError(
            f"{file.title}: was saved by Keras {file.version}; Keras 2 and 3 are read",
            hint="Open it in Keras 2 and save it again: load_model(path).save('net.h5').",
        )
    with reading(f"{file.title}: its description"):
        model = Parser(file.title).model(file.model)
        _check_layers(file, model)
    return model


def all_layers(model: ModelOf) -> Iterator[LayerOf]:
    """A model's layers, those of nested models as well."""
    waiting = [model]
    while waiting:
        for layer in waiting.pop().layers.values():
            yield layer
            if layer.model is not None:
                waiting.append(layer.model)


def major_version(file: KerasFile) -> int:
    """2 or 3; told by how inputs are written where the file does not say."""
    first = file.version.partition(".")[0]
    if first.isdigit() and len(first) == 1:
        return 3 if int(first) >= 3 else 2
    return 3 if file.numbered else 2


def _check_layers(file: KerasFile, model: ModelOf) -> None:
    missing: dict[str, list[str]] = {}
    for layer in all_layers(model):
        for what in _unknown(layer):
            missing.setdefault(what, []).append(layer.name)
    if missing:
        listed = "; ".join(f"{what} at {node_list(at)}" for what, at in sorted(missing.items()))
        raise UnsupportedOperatorError(
            f"{file.title}: Keras layers that are not read: {listed}",
            hint=_CODE,
            operators={what: len(at) for what, at in missing.items()},
        )


def _unknown(layer: LayerOf) -> Iterator[str]:
    """What of a layer is not implemented."""
    if layer.model is not None or layer.kind == _INPUT:
        return
    operator = operator_of(layer)
    if operator is not None:
        if operator not in OPERATORS:
            yield operator
    elif layer.kind not in LAYERS:
        yield f"{layer.package}>{layer.kind}" if layer.package else layer.kind
    elif not known(layer.settings.get("activation")):
        yield f"{layer.kind} with an activation of its own"
    policy = layer.settings.get("dtype")
    quantized = isinstance(policy, dict) and "Quantized" in str(policy.get("class_name"))
    if quantized or layer.settings.get("quantization_config") is not None:
        yield f"{layer.kind} with quantised weights"


@contextmanager
def _stored(file: KerasFile, model: ModelOf) -> Iterator[Arrays]:
    """Reads arrays from the file, which is open in the block."""
    with opened(file.weights, f"{file.title}: its weights cannot be read") as store:
        if file.numbered:
            places = numbered_places(store, model)
        else:
            places = named_places(file.title, store, model)

        def arrays(path: tuple[str, ...]) -> ReadArray:
            return lambda name, shape: _array(file, store, places, path, name, shape)

        yield arrays


def _array(
    file: KerasFile, store: Any, places: Places, path: tuple[str, ...], name: str, shape: Shape
) -> Array:
    what = f"{file.title}: layer {path[-1]!r}"
    place = places.get(path, {}).get(name)
    if place is None or place not in store:
        raise ParameterError(f"{what} has no {name} in the file; {shape} is expected")
    item = store[place]
    if not hasattr(item, "dtype"):
        raise ParameterError(f"{what}: {place} is no array; {name} {shape} is expected")
    found, dtype = shape_and_type(file.title, file.size, place, item)
    if dtype.kind != "f":
        raise ParameterError(f"{what}: {name} holds {dtype}; floats are expected")
    if found != tuple(shape):
        raise ParameterError(f"{what}: {name} has shape {found}; {tuple(shape)} is expected")
    array = array_of(item)
    return array.astype(np.float32, copy=False)


def _build(
    file: KerasFile, model: ModelOf, arrays: Arrays, open_sizes: Sequence[int] | None
) -> Graph:
    if len(model.inputs) != 1:
        raise ModelFileError(
            f"{file.title}: takes {len(model.inputs)} inputs, expected one picture"
        )
    first = any(
        layer.settings.get("data_format") == "channels_first" and layer.kind != "Flatten"
        for layer in all_layers(model)
    )
    net = Net(file.title, major_version(file), first)
    place, inputs = _add_input(net, model, open_sizes)
    outputs = _Walk(net, arrays).model(model, (), [place])
    names = list(dict.fromkeys(output.name for output in outputs))
    return net.values.graph(file.path.stem, inputs, names, {})


def _add_input(
    net: Net, model: ModelOf, open_sizes: Sequence[int] | None
) -> tuple[Place, dict[str, Shape]]:
    """The picture that goes in; one without an axis for channels gets it in the graph."""
    layer = model.layers[model.inputs[0].layer]
    declared = input_shape(layer)
    if not 2 <= len(declared) <= 4:
        raise ModelFileError(f"{net.title}: takes {declared}, expected a picture")
    picture = len(declared) == 4 and channels_last(declared, net.first)
    grey = len(declared) == 3
    order = TO_PICTURE if picture else range(len(declared))
    sizes = [declared[axis] for axis in order]
    if grey:
        sizes.insert(1, 1)
    shape = [1 if size is None and not axis else size for axis, size in enumerate(sizes)]
    for axis, size in enumerate(shape):
        if size is None:
            if open_sizes is None or len(open_sizes) != len(shape):
                raise ShapeError(
                    f"{net.title}: input {layer.name!r} leaves the size of axis {axis} open",
                    hint="Give a model with fixed sizes.",
                )
            shape[axis] = int(open_sizes[axis])
    fixed = tuple(int(size or 1) for size in shape)
    name = net.unique(layer.name)
    net.values.add_input(name, fixed)
    place = Place(name, picture)
    if grey:
        flat = net.unique(f"{layer.name}/grey")
        net.values.emit(flat, Reshape((fixed[0], *fixed[2:])), [name], flat)
        place = Place(flat)
    return place, {name: fixed}


def input_shape(layer: LayerOf) -> tuple[int | None, ...]:
    """An input's shape, None where it is open; () where the file does not say."""
    for name in ("batch_input_shape", "batch_shape"):
        given = layer.settings.get(name)
        if isinstance(given, (list, tuple)):
            return tuple(None if size is None else int(size) for size in given)
    return ()


def channels_last(shape: Sequence[int | None], first: bool) -> bool:
    """Whether an input of four axes has the channels last; ``first``: the layers have not."""
    last, front = shape[3] in _CHANNELS, shape[1] in _CHANNELS
    return not first if last == front else last


class _Walk:
    """Goes through a model's calls in the order in which they need each other."""

    def __init__(self, net: Net, arrays: Arrays) -> None:
        self._net, self._arrays = net, arrays
        self._count = 0

    def model(self, model: ModelOf, path: tuple[str, ...], inputs: Sequence[Place]) -> list[Place]:
        """What a model gives for its inputs."""
        if len(inputs) != len(model.inputs):
            raise ModelFileError(
                f"{self._net.title}: model {model.name!r} takes {len(model.inputs)} inputs and "
                f"gets {len(inputs)}"
            )
        values = dict(zip(model.inputs, inputs, strict=True))
        started: set[tuple[str, int]] = set()
        waiting = [(output.layer, output.call) for output in reversed(model.outputs)]
        while waiting:
            name, number = waiting[-1]
            if Ref(name, number) in values:
                waiting.pop()
                continue
            layer, call = self._call(model, name, number)
            missing = [ref for ref in call.refs() if ref not in values]
            if not missing:
                waiting.pop()
                self._run(layer, call, number, (*path, name), values)
                continue
            if (name, number) in started:
                raise ModelFileError(f"{self._net.title}: layer {name!r} reads what it writes")
            started.add((name, number))
            waiting += [(ref.layer, ref.call) for ref in missing]
        return [self._value(values, output) for output in model.outputs]

    def _value(self, values: Mapping[Ref, Place], ref: Ref) -> Place:
        if ref not in values:
            raise ModelFileError(f"{self._net.title}: layer {ref.layer!r} has no such output")
        return values[ref]

    def _call(self, model: ModelOf, name: str, number: int) -> tuple[LayerOf, CallOf]:
        layer = model.layers.get(name)
        at = number - (0 if layer is None else layer.first_call)
        if layer is None or not 0 <= at < len(layer.calls):
            raise ModelFileError(
                f"{self._net.title}: use {number} of layer {name!r} is read, but is not there"
            )
        return layer, layer.calls[at]

    def _run(
        self,
        layer: LayerOf,
        call: CallOf,
        number: int,
        path: tuple[str, ...],
        values: dict[Ref, Place],
    ) -> None:
        checkpoint()
        self._count += 1
        if self._count > MAX_LAYERS:
            raise ModelFileError(f"{self._net.title}: uses more than {MAX_LAYERS:,} layers")
        step = Call(self._net, layer, call, values, self._arrays(path))
        if call.kwargs.get("training") is True:
            raise step.unsupported("it is called with training=True")
        with reading(step.what):
            if layer.model is not None:
                given = self.model(layer.model, path, step.places())
                values.update({Ref(layer.name, number, i): one for i, one in enumerate(given)})
                return
            operator = operator_of(layer)
            if operator is not None:
                operate(step, operator)
            elif layer.kind == _INPUT:
                raise ModelFileError(f"{step.what} is read, but gets nothing")
            else:
                LAYERS[layer.kind](step)
        if step.result is None:
            raise ModelFileError(f"{step.what} gives nothing")
        values[Ref(layer.name, number)] = step.result


def width_of(graph: Graph) -> int:
    """Number of values of a graph's first output, for one picture."""
    shape = graph.shapes[graph.outputs[0]]
    return prod(shape[1:]) if shape else 1
