"""The engines as a person chooses among them: what each offers here, and why it does not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinlens.engine.api.protocol import Engine


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

    @property
    def takes_threads(self) -> bool:
        """Whether a number of threads means something to it."""
        return self.id not in WITHOUT_THREADS


#: Engines that compute elsewhere than on threads of the processor.
WITHOUT_THREADS = frozenset({"layers-gpu"})
#: Engines that take long to find out whether they are here: a library and drivers are loaded.
SLOW_TO_ASK = frozenset({"layers-gpu"})


def engine_title(engine_id: str) -> str:
    """An engine's name, by its id; the id itself where the registry does not know it."""
    from twinlens.engine.api import registry

    return registry.get_engine(engine_id).title if engine_id in registry.ENGINES else engine_id


def engine_choices(later: Collection[str] = ()) -> list[EngineChoice]:
    """All engines of the registry with their precisions, in its order.

    Args:
        later: ids of those that are not asked yet; they cannot be used until they are.
    """
    from twinlens.engine.api import registry

    return [
        _unasked(registry.get_engine(engine_id))
        if engine_id in later
        else _asked(registry.get_engine(engine_id))
        for engine_id in registry.engine_ids()
    ]


def _asked(engine: Engine) -> EngineChoice:
    return EngineChoice(
        engine.id,
        engine.title,
        engine.available(),
        engine.precisions(),
        engine.missing_precisions(),
    )


def _unasked(engine: Engine) -> EngineChoice:
    return EngineChoice(engine.id, engine.title, "its adapters are being looked for")
