"""The engines as a person chooses among them: what each offers here, and why it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class EngineChoice:
    """An engine that can be chosen, or cannot.

    Attributes:
        id: its id.
        title: its name.
        reason: why it cannot be used; None when it can.
        precisions: what it computes in here, its own choice first.
        missing: what it computes in elsewhere, and why not here.
    """

    id: str
    title: str
    reason: str | None
    precisions: tuple[str, ...] = ("fp32",)
    missing: Mapping[str, str] = field(default_factory=dict)


def engine_title(engine_id: str) -> str:
    """An engine's name, by its id; the id itself where the registry does not know it."""
    from twinlens.engine import registry

    return registry.get_engine(engine_id).title if engine_id in registry.ENGINES else engine_id


def engine_choices() -> list[EngineChoice]:
    """All engines of the registry with their precisions, in its order."""
    from twinlens.engine import registry

    engines = [registry.get_engine(engine_id) for engine_id in registry.engine_ids()]
    return [
        EngineChoice(
            engine.id,
            engine.title,
            engine.available(),
            engine.precisions(),
            engine.missing_precisions(),
        )
        for engine in engines
    ]
