"""One TensorFlow Lite operator while it is imported: tensors, axis order, quantisation.

The file keeps pictures as (N, H, W, C) and our layers as (N, C, H, W). A value of four axes is
held in our order as soon as a layer for pictures writes it, and is put back into the file's order
only for operators that ask for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from twinlens.engine.errors import ModelError, ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.tflite.file import Operation, Tensor, TFLiteFile
from twinlens.engine.formats.tflite.flatbuffer import Table
from twinlens.engine.formats.values import Names, Values
from twinlens.engine.layers import (
    Clip,
    DequantizeLinear,
    QuantizeLinear,
    ReLU,
    ReLU6,
    Reshape,
    Transpose,
)
from twinlens.engine.layers.base import Array, Layer, Shape

TO_PICTURE = (0, 3, 1, 2)
TO_FILE = (0, 2, 3, 1)

_ACTIVATIONS: dict[int, Layer | None] = {
    0: None,
    1: ReLU(),
    2: Clip(-1.0, 1.0),
    3: ReLU6(),
}


@dataclass(frozen=True)
class Place:
    """Where a tensor's value is in the graph.

    Attributes:
        name: the graph's value.
        picture: whether it is held as (N, C, H, W) where the file has (N, H, W, C).
    """

    name: str
    picture: bool


class Net:
    """The network while it is imported.

    Args:
        file: what is imported.
        precise: tensors that are not rounded to their integers, although the file does so.
    """

    def __init__(self, file: TFLiteFile, precise: Iterable[int] = ()) -> None:
        self.file = file
        self.values = Values()
        self.places: dict[int, Place] = {}
        self.precise = frozenset(precise)
        self._names = Names()

    def unique(self, wanted: str) -> str:
        """A name that nothing has yet."""
        return self._names.unique(wanted)

    def name_of(self, tensor: Tensor) -> str:
        """A unique name for a tensor's value."""
        # Converters join the names of all that they fused; the first says what it is.
        first = tensor.name.split(";", maxsplit=1)[0]
        return self.unique(first or f"tensor_{tensor.index}")


