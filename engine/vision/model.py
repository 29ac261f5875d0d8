"""A model file as an object: what it takes, what it says, what it really runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.observations import check_labels
from twinlens.engine.api.protocol import EngineOptions, ModelSpec
from twinlens.engine.errors import EngineError
from twinlens.engine.image import Recipe
from twinlens.engine.modelfile import inspect, spec_of
from twinlens.engine.vision.engine import VisionEngine


@dataclass(frozen=True)
class ModelDescription:
    """What a model says about itself.

    Attributes:
        name: title for display.
        input_shape: shape of the input tensor, batch of 1.
        output_width: number of outputs.
        class_labels: name of each class, class 0 first.
        recipe: how a picture becomes the input.
        metadata: key-value pairs of the file.
        notes: what had to be assumed.
    """

    name: str
    input_shape: tuple[int, ...]
    output_width: int
    class_labels: tuple[str, ...]
    recipe: Recipe
    metadata: Mapping[str, str]
    notes: tuple[str, ...]


class Model:
    """A loaded classifier; the role that Core ML's MLModel has.

    Make it with ``Model.load``; use it as a context manager or ``close`` it to free its session.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        options: EngineOptions | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.spec = spec
        self._runner = VisionEngine().load(spec, options or EngineOptions())
        check_labels(spec, self._runner.info.output_width)
        self._metadata = dict(metadata or {})

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        recipe: Recipe | None = None,
        labels: Path | None = None,
        compute_units: tuple[str, ...] | None = None,
        threads: int | None = None,
    ) -> Model:
        """Load an ONNX file.

        Args:
            path: the file.
            recipe: how pictures are fed; None takes it from ``NAME.toml``, the file's metadata or
                conventions, see ``twinlens.engine.modelfile``.
            labels: label file; None takes them from beside or inside the file.
            compute_units: ONNX Runtime execution providers, best first; None is the CPU.
            threads: compute threads; None suits a window.

        Raises:
            ModelError: the file cannot be used; names it and says why.
            EngineUnavailableError: a compute unit is not here.
        """
        from dataclasses import replace

        spec = spec_of(Path(path), labels=labels)
        if recipe is not None:
            spec = replace(spec, recipe=recipe, notes=())
        options = EngineOptions(threads=threads, providers=compute_units)
        return cls(spec, options=options, metadata=inspect(Path(path)).metadata)

    @property
    def description(self) -> ModelDescription:
        """What the model says about itself."""
        info = self._runner.info
        return ModelDescription(
            name=self.spec.title,
            input_shape=info.input_shape,
            output_width=info.output_width,
            class_labels=self.spec.labels,
            recipe=self.spec.recipe,
            metadata=self._metadata,
            notes=self.spec.notes,
        )

    @property
    def compute_units(self) -> tuple[str, ...]:
        """Execution providers of the live session, never what was asked for."""
        return self._runner.providers

    def predict(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network on a converted picture; see ``Runner.run``."""
        return self._runner.run(tensor)

    def terminate(self) -> None:
        """Make a running ``predict`` fail soon; called from another thread."""
        self._runner.terminate()

    def close(self) -> None:
        """Free the session."""
        self._runner.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class RequestCancelledError(EngineError):
    """A request was cancelled before it had results."""
