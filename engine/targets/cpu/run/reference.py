"""The NumPy runner: a graph's reference forwards, one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from twinlens.engine.api.protocol import RunnerInfo
from twinlens.engine.errors import InferenceError, ModelError
from twinlens.engine.graph import Graph
from twinlens.engine.targets.cpu.run.classifier import ID, TITLE, Classifier, checked_tensor


class ReferenceRunner:
    """A graph that is ready to run; used by one thread at a time.

    Args:
        graph: one picture in, one row of outputs out.
        expected: shape that the recipe makes.
        threads: limit for the threads of NumPy's BLAS.
        reason: why nothing faster runs, for display.

    Raises:
        ShapeError: the graph takes or gives something else.
    """

    def __init__(
        self, graph: Graph, expected: tuple[int, ...], threads: int = 1, reason: str = ""
    ) -> None:
        classifier = Classifier.of(graph, expected)
        self._classifier = classifier
        self._graph: Graph | None = graph
        self._pools = ThreadpoolController().select(user_api="blas")
        self._threads = threads
        self._info = RunnerInfo(
            engine_id=ID,
            engine_title=TITLE,
            detail=f"NumPy reference: {reason}" if reason else "NumPy reference",
            precision="fp32",
            # A BLAS that cannot be limited (Apple's Accelerate) uses what it likes.
            threads=threads if self._pools else 0,
            input_shape=expected,
            output_width=classifier.width,
        )

    @property
    def info(self) -> RunnerInfo:
        """What really runs."""
        return self._info

    @property
    def graph(self) -> Graph | None:
        """The graph as it runs, optimised; None after ``close``."""
        return self._graph

    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network once; see ``Runner.run``.

        Raises:
            InferenceError: the tensor has another shape or type, a layer failed (names it), or
                the runner is closed.
        """
        if self._graph is None:
            raise InferenceError(f"{TITLE}: the network was closed")
        checked_tensor(tensor, self._info.input_shape)
        try:
            # Layers show what overflows by their answer, not by warnings on a stream.
            with np.errstate(all="ignore"), self._pools.limit(limits=self._threads):
                inputs = {self._classifier.input: self._classifier.door.enter(tensor)}
                answer = self._graph.run(inputs)[self._classifier.output]
        except ModelError as why:
            raise InferenceError(f"{TITLE}: {why}", hint=why.hint) from why
        return self._classifier.door.answer(answer)

    def close(self) -> None:
        """Free the network; may be called twice."""
        self._graph = None
