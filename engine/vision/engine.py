"""The vision engine: a model on ONNX Runtime.

ONNX files are given to it as they are. Networks that are assembled by hand, and files of other
formats, are graphs of layers first and are written out as ONNX in memory.

Threads and spinning are chosen for a window along with the network, see ``session_options``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.door import Door
from twinlens.engine.api.protocol import EngineOptions, Network, RunnerInfo
from twinlens.engine.api.tasks import check_answer
from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import (
    EngineError,
    EngineUnavailableError,
    InferenceError,
    ModelFileError,
    ShapeError,
)

_FATAL_ONLY = 4
"""ONNX Runtime's log level at which it leaves standard error to us; errors come as exceptions."""


class VisionEngine:
    """Model files on ONNX Runtime."""

    id = "vision"
    title = "Vision"

    def available(self) -> str | None:
        """None where ONNX Runtime is installed."""
        if find_spec("onnxruntime") is None:
            return "ONNX Runtime is not installed (pip install onnxruntime)"
        return None

    def precisions(self) -> tuple[str, ...]:
        """As the file has it: ONNX Runtime computes in the types that a model declares."""
        return ("fp32",)

    def missing_precisions(self) -> Mapping[str, str]:
        """None: no machine has more."""
        return {}

    def load(self, network: Network, options: EngineOptions) -> VisionRunner:
        """Load a network: its own ONNX file, or the graph written as one in memory.

        Raises:
            ModelFileError: ONNX Runtime does not take the file; says why in one sentence.
            ModelError: a file of another format cannot be read, or needs what the layers lack.
            ShapeError: the input is not what the recipe makes.
            EngineUnavailableError: a provider was asked for that is not here.
            EngineError: a precision was asked for; the file has its own.
        """
        if options.precision not in ("fp32", "auto"):
            raise EngineError(
                f"{self.title} computes as the model file has it, not in {options.precision!r}",
                hint="Choose fp32 or auto, or another engine.",
            )
        return VisionRunner(network, options)


class VisionRunner:
    """A model in a live ONNX Runtime session."""

    def __init__(self, network: Network, options: EngineOptions) -> None:
        recipe = network.spec.recipe
        self._title = network.spec.title
        source, precision = _source(network)
        self._session: Any = open_session(source, options, network.name)
        self._input = self._session.get_inputs()[0].name
        self._output = _output_name(self._session, network)
        self._running: Any = None
        self._integers = recipe.dtype == "uint8"
        shape = recipe.input_shape
        self._door = _door(network, self._session)
        checkpoint()
        answer = self._run(np.zeros(shape, recipe.dtype))
        many = self._door.pictures > 1 and answer.shape[:1] == (self._door.pictures,)
        check_answer(network.name, answer.shape[1:] if many else answer.shape, shape)
        self._info = RunnerInfo(
            engine_id=VisionEngine.id,
            engine_title=VisionEngine.title,
            detail=f"ONNX Runtime · {_short(self._session.get_providers()[0])}",
            precision="uint8" if self._integers else precision,
            threads=thread_count(options),
            input_shape=shape,
            output_width=self._door.answer(answer).size,
        )

    @property
    def info(self) -> RunnerInfo:
        """What the live session runs on."""
        return self._info

    @property
    def providers(self) -> tuple[str, ...]:
        """Execution providers of the live session, in the order in which it asks them."""
        return tuple(self._session.get_providers())

    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network once; see ``Runner.run``."""
        return self._door.answer(self._run(tensor))

    def terminate(self) -> None:
        """Make a run in progress fail soon; called from another thread."""
        options = self._running
        if options is not None:
            options.terminate = True

    def _run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        import onnxruntime as ort

        if self._session is None:
            raise InferenceError(f"{self._title}: the model is closed")
        # Options of this run alone: a termination that comes late must not hit the next one.
        self._running = ort.RunOptions()
        feeds = {self._input: self._door.enter(tensor)}
        try:
            (output,) = self._session.run([self._output], feeds, self._running)
        except Exception as error:
            raise InferenceError(
                f"{self._title}: ONNX Runtime failed: {one_line(error)}"
            ) from error
        finally:
            self._running = None
        return np.asarray(output)

    def close(self) -> None:
        """Free the session."""
        self._session = None


def session_options(options: EngineOptions) -> Any:
    """Session options that suit a window.

    Threads: one less than there are cores, but at least one and at most four: small networks gain
    little beyond, and the window and the capture thread need a core to themselves. Spinning is
    off: workers that spin hold their cores between frames. ``tests/bench/bench_ort_threads.py`` on
    2 cores, MobileNet-v2 at 30 frames a second next to a window that uses a quarter of a core:
    2 threads that spin answer in 5.8 ms (95 %: 15.8), use 1.3 cores and wake the window 3.0 ms
    late; without spinning it is 7.7 ms (10.3), 0.5 cores and 0.2 ms.
    """
    import onnxruntime as ort

    chosen = ort.SessionOptions()
    chosen.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    chosen.intra_op_num_threads = thread_count(options)
    chosen.inter_op_num_threads = 1
    chosen.log_severity_level = _FATAL_ONLY
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return chosen


def thread_count(options: EngineOptions) -> int:
    """Compute threads in use: as asked for, within what the machine has, else one core less."""
    cores = os.cpu_count() or 1
    if options.threads is None:
        return max(1, min(4, cores - 1))
    return max(1, min(options.threads, cores))


def available_providers() -> tuple[str, ...]:
    """Execution providers that this ONNX Runtime was built with.

    Raises:
        EngineUnavailableError: ONNX Runtime is not installed or cannot be loaded.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise EngineUnavailableError(f"ONNX Runtime cannot be loaded: {error}") from error
    return tuple(ort.get_available_providers())


