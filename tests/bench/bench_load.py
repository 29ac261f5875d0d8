"""From a model's file to its first answer: how long, and how much memory.

Each load is a fresh process, cold (an empty folder for compiled plans) and from the cache, in
turns; medians of each step, and of the time from the process's start to its first answer. Memory:
what a program plans (weights, arena, scratch) against what the process grew by, with the first
program (libraries included; what remains and the peak) and with each of some more.

Run: ``python tests/bench/bench_load.py [--model MODEL] [--rounds N] [--threads N]``; MODEL is a
file or a name of the catalog, by default what the app starts on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinlens.engine.targets.cpu.run.program import Program

# Programs that tell how much memory one more takes; the first still grow Python's own.
_MORE = 10
STEPS = (
    "import",
    "read",
    "optimise",
    "lower",
    "pack",
    "write IR",
    "compile",
    "link",
    "rest",
    "run",
)
# Behind the steps: their sum; from the process's start to its first answer, and processor time
# until then, which says more where other programs run.
HEADS = ("steps", "start", "fastest", "used")


class Clock:
    """Sums of seconds by step; a step within another is not counted twice."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STEPS, 0.0)
        self._stack: list[float] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what runs inside for a step."""
        started = time.perf_counter()
        self._stack.append(0.0)
        try:
            yield
        finally:
            lasted = time.perf_counter() - started
            self.seconds[name] += lasted - self._stack.pop()
            if self._stack:
                self._stack[-1] += lasted

    def wrap(self, owner: object, attribute: str, name: str) -> None:
        """Count every call of a function for a step."""
        inner: Callable[..., object] = getattr(owner, attribute)

        def outer(*args: object, **kwargs: object) -> object:
            with self.step(name):
                return inner(*args, **kwargs)

        setattr(owner, attribute, outer)


def load_once(model: str, threads: int, since: float) -> dict[str, object]:
    """Load, run once, and say what it took; in a process that did nothing before.

    An empty `model` is the default; `since` is when the process was started.
    """
    clock = Clock()
    with clock.step("import"):
        from twinlens.engine.graph import optimize
        from twinlens.engine.targets import cache
        from twinlens.engine.targets.cpu.codegen import compiler
        from twinlens.engine.targets.cpu.run import program
        from twinlens.models.identify.resolve import default_model, resolve
    import numpy as np

    clock.wrap(program.Lowering, "translate", "lower")
    for kind in subclasses(program.Op):
        if "constants" in vars(kind):
            clock.wrap(kind, "constants", "pack")
    clock.wrap(compiler, "fill", "pack")
    clock.wrap(compiler, "build", "write IR")
    clock.wrap(compiler, "compile_object", "compile")
    clock.wrap(compiler, "load_object", "link")
    for name in ("read", "write", "source_version"):
        clock.wrap(cache, name, "rest")
    before = resident_bytes()
    with clock.step("read"):
        model = model or default_model()
        graph = resolve(model).graph
    with clock.step("optimise"):
        graph = optimize(graph)
    ((name, shape),) = graph.inputs.items()
    with clock.step("rest"):
        made = program.Program(graph, program.Options(threads=threads))
    with clock.step("run"):
        made.run({name: np.zeros(shape, np.float32)})
    answered, used = time.time(), time.process_time()
    del graph
    result = {
        "model": Path(model).name,
        "start": answered - since,
        "used": used,
        "seconds": dict(clock.seconds),
        "cached": made.cached,
        "weights": made.weights_size,
        "arena": made.arena_size,
        "scratch": made.scratch_size * threads,
        "first": resident_bytes() - before,
        "peak": peak_bytes() - before,
    }
    # Libraries and what Python keeps for later are there now: this is a program's own.
    others, grown = [], []
    for _ in range(_MORE):
        before = resident_bytes()
        others.append(_another(model, threads))
        grown.append(resident_bytes() - before)
    result["each"] = median(grown)
    for each in (made, *others):
        each.close()
    return result


def _another(model: str, threads: int) -> Program:
    import numpy as np

    from twinlens.engine.graph import optimize
    from twinlens.engine.targets.cpu.run.program import Options, Program
    from twinlens.models.identify.resolve import resolve

    graph = optimize(resolve(model).graph)
    made = Program(graph, Options(threads=threads))
    ((name, shape),) = graph.inputs.items()
    made.run({name: np.zeros(shape, np.float32)})
    return made


def subclasses(kind: type) -> Iterator[type]:
    """A class's subclasses, theirs included."""
    for below in kind.__subclasses__():
        yield below
        yield from subclasses(below)


def resident_bytes() -> int:
    """Memory of this process that is in RAM now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """The most that it was; where the system does not tell, what it is now."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def fresh(model: str, threads: int, store: str) -> dict[str, object]:
    """``load_once`` in a fresh process."""
    command = [sys.executable, __file__, "--model", model, "--threads", str(threads), "--since"]
    result = subprocess.run(
        [*command, repr(time.time())],
        env={**os.environ, "TWINLENS_CACHE": store},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="", help="default: the app's")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--since", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.since is not None:
        print(json.dumps(load_once(args.model, args.threads, args.since)))
        return
    runs: dict[str, list[dict]] = {"cold": [], "cached": []}
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as store:
            for own in runs.values():
                own.append(fresh(args.model, args.threads, store))
    assert not any(r["cached"] for r in runs["cold"])
    assert all(r["cached"] for r in runs["cached"])
    name = runs["cold"][0]["model"]
    print(f"{name}, fp32, {args.threads} threads, medians of {args.rounds}, in ms")
    print(f"{'':8}" + "".join(f"{head:>10}" for head in (*STEPS, *HEADS)))
    for kind, own in runs.items():
        steps = [median(r["seconds"][step] for r in own) for step in STEPS]
        starts = [r["start"] for r in own]
        cells = [*steps, median(sum(r["seconds"].values()) for r in own)]
        cells += [median(starts), min(starts), median(r["used"] for r in own)]
        print(f"{kind:8}" + "".join(f"{cell * 1e3:10.1f}" for cell in cells))
    print("\nmemory in MiB")
    heads = ("weights", "arena", "scratch", "planned", "goal", "each", "first", "peak")
    print(f"{'':8}" + "".join(f"{head:>10}" for head in heads))
    for kind, own in runs.items():
        last = own[-1]
        planned = last["weights"] + last["arena"] + last["scratch"]
        goal = last["weights"] + 1.5 * last["arena"]
        grown = (median(r[key] for r in own) for key in heads[5:])
        cells = [*(last[k] for k in heads[:3]), planned, goal, *grown]
        print(f"{kind:8}" + "".join(f"{cell / 2**20:10.1f}" for cell in cells))


if __name__ == "__main__":
    main()
