"""One Core ML layer or operation while it is imported: its inputs, and the layers it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from twinlens.engine.errors import ModelError, ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.coreml.weights import weights
from twinlens.engine.formats.values import Names, Values
from twinlens.engine.layers import GELU, Add, Flatten, Mul, Reshape, SiLU
from twinlens.engine.layers.base import Array, Layer, Shape


class Net:
    """The network while it is imported.

    Args:
        title: what errors call it.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.values = Values()
        self.places: dict[str, str] = {}
        self._names = Names()

    def unique(self, wanted: str) -> str:
        """A name that nothing has yet."""
        return self._names.unique(wanted or "value")

    def keep(self, array: ArrayLike, name: str) -> str:
        """Put an array into the graph; return its name."""
        unique = self.unique(name)
        self.values.add_constant(unique, np.asarray(array))
        return unique


# In the order of the specification's GeluMode; the last is x · sigmoid(1.702 x).
_GELUS = {
    "EXACT": GELU("none"),
    "TANH_APPROXIMATION": GELU("tanh"),
    "SIGMOID_APPROXIMATION": SiLU(1.702),
}


def gelu_of(step: Step, mode: int | str) -> Layer:
    """The Gaussian error linear unit in a mode, by its name or its number.

    Raises:
        UnsupportedOperatorError: there is no such mode.
    """
    names = tuple(_GELUS)
    name = names[mode] if isinstance(mode, int) and 0 <= mode < len(names) else mode
    if name not in names:
        raise step.unsupported(f"mode {mode!r}; known are {', '.join(names)}")
    return _GELUS[str(name)]


class Step:
    """One layer or operation.

    Args:
        net: where inputs come from and layers go.
        kind: its type, for errors.
        name: its name.
        inputs: names of what it reads.
        output: name of what it writes.
    """

    def __init__(self, net: Net, kind: str, name: str, inputs: Sequence[str], output: str) -> None:
        self.net, self.kind, self.name = net, kind, name
        self.names = tuple(inputs)
        self._output = output
        self._used = False

    def input(self, index: int = 0) -> str:
        """Graph value of an input.

        Raises:
            ModelFileError: it is missing, or nothing before this layer writes it.
        """
        if index >= len(self.names) or self.names[index] not in self.net.places:
            raise ModelFileError(
                f"{self.net.title}: layer {self.name!r} ({self.kind}) reads input {index}, which "
                "nothing before it writes"
            )
        return self.net.places[self.names[index]]

    def shape(self, index: int = 0) -> Shape:
        """Shape of an input."""
        return self.shape_of(self.input(index))

    def shape_of(self, value: str) -> Shape:
        """Shape of a graph value."""
        return self.net.values.shapes[value]

    def constant(self, index: int) -> Array | None:
        """An input that is known at import, or None."""
        return self.net.values.constants.get(self.input(index))

    def picture(self, index: int = 0) -> str:
        """An input as (N, C, H, W); a row becomes a picture of one pixel."""
        value = self.input(index)
        shape = self.shape_of(value)
        if len(shape) == 4:
            return value
        if len(shape) == 2:
            return self.emit(Reshape((*shape, 1, 1)), value, step=f"picture_{index}")
        raise self.unsupported(f"its input is {shape}; a picture is required")

    def row(self, index: int = 0) -> str:
        """An input as (N, C), the channels first in each picture."""
        value = self.input(index)
        if len(self.shape_of(value)) == 2:
            return value
        return self.emit(Flatten(), value, step=f"row_{index}")

    def emit(self, layer: Layer, *inputs: str, step: str = "") -> str:
        """Add a layer; errors name what it is part of."""
        wanted = f"{self.name}/{step}" if step or self._used else self.name
        self._used = self._used or not step
        name = self.net.unique(wanted)
        try:
            return self.net.values.emit(name, layer, inputs, name)
        except ModelError as error:
            if isinstance(error, (UnsupportedOperatorError, ModelFileError)):
                raise
            where = f"{self.net.title}: layer {self.name!r} ({self.kind})"
            raise type(error)(f"{where}: {error}", hint=error.hint) from error

    def affine(self, value: str, scale: ArrayLike, shift: ArrayLike, step: str = "") -> str:
        """``scale * value + shift``, each left out where it changes nothing."""
        factor, added = np.asarray(scale, np.float32), np.asarray(shift, np.float32)
        if not (factor == 1).all():
            value = self.emit(Mul(), value, self.keep(factor, "scale"), step=f"{step}scale")
        if not (added == 0).all():
            value = self.emit(Add(), value, self.keep(added, "shift"), step=f"{step}shift")
        return value

    def keep(self, array: ArrayLike, name: str) -> str:
        """Put an array into the graph; return its name."""
        return self.net.keep(array, f"{self.name}.{name}")

    def finish(self, value: str) -> None:
        """Make a graph value the layer's output."""
        self.net.places[self._output] = value

    def unsupported(self, why: str) -> UnsupportedOperatorError:
        """The error that says what of this layer is not implemented."""
        return UnsupportedOperatorError(
            f"{self.net.title}: layer {self.name!r} ({self.kind}): {why}"
        )

    @property
    def what(self) -> str:
        """What errors call the layer."""
        return f"{self.net.title}: layer {self.name!r}"


class LayerStep(Step):
    """A layer of a neural network.

    Args:
        net: where inputs come from and layers go.
        proto: the ``Layer`` message.
        kind: name of its settings' field.
        exact: whether arrays have the axes that the file says; otherwise rows stand for pictures
            of one pixel.
    """

    def __init__(self, net: Net, proto: Any, kind: str, exact: bool) -> None:
        output = proto.output[0] if proto.output else ""
        super().__init__(net, kind, proto.name or output, tuple(proto.input), output)
        self.settings: Any = getattr(proto, kind)
        self.exact = exact

    def weights(self, field: str, *shape: int) -> Array:
        """One of the settings' arrays."""
        return weights(getattr(self.settings, field), shape, f"{self.what}: {field}")