def open_session(source: Path | bytes, options: EngineOptions, name: str) -> Any:
    """Open an ``onnxruntime.InferenceSession``; errors as for ``VisionEngine.load``.

    Args:
        source: an ONNX file, or the contents of one.
        options: threads and providers.
        name: what errors call it.
    """
    here = available_providers()
    import onnxruntime as ort

    wanted = options.providers or ("CPUExecutionProvider",)
    missing = [name for name in wanted if name not in here]
    if missing:
        raise EngineUnavailableError(
            f"ONNX Runtime here has no {', '.join(missing)}", hint=f"It has {', '.join(here)}."
        )
    if isinstance(source, Path) and not source.is_file():
        raise ModelFileError(f"{source}: no such file")
    ort.set_default_logger_severity(_FATAL_ONLY)
    given = str(source) if isinstance(source, Path) else source
    checkpoint()
    try:
        return ort.InferenceSession(given, session_options(options), providers=list(wanted))
    except Exception as error:
        raise ModelFileError(
            f"{name}: ONNX Runtime cannot load it: {one_line(error)}",
            hint="The file may be damaged, or of a newer ONNX version than this runtime.",
        ) from error


def one_line(error: Exception) -> str:
    """What a C++ exception says, without its source position and stack."""
    text = str(error).split("\n", maxsplit=1)[0]
    return text.rsplit(" : ", maxsplit=1)[-1].strip()[:200] or type(error).__name__


def _source(network: Network) -> tuple[Path | bytes, str]:
    """(the network's own ONNX file, or the ONNX form of anything else; what it computes in)."""
    if network.onnx is not None:
        return network.onnx, "fp32"
    from twinlens.engine.formats import onnx_bytes
    from twinlens.engine.layers import QuantizeLinear

    graph = network.graph
    checkpoint()
    rounded = any(isinstance(node.layer, QuantizeLinear) for node in graph.nodes)
    return onnx_bytes(graph), "int8" if rounded else "fp32"


def _output_name(session: Any, network: Network) -> str:
    """The output that the specification names, or the first."""
    names = [output.name for output in session.get_outputs()]
    wanted = network.spec.output_name
    return wanted if wanted in names else str(names[0])


# What ONNX Runtime calls the types that pictures come in.
_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    **{
        f"tensor({kind}{bits})": f"{kind}{bits}"
        for kind in ("int", "uint")
        for bits in (8, 16, 32, 64)
    },
}


def _door(network: Network, session: Any) -> Door:
    """How a picture goes into a session; raises ShapeError."""
    inputs, picture = session.get_inputs(), network.spec.recipe.input_shape
    dtype = _TYPES.get(inputs[0].type)
    if len(inputs) != 1 or dtype is None:
        raise ShapeError(
            f"{network.name}: takes {[f'{i.name}: {i.type} {list(i.shape)}' for i in inputs]}, "
            f"but the recipe makes one picture, {list(picture)}"
        )
    return Door.of(tuple(inputs[0].shape), picture, dtype=dtype, name=network.name)


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider")
