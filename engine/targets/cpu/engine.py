"""The engine that runs a graph of layers on the CPU, in NumPy."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import EngineError, InferenceError, ModelError, ShapeError
from twinlens.engine.graph import Graph, optimize
from twinlens.engine.protocol import EngineOptions, ModelSpec, Runner, RunnerInfo

_ID = "layers-cpu"
_TITLE = "Layers CPU"
_PRECISIONS = ("fp32",)

# The variables that the BLAS libraries NumPy is built with read when they are loaded.
_BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


class LayersCpuEngine:
    """Layers in NumPy: slow enough to be read, fast enough for a live picture."""

    id = _ID
    title = _TITLE

    def available(self) -> str | None:
        """None: NumPy is always there."""
        return None

    def load(self, model: ModelSpec, options: EngineOptions) -> Runner:
        """Read, optimise and check a network.

        ``options.threads`` has no effect: NumPy's BLAS has one pool for the whole process, which
        ``RunnerInfo.threads`` tells as it is.

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
        return LayersCpuRunner(graph, expected)


class LayersCpuRunner:
    """A graph that is ready to run; used by one thread at a time.

    Args:
        graph: one picture in, one row of outputs out.
        expected: shape that the recipe makes.

    Raises:
        ShapeError: the graph takes or gives something else.
    """

    def __init__(self, graph: Graph, expected: tuple[int, ...]) -> None:
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
        self._info = RunnerInfo(
            engine_id=_ID,
            engine_title=_TITLE,
            detail="NumPy reference",
            precision="fp32",
            threads=blas_threads(os.environ),
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
            with np.errstate(all="ignore"):
                answer = self._graph.run({self._input: tensor})[self._output]
        except ModelError as why:
            raise InferenceError(f"{_TITLE}: {why}", hint=why.hint) from why
        return np.array(answer, np.float32).reshape(-1)

    def close(self) -> None:
        """Free the network; may be called twice."""
        self._graph = None


def blas_threads(environment: Mapping[str, str]) -> int:
    """Threads that NumPy's matrix products may use in this process.

    NumPy has no call that tells; what it does is known: as many as a variable of its BLAS
    library says, otherwise one for each processor that this process may use.
    """
    for name in _BLAS_VARIABLES:
        value = environment.get(name, "")
        if value.isdigit() and int(value) > 0:
            return min(int(value), _processors())
    return _processors()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
