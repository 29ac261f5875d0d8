"""What a graph must be to classify a picture, and what is asked of the tensor that it gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.door import Door
from twinlens.engine.api.tasks import check_answer
from twinlens.engine.errors import InferenceError, ShapeError
from twinlens.engine.graph import Graph


@dataclass(frozen=True)
class Classifier:
    """A graph's one input and one row of outputs.

    Attributes:
        input: name of the input.
        output: name of the output.
        width: values in the output, for one picture.
        door: how a picture goes in.
    """

    input: str
    output: str
    width: int
    door: Door

    @classmethod
    def of(cls, graph: Graph, expected: tuple[int, ...]) -> Classifier:
        """Check a graph.

        Args:
            graph: one picture in, one row of outputs out.
            expected: shape that the recipe makes.

        Raises:
            ShapeError: the graph takes or gives something else.
        """
        if len(graph.inputs) != 1:
            raise ShapeError(
                f"{graph.name} takes {len(graph.inputs)} inputs ({', '.join(graph.inputs)}); "
                "one picture is required"
            )
        ((name, shape),) = graph.inputs.items()
        door = Door.of(shape, expected, name=graph.name)
        output = graph.outputs[0]
        answer = graph.shapes[output]
        one = answer[1:] if door.pictures > 1 and answer[:1] == (door.pictures,) else answer
        check_answer(graph.name, one, expected)
        return cls(name, output, int(np.prod(one)), door)


def check_tensor(title: str, tensor: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse a tensor of another type or shape.

    Args:
        title: the engine's name, for the message.
        tensor: what was received.
        shape: what is required, as float32, or as pixels in uint8.

    Raises:
        InferenceError: says what was received and what is required.
    """
    if tensor.dtype not in (np.float32, np.uint8):
        raise InferenceError(f"{title}: the tensor is {tensor.dtype}; float32 is required")
    if tensor.shape != shape:
        raise InferenceError(f"{title}: the tensor is {tensor.shape}; {shape} is required")
