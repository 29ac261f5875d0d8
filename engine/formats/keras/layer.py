"""One use of a Keras layer while it is imported: settings, inputs, arrays, the layers it becomes.

Keras keeps pictures as (N, H, W, C) unless a layer says otherwise, and our layers as (N, C, H, W).
A value of four axes is held in our order as soon as a layer for pictures writes it, and is put back
into Keras' order only for layers that ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from twinlens.engine.errors import ModelError, ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.keras.config import CallOf, LayerOf, Ref
from twinlens.engine.formats.values import Names, Values
from twinlens.engine.layers import Add, Mul, Reshape, Transpose
from twinlens.engine.layers.base import Array, Layer, Shape

TO_PICTURE = (0, 3, 1, 2)
TO_KERAS = (0, 2, 3, 1)
# Where an axis of (N, H, W, C) is in (N, C, H, W).
PICTURE_AXES = (0, 2, 3, 1)

_MOST_SIZE = 1 << 20


@dataclass(frozen=True)
class Place:
    """Where a Keras value is in the graph.

    Attributes:
        name: the graph's value.
        picture: whether it is held as (N, C, H, W) where Keras has (N, H, W, C).
    """

    name: str
    picture: bool = False


class Net:
    """The network while it is imported.

    Args:
        title: what errors call it.
        version: major version of the Keras that wrote it.
        first: whether pictures come with the channels first.
    """

    def __init__(self, title: str, version: int, first: bool) -> None:
        self.title, self.version, self.first = title, version, first
        self.values = Values()
        self._names = Names()

    def unique(self, wanted: str) -> str:
        """A name that nothing has yet."""
        return self._names.unique(wanted or "value")

    def keep(self, array: ArrayLike, name: str) -> str:
        """Put an array into the graph; return its name."""
        unique = self.unique(name)
        self.values.add_constant(unique, np.asarray(array))
        return unique

    def shape(self, place: Place) -> Shape:
        """Shape of a value in Keras' order."""
        shape = self.values.shapes[place.name]
        return tuple(shape[axis] for axis in TO_KERAS) if place.picture else shape


ReadArray = Callable[[str, Shape], Array]
"""Gives a layer's array by its variable's name, after comparing its shape."""