class Op:
    """One operator, read by the function that builds its layers.

    Args:
        operation: the operator.
        net: where its inputs come from and its layers go.
    """

    def __init__(self, operation: Operation, net: Net) -> None:
        self._operation, self._net = operation, net
        self.kind = operation.kind
        self._output = net.file.tensors[operation.outputs[0]]
        self.name = net.name_of(self._output)
        self._used = False

    # Settings

    @property
    def options(self) -> Table | None:
        """The operator's settings, None where it has none."""
        return self._operation.options

    def integer(self, field: int, form: str = "i", default: int = 0) -> int:
        """A setting by its number in the schema."""
        return default if self.options is None else self.options.integer(field, form, default)

    def real(self, field: int, default: float = 0.0) -> float:
        """A setting that is a float."""
        return default if self.options is None else self.options.real(field, default)

    # Inputs

    @property
    def input_count(self) -> int:
        """Number of inputs, left-out ones counted."""
        return len(self._operation.inputs)

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < self.input_count and self._operation.inputs[index] >= 0

    def tensor(self, index: int = 0) -> Tensor:
        """An input as the file has it."""
        if not self.has(index):
            raise ModelFileError(f"operator {self.kind} at {self.name!r} lacks input {index}")
        return self._net.file.tensors[self._operation.inputs[index]]

    @property
    def output(self) -> Tensor:
        """The first output as the file has it."""
        return self._output

    @property
    def output_count(self) -> int:
        """Number of outputs."""
        return len(self._operation.outputs)

    def is_constant(self, index: int) -> bool:
        """Whether an input is known at import."""
        return self.has(index) and self._constant_value(self.tensor(index)) is not None

    def constant(self, index: int, meaning: str) -> Array:
        """A constant input in the file's axis order; integers with a scale become float32.

        Raises:
            UnsupportedOperatorError: it is computed while the network runs.
        """
        array = self._constant_value(self.tensor(index))
        if array is None:
            raise self.unsupported(
                f"its {meaning} is computed while the network runs; a constant is required"
            )
        return array

    def optional(self, index: int, meaning: str) -> Array | None:
        """Like ``constant``, or None where the input is left out."""
        return self.constant(index, meaning) if self.has(index) else None

    def whole_numbers(self, index: int, meaning: str) -> list[int]:
        """A constant input of integers."""
        array = self.constant(index, meaning).reshape(-1)
        if not np.issubdtype(array.dtype, np.integer) or array.size > 64:
            raise self.unsupported(f"its {meaning} are {array.size} values of {array.dtype}")
        return [int(value) for value in array]

    def place(self, index: int = 0) -> Place:
        """Where an input's value is; constants are put into the graph in the file's order."""
        tensor = self.tensor(index)
        found = self._net.places.get(tensor.index)
        if found is not None:
            return found
        array = self._constant_value(tensor)
        if array is None:
            raise ModelFileError(
                f"operator {self.kind} at {self.name!r} reads tensor {tensor.index} "
                f"({tensor.name!r}), which nothing before it writes"
            )
        name = self._net.name_of(tensor)
        self._net.values.add_constant(name, array)
        self._net.places[tensor.index] = Place(name, False)
        return self._net.places[tensor.index]

    def shape(self, index: int = 0) -> Shape:
        """Shape of an input in the file's order."""
        place = self.place(index)
        shape = self._net.values.shapes[place.name]
        return tuple(shape[axis] for axis in TO_FILE) if place.picture else shape

    def picture(self, index: int = 0) -> str:
        """An input as (N, C, H, W).

        Raises:
            UnsupportedOperatorError: it has not four axes.
        """
        place = self.place(index)
        if place.picture:
            return place.name
        shape = self._net.values.shapes[place.name]
        if len(shape) != 4:
            raise self.unsupported(f"its input is {shape}; (batch, height, width, channels)")
        return self._reordered(place, TO_PICTURE, f"picture_{index}")

    def plain(self, index: int = 0) -> str:
        """An input in the file's own axis order."""
        place = self.place(index)
        if not place.picture:
            return place.name
        return self._reordered(place, TO_FILE, f"file_order_{index}")

    def _reordered(self, place: Place, order: Sequence[int], step: str) -> str:
        shape = self._net.values.shapes[place.name]
        after = tuple(shape[axis] for axis in order)
        moved = [size for size in shape if size > 1] != [size for size in after if size > 1]
        # Where only axes of size 1 change places, nothing has to be moved in memory.
        layer: Layer = Transpose(order) if moved else Reshape(after)
        return self.emit(layer, place.name, step=step)

    def _constant_value(self, tensor: Tensor) -> Array | None:
        if tensor.data is None:
            place = self._net.places.get(tensor.index)
            known = None if place is None else self._net.values.constants.get(place.name)
            if known is None or place is None or not place.picture:
                return known
            return known.transpose(TO_FILE)
        return constant_of(tensor, self._net.file.title)

    def keep(self, array: ArrayLike, step: str) -> str:
        """Put an array into the graph; return its name."""
        name = self._net.unique(f"{self.name}/{step}")
        self._net.values.add_constant(name, np.asarray(array))
        return name

    # Layers

    def emit(self, layer: Layer, *inputs: str, step: str = "") -> str:
        """Add a layer; errors name the operator.

        Args:
            layer: the layer.
            inputs: graph values that it reads.
            step: what is appended to the operator's name; "" for the operator itself.
        """
        name = self._net.unique(f"{self.name}/{step}") if step else self._first_name()
        try:
            return self._net.values.emit(name, layer, inputs, name)
        except ModelError as error:
            if isinstance(error, (UnsupportedOperatorError, ModelFileError)):
                raise
            raise type(error)(
                f"operator {self.kind} at {self.name!r}: {error}", hint=error.hint
            ) from error

    def _first_name(self) -> str:
        used, self._used = self._used, True
        return self._net.unique(f"{self.name}/again") if used else self.name

    def finish(
        self,
        value: str,
        *,
        picture: bool,
        activation: int = 0,
        rounded: bool = True,
        output: int = 0,
    ) -> None:
        """Make a value an output of the operator: activation first, then rounding to integers.

        Args:
            value: graph value.
            picture: whether it is held as (N, C, H, W).
            activation: fused activation, as in the schema.
            rounded: False where the operator only moves samples, which are rounded already.
            output: which of the outputs it is.

        Raises:
            UnsupportedOperatorError: an activation that the layers lack.
        """
        if activation not in _ACTIVATIONS:
            raise self.unsupported(f"its fused activation is number {activation}")
        layer = _ACTIVATIONS[activation]
        if layer is not None:
            value = self.emit(layer, value, step=layer.kind)
        tensor = self._net.file.tensors[self._operation.outputs[output]]
        if rounded and tensor.index not in self._net.precise:
            value = round_to(self._net, value, tensor, self.name)
        self._net.places[tensor.index] = Place(value, picture)

    def unsupported(self, why: str) -> UnsupportedOperatorError:
        """The error that says what of this operator is not implemented."""
        return UnsupportedOperatorError(f"operator {self.kind} at {self.name!r}: {why}")


