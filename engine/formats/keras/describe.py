"""What a Keras model declares: its input, its outputs, and how it is fed.

What a model computes with its pixels first, Rescaling and the like, says how they come. Where it
computes nothing, the only hint is which network of Keras Applications it was made from: that its
own ``preprocess_input`` was used is an assumption.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from twinlens.engine.errors import ModelFileError, ShapeError
from twinlens.engine.formats.answer.answers import UNKNOWN, answers_of
from twinlens.engine.formats.answer.graph import chart_of_graph
from twinlens.engine.formats.damage import reading
from twinlens.engine.formats.described import ModelFile, no_picture, picture_shape
from twinlens.engine.formats.keras.config import ModelOf
from twinlens.engine.formats.keras.file import KerasFile
from twinlens.engine.formats.keras.importer import (
    all_layers,
    channels_last,
    input_shape,
    outline,
    parsed,
    width_of,
)
from twinlens.engine.formats.usual import LARGE, SMALL, flat, of_keras_applications
from twinlens.engine.graph import Graph, Node
from twinlens.engine.layers import (
    Add,
    Concat,
    Conv2d,
    Div,
    Identity,
    Mul,
    Pad,
    Reshape,
    Resize,
    Sub,
    Transpose,
)
from twinlens.engine.layers.base import Array

FORMAT = "Keras"
_USUAL_SIZE = 224


def describe_keras(file: KerasFile) -> ModelFile:
    """What a parsed Keras file declares, without its weights being read.

    Raises:
        ModelFileError: damaged, or without one picture in.
        UnsupportedOperatorError: layers that are not implemented; names all of them.
        ShapeError: sizes do not fit.
    """
    model = parsed(file)
    if len(model.inputs) != 1:
        raise ModelFileError(f"{file.path}: takes {len(model.inputs)} inputs, expected one picture")
    with reading(f"{file.path}: its input"):
        shape = _picture(file, model)
    sizes = [1 if size is None and not axis else size for axis, size in enumerate(shape)]
    known = [_USUAL_SIZE if size is None else size for size in sizes]
    try:
        graph: Graph | None = outline(file, open_sizes=known)
    except ShapeError:
        if None not in sizes:
            raise
        graph = None
    said = {"keras_version": file.version} if file.version else {}
    values, usual = usual_recipe(model, shape)
    return ModelFile(
        path=file.path,
        input_shape=shape,
        output_width=None if graph is None else width_of(graph),
        answers=UNKNOWN if graph is None else answers_of(chart_of_graph(graph)),
        metadata=said,
        recipe={} if graph is None else recipe_of(graph),
        usual=usual,
        usual_values=values,
        format=FORMAT,
    )


def usual_recipe(model: ModelOf, shape: Sequence[int | None]) -> tuple[str, dict[str, Any]]:
    """How a model is mostly fed that does not say so itself.

    Returns:
        (that in words, what a recipe takes): as Keras Applications feeds the network that the
        names of its layers are from, else pixels from 0 to 1.
    """
    names = {layer.name for layer in all_layers(model)}
    found = of_keras_applications(names) if 3 in (shape[1], shape[3]) else None
    if found is not None:
        return found
    channels = 1 if 1 in (shape[1], shape[3]) else 3
    words, values = flat(1 / 255, channels)
    return words, {"color": "GRAY" if channels == 1 else "RGB", **values}


def recipe_of(graph: Graph) -> dict[str, Any]:
    """How pixels come, by what the network computes with them first; {} where that says nothing."""
    ((name, shape),) = graph.inputs.items()
    slope, shift, found = _first_steps(graph, name)
    if not found or not slope or len(shape) != 4:
        return {}
    channels = 1 if shape[1] == 1 or shape[3] == 1 else 3
    scale = 1.0 if slope <= SMALL or shift / slope >= LARGE else 1 / 255
    color = "GRAY" if channels == 1 else "RGB"
    return {"color": color, "scale": scale, "mean": (0.0,) * channels, "std": (1.0,) * channels}


def _picture(file: KerasFile, model: ModelOf) -> tuple[int | None, ...]:
    """The input's declared shape as the graph takes it."""
    layer = model.layers[model.inputs[0].layer]
    declared = input_shape(layer)
    fed = (None, *declared[1:])  # how many pictures at once does not matter
    if picture_shape(fed) is None or (len(fed) == 3 and fed[1] != fed[2]):
        raise ModelFileError(f"{file.path}: {no_picture(layer.name, declared)}")
    if len(declared) == 3:
        return declared[0], 1, declared[1], declared[2]
    first = any(
        layer.settings.get("data_format") == "channels_first" and layer.kind != "Flatten"
        for layer in all_layers(model)
    )
    if channels_last(declared, first):
        return declared[0], declared[3], declared[1], declared[2]
    return declared


def _first_steps(graph: Graph, name: str) -> tuple[float, float, bool]:
    """Largest factor and largest shift that pixels get first, and whether they get any."""
    pixels = {name: (1.0, 0.0)}
    last, found = (1.0, 0.0), False
    for node in graph.nodes:
        given = [pixels[value] for value in node.inputs if value in pixels]
        constants = [graph.constants[one] for one in node.inputs if one in graph.constants]
        if not given or len(given) + len(constants) < len(node.inputs):
            continue
        if isinstance(node.layer, _STEPS) and len(constants) == 1:
            last, found = _after(node, given[0], constants[0]), True
        elif isinstance(node.layer, _PASSED) or _only_moves(node):
            last = max(slope for slope, _ in given), max(shift for _, shift in given)
        else:
            continue
        pixels[node.output] = last
    return *last, found


_STEPS = (Add, Sub, Mul, Div)
_PASSED = (Concat, Identity, Pad, Reshape, Resize, Transpose)


def _only_moves(node: Node) -> bool:
    """Whether a node is a convolution that only changes the order of the channels."""
    layer = node.layer
    if not isinstance(layer, Conv2d) or layer.bias is not None or layer.kernel != (1, 1):
        return False
    weight = layer.weight[:, :, 0, 0]
    return bool(np.array_equal(weight, np.eye(len(weight))[::-1]))


def _after(node: Node, before: tuple[float, float], constant: Array) -> tuple[float, float]:
    """Factor and shift after one more step with a constant, as the largest that they may be."""
    size = float(np.abs(constant).max(initial=0.0))
    slope, shift = before
    if isinstance(node.layer, (Add, Sub)):
        return slope, shift + size
    factor = size if isinstance(node.layer, Mul) else 1 / size if size else 0.0
    return slope * factor, shift * factor
