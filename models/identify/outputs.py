"""How a model's outputs are read: as its operators say, or as somebody says who knows better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twinlens.engine.api.protocol import OutputKind
from twinlens.engine.errors import ModelError, ModelFileError
from twinlens.engine.formats.described import ModelFile
from twinlens.models.identify.facts import Origin

if TYPE_CHECKING:
    from twinlens.engine.formats.answer.answers import Answer

CLASSIFIERS = "Twinlens runs networks that answer with a number for each class."
"""What helps where a network is something else."""


@dataclass(frozen=True)
class Read:
    """How a model's outputs are read.

    Attributes:
        answer: the output.
        spec: fields of ``ModelSpec`` that say it.
        origin: where that comes from.
        name_origin: where it comes from that it is this output.
        outputs: names of all outputs of the file.
        notes: what was assumed, for display.
    """

    answer: Answer
    spec: Mapping[str, Any]
    origin: Origin
    name_origin: Origin
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """How it is read, for display: ``"probabilities (softmax)"``."""
        how = f" ({self.answer.reading.how})" if self.origin is Origin.FILE else ""
        return f"{self.spec['output']}{how}"


def how_read(
    file: ModelFile,
    *,
    name: str = "",
    name_origin: Origin = Origin.GIVEN,
    kind: str = "",
    kind_origin: Origin = Origin.GIVEN,
) -> Read:
    """How the outputs of a model file are read.

    Args:
        file: what it declares.
        name: the output that somebody chose; empty for the one that is found.
        name_origin: who chose it.
        kind: one of ``OUTPUT_KINDS`` that somebody chose; empty for what is found.
        kind_origin: who chose it.

    Raises:
        ModelFileError: it is no classifier of pictures; says what it is.
        ModelError: it has no output of that name; names those that it has.
    """
    answers = file.answers
    answer = answers.named(name) if name else answers.best
    if answer is None and name:
        raise _unnamed(file, name)
    if answer is None:
        raise ModelFileError(
            f"{file.path}: is {answers.refusal}, not a classifier of pictures",
            hint=CLASSIFIERS,
        )
    found = answer.kind
    chosen = fitting_kind(kind, answer.width) if kind else found
    same, reading = chosen == found, answer.reading
    several = len(answers.titles) > 1
    fields = {
        "output": chosen,
        "output_name": answer.output if several else "",
        "output_factor": reading.factor if same else 1.0,
        "output_shift": reading.shift if same else 0.0,
        "output_part": reading.part,
    }
    notes = []
    if not name and not answers.sure:
        notes.append(f"output: {answer.title} of {', '.join(answers.titles)}, assumed")
    if not kind and not reading.known and answer.width == 1:
        notes.append("output: a score for or against one class, assumed")
    elif not kind and reading.form == "one" and answer.width == 1:
        notes.append("its only output is a softmax, which is always 1")
    return Read(
        answer,
        fields,
        kind_origin if kind else Origin.FILE if reading.known else Origin.ASSUMED,
        name_origin if name else Origin.FILE if answers.sure else Origin.ASSUMED,
        answers.titles,
        tuple(notes),
    )


_ONE: dict[str, OutputKind] = {
    "probabilities": "binary",
    "independent": "binary",
    "logits": "binary-logits",
    "independent-logits": "binary-logits",
    "log-probabilities": "log-independent",
}
_SEVERAL: dict[str, OutputKind] = {"binary": "independent", "binary-logits": "independent-logits"}


def fitting_kind(kind: str, width: int | None) -> OutputKind:
    """A kind of output for that many outputs: one of a kind is ``binary``, and nothing else is."""
    table = _ONE if width == 1 else {} if width is None else _SEVERAL
    found: OutputKind = table.get(kind, kind)  # type: ignore[arg-type]
    return found


def _unnamed(file: ModelFile, name: str) -> ModelError:
    titles = file.answers.titles
    if name in titles:
        return ModelError(f"{file.path}: its output {name!r} has no number for each class")
    return ModelError(
        f"{file.path}: has no output {name!r}", hint=f"Its outputs are {', '.join(titles)}."
    )
