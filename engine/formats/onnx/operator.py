"""One ONNX node while it is imported: its attributes, inputs and constants."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from twinlens.engine.errors import ModelError, ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.values import Steps, Values
from twinlens.engine.layers.base import Array, DType, Layer, Shape

if TYPE_CHECKING:
    import onnx

T = TypeVar("T")


class Operator:
    """One ONNX node, read by the function that builds its layers.

    Args:
        proto: the node.
        name: unique name for errors and summaries.
        opset: version of the standard operators in the file.
        values: where inputs come from and layers go.
        read: names of the values that something reads.
    """

    def __init__(
        self,
        proto: onnx.NodeProto,
        name: str,
        opset: int,
        values: Values,
        read: Collection[str],
    ) -> None:
        self._proto = proto
        self._values = values
        self._read = read
        self._plain_name = True
        self.type = proto.op_type
        self.name = name
        self.opset = opset

    @property
    def input_count(self) -> int:
        """Number of inputs, left-out ones in between counted."""
        return len(self._proto.input)

    def attribute(self, name: str, default: T, kind: str | None = None) -> T:
        """An attribute's value, or the default where it is left out.

        Text comes as str, lists as lists, tensors as arrays. An int stands for a bool default.

        Args:
            name: of the attribute.
            default: what it is where it is left out; also tells the kind of value.
            kind: ``"INT"``, ``"INTS"``, ``"TENSOR"`` ..., where the default cannot tell it; for
                a default of None it is ``"INTS"``.

        Raises:
            ModelFileError: the file gives another kind of value.
        """
        import onnx

        for attribute in self._proto.attribute:
            if attribute.name == name:
                given = onnx.AttributeProto.AttributeType.Name(attribute.type)
                wanted = kind or _kind_of(default)
                if given != wanted and (given, wanted) != ("INT", "FLOAT"):
                    raise ModelFileError(
                        f"node {self.name!r} ({self.type}): attribute {name!r} is of kind {given}; "
                        f"{wanted} is required"
                    )
                value = onnx.helper.get_attribute_value(attribute)
                if isinstance(value, bytes):
                    value = value.decode("utf-8", "replace")
                elif isinstance(value, onnx.TensorProto):
                    value = array_of(value)
                elif isinstance(default, bool):
                    value = bool(value)
                result: T = value
                return result
        return default

    def has_attribute(self, name: str) -> bool:
        """Whether an attribute is given."""
        return any(attribute.name == name for attribute in self._proto.attribute)

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self._proto.input) and self._proto.input[index] != ""

    @property
    def output_count(self) -> int:
        """Number of outputs, left-out ones in between counted."""
        return len(self._proto.output)

    def uses_output(self, index: int) -> bool:
        """Whether something reads an output, or the model gives it."""
        return index < len(self._proto.output) and self._proto.output[index] in self._read

    def input(self, index: int = 0) -> str:
        """Name of an input's value.

        Raises:
            ModelFileError: it is left out, or nothing before this node writes it.
        """
        if not self.has(index):
            raise ModelFileError(f"node {self.name!r} ({self.type}) lacks input {index}")
        name = str(self._proto.input[index])
        if name not in self._values.shapes:
            raise ModelFileError(
                f"node {self.name!r} ({self.type}) reads {name!r}, which nothing writes"
            )
        return name

    def inputs(self) -> list[str]:
        """Names of all inputs' values."""
        return [self.input(index) for index in range(self.input_count)]

    def shape(self, index: int = 0) -> Shape:
        """Shape of an input."""
        return self._values.shapes[self.input(index)]

    def shape_of(self, name: str) -> Shape:
        """Shape of a value that this operator has made on its way."""
        return self._values.shapes[name]

    def dtype(self, index: int = 0) -> DType:
        """Element type of an input."""
        return self._values.dtypes[self.input(index)]

    def is_constant(self, index: int) -> bool:
        """Whether an input is known at import."""
        return self.has(index) and self.input(index) in self._values.constants

    def constant(self, index: int, meaning: str) -> Array:
        """An input that has to be known at import.

        Args:
            index: which input.
            meaning: what it is, for the error (``"weight"``).

        Raises:
            UnsupportedOperatorError: it is computed while the network runs.
        """
        if not self.is_constant(index):
            raise self.unsupported(
                f"its {meaning} ({self.input(index)!r}) is computed while the network runs; "
                "a constant is required"
            )
        return self._values.constants[self.input(index)]

    def steps(self, index: int) -> Steps | None:
        """How a constant input was stored as integers; None where it was not."""
        return self._values.steps.get(self.input(index))

    def note_steps(self, steps: Steps) -> None:
        """Say how the constant that this node gives was stored as integers."""
        self._values.steps[str(self._proto.output[0])] = steps

    def optional(self, index: int, meaning: str) -> Array | None:
        """Like ``constant``, or None where the input is left out or empty."""
        if not self.has(index):
            return None
        array = self.constant(index, meaning)
        return array if array.size else None

    def integers(self, attribute: str, index: int, since: int) -> list[int] | None:
        """Integers that are an attribute before opset ``since``, and an input from it on."""
        if self.opset < since:
            given: list[int] | None = self.attribute(attribute, None)
            return None if given is None else list(given)
        array = self.constant(index, attribute) if self.has(index) else None
        return None if array is None else [int(value) for value in array.reshape(-1)]

    def unsupported(self, why: str) -> UnsupportedOperatorError:
        """The error that says what of this operator is not implemented."""
        return UnsupportedOperatorError(f"operator {self.type} at node {self.name!r}: {why}")

    def keep(self, array: ArrayLike, step: str) -> str:
        """Put an array beside the operator's layers; return its name."""
        name = f"{self._proto.output[0]}/{step}"
        self._values.add_constant(name, np.asarray(array))
        return name

    def emit(self, layer: Layer, *inputs: str, step: str = "", output: int = 0) -> str:
        """Add a layer; one that reads only constants is computed at once.

        Args:
            layer: the layer.
            inputs: names of what it reads.
            step: "" for the layer that writes the node's output, otherwise a word that names
                a layer on the way to it.
            output: which of the node's outputs it is.

        Returns:
            Name of the layer's output value.
        """
        suffix = f"/{step}" if step else ""
        name = self.name if self._plain_name or step else f"{self.name}/{output}"
        self._plain_name = self._plain_name and bool(step)
        return self._values.emit(
            name + suffix, layer, inputs, str(self._proto.output[output]) + suffix
        )

    def emit_constant(self, array: Array, output: int = 0) -> None:
        """Make one of the node's outputs a constant."""
        self._values.add_constant(self._proto.output[output], array)


