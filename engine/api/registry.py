"""Which engines there are, and why one is not available here.

Engines are made when they are first asked for, so that one that lacks its library costs nothing
and breaks nothing.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from twinlens.engine.api.labels import check_labels
from twinlens.engine.api.protocol import Engine, EngineOptions, Network, Runner
from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import EngineError, EngineUnavailableError

# id → "module:class" that is imported when it is needed.
ENGINES: dict[str, str] = {
    "layers-cpu": "twinlens.engine.targets.cpu:LayersCpuEngine",
    "layers-gpu": "twinlens.engine.targets.gpu:LayersGpuEngine",
    "vision": "twinlens.engine.vision:VisionEngine",
}


def engine_ids() -> tuple[str, ...]:
    """Ids of all engines, in the order in which they are shown."""
    return tuple(ENGINES)


@cache
def get_engine(engine_id: str) -> Engine:
    """Return an engine, available or not.

    Raises:
        EngineError: there is no engine of that id; names those that there are.
    """
    entry = ENGINES.get(engine_id)
    if entry is None:
        raise EngineError(
            f"engine {engine_id!r} does not exist", hint=f"Engines are {', '.join(ENGINES)}."
        )
    module, name = entry.split(":")
    return cast(Engine, getattr(import_module(module), name)())


def check_precision(engine_id: str, precision: str) -> None:
    """Refuse a precision before anything is loaded.

    Raises:
        EngineError: there is no such engine, or it does not compute in that precision here; says
            why and what it computes in.
    """
    engine = get_engine(engine_id)
    offered = engine.precisions()
    if precision in offered:
        return
    reason = engine.missing_precisions().get(precision, "is not one of its precisions")
    raise EngineError(
        f"{engine.title}: {precision} {reason}", hint=f"Here it has {', '.join(offered)}."
    )


def load(network: Network, engine_id: str, options: EngineOptions | None = None) -> Runner:
    """Load a network on an engine, ready to run.

    Raises:
        EngineError: the engine does not exist, or not here; says why.
        ModelError: the model cannot be used, or its labels do not match its outputs.
        CancelledError: nobody waits for it any more; see ``engine.cancel``.
    """
    engine = get_engine(engine_id)
    reason = engine.available()
    if reason:
        raise EngineUnavailableError(
            f"{engine.title} is not available: {reason}",
            hint="`twinlens doctor` lists the engines.",
        )
    checkpoint()
    runner = engine.load(network, options or EngineOptions())
    try:
        check_labels(network, runner.info.output_width)
    except Exception:
        runner.close()
        raise
    return runner
