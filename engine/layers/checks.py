"""Checks that layer constructors and shape rules share; each error says received and required."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twinlens.engine.errors import ParameterError, ShapeError
from twinlens.engine.layers.base import Array, Shape

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


def integers(layer: str, name: str, values: Sequence[int], count: int, minimum: int) -> Shape:
    """Return ``values`` as a tuple of ints after checking how many there are and how small.

    Raises:
        ParameterError: another count, not integers, or one below ``minimum``.
    """
    received = tuple(values)
    try:
        result = tuple(int(value) for value in received)
    except (TypeError, ValueError):
        result = ()
    if len(result) != count or result != received or any(value < minimum for value in result):
        raise ParameterError(
            f"{layer}: {name} is {received}; {count} integers of at least {minimum} are required"
        )
    return result


def pair(layer: str, name: str, values: Sequence[int], minimum: int = 1) -> Pair:
    """Return ``(height, width)`` settings such as a stride.

    Raises:
        ParameterError: not two integers of at least ``minimum``.
    """
    first, second = integers(layer, name, values, 2, minimum)
    return first, second


def four_pads(layer: str, values: Sequence[int]) -> Pads:
    """Return ``(top, left, bottom, right)``.

    Raises:
        ParameterError: not four integers of at least 0.
    """
    top, left, bottom, right = integers(layer, "pads (top, left, bottom, right)", values, 4, 0)
    return top, left, bottom, right


def input_count(layer: str, inputs: Sequence[Shape], count: int) -> None:
    """Raise ShapeError unless there are exactly ``count`` inputs."""
    if len(inputs) != count:
        raise ShapeError(f"{layer}: received {len(inputs)} inputs; {count} are required")


def one_input(layer: str, inputs: Sequence[Shape]) -> Shape:
    """Return the only input shape.

    Raises:
        ShapeError: there is not exactly one.
    """
    input_count(layer, inputs, 1)
    return tuple(inputs[0])


def image_input(layer: str, inputs: Sequence[Shape], channels: int | None = None) -> Shape:
    """Return the only input shape after checking that it is (N, C, H, W).

    Raises:
        ShapeError: not one input, not four axes, or not ``channels`` channels.
    """
    shape = one_input(layer, inputs)
    if len(shape) != 4:
        raise ShapeError(f"{layer}: input shape is {shape}; (N, C, H, W) is required")
    if channels is not None and shape[1] != channels:
        raise ShapeError(f"{layer}: input {shape} has {shape[1]} channels; {channels} are required")
    return shape


def channel_input(layer: str, inputs: Sequence[Shape], channels: int | None = None) -> Shape:
    """Return the only input shape after checking that it is (N, C, ...).

    Raises:
        ShapeError: not one input, fewer than two axes, or not ``channels`` channels.
    """
    shape = one_input(layer, inputs)
    if len(shape) < 2:
        raise ShapeError(f"{layer}: input shape is {shape}; (N, C, ...) is required")
    if channels is not None and shape[1] != channels:
        raise ShapeError(f"{layer}: input {shape} has {shape[1]} channels; {channels} are required")
    return shape


def normal_axis(layer: str, axis: int, rank: int) -> int:
    """Return ``axis`` counted from the front.

    Raises:
        ShapeError: the axis does not exist in ``rank`` axes.
    """
    if not -rank <= axis < rank:
        raise ShapeError(
            f"{layer}: axis {axis} does not exist; an input of {rank} axes "
            f"requires {-rank} to {rank - 1}"
        )
    return axis % rank


def normal_axes(layer: str, axes: Sequence[int], rank: int) -> Shape:
    """Return distinct axes counted from the front.

    Raises:
        ShapeError: an axis does not exist or is named twice.
    """
    result = tuple(normal_axis(layer, axis, rank) for axis in axes)
    if len(set(result)) != len(result):
        raise ShapeError(f"{layer}: axes {tuple(axes)} name one axis twice; each may come once")
    return result


def broadcast(layer: str, *shapes: Shape) -> Shape:
    """Return the shape that these broadcast to by NumPy's rule.

    Raises:
        ShapeError: they do not broadcast.
    """
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        listed = " and ".join(str(tuple(shape)) for shape in shapes)
        raise ShapeError(
            f"{layer}: shapes {listed} do not broadcast; "
            "equal sizes or 1 on each axis, counted from the last, are required"
        ) from None


def vector(layer: str, name: str, value: Array, length: int | None = None) -> Array:
    """Return a one-axis parameter.

    Raises:
        ParameterError: not one axis, or not ``length`` values.
    """
    array = np.asarray(value)
    if array.ndim != 1 or (length is not None and array.shape[0] != length):
        required = "one axis is" if length is None else f"({length},) is"
        raise ParameterError(f"{layer}: {name} has shape {array.shape}; {required} required")
    return array


def optional_vector(layer: str, name: str, value: Array | None, length: int) -> Array | None:
    """Return a one-axis parameter, or None where there is none; raises as ``vector``."""
    return None if value is None else vector(layer, name, value, length)


def choice(layer: str, name: str, value: str, known: Sequence[str]) -> str:
    """Return ``value`` after checking that it is one of ``known``.

    Raises:
        ParameterError: it is not.
    """
    if value not in known:
        raise ParameterError(f"{layer}: {name} is {value!r}; one of {', '.join(known)} is required")
    return value
