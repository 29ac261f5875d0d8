"""What an engine is: one short list that every backend implements.

What goes in and out is plain arrays and small records, so that the same protocol can be
served by a worker process or a remote machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe

OutputKind = Literal[
    "probabilities",
    "log-probabilities",
    "logits",
    "independent",
    "log-independent",
    "independent-logits",
    "binary",
    "binary-logits",
]
"""What a network's outputs are.

``probabilities`` of which one class holds, their logarithms, or ``logits`` (scores that softmax
makes probabilities of); ``independent``: a probability for each class, of which several or none may
hold, their logarithms, or scores that a sigmoid makes them of; ``binary``: one output, the
probability of the second of two classes, or its score.
"""

OUTPUT_KINDS: tuple[OutputKind, ...] = get_args(OutputKind)
"""All of them."""

HOLDS = 0.5
"""From this probability on an independent class holds."""


@dataclass(frozen=True)
class ModelSpec:
    """A classifier: how to feed and to read it. Where it lies is not part of what it is.

    Attributes:
        id: short name, stable (catalog name, or the file's stem).
        title: name that is shown, e.g. ``MobileNet-v2``.
        recipe: how a picture becomes the model's input.
        labels: one name per class, class 0 first.
        background_outputs: outputs in front of class 0 that stand for no class
            (TensorFlow's 1001-wide ImageNet classifiers have one). They are left out of the
            answer, so that a class has the same index whichever network names it.
        output: what the outputs are.
        output_name: the output that is read, where a file has several; empty for the only one.
        output_factor: each output is this many times what ``output`` says, plus ``output_shift``.
        output_shift: see ``output_factor``.
        output_part: whether some classes have no output, so that probabilities need not sum to 1.
        notes: assumptions made about the file, for display (``"labels: ImageNet, assumed"``).
    """

    id: str
    title: str
    recipe: Recipe
    labels: tuple[str, ...]
    background_outputs: int = 0
    output: OutputKind = "probabilities"
    output_name: str = ""
    output_factor: float = 1.0
    output_shift: float = 0.0
    output_part: bool = False
    notes: tuple[str, ...] = ()

    @property
    def independent(self) -> bool:
        """Whether several classes may hold at once, or none."""
        return self.output in ("independent", "log-independent", "independent-logits")


@dataclass(frozen=True)
class Making:
    """How another process makes the same network.

    Attributes:
        maker: ``"module:function"`` of ``twinlens.models``; the function gives a network.
        arguments: what it is called with, by name: texts, numbers, lists of them, and None.
    """

    maker: str
    arguments: Mapping[str, Any]


class GraphSource:
    """A network's graph, made once, when somebody first needs it; used by any thread.

    Args:
        build: makes the graph, not optimised; gets the shape that the recipe makes, for axes
            whose sizes the network leaves open.
        open_axes: whether there are such axes, so that another shape needs another graph.
        making: how another process makes it.

    Attributes:
        making: how another process makes it; None where nobody has said.
    """

    def __init__(
        self,
        build: Callable[[tuple[int, ...]], Graph],
        *,
        open_axes: bool = False,
        making: Making | None = None,
    ) -> None:
        self._build, self._open_axes = build, open_axes
        self.making = making
        self._lock = threading.Lock()
        self._made: tuple[tuple[int, ...], Graph] | None = None

    def graph(self, shape: tuple[int, ...]) -> Graph:
        """The graph for an input of that shape; raises what ``build`` raises."""
        key = shape if self._open_axes else ()
        with self._lock:
            if self._made is None or self._made[0] != key:
                self._made = (key, self._build(shape))
            return self._made[1]

    @property
    def made(self) -> bool:
        """Whether there is a graph already."""
        return self._made is not None


@dataclass(frozen=True)
class Network:
    """What an engine loads: what a model is, and its graph.

    Two networks are equal where they are fed and read alike and share the source of their graph;
    a file that was identified anew is another network, since it may have changed.

    Attributes:
        spec: how it is fed and read.
        source: makes its graph.
        path: what it was identified from, for messages; None where it lies nowhere.
        onnx: an ONNX file, or the contents of one, that ONNX Runtime can read by itself; None
            where there is none.
    """

    spec: ModelSpec
    source: GraphSource
    path: Path | None = None
    onnx: Path | bytes | None = None

    @property
    def name(self) -> str:
        """What errors call it: its file, or its title."""
        return self.spec.title if self.path is None else self.path.name

    @property
    def graph(self) -> Graph:
        """Its graph as it is stored, not optimised; made at the first call.

        Raises:
            ModelError: the file cannot be read or needs what the layers lack.
        """
        return self.source.graph(self.spec.recipe.input_shape)

    def with_spec(self, **changes: Any) -> Network:
        """The same network, fed or read in another way: fields of ``ModelSpec`` by name."""
        return replace(self, spec=replace(self.spec, **changes))


@dataclass(frozen=True)
class EngineOptions:
    """What a person may choose about an engine.

    Attributes:
        threads: compute threads; None lets the engine choose what keeps a window smooth.
        precision: one of the engine's ``precisions()``. ``"auto"`` is the fastest that gives the
            same best label as fp32 on 99.5 % of the calibration pictures.
        calibration: a video or a folder of pictures, to find ranges for int8 and to compare
            precisions on. None means none: an engine that needs it then says so.
        providers: ONNX Runtime execution providers by name, best first; None means the default.
        adapter: words of a GPU adapter's name, backend or kind (``"nvidia vulkan"``,
            ``"software"``); None means the best there is.
    """

    threads: int | None = None
    precision: str = "fp32"
    calibration: Path | None = None
    providers: tuple[str, ...] | None = None
    adapter: str | None = None


@dataclass(frozen=True)
class RunnerInfo:
    """What really runs (never what was asked for).

    Attributes:
        engine_id: ``"layers-cpu"``, ``"vision"`` ...
        engine_title: ``"Layers CPU"``, ``"Vision"`` ...
        detail: kernels, provider or adapter in use, for display (``"NumPy reference"``).
        precision: ``"fp32"`` ...
        threads: compute threads in use; 0 where the library does not report it.
        input_shape: shape of the tensor that ``run`` takes.
        output_width: number of outputs.
        fallbacks: layers that run without a kernel of this engine.
        agreement: share of the calibration pictures (0 to 1) on which the best label is that of
            fp32; None where nothing was compared.
    """

    engine_id: str
    engine_title: str
    detail: str
    precision: str
    threads: int
    input_shape: tuple[int, ...]
    output_width: int
    fallbacks: tuple[str, ...] = field(default=())
    agreement: float | None = None


class Runner(Protocol):
    """A loaded network. Used by one thread at a time."""

    @property
    def info(self) -> RunnerInfo:
        """What really runs."""
        ...

    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network once.

        Args:
            tensor: the recipe's output, float32, batch 1, shape ``info.input_shape``.

        Returns:
            The network's raw output, float32, shape ``(info.output_width,)``; a fresh array.

        Raises:
            InferenceError: the engine failed; says why.
        """
        ...

    def close(self) -> None:
        """Free what the runner holds; may be called twice."""
        ...


class Engine(Protocol):
    """A way of running networks, listed in ``twinlens.engine.api.registry``."""

    @property
    def id(self) -> str:
        """Stable name used on the command line."""
        ...

    @property
    def title(self) -> str:
        """Name that is shown."""
        ...

    def available(self) -> str | None:
        """None when the engine works here, otherwise the reason why it does not."""
        ...

    def precisions(self) -> tuple[str, ...]:
        """What can be asked for on this machine; the first is what one gets without asking."""
        ...

    def missing_precisions(self) -> Mapping[str, str]:
        """What the engine computes in elsewhere, but not on this machine: each with the reason."""
        ...

    def load(self, network: Network, options: EngineOptions) -> Runner:
        """Load a network, ready to run. No file is opened but by ONNX Runtime, for its own.

        Raises:
            ModelError: the model cannot be used; nothing was changed.
            EngineUnavailableError: the engine does not exist here.
            EngineError: the engine does not compute in that precision, or not here.
        """
        ...
