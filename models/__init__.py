"""Networks assembled from layers, the catalog of models, and what a path is.

Goes in: which networks and files there are, and what a path is. Stays out: computing (`engine`)
and asking a person (`app`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinlens.engine.image import Recipe
    from twinlens.engine.vision import Model

__all__ = ["default_model", "load_model"]


def default_model() -> str:
    """The catalog name of the model that runs where nobody names one: ``efficientnet-lite0``, or
    ``twinlens-208`` where that one's package is missing or its file is not as published.
    """
    from twinlens.models.identify.default import default_model as found

    return found()


def load_model(
    name_or_path: str | Path,
    *,
    labels: Path | None = None,
    recipe: Recipe | None = None,
    compute_units: tuple[str, ...] | None = None,
    threads: int | None = None,
) -> Model:
    """Load a model of the catalog, or a model file, for the vision API.

    Args:
        name_or_path: a catalog name (``default_model()`` is one), or the path of a model file.
        labels: label file that overrides the model's own.
        recipe: how pictures are fed; None takes it from ``NAME.toml``, the file or conventions.
        compute_units: ONNX Runtime execution providers, best first; None is the CPU.
        threads: compute threads; None suits a window.

    Raises:
        ModelError: there is no such model, or it cannot be used; names it and says why.
        EngineUnavailableError: a compute unit is not here.
    """
    from twinlens.engine.api.protocol import EngineOptions
    from twinlens.engine.vision import Model
    from twinlens.models.identify.resolve import identify

    found = identify(name_or_path, labels=labels)
    network = found.network
    if recipe is not None:
        network = network.with_spec(recipe=recipe, notes=())
    options = EngineOptions(threads=threads, providers=compute_units)
    return Model(network, options=options, metadata=found.known.metadata)