class Call:
    """One use of a layer, read by the function that builds our layers for it.

    Args:
        net: where values come from and layers go.
        layer: the layer.
        call: this use of it.
        values: what the layers before it gave.
        read: reads the layer's arrays.
    """

    def __init__(
        self,
        net: Net,
        layer: LayerOf,
        call: CallOf,
        values: Mapping[Ref, Place],
        read: ReadArray,
    ) -> None:
        self.net, self.layer, self.kind, self.name = net, layer, layer.kind, layer.name
        self.args, self.kwargs = call.args, dict(call.kwargs)
        self._values, self._read = values, read
        self._used = False
        self.result: Place | None = None

    # Settings

    def setting(self, name: str, default: Any = None) -> Any:
        """A setting, or the default where it is missing or null."""
        value = self.layer.settings.get(name)
        return default if value is None else value

    def flag(self, name: str, default: bool) -> bool:
        """A setting that is true or false."""
        return bool(self.setting(name, default))

    def number(self, name: str, default: float) -> float:
        """A setting that is a number."""
        return scalar(self.setting(name, default))

    def pair(self, name: str, default: int | Sequence[int]) -> tuple[int, int]:
        """A setting of (height, width), or one number for both."""
        value = self.setting(name, default)
        both = [value, value] if isinstance(value, (int, float)) else list(value)
        return whole(both[0]), whole(both[1])

    @property
    def channels_first(self) -> bool:
        """Whether the layer takes (N, C, H, W)."""
        form = self.setting("data_format", "channels_first" if self.net.first else "channels_last")
        if form not in ("channels_first", "channels_last"):
            raise self.unsupported(f"data_format {form!r}")
        return bool(form == "channels_first")

    # Inputs

    def places(self) -> list[Place]:
        """All values that the positional arguments name, in order."""
        return [self.place_of(item) for item in _flat(self.args)]

    def places_as_given(self) -> Iterator[Any]:
        """The positional arguments without the lists around them."""
        return _flat(self.args)

    def place_of(self, item: Any) -> Place:
        """Where an argument is; plain numbers become constants."""
        if isinstance(item, Ref):
            if item not in self._values:
                raise ModelFileError(f"{self.what} reads {item}, which nothing writes")
            return self._values[item]
        return Place(self.keep(float32(item), "operand"))

    def place(self) -> Place:
        """The only input.

        Raises:
            UnsupportedOperatorError: there is another number of them.
        """
        places = self.places()
        if len(places) != 1:
            raise self.unsupported(f"it has {len(places)} inputs; one is required")
        return places[0]

    def shape(self, place: Place | None = None) -> Shape:
        """Shape of a value, or of the only input, in Keras' order."""
        return self.net.shape(place or self.place())

    def picture(self, place: Place | None = None, *, first: bool | None = None) -> str:
        """A value, or the only input, as (N, C, H, W).

        Args:
            place: the value.
            first: whether Keras has the channels first; None asks the layer.

        Raises:
            UnsupportedOperatorError: it has not four axes.
        """
        place = place or self.place()
        if len(self.net.values.shapes[place.name]) != 4:
            raise self.unsupported(f"its input is {self.shape(place)}; a picture is required")
        if self.channels_first if first is None else first:
            return self.plain(place)
        return place.name if place.picture else self._reordered(place, TO_PICTURE, "picture")

    def plain(self, place: Place | None = None) -> str:
        """A value, or the only input, in Keras' own order."""
        place = place or self.place()
        return self._reordered(place, TO_KERAS, "keras_order") if place.picture else place.name

    def _reordered(self, place: Place, order: Sequence[int], step: str) -> str:
        shape = self.net.values.shapes[place.name]
        after = tuple(shape[axis] for axis in order)
        moved = [size for size in shape if size > 1] != [size for size in after if size > 1]
        # Where only axes of size 1 change places, nothing has to be moved in memory.
        layer: Layer = Transpose(order) if moved else Reshape(after)
        return self.emit(layer, place.name, step=step)

    def same_order(self, places: Sequence[Place]) -> tuple[list[str], bool]:
        """Several values in one order: ours where one of four axes is held so.

        Returns:
            (graph values, whether they are held in our order).
        """
        rank = max(len(self.net.values.shapes[place.name]) for place in places)
        if rank != 4 or not any(place.picture for place in places):
            return [self.plain(place) for place in places], False
        return [self._as_picture(place) for place in places], True

    def _as_picture(self, place: Place) -> str:
        if place.picture:
            return place.name
        shape = self.net.values.shapes[place.name]
        wide = (1,) * (4 - len(shape)) + shape
        constant = self.net.values.constants.get(place.name)
        if constant is not None:
            return self.keep(constant.reshape(wide).transpose(TO_PICTURE), "operand")
        name = place.name
        if wide != shape:
            name = self.emit(Reshape(wide), name, step="axes")
        return self._reordered(Place(name), TO_PICTURE, "picture")

    # Arrays

    def array(self, name: str, *shape: int) -> Array:
        """One of the layer's variables, float32.

        Raises:
            ParameterError: it is missing, or has another shape.
        """
        return self._read(name, shape)

    def keep(self, array: ArrayLike, step: str) -> str:
        """Put an array into the graph; return its name."""
        return self.net.keep(array, f"{self.name}/{step}")

    # Layers

    def emit(self, layer: Layer, *inputs: str, step: str = "") -> str:
        """Add a layer; errors name the Keras layer.

        Args:
            layer: the layer.
            inputs: graph values that it reads.
            step: what is appended to the name; "" for what the Keras layer is itself.
        """
        wanted = f"{self.name}/{step}" if step or self._used else self.name
        self._used = self._used or not step
        name = self.net.unique(wanted)
        try:
            return self.net.values.emit(name, layer, inputs, name)
        except ModelError as error:
            if isinstance(error, (UnsupportedOperatorError, ModelFileError)):
                raise
            raise type(error)(f"{self.what}: {error}", hint=error.hint) from error

    def affine(self, value: str, scale: ArrayLike, shift: ArrayLike) -> str:
        """``scale * value + shift``, each left out where it changes nothing."""
        factor, added = float32(scale), float32(shift)
        if not (factor == 1).all():
            value = self.emit(Mul(), value, self.keep(factor, "scale"), step="scale")
        if not (added == 0).all():
            value = self.emit(Add(), value, self.keep(added, "shift"), step="shift")
        return value

    def finish(self, value: str, *, picture: bool) -> None:
        """Make a graph value what this use gives."""
        self.result = Place(value, picture)

    def unsupported(self, why: str) -> UnsupportedOperatorError:
        """The error that says what of this layer is not implemented."""
        return UnsupportedOperatorError(f"{self.what}: {why}", operators={self.kind: 1})

    @property
    def what(self) -> str:
        """What errors call the layer."""
        return f"{self.net.title}: layer {self.name!r} ({self.kind})"


def whole(value: Any) -> int:
    """A whole number of a size that a network has.

    Raises:
        ValueError: another value.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or int(value) != value:
        raise ValueError(f"{value!r} is no whole number")
    if abs(value) > _MOST_SIZE:
        raise ValueError(f"{value} is more than {_MOST_SIZE:,}")
    return int(value)


def float32(value: ArrayLike) -> Array:
    """Numbers of a file in the type that we compute in.

    Raises:
        ValueError: they are not finite, or too large for it.
    """
    with np.errstate(over="ignore"):
        array = np.asarray(value, np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{str(value)[:60]} is beyond float32")
    return array


def scalar(value: Any) -> float:
    """One finite number, also where Keras wrapped it as an array.

    Raises:
        ValueError: another value.
    """
    if isinstance(value, Mapping):
        value = value.get("config", {}).get("value")
    number = float(np.asarray(value, np.float64).reshape(()))
    if not np.isfinite(number):
        raise ValueError(f"{number} is no finite number")
    return number


def _flat(items: Sequence[Any]) -> Iterator[Any]:
    """Arguments without the lists around them; a list of numbers is one constant."""
    for item in items:
        if isinstance(item, (list, tuple)) and any(isinstance(one, (Ref, list)) for one in item):
            yield from _flat(item)
        else:
            yield item
