"""What stands on the wizard's sheet, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from twinlens.app.core.setup.golden import Golden
from twinlens.app.core.setup.trial import LIVE, TrialState
from twinlens.app.core.setup.wizard import (
    NUMBERS,
    Standing,
    Wizard,
    best,
    close_to,
    standing_on,
    top_of,
)
from twinlens.app.views.view import Inputs, Place, View
from twinlens.app.views.words import short_label, short_name
from twinlens.models.identify.facts import Origin

_APART = "\u2002"
"""Between a class, which may be a number, and its share."""


@dataclass(frozen=True)
class ProofCell:
    """What one candidate makes of the picture that is shown.

    Attributes:
        id: the candidate.
        row, column: its place in the table, by name.
        best: best class and how sure, or that it is not known yet.
        rest: the second and third.
        proof: how often it was right, and how sure of what is right, on all known pictures.
        share: mean probability of what is right, 0 to 1.
        chosen: it is the one that will be used.
        right: whether the best class is the right one; None where nobody knows.
    """

    id: str
    row: str
    column: str
    best: str
    rest: str
    proof: str
    share: float
    chosen: bool
    right: bool | None

    @property
    def description(self) -> str:
        """All of it, for a screen reader."""
        words = (f"{self.row}, {self.column}: {self.best}", self.rest, self.proof)
        return ". ".join(word for word in words if word)


@dataclass(frozen=True)
class Choice:
    """One of several answers to a question.

    Attributes:
        id: the answer.
        title: what stands on its button.
        full: all of it, for a screen reader.
        chosen: it is the one that will be used.
    """

    id: str
    title: str
    full: str
    chosen: bool


@dataclass(frozen=True)
class WizardView:
    """The sheet's changing parts.

    Attributes:
        cells: candidates, row by row.
        pictures: places of the pictures that can be shown, ``LIVE`` last.
        shown: the one that is.
        caption: what it shows.
        status: how far the proof is, or what it found.
        failed: the status is an error.
        labels: where labels come from, or what is wrong with them.
        missing: what has to be answered first; empty when the model can be used.
        outputs: outputs to choose from; none where the file says which is meant.
        kinds: ways of reading the output; none where that is no question.
        reading: how the output is read and why, or what speaks against it.
        doubted: the answers speak against it.
    """

    cells: tuple[ProofCell, ...]
    pictures: tuple[int, ...]
    shown: int
    caption: str
    status: str
    failed: bool
    labels: str
    missing: str
    outputs: tuple[Choice, ...] = ()
    kinds: tuple[Choice, ...] = ()
    reading: str = ""
    doubted: bool = False


@dataclass(frozen=True, eq=False)
class Proof:
    """What a view is made of; none of it changes any more.

    Attributes:
        wizard: questions and answers; a copy.
        pictures: golden pictures.
        state: how far the trial has come.
        shown: place of the picture that is shown.
        bundled: how many of the pictures come with Twinlens.
        pick: show the first picture that proves something, in place of one that does not, and of
            what is live.
        problem: what went wrong, in place of how far the proof is; empty where nothing did.
    """

    wizard: Wizard
    pictures: tuple[Golden, ...]
    state: TrialState
    shown: int
    bundled: int
    pick: bool = False
    problem: str = ""


@dataclass(frozen=True)
class ProofView:
    """A view, and what the proof has found.

    Attributes:
        view: the sheet's changing parts.
        winner: the candidate that proved best; None while there is no proof.
    """

    view: WizardView
    winner: str | None

    @property
    def doubted(self) -> bool:
        """Whether answers speak against the way that they are read."""
        return self.view.doubted


def proof_view(proof: Proof) -> ProofView:
    """The sheet as things are, with the candidate chosen that proved best.

    Reads tens of thousands of labels when these are new, so it is no work for a window's thread.
    """
    wizard, state = proof.wizard.copy(), proof.state
    if _doubt(wizard, state):
        wizard.doubt()
    known = [picture.index(wizard.labels) for picture in proof.pictures]
    winner = best(_standings(wizard, known, state)) if state.done else None
    wizard.prefer(winner)
    shown = proof.shown
    if proof.pick:
        useful = _showable(known, proof.bundled)
        if shown not in useful or shown == LIVE:
            shown = useful[0]
    view = _view(wizard, proof, known, shown)
    if proof.problem:
        view = replace(view, status=proof.problem, failed=True)
    return ProofView(view, winner)


def standings_of(
    wizard: Wizard, pictures: Sequence[Golden], state: TrialState
) -> dict[str, Standing]:
    """How each candidate has done so far."""
    return _standings(wizard, [picture.index(wizard.labels) for picture in pictures], state)


def _standings(
    wizard: Wizard, known: Sequence[int | None], state: TrialState
) -> dict[str, Standing]:
    return {
        candidate.id: standing_on(state.answers.get(candidate.id, {}), known)
        for candidate in wizard.candidates()
    }


def _showable(known: Sequence[int | None], bundled: int) -> tuple[int, ...]:
    """Places of pictures that prove something: of a class that the model knows, or one's own."""
    useful = [at for at, index in enumerate(known) if at >= bundled or index is not None]
    return (*useful, LIVE)


