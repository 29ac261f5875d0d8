"""What a layer is: parameters, a pure shape rule and a reference forward.

The three are separate: the output shape is known before any parameter exists, and the
forward works in whatever float type comes in, so that float64 serves as the reference
against which every engine is checked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Array = NDArray[Any]
DType = np.dtype[Any]


class Layer(ABC):
    """One step of a network; batch first, channels second (NCHW) where it has channels.

    Attributes:
        kind: the layer's name in summaries, e.g. ``"Conv2d"``; defaults to the class name.
    """

    kind: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" not in cls.__dict__:
            cls.kind = cls.__name__

    @property
    def parameters(self) -> Mapping[str, Array]:
        """Trained arrays by name (``weight``, ``bias`` ...); empty for most layers."""
        return {}

    @abstractmethod
    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape of the output for these input shapes.

        Raises:
            ShapeError: the inputs do not fit the layer; names what was received and expected.
        """

    def output_dtype(self, *inputs: DType) -> DType:
        """Type of the output for these input types: the first input's, for most layers."""
        return inputs[0] if inputs else np.dtype(np.float32)

    @abstractmethod
    def forward(self, *inputs: Array) -> Array:
        """Reference forward in NumPy.

        Float parameters are cast to the first input's float type, so that float64 inputs give
        a float64 answer.
        """

    def macs(self, *inputs: Shape) -> int:
        """Multiply-adds for these input shapes; 0 for layers that only move or compare."""
        del inputs
        return 0

    def describe(self) -> str:
        """Settings that matter, for a summary line (``"3×3, stride 2, 32 → 64"``)."""
        return ""


def cast_like(parameter: Array, like: Array) -> Array:
    """Return a float parameter in the float type of ``like``, without copying when it fits."""
    if np.issubdtype(parameter.dtype, np.floating) and np.issubdtype(like.dtype, np.floating):
        return parameter.astype(like.dtype, copy=False)
    return parameter
