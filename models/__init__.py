"""Networks assembled from layers, and the catalog of models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinlens.engine.vision import Model

__all__ = ["load_model"]


def load_model(name_or_path: str | Path, *, labels: Path | None = None) -> Model:
    """Load a model of the catalog, or an ONNX file, for the vision API.

    Args:
        name_or_path: a catalog name, or the path of an ONNX file.
        labels: label file that overrides the model's own.

    Raises:
        ModelError: there is no such model, or it cannot be used.
    """
    from twinlens.engine.vision import Model
    from twinlens.models.identify.resolve import resolve

    return Model(resolve(name_or_path, labels=labels))