def wizard_view(
    wizard: Wizard,
    pictures: Sequence[Golden],
    state: TrialState,
    shown: int,
    bundled: int,
) -> WizardView:
    """The sheet as things are now.

    Args:
        wizard: questions and answers.
        pictures: golden pictures.
        state: how far the trial has come.
        shown: place of the picture that is shown.
        bundled: how many of the pictures come with Twinlens.
    """
    proof = Proof(wizard, tuple(pictures), state, shown, bundled)
    return _view(wizard, proof, [picture.index(wizard.labels) for picture in pictures], shown)


def _view(wizard: Wizard, proof: Proof, known: Sequence[int | None], shown: int) -> WizardView:
    state, bundled = proof.state, proof.bundled
    doubt = _doubt(wizard, state)
    stands = _standings(wizard, known, state)
    index = known[shown] if shown >= 0 else None
    cells = tuple(
        _cell(wizard, state, candidate.id, stands[candidate.id], shown, index)
        for candidate in wizard.candidates()
    )
    return WizardView(
        cells=cells,
        pictures=_showable(known, bundled),
        shown=shown,
        caption=_caption(wizard, shown, index, bundled),
        status=_status(wizard, len(known), state, stands),
        failed=state.error is not None,
        labels=_labels(wizard),
        missing=wizard.missing,
        outputs=_outputs(wizard),
        kinds=_kinds(wizard),
        reading=_reading(wizard, doubt),
        doubted=bool(doubt),
    )


def _cell(
    wizard: Wizard, state: TrialState, id: str, stand: Standing, shown: int, index: int | None
) -> ProofCell:
    candidate = wizard.candidate(id)
    answer = state.answers.get(id, {}).get(shown)
    top = () if answer is None else top_of(answer, wizard.labels)
    words = [f"{short_label(o.identifier)}{_APART}{_share(o.confidence)}" for o in top]
    sure = _share(stand.confidence)
    proof = f"{stand.right} of {stand.of} right, {sure} sure" if stand.of else ""
    return ProofCell(
        id=id,
        row=candidate.row,
        column=candidate.column,
        best=words[0] if words else ("–" if state.error else "…"),
        rest=" · ".join(words[1:]),
        proof=proof,
        share=stand.confidence,
        chosen=id == wizard.chosen,
        right=top[0].index == index if top and index is not None else None,
    )


def _doubt(wizard: Wizard, state: TrialState) -> str:
    """What in the chosen candidate's answers speaks against the way that they are read."""
    answers = state.answers.get(wizard.chosen, {}).values()
    return next((answer.doubt for answer in answers if answer.doubt), "")


