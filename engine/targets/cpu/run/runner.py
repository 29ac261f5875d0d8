"""The compiled runner of the layers-cpu engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.protocol import EngineOptions, ModelSpec, RunnerInfo
from twinlens.engine.errors import EngineError, InferenceError
from twinlens.engine.graph import Graph
from twinlens.engine.targets.cpu.codegen.isa import Isa, detect
from twinlens.engine.targets.cpu.run.calibrate import Calibration
from twinlens.engine.targets.cpu.run.classifier import ID, TITLE, Classifier, checked_tensor
from twinlens.engine.targets.cpu.run.program import Options, Program
from twinlens.engine.targets.quantized import without_pairs


class CompiledRunner:
    """A compiled graph that is ready to run; used by one thread at a time.

    Args:
        graph: one picture in, one row of outputs out; optimised.
        expected: shape that the recipe makes.
        options: precision, threads.
        isa: what to compile for.
        note: shown next to what runs.
        agreement: share of pictures with fp32's best label, where that was measured.

    Raises:
        ShapeError: the graph takes or gives something else.
    """

    def __init__(
        self,
        graph: Graph,
        expected: tuple[int, ...],
        options: Options,
        isa: Isa,
        note: str = "",
        agreement: float | None = None,
    ) -> None:
        self._classifier = classifier = Classifier.of(graph, expected)
        self._program: Program | None = Program(graph, options, isa)
        self._summary = graph.summary(self._program.kernels)
        left = len(self._program.fallbacks)
        parts = [f"{isa.title} kernels"]
        if left:
            parts.append(f"{left} layer{'s' if left > 1 else ''} in NumPy")
        if note:
            parts.append(note)
        self._info = RunnerInfo(
            engine_id=ID,
            engine_title=TITLE,
            detail=", ".join(parts),
            precision=options.precision,
            threads=options.threads,
            input_shape=expected,
            output_width=classifier.width,
            fallbacks=self._program.fallbacks,
            agreement=agreement,
        )

    @property
    def info(self) -> RunnerInfo:
        """What really runs, as of the last answer; any thread may ask.

        A small network may take fewer threads than it has.
        """
        return self._info

    @property
    def program(self) -> Program | None:
        """The compiled graph; None after ``close``."""
        return self._program

    def summary(self) -> str:
        """A table of the network's nodes with the kernel that runs each."""
        return self._summary

    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network once; see ``Runner.run``.

        Raises:
            InferenceError: the tensor has another shape or type, a layer failed (names it), or
                the runner is closed.
        """
        program = self._program
        if program is None:
            raise InferenceError(f"{TITLE}: the network was closed")
        checked_tensor(tensor, self._info.input_shape)
        classifier = self._classifier
        answer = program.run({classifier.input: classifier.door.enter(tensor)})[classifier.output]
        if program.threads != self._info.threads:
            # Only whoever runs writes; readers see the one or the other, whole.
            self._info = replace(self._info, threads=program.threads)
        return classifier.door.answer(answer)

    def close(self) -> None:
        """End the threads and free the memory; may be called twice."""
        program, self._program = self._program, None
        if program is not None:
            program.close()


def precisions(isa: Isa) -> tuple[str, ...]:
    """What a processor computes in."""
    return ("fp32", *(["bf16"] if isa.bf16 else []), *(["int8"] if isa.vnni else []))


def missing_precisions(isa: Isa) -> dict[str, str]:
    """What a processor does not compute in, each with the instructions that it lacks."""
    needed = {"bf16": "AVX512-BF16", "int8": "AVX512-VNNI"}
    return {
        precision: f"needs a processor with {instructions}; this one has {isa.title}"
        for precision, instructions in needed.items()
        if precision not in precisions(isa)
    }


def load_compiled(
    graph: Graph,
    expected: tuple[int, ...],
    model: ModelSpec,
    options: EngineOptions,
    threads: int,
) -> CompiledRunner:
    """Compile a graph in the precision that is asked for.

    A graph that comes quantised runs as int8 whatever is asked for, since that is what it is;
    where the processor has no instructions for it, in fp32 with its rounded weights.

    Raises:
        EngineError: the processor lacks that precision, or no pictures to calibrate with were
            given.
        ImageError: the pictures cannot be read.
        ShapeError: the graph is no classifier of one picture.
    """
    isa = detect()
    here = precisions(isa)
    asked = options.precision
    if asked not in ("auto", *here):
        reason = missing_precisions(isa)[asked]
        raise EngineError(f"{TITLE}: {asked} {reason}", hint="fp32 runs everywhere.")
    graph, ranges = without_pairs(graph)
    classifier = Classifier.of(graph, expected)
    if ranges:
        chosen = "int8" if "int8" in here else "fp32"
        plan = Options(chosen, threads, ranges if chosen == "int8" else None)
        return CompiledRunner(graph, expected, plan, isa, "a quantised network")
    if asked == "fp32" or len(here) == 1:
        return CompiledRunner(graph, expected, Options(threads=threads), isa)
    if options.calibration is None and asked == "bf16":
        return CompiledRunner(graph, expected, Options("bf16", threads), isa)
    if options.calibration is None:
        raise EngineError(
            f"{TITLE}: {asked} needs pictures to measure on, and none were given",
            hint="Give a video or a folder of pictures (--calibration PATH), or choose fp32.",
        )
    others = tuple(p for p in here if p != "fp32")
    found = Calibration(
        graph, classifier, model, options.calibration, others, threads, isa
    ).findings()
    precision = found.best() if asked == "auto" else asked
    plan = Options(precision, threads, found.ranges if precision == "int8" else None)
    note = "the fastest that agrees with fp32" if asked == "auto" else ""
    agreement = found.agreement.get(precision)
    return CompiledRunner(graph, expected, plan, isa, note, agreement)
