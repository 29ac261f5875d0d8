"""What is found out about a network on pictures: ranges for int8, and how precisions compare.

The result is kept on disk beside the compiled plans, by the model's and the pictures' contents.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.cancel import checkpoint
from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.engine.layers.base import Array
from twinlens.engine.targets import cache
from twinlens.engine.targets.cpu.codegen.isa import Isa
from twinlens.engine.targets.cpu.run.classifier import Classifier
from twinlens.engine.targets.cpu.run.program import Options, Program, plan_key

#: Pictures that precisions are compared on, and every which of them gives ranges.
PICTURES, EVERY = 200, 4
#: What ``auto`` asks of a precision.
ENOUGH = 0.995

Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Findings:
    """What calibration found.

    Attributes:
        ranges: smallest and largest sample of each of the graph's values.
        agreement: by precision, the share of pictures with fp32's best label.
        milliseconds: by precision, the median time of a run.
        pictures: how many were compared.
    """

    ranges: Ranges
    agreement: dict[str, float]
    milliseconds: dict[str, float]
    pictures: int

    def best(self) -> str:
        """The fastest precision that agrees well enough; fp32 always does."""
        good = [p for p, share in self.agreement.items() if share >= ENOUGH]
        return min((*good, "fp32"), key=lambda p: self.milliseconds[p])


@dataclass(frozen=True)
class Calibration:
    """A network, and the pictures to try it on.

    Attributes:
        graph: optimised.
        classifier: its input and output.
        model: gives the recipe.
        pictures: a video or a folder.
        precisions: what to compare with fp32.
        threads: compute threads.
        isa: what to compile for.
        ranges: known already, for a graph that was quantised; otherwise they are measured.
    """

    graph: Graph
    classifier: Classifier
    model: ModelSpec
    pictures: Path
    precisions: tuple[str, ...]
    threads: int
    isa: Isa
    ranges: Ranges | None = None

    def findings(self) -> Findings:
        """From disk, or measured now and kept.

        Raises:
            ImageError: there are no pictures.
        """
        store = cache.folder()
        name = f"findings {self._key()}"
        kept = None if store is None else cache.read(store, name)
        if kept is not None:
            return _read(kept)
        found = self._measure()
        if store is not None:
            cache.write(store, name, json.dumps(asdict(found)).encode())
        return found

    def _key(self) -> str:
        # Without the threads: agreement does not depend on them, and which precision is the
        # fastest hardly, so that what one number of threads found out serves the others.
        parts = [
            _digest(self.graph),
            repr(self.model.recipe),
            _contents(self.pictures),
            repr((self.precisions, self.isa, self.ranges, PICTURES, EVERY)),
        ]
        return "\n".join(parts)

    def _measure(self) -> Findings:
        ranges = self.ranges or self._ranges()
        with ExitStack() as stack:
            programs: dict[str, Program] = {}
            for precision in ("fp32", *self.precisions):
                options = Options(precision, self.threads, ranges)
                program = programs[precision] = Program(self.graph, options, self.isa)
                stack.callback(program.close)
            return self._compare(programs, ranges)

    def _ranges(self) -> Ranges:
        """Ranges over every ``EVERY``-th of the pictures."""
        inputs = (
            {self.classifier.input: self.classifier.door.enter(tensor)}
            for tensor in islice(self._tensors(), 0, None, EVERY)
        )
        return measure_ranges(self.graph, inputs, self.threads, self.isa)

    def _compare(self, programs: Mapping[str, Program], ranges: Ranges) -> Findings:
        times: dict[str, list[float]] = {precision: [] for precision in programs}
        same = dict.fromkeys(self.precisions, 0)
        count = 0
        for tensor in self._tensors():
            checkpoint()
            best: dict[str, int] = {}
            entering = self.classifier.door.enter(tensor)
            for precision, program in programs.items():
                start = time.perf_counter()
                output = program.run({self.classifier.input: entering})[self.classifier.output]
                answer = self.classifier.door.answer(output)
                times[precision].append((time.perf_counter() - start) * 1e3)
                best[precision] = int(np.argmax(answer))
            for precision in self.precisions:
                same[precision] += best[precision] == best["fp32"]
            count += 1
        return Findings(
            ranges=ranges,
            agreement={precision: same[precision] / count for precision in self.precisions},
            milliseconds={p: float(np.median(own)) for p, own in times.items()},
            pictures=count,
        )

    def _tensors(self) -> Iterator[Array]:
        return tensors(self.pictures, self.model.recipe)


def measure_ranges(
    graph: Graph,
    inputs: Iterable[Mapping[str, Array]],
    threads: int = 1,
    isa: Isa | None = None,
) -> Ranges:
    """Smallest and largest sample of every value that fp32 kernels keep, for int8.

    Args:
        graph: optimised.
        inputs: float32 array by input name, of the graph's shapes; one mapping a run.
        threads: compute threads.
        isa: what to compile for; None means what this machine has.

    Returns:
        (smallest, largest) by value name; empty where there are no inputs. A value that was not
        finite throughout has none, and stays in floats.
    """
    program = Program(graph, Options(threads=threads, share=False), isa)
    lows: dict[str, list[float]] = {}
    highs: dict[str, list[float]] = {}
    try:
        for taken in inputs:
            checkpoint()
            program.run(taken)
            for name, values in program.values():
                lows.setdefault(name, []).append(float(values.min()))
                highs.setdefault(name, []).append(float(values.max()))
    finally:
        program.close()
    found = {name: (float(np.min(lows[name])), float(np.max(highs[name]))) for name in lows}
    return {name: ends for name, ends in found.items() if np.isfinite(ends).all()}


def tensors(pictures: Path, recipe: Recipe) -> Iterator[Array]:
    """Pictures as a model takes them; each is overwritten by the next."""
    # Late: OpenCV is needed for this alone.
    from twinlens.engine.image import Converter
    from twinlens.engine.image.samples import sample_pictures

    converter = Converter(recipe)
    for buffer in sample_pictures(pictures, PICTURES):
        yield converter.convert(buffer)


def _read(kept: bytes) -> Findings:
    fields = json.loads(kept)
    fields["ranges"] = {name: tuple(ends) for name, ends in fields["ranges"].items()}
    return Findings(**fields)


def _digest(graph: Graph) -> str:
    """What changes when a network does, wherever its parameters came from."""
    digest = hashlib.sha256(plan_key(graph, Options()).encode())
    arrays = [array for node in graph.nodes for array in node.layer.parameters.values()]
    for array in (*arrays, *graph.constants.values()):
        checkpoint()
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _contents(pictures: Path) -> str:
    """What changes when the pictures do."""
    files: Sequence[Path] = [pictures]
    if pictures.is_dir():
        files = sorted(path for path in pictures.rglob("*") if path.is_file())
    lines = [str(pictures.resolve())]
    for path in files:
        if path.is_file():
            status = path.stat()
            lines.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    return "\n".join(lines)
