"""What a graph must be to classify a picture, and what is asked of the tensor that it gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.door import Door
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
        width = door.width(answer)
        one = answer[1:] if door.pictures > 1 else answer
        if width < 1 or max(one, default=1) != width or (one is not answer and len(answer) < 2):
            raise ShapeError(f"{graph.name} answers with {answer}; one value per class is required")
        return cls(name, output, width, door)


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
