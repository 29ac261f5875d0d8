"""Which output of a model is read, and how: what may be chosen, in words for a person."""

from __future__ import annotations

from dataclasses import dataclass

from twinlens.engine.api.protocol import OutputKind
from twinlens.engine.formats.answer.answers import Answer
from twinlens.models.identify.identified import Model


@dataclass(frozen=True)
class OutputChoice:
    """An output that could be read as classes.

    Attributes:
        name: what the file calls it; what ``output_name`` says.
        shape: its sizes, ``"1×1000"``; empty where nothing tells them.
        look: what its operators make of it: ``"softmax"``, ``"scores"`` ...
    """

    name: str
    shape: str
    look: str


@dataclass(frozen=True)
class KindChoice:
    """A way of reading an output.

    Attributes:
        kind: what ``output`` says.
        title: in a word or two.
        meaning: what it means, for those who do not know the word.
    """

    kind: OutputKind
    title: str
    meaning: str


_SEVERAL = (
    KindChoice("probabilities", "Probabilities", "of which one class holds; they sum to 1"),
    KindChoice("logits", "Scores", "that a softmax makes probabilities of; one class holds"),
    KindChoice("log-probabilities", "Logarithms", "of probabilities; one class holds"),
    KindChoice("independent", "Independent", "probabilities; several classes or none may hold"),
    KindChoice(
        "independent-logits",
        "Independent scores",
        "that a sigmoid makes probabilities of; several classes or none may hold",
    ),
    KindChoice(
        "log-independent",
        "Independent logarithms",
        "of probabilities; several classes or none may hold",
    ),
)
_ONE = (
    KindChoice("binary", "Probability", "that it is the class"),
    KindChoice("binary-logits", "Score", "that a sigmoid makes a probability of"),
    KindChoice("log-independent", "Logarithm", "of the probability that it is the class"),
)
ALL_KINDS = tuple(dict.fromkeys((*_SEVERAL, *_ONE)))
"""All that any model may offer."""


def output_choices(model: Model) -> tuple[OutputChoice, ...]:
    """The outputs to choose from, the best first; none where the file says which is meant."""
    answers = model.described.answers if model.described is not None else None
    if answers is None or model.read is None or answers.sure or len(answers.all) < 2:
        return ()
    return tuple(
        OutputChoice(answer.title, _shape(answer), answer.reading.how) for answer in answers.all
    )


def kind_choices(model: Model) -> tuple[KindChoice, ...]:
    """The ways in which the model's output can be read; none where a card says it."""
    if model.read is None or model.described is None:
        return ()
    return _ONE if model.read.answer.width == 1 else _SEVERAL


def _shape(answer: Answer) -> str:
    if answer.sizes is not None:
        return "×".join("?" if n is None else str(n) for n in answer.sizes)
    return "" if answer.width is None else f"{answer.width:,} numbers"
