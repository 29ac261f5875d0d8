"""The engine that runs a graph of layers on the CPU: compiled where it can be, else in NumPy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from twinlens.engine.api.protocol import EngineOptions, ModelSpec, Network, Runner
from twinlens.engine.errors import EngineError
from twinlens.engine.graph import Graph, one_picture, optimize
from twinlens.engine.targets.cpu.run.classifier import ID, TITLE
from twinlens.engine.targets.cpu.run.reference import ReferenceRunner

PRECISIONS = ("fp32", "bf16", "int8", "auto")


class LayersCpuEngine:
    """Layers on the CPU.

    A network is compiled when it is loaded, by LLVM through llvmlite. Without llvmlite the
    layers' reference forwards run in NumPy, and the runner says so.
    """

    id = ID
    title = TITLE

    def available(self) -> str | None:
        """None: NumPy is always there."""
        return None

    def precisions(self) -> tuple[str, ...]:
        """fp32, and what the processor has instructions for."""
        if without_compiler() is not None:
            return ("fp32",)
        from twinlens.engine.targets.cpu.codegen.isa import detect
        from twinlens.engine.targets.cpu.run.runner import precisions

        found = precisions(detect())
        return found if len(found) == 1 else (*found, "auto")

    def missing_precisions(self) -> Mapping[str, str]:
        """Precisions that another processor or a compiler would add, each with what is missing."""
        reason = without_compiler()
        if reason is not None:
            return {"bf16": reason, "int8": reason}
        from twinlens.engine.targets.cpu.codegen.isa import detect
        from twinlens.engine.targets.cpu.run.runner import missing_precisions

        return missing_precisions(detect())

    def load(self, network: Network, options: EngineOptions) -> Runner:
        """Optimise and compile a network.

        Raises:
            ModelError: it cannot be read, needs what we lack, or does not fit its recipe.
            EngineError: a precision that does not exist, or not on this machine.
        """
        if options.precision not in PRECISIONS:
            raise EngineError(
                f"{self.title} computes in {', '.join(PRECISIONS)}, not in {options.precision!r}"
            )
        expected = network.spec.recipe.input_shape
        return self._runner(
            optimize(one_picture(network.graph).graph), expected, network.spec, options
        )

    def _runner(
        self, graph: Graph, expected: tuple[int, ...], model: ModelSpec, options: EngineOptions
    ) -> Runner:
        reason = without_compiler()
        if reason is None:
            from twinlens.engine.targets.cpu.run.runner import load_compiled

            return load_compiled(graph, expected, model, options, thread_count(options))
        if options.precision not in ("fp32", "auto"):
            raise EngineError(f"{self.title} computes in fp32 only here: {reason}")
        return ReferenceRunner(graph, expected, blas_thread_count(options), reason)


@cache
def without_compiler() -> str | None:
    """None where networks can be compiled, otherwise why not."""
    try:
        import llvmlite.binding  # noqa: F401
    except ImportError:
        return "llvmlite is not installed"
    except (OSError, RuntimeError) as why:
        return f"llvmlite does not start: {why}"
    return None


def thread_count(options: EngineOptions) -> int:
    """Threads for compiled layers: as asked for, else all processors, up to four.

    Parts of the work are claimed, not dealt out, so that a processor that another program holds
    delays a picture by its own share only.
    """
    processors = _processors()
    return max(1, min(processors, options.threads or min(4, processors)))


def blas_thread_count(options: EngineOptions) -> int:
    """Threads for NumPy's matrix products: as asked for, else one less than processors.

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