def array_of(tensor: onnx.TensorProto) -> Array:
    """A tensor's array; 16-bit floats become float32.

    Raises:
        ModelFileError: the tensor's data is not what its shape and type say.
    """
    import onnx

    try:
        if any(size < 0 for size in tensor.dims):  # NumPy would take -1 for what fits
            raise ValueError("a size below 0")
        array: Array = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as why:
        raise ModelFileError(
            f"tensor {tensor.name!r} cannot be read; it should hold "
            f"{tuple(tensor.dims)} values: {why}"
        ) from why
    if tensor.data_type in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16):
        return array.astype(np.float32)
    return array


def _kind_of(default: object) -> str:
    """The kind of attribute that a default stands for."""
    if isinstance(default, (bool, int)):
        return "INT"
    if isinstance(default, float):
        return "FLOAT"
    if isinstance(default, str):
        return "STRING"
    if isinstance(default, np.ndarray):
        return "TENSOR"
    floats = isinstance(default, list) and default and isinstance(default[0], float)
    return "FLOATS" if floats else "INTS"


def weight_scale(operator: Operator, index: int, axis: int) -> Array | None:
    """What a step of each output's weights is worth, where they came as integers.

    Args:
        operator: the node.
        index: which input the weights are.
        axis: their axis of outputs.

    Returns:
        (outputs,), or None where they came as floats, or with a scale along another axis.
    """
    steps = operator.steps(index)
    if steps is None or (steps.scale.size > 1 and steps.axis != axis):
        return None
    outputs = operator.shape(index)[axis]
    return np.broadcast_to(steps.scale.reshape(-1), (outputs,)).copy()


def chain_errors(operator: Operator, error: ModelError) -> ModelError:
    """The same error, naming the operator and its node."""
    if isinstance(error, (UnsupportedOperatorError, ModelFileError)):
        return error
    return type(error)(
        f"operator {operator.type} at node {operator.name!r}: {error}", hint=error.hint
    )


def attributes(operator: Operator, **defaults: float) -> dict[str, Any]:
    """Several float attributes by name, with their defaults."""
    return {name: float(operator.attribute(name, value)) for name, value in defaults.items()}