def round_to(net: Net, value: str, tensor: Tensor, name: str) -> str:
    """Add the pair of layers that rounds a value to a tensor's 8-bit integers and back.

    Floats stay as they are, and so do 16-bit activations, whose steps are too small to matter.
    """
    scale, zero, dtype = tensor.scale, tensor.zero_point, tensor.dtype
    if scale is None or zero is None or dtype is None or dtype.itemsize != 1 or scale.size != 1:
        return value
    if value in net.values.constants:
        return value
    lowest = -128 if dtype == np.int8 else 0
    if not lowest <= int(zero) <= lowest + 255 or not float(scale) > 0:
        raise ModelFileError(
            f"{net.file.title}: tensor {tensor.name!r} has scale {float(scale):g} and zero point "
            f"{int(zero)}, which do not fit {dtype}"
        )
    step, point = scale.astype(np.float32), zero.astype(dtype)
    quantized = net.unique(f"{name}/quantize")
    net.values.emit(quantized, QuantizeLinear(step, point), [value], quantized)
    back = net.unique(f"{name}/dequantize")
    return net.values.emit(back, DequantizeLinear(step, point), [quantized], back)


def constant_of(tensor: Tensor, title: str) -> Array:
    """A constant as an array; with a scale it is multiplied out to float32, exactly.

    Raises:
        ModelFileError: its bytes are not as many as its shape asks for.
        UnsupportedOperatorError: a type that the layers lack, or a sparse tensor.
    """
    if tensor.sparse or tensor.dtype is None or tensor.data is None:
        kind = "is stored sparsely" if tensor.sparse else "has a type that is no number"
        raise UnsupportedOperatorError(f"{title}: tensor {tensor.name!r} {kind}")
    wanted = prod(tensor.shape) * tensor.dtype.itemsize
    if min(tensor.shape, default=0) < 0 or wanted != tensor.data.size:
        raise ModelFileError(
            f"{title}: tensor {tensor.name!r} of shape {tensor.shape} has {tensor.data.size:,} "
            f"bytes; {wanted:,} are required"
        )
    array = tensor.data.view(tensor.dtype.newbyteorder("<")).reshape(tensor.shape)
    if tensor.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if tensor.scale is None or tensor.zero_point is None:
        return array
    shape = [1] * array.ndim
    if tensor.scale.size > 1:
        shape[tensor.axis] = tensor.scale.size
        scale, zero = tensor.scale.reshape(shape), tensor.zero_point.reshape(shape)
    else:
        scale, zero = tensor.scale, tensor.zero_point
    # The difference is a whole number below 2**24, so that the product is rounded only once.
    result: Array = (array.astype(np.int64) - zero).astype(np.float32) * scale
    return result
