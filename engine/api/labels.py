"""Labels against outputs: the one place where the names of a background go and numbers are held
against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twinlens.engine.errors import LabelError

if TYPE_CHECKING:
    from twinlens.engine.api.protocol import Network


def fitting(
    names: tuple[str, ...],
    outputs: int | None,
    background: int,
    *,
    source: str,
    of: str,
    hint: str = "",
) -> tuple[str, ...]:
    """Names of the classes alone, where their number is that of the outputs.

    Args:
        names: one a class, or one an output, those of the background included.
        outputs: number of outputs; None where it is not known, then all names are taken.
        background: outputs in front of class 0 that stand for no class.
        source: where the names come from, for the error.
        of: whose outputs they are, for the error.
        hint: what helps; empty for the usual.

    Raises:
        LabelError: the numbers differ; names both.
    """
    if outputs is None:
        return names
    if outputs == 1:
        return _of_two(names, source=source, of=of)
    if background and len(names) == outputs:
        return names[background:]
    classes = outputs - background
    if len(names) != classes:
        raise LabelError(
            f"{source} has {len(names):,} labels, but {of} has {classes:,} classes "
            f"({outputs:,} outputs)",
            hint=hint or f"Give a label file with {classes:,} lines, one name a line.",
        )
    return names


def classes_of(outputs: int, background: int) -> int:
    """Number of classes that outputs stand for: one output answers for two."""
    return 2 if outputs == 1 else outputs - background


def _of_two(names: tuple[str, ...], *, source: str, of: str) -> tuple[str, ...]:
    """Names for the two answers of one output: for 0 and for 1."""
    if len(names) == 1:
        return f"not {names[0]}", names[0]
    if len(names) != 2:
        raise LabelError(
            f"{source} has {len(names):,} labels, but {of} has one output, which is for or "
            "against one class",
            hint="Give a label file with two lines, the class for 0 first; or with one, for 1.",
        )
    return names


def check_labels(network: Network, output_width: int) -> None:
    """Hold the labels of a network against the outputs that it really has.

    Raises:
        LabelError: their numbers differ; names both.
    """
    spec = network.spec
    wanted = classes_of(output_width, spec.background_outputs)
    if len(spec.labels) != wanted:
        behind = f" behind {spec.background_outputs} background" if spec.background_outputs else ""
        raise LabelError(
            f"{network.name}: {len(spec.labels)} labels for {wanted} outputs{behind}",
            hint=f"Give a label file with {wanted} lines: --labels FILE, or "
            f"{Path(network.name).stem}.labels.txt beside the model.",
        )
