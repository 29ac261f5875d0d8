"""A model file as an object: what it takes, what it says, what it really runs on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.labels import check_labels
from twinlens.engine.api.observations import DOUBT_HINT, contradiction
from twinlens.engine.api.protocol import EngineOptions, GraphSource, ModelSpec, Network
from twinlens.engine.errors import EngineError, LabelError
from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.engine.vision.engine import VisionEngine

_log = logging.getLogger(__name__)


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

    Make it with ``twinlens.models.load_model``; use it as a context manager or ``close`` it to
    free its session.
    """

    def __init__(
        self,
        network: Network,
        *,
        options: EngineOptions | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.spec = network.spec
        self._runner = VisionEngine().load(network, options or EngineOptions())
        try:
            check_labels(network, self._runner.info.output_width)
        except LabelError:
            self._runner.close()
            raise
        self._metadata = dict(metadata or {})
        self._doubted = False

    @classmethod
    def from_onnx(
        cls, data: bytes, spec: ModelSpec, *, options: EngineOptions | None = None
    ) -> Model:
        """Load the contents of an ONNX file; ``twinlens.models.load_model`` takes files.

        Args:
            data: the contents; weights are inside.
            spec: how pictures are fed, and how the answer is read.
            options: threads and providers.

        Raises:
            ModelError: it cannot be used; names it by its title and says why.
            EngineUnavailableError: a provider is not here.
        """

        def build(shape: tuple[int, ...]) -> Graph:
            from twinlens.engine.formats import graph_from_onnx
            from twinlens.engine.formats.onnx.file import parse_model

            model = parse_model(data, spec.title)
            return graph_from_onnx(model, name=spec.title, open_sizes=shape)

        network = Network(spec, GraphSource(build, open_axes=True), onnx=data)
        return cls(network, options=options)

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
        """Run the network on a converted picture; see ``Runner.run``.

        An answer that contradicts the way that it is read is logged as a warning, once.
        """
        raw = self._runner.run(tensor)
        if not self._doubted and np.isfinite(raw).all():
            why = contradiction(raw, self.spec)
            self._doubted = bool(why)
            if why:
                _log.warning("%s: %s. %s", self.spec.title, why, DOUBT_HINT)
        return raw

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