def _outputs(wizard: Wizard) -> tuple[Choice, ...]:
    choices = []
    for one in wizard.outputs:
        words = [word for word in (one.name, one.shape, one.look) if word]
        title = " · ".join((short_name(words[0]), *words[1:]))
        choices.append(Choice(one.name, title, ", ".join(words), one.name == wizard.output))
    return tuple(choices)


def _kinds(wizard: Wizard) -> tuple[Choice, ...]:
    return tuple(
        Choice(one.kind, one.title, f"{one.title} {one.meaning}", one.kind == wizard.kind)
        for one in wizard.kinds
    )


def _reading(wizard: Wizard, doubt: str) -> str:
    chosen = next((one for one in wizard.kinds if one.kind == wizard.kind), None)
    if chosen is None:
        return ""
    if doubt:
        return f"The answers speak against it: {doubt}."
    origin = f", {wizard.kind_origin}" if wizard.kind_origin else ""
    return f"{chosen.title} {chosen.meaning}{origin}."


def _share(share: float) -> str:
    """Whole percent; 100 only when it is."""
    return f"{share * 100:.0f} %" if share < 0.995 or share == 1 else "99 %"


def _caption(wizard: Wizard, shown: int, index: int | None, bundled: int) -> str:
    if shown == LIVE:
        return "What is live now"
    if index is not None:
        return f"This is known to be: {short_label(wizard.labels[index])}"
    return "Comes with Twinlens" if shown < bundled else "Your picture"


def _status(wizard: Wizard, pictures: int, state: TrialState, stands: dict[str, Standing]) -> str:
    if state.error is not None:
        return f"Fed like this it does not run: {state.error.message}"
    if not state.done:
        tried = sum(at >= 0 for answers in state.answers.values() for at in answers)
        return f"Trying {len(wizard.candidates())} × {pictures} pictures: {tried} answered"
    winner = best(stands)
    if winner is None:
        if wizard.labels_from == NUMBERS:
            return "Without names no answer can be called right. Add names, or go on without."
        if wizard.labels and any(stand.of for stand in stands.values()):
            other = "Another output may be meant. " if wizard.outputs else ""
            return f"None reads the pictures right. {other}Drop a picture whose answer you know."
        return "No picture here shows a class of this model. Drop one whose answer you know."
    stand = stands[winner]
    if len(stands) == 1:
        return f"It reads {stand.right} of {stand.of} known pictures right."
    if 2 * stand.right < stand.of:
        return (
            f"Even the best reads only {stand.right} of {stand.of} right: the labels may be in "
            "another order, or the model made for other pictures."
        )
    named = wizard.candidate(winner)
    text = f"Surest of what is right: {named.row}, {named.column}."
    near = [wizard.candidate(id) for id in close_to(winner, stands)[:2]]
    if near:
        others = "; ".join(f"{one.row}, {one.column}" for one in near)
        text += f" Close behind: {others}. A picture of your own may tell them apart."
    return text


def _labels(wizard: Wizard) -> str:
    problem, classes = wizard.report.found.problem, wizard.report.classes
    if wizard.labels_from == NUMBERS and wizard.labels:
        return f"{len(wizard.labels):,} classes, called by their numbers"
    if wizard.labels:
        whose = "ImageNet’s " if wizard.labels_from == Origin.CONVENTION.value else ""
        return f"{whose}{len(wizard.labels):,} names, {wizard.labels_from}"
    needed = f"{classes:,} names" if classes is not None else "One name a line"
    return f"{problem.message if problem else 'None yet'}. {needed} are needed."


def _snapshot(inputs: Inputs[Proof | None]) -> ProofView | None:
    return proof_view(inputs.own) if inputs.own is not None else None


WIZARD = View(
    id="wizard",
    title="Model setup",
    place=Place.DRAWER,
    data=ProofView,
    snapshot=_snapshot,
)
