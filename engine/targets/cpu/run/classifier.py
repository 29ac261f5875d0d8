"""The engine's name, and its check of the tensor that it gets."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from twinlens.engine.targets.classifier import Classifier, check_tensor

__all__ = ["ID", "TITLE", "Classifier", "checked_tensor"]

ID = "layers-cpu"
TITLE = "Layers CPU"


def checked_tensor(tensor: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse a tensor of another type or shape.

    Raises:
        InferenceError: says what was received and what is required.
    """
    check_tensor(TITLE, tensor, shape)
