"""The engine that runs a graph of layers on the CPU, in NumPy."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from twinlens.engine.errors import EngineError, InferenceError, ModelError, ShapeError
from twinlens.engine.graph import Graph, optimize
from twinlens.engine.protocol import EngineOptions, ModelSpec, Runner, RunnerInfo

_ID = "layers-cpu"
_TITLE = "Layers CPU"
_PRECISIONS = ("fp32",)


class LayersCpuEngine:
    """Layers in NumPy: slow enough to be read, fast enough for a live picture."""

    id = _ID
    title = _TITLE

    def available(self) -> str | None:
        """None: NumPy is always there."""
        return None

    def load(self, model: ModelSpec, options: EngineOptions) -> Runner:
        """Read, optimise and check a network.

        NumPy's BLAS has one pool of threads for the whole process; ``options.threads`` limits it
        while this engine computes.

        Raises:
            ModelError: the file cannot be read, needs what we lack, or does not fit its recipe.
            EngineError: another precision than fp32 is asked for.
        """
        from twinlens.engine.formats import load_onnx

        if options.precision not in _PRECISIONS:
            raise EngineError(
                f"{self.title} computes in {', '.join(_PRECISIONS)}, not in {options.precision!r}"
            )
        recipe = model.recipe
        channels = 1 if recipe.color == "GRAY" else 3
        if recipe.layout == "NHWC":
            expected = (1, recipe.height, recipe.width, channels)
        else:
            expected = (1, channels, recipe.height, recipe.width)
        graph = optimize(load_onnx(model.path, open_sizes=expected))
        return LayersCpuRunner(graph, expected, thread_count(options))


class LayersCpuRunner:
    """A graph that is ready to run; used by one thread at a time.

    Args:
        graph: one picture in, one row of outputs out.
        expected: shape that the recipe makes.
        threads: limit for the threads of NumPy's BLAS.

    Raises:
        ShapeError: the graph takes or gives something else.
    """

    def __init__(self, graph: Graph, expected: tuple[int, ...], threads: int = 1) -> None:
        if len(graph.inputs) != 1:
            raise ShapeError(
                f"{graph.name} takes {len(graph.inputs)} inputs ({', '.join(graph.inputs)}); "
                "one picture is required"
            )
        ((self._input, shape),) = graph.inputs.items()
        if shape != expected:
            raise ShapeError(f"{graph.name} takes {shape}, but its recipe makes {expected}")
        self._output = graph.outputs[0]
        width = int(np.prod(graph.shapes[self._output]))
        if width < 1 or max(graph.shapes[self._output]) != width:
            raise ShapeError(
                f"{graph.name} answers with {graph.shapes[self._output]}; one value per class "
                "is required"
            )
        self._graph: Graph | None = graph
        self._pools = ThreadpoolController().select(user_api="blas")
        self._threads = threads
        self._info = RunnerInfo(
            engine_id=_ID,
            engine_title=_TITLE,
            detail="NumPy reference",
            precision="fp32",
            # A BLAS that cannot be limited (Apple's Accelerate) uses what it likes.
            threads=threads if self._pools else 0,
            input_shape=shape,
            output_width=width,
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
            raise InferenceError(f"{_TITLE}: the network was closed")
        if tensor.dtype != np.float32:
            raise InferenceError(f"{_TITLE}: the tensor is {tensor.dtype}; float32 is required")
        try:
            # Layers say what overflows by their answer, not by warnings on a stream.
            with np.errstate(all="ignore"), self._pools.limit(limits=self._threads):
                answer = self._graph.run({self._input: tensor})[self._output]
        except ModelError as why:
            raise InferenceError(f"{_TITLE}: {why}", hint=why.hint) from why
        return np.array(answer, np.float32).reshape(-1)

    def close(self) -> None:
        """Free the network; may be called twice."""
        self._graph = None


def thread_count(options: EngineOptions) -> int:
    """Threads for NumPy's matrix products: as asked for, else one less than there are processors.

    OpenBLAS's threads spin at barriers, so that a product on all processors waits whenever
    another program, or this program's own window, holds one of them: on 2 processors with one
    of them busy elsewhere a MobileNet-v2 took 454 ms with two threads and 65 ms with one.
    """
    processors = _processors()
    return min(processors, options.threads or max(1, min(4, processors - 1)))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
