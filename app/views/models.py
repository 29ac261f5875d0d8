"""What stands on the page of models, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from twinlens.app.core.shelf.pulls import PullProgress
from twinlens.app.core.shelf.rows import ModelRow, megabytes
from twinlens.app.views.view import Group, Inputs, Place, View
from twinlens.models.catalog.store import State


class ModelAction(Enum):
    """What can be done with a model."""

    USE = "Use"
    IN_USE = "In use"
    PULL = "Get"
    STOP = "Stop"
    STOPPING = "Stopping"
    NONE = ""

    @property
    def possible(self) -> bool:
        """Whether there is something to press."""
        return self in (ModelAction.USE, ModelAction.PULL, ModelAction.STOP)


@dataclass(frozen=True)
class ModelLine:
    """A line of the page of models.

    Attributes:
        id: catalog name.
        title: name that is shown.
        detail: task, format, number of weights and licence.
        accuracy: ``"69.4 %"`` top-1, or ``"–"``.
        size: size of its file.
        state: where it is, or how much of it has arrived.
        action: what can be done with it.
        removable: whether it can be removed: files of it are here and nobody is at them.
        share: how much of it has arrived, 0 to 1; None where nothing is fetched, or the size is
            not known.
        error: why the last download or removal failed; empty where it did not.
    """

    id: str
    title: str
    detail: str
    accuracy: str
    size: str
    state: str
    action: ModelAction
    removable: bool = False
    share: float | None = None
    error: str = ""


@dataclass(frozen=True)
class ModelsState:
    """What is known of models: the catalog's rows, downloads that go on and what failed, by id."""

    rows: tuple[ModelRow, ...]
    progress: Mapping[str, PullProgress]
    errors: Mapping[str, str]


@dataclass(frozen=True)
class ModelsShown:
    """What stands on the page of models."""

    lines: tuple[ModelLine, ...]


def models_shown(inputs: Inputs[ModelsState]) -> ModelsShown:
    """The page of models."""
    own, state = inputs.own, inputs.state
    serving = state.spec.id if state is not None else ""
    return ModelsShown(model_lines(own.rows, serving, own.progress, own.errors))


def model_lines(
    rows: Sequence[ModelRow],
    serving: str,
    progress: Mapping[str, PullProgress],
    errors: Mapping[str, str],
) -> tuple[ModelLine, ...]:
    """Lines of the page.

    Args:
        rows: the catalog's models.
        serving: id of the model that answers now.
        progress: downloads that are going on, by id.
        errors: why downloads or removals failed, by id.
    """
    return tuple(
        _line(row, row.id == serving, progress.get(row.id), errors.get(row.id, "")) for row in rows
    )


def _line(row: ModelRow, serving: bool, now: PullProgress | None, error: str) -> ModelLine:
    words = [row.task, row.format, f"{row.parameters} weights", row.licence]
    if row.state is State.NOT_INSTALLED:
        words.append(f"pip install {row.package}")
    state, share = row.state_text, None
    if now is not None:
        of = f" of {megabytes(now.total)}" if now.total else ""
        state = f"{megabytes(now.done)}{of}"
        share = min(1.0, now.done / now.total) if now.total else None
    return ModelLine(
        id=row.id,
        title=row.title,
        detail=" · ".join(words),
        accuracy=row.accuracy,
        size=row.size,
        state=state,
        action=_action(row, serving, now),
        removable=row.removable and not serving and now is None,
        share=share,
        error="" if now is not None else error,
    )


def _action(row: ModelRow, serving: bool, now: PullProgress | None) -> ModelAction:
    if now is not None:
        return ModelAction.STOPPING if now.stopping else ModelAction.STOP
    if serving:
        return ModelAction.IN_USE
    if row.state.usable:
        return ModelAction.USE
    return ModelAction.PULL if row.state is State.NOT_HERE else ModelAction.NONE


MODELS = View(
    id="models",
    title="Models",
    place=Place.DRAWER,
    data=ModelsShown,
    snapshot=models_shown,
    key="Shift+M",
    words="more models",
    group=Group.ENGINE,
)
