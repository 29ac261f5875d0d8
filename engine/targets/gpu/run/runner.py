"""The runner of the layers-gpu engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.protocol import RunnerInfo
from twinlens.engine.errors import InferenceError
from twinlens.engine.graph import Graph
from twinlens.engine.targets.classifier import Classifier, check_tensor
from twinlens.engine.targets.gpu.run.adapters import TITLE, Adapter
from twinlens.engine.targets.gpu.run.flight import Ticket, Timings
from twinlens.engine.targets.gpu.run.program import Options, Program

#: Seconds that trying tiles may take when a network is loaded first.
TUNE_S = 8.0


class GpuTicket:
    """A frame under way."""

    def __init__(self, runner: GpuRunner, ticket: Ticket) -> None:
        self._runner, self._ticket = runner, ticket

    @property
    def done(self) -> bool:
        """Whether the answer is there; never waits."""
        return self._ticket.done

    @property
    def timings(self) -> Timings | None:
        """Where the time went, once the answer was fetched; None unless ``profile`` was on."""
        return self._ticket.timings

    def result(self) -> NDArray[np.float32]:
        """Wait for the network's raw output, float32, (output width,); a fresh array.

        Raises:
            InferenceError: the GPU failed; says why.
        """
        return self._runner.collect(self._ticket)


class GpuRunner:
    """A graph on a GPU, ready to run; used by one thread at a time.

    Args:
        graph: one picture in, one row of outputs out; optimised.
        expected: shape that the recipe makes.
        adapter: as ``adapters.choose`` gives it.
        precision: ``"fp32"`` or ``"fp16"``.
        options: how the program is made; None for what suits the adapter.

    Attributes:
        profile: whether kernels are timed one by one (see ``timings``); costs a little.

    Raises:
        ShapeError: the graph takes or gives something else.
        EngineError: the driver refuses something.
    """

    def __init__(
        self,
        graph: Graph,
        expected: tuple[int, ...],
        adapter: tuple[Adapter, Any],
        precision: str = "fp32",
        options: Options | None = None,
    ) -> None:
        self._classifier = classifier = Classifier.of(graph, expected)
        if options is None:
            tune_s = 0.0 if adapter[0].software else TUNE_S
            options = Options(precision, tune_s=tune_s)
        self._program: Program | None = Program(graph, adapter, options)
        self._summary = graph.summary(self._program.kernels)
        self._timings: Timings | None = None
        self.profile = False
        left = len(self._program.fallbacks)
        detail = adapter[0].title
        if left:
            detail += f"; {left} layer{'s' if left > 1 else ''} in NumPy"
        self._info = RunnerInfo(
            engine_id="layers-gpu",
            engine_title=TITLE,
            detail=detail,
            precision=options.precision,
            threads=0,
            input_shape=expected,
            output_width=classifier.width,
            fallbacks=self._program.fallbacks,
        )

    @property
    def info(self) -> RunnerInfo:
        """What really runs."""
        return self._info

    @property
    def program(self) -> Program | None:
        """The graph on the GPU; None after ``close``."""
        return self._program

    def summary(self) -> str:
        """A table of the network's nodes with the kernel that runs each."""
        return self._summary

    def timings(self) -> Timings | None:
        """Where the time of the last fetched frame went.

        None unless ``profile`` was on, the adapter has timestamps, and all layers have kernels.
        """
        return self._timings

    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network once; see ``Runner.run``.

        Raises:
            InferenceError: the tensor has another shape or type, the GPU or a layer failed, or
                the runner is closed.
        """
        program = self._opened()
        check_tensor(TITLE, tensor, self._info.input_shape)
        classifier = self._classifier
        tensor = classifier.door.enter(tensor)
        if program.whole:
            return self.collect(program.submit({classifier.input: tensor}, timed=self.profile))
        return classifier.door.answer(program.run({classifier.input: tensor})[classifier.output])

    def submit(self, tensor: NDArray[np.float32]) -> GpuTicket:
        """Hand a tensor over without waiting for its answer.

        Up to three frames are under way at once: while the GPU computes one, the next is copied.
        The tensor may be overwritten as soon as this returns.

        Raises:
            InferenceError: as ``run``; also where a layer has no kernel.
        """
        program = self._opened()
        check_tensor(TITLE, tensor, self._info.input_shape)
        inputs = {self._classifier.input: self._classifier.door.enter(tensor)}
        return GpuTicket(self, program.submit(inputs, timed=self.profile))

    def collect(self, ticket: Ticket) -> NDArray[np.float32]:
        """The output of a frame that was handed over; raises InferenceError."""
        program = self._opened()
        answer = program.answer(ticket)[self._classifier.output]
        self._timings = ticket.timings
        return self._classifier.door.answer(answer)

    def _opened(self) -> Program:
        if self._program is None:
            raise InferenceError(f"{TITLE}: the network was closed")
        return self._program

    def close(self) -> None:
        """Give the device back; may be called twice."""
        program, self._program = self._program, None
        if program is not None:
            program.close()
