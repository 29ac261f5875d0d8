"""What has to be asked about a model, what may be answered, and which answer proves right.

The wizard holds answers and changes nothing until somebody takes its ``spec`` and ``kept``. It
knows no window; what the candidates answer on pictures comes from a ``Trial``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.app.core.setup.candidates import AS_KNOWN, Candidate, alike, candidates_of
from twinlens.app.core.setup.golden import Golden
from twinlens.app.core.setup.preflight import Preflight
from twinlens.app.core.setup.reading import (
    KindChoice,
    OutputChoice,
    kind_choices,
    output_choices,
)
from twinlens.engine.api.observations import ClassificationObservation
from twinlens.engine.api.protocol import ModelSpec, Network, OutputKind
from twinlens.engine.errors import LabelError, ModelError
from twinlens.engine.image import CropAndScale, Recipe
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.labels import fitted, numbered, read_labels
from twinlens.models.identify.outputs import how_read

Shares = NDArray[np.float32]
"""Probability of each class, (classes,)."""

TOP = 3
SIZES = (32, 96, 128, 160, 192, 224, 256, 299, 384)
LAYOUTS = ("NCHW", "NHWC")
NUMBERS = "numbers"
"""Where labels come from that nobody gave."""


@dataclass(frozen=True)
class Standing:
    """How a candidate has done on the pictures whose class is known.

    Attributes:
        right: pictures whose best class is the known one.
        of: pictures with a known class that were tried.
        confidence: mean probability of the known classes; 0 where there are none.
    """

    right: int = 0
    of: int = 0
    confidence: float = 0.0


@dataclass(frozen=True, eq=False)
class Answer:
    """What a candidate makes of a picture.

    Attributes:
        shares: probability of each class, (classes,) float32; nobody writes to it.
        best: the ``TOP`` best classes, best first; of equals the lower one first.
        doubt: what in its numbers speaks against the way that they are read; empty where nothing.
    """

    shares: Shares
    best: tuple[int, ...]
    doubt: str = ""

    @classmethod
    def of(cls, shares: Shares, doubt: str = "") -> Answer:
        """Rank an answer, once: of tens of thousands of classes it takes its time."""
        least = np.partition(shares, -TOP)[-TOP] if len(shares) > TOP else shares.min(initial=0.0)
        high = np.flatnonzero(shares >= least)  # equals of the last one, too
        order = high[np.argsort(-shares[high], kind="stable")][:TOP]
        return cls(shares, tuple(int(index) for index in order), doubt)


class Wizard:
    """Questions about one model, and the answers so far.

    Args:
        report: what is known of it.
        doubted: whether its answers spoke against the way that they are read, so that it is asked.
    """

    def __init__(self, report: Preflight, *, doubted: bool = False) -> None:
        self.report = report
        spec = report.spec
        self._labels_chosen = False
        self.labels, self.labels_from = self._labels_of_report()
        self._doubted = doubted
        self._kind: OutputKind | None = None
        self._take_base(spec.recipe)
        self.chosen = next(
            (c.id for c in self.candidates() if alike(c.recipe, spec.recipe)),
            self.candidates()[0].id,
        )
        self.chosen_by_hand = False

    def copy(self) -> Wizard:
        """The answers as they are now, which later ones do not change; for another thread."""
        return copy(self)

    @property
    def asks_values(self) -> bool:
        """Whether nothing states how values are scaled."""
        return "values" in self.report.asks

    @property
    def asks_size(self) -> bool:
        """Whether the model leaves its size open."""
        return "size" in self.report.asks

    @property
    def asks_layout(self) -> bool:
        """Whether the input's sizes do not show which axis has the colours."""
        return "layout" in self.report.asks

    @property
    def outputs(self) -> tuple[OutputChoice, ...]:
        """Outputs to choose from, the likeliest first; none where the file says which is meant."""
        return output_choices(self.report.found.known)

    @property
    def output(self) -> str:
        """Name of the output that is read; empty where nothing tells outputs apart."""
        read = self.report.found.known.read
        return "" if read is None else read.answer.title

    @property
    def kinds(self) -> tuple[KindChoice, ...]:
        """Ways of reading the output; none where nothing speaks against the one that was found."""
        asked = self._doubted or self._kind is not None or self.outputs
        return kind_choices(self.report.found.known) if asked else ()

    @property
    def kind(self) -> OutputKind:
        """How the output is read."""
        return self._kind or self.report.spec.output

    @property
    def kind_origin(self) -> str:
        """Where it comes from that it is read so, for display."""
        read = self.report.found.known.read
        if self._kind is not None or read is None:
            return ""
        if read.origin is Origin.FILE:
            return f"told by its {read.answer.reading.how}"
        return str(read.origin.value)

    @property
    def recipe(self) -> Recipe:
        """The chosen candidate's recipe."""
        return self.candidate(self.chosen).recipe

    @property
    def missing(self) -> str:
        """What has to be answered before the model can be used; empty when all is."""
        return "" if self.labels else "Choose labels first."

    # --- answers ---------------------------------------------------------------------------

    def choose(self, candidate: str) -> None:
        """Choose a candidate by hand; no proof overrides it any more.

        Raises:
            KeyError: there is none of that id.
        """
        self.chosen, self.chosen_by_hand = self.candidate(candidate).id, True

    def prefer(self, candidate: str | None) -> None:
        """Choose the candidate that proved best, unless somebody chose another one."""
        if candidate is not None and not self.chosen_by_hand:
            self.chosen = candidate

    def read_labels(self, path: Path) -> None:
        """Take labels out of a file, one name a line.

        Raises:
            LabelError: it cannot be read, or its number of names is not that of the classes.
        """
        self.take_labels(self.labels_in(path), path.name)

    def labels_in(self, path: Path) -> tuple[str, ...]:
        """The labels in a file, which fit the model; changes nothing. Raises as ``read_labels``."""
        spec = self.report.spec
        return fitted(
            read_labels(path),
            self.report.outputs,
            spec.background_outputs,
            source=path.name,
            of=spec.title,
        )

    def number_labels(self) -> None:
        """Let the classes be called by their numbers; nothing happens where none are known."""
        if self.report.classes:
            self.take_labels(numbered(self.report.classes), NUMBERS)

    def take_labels(self, names: tuple[str, ...], source: str) -> None:
        """Take labels that fit.

        Args:
            names: one for each class.
            source: where they are from, for display.
        """
        self.labels, self.labels_from, self._labels_chosen = names, source, True

    def set_kind(self, kind: str) -> None:
        """Choose how the output is read.

        Raises:
            ModelError: it cannot be read so; names the ways that there are.
        """
        known = {choice.kind: choice.kind for choice in kind_choices(self.report.found.known)}
        if kind not in known:
            title, listed = self.report.spec.title, ", ".join(known) or "none"
            raise ModelError(f"{title}: its output cannot be {kind!r}; ways of reading: {listed}")
        self._kind = known[kind]

    def doubt(self) -> None:
        """Ask how the output is read, since answers speak against it."""
        self._doubted = True

    def take_output(self, report: Preflight) -> None:
        """Read another output; labels that a person chose stay where there are as many classes.

        Args:
            report: the same model, looked at at that output.
        """
        self.report, self._kind = report, None
        if not self._labels_chosen or len(self.labels) != report.classes:
            self._labels_chosen = False
            self.labels, self.labels_from = self._labels_of_report()

    def set_crop(self, crop: CropAndScale) -> None:
        """Choose how pictures of another shape are fitted."""
        self._take_base(replace(self._base, crop_and_scale=crop))

    def set_layout(self, layout: str) -> None:
        """Choose the order of axes; raises ModelError for one that there is not."""
        self._take_base(replace(self._base, layout=layout))

    def set_size(self, size: int) -> None:
        """Choose the side of a square input; raises ModelError for one that cannot be."""
        self._take_base(replace(self._base, width=size, height=size))

    # --- what may be, and what is right ----------------------------------------------------

    def candidates(self) -> tuple[Candidate, ...]:
        """Recipes that may be right, row by row; one only where the values are known."""
        return tuple(self._candidates.values())

    def _take_base(self, base: Recipe) -> None:
        """What candidates have in common; they are made here, and not at each look-up."""
        self._base = base
        made = candidates_of(base) if self.asks_values else (self._as_known(base),)
        self._candidates = {candidate.id: candidate for candidate in made}

    def _as_known(self, base: Recipe) -> Candidate:
        row = f"values {self.report.origins['values'].value}"
        return Candidate(AS_KNOWN, row, base.color, base)

    def candidate(self, id: str) -> Candidate:
        """A candidate by its id.

        Raises:
            KeyError: there is none of that id.
        """
        return self._candidates[id]

    @property
    def trial_network(self) -> Network:
        """A model that can be loaded to try candidates on, even before labels are known."""
        labels = self.labels or numbered(self.report.classes or 0)
        spec = replace(self._read_spec, labels=labels, recipe=self.candidates()[0].recipe)
        return self.report.found.network_as(spec)

    @property
    def _read_spec(self) -> ModelSpec:
        """The model, read as was chosen."""
        model = self.report.found.known
        if self._kind is None or model.described is None:
            return model.spec
        fields = how_read(model.described, name=self.output, kind=self._kind).spec
        return replace(model.spec, **fields)

    def _labels_of_report(self) -> tuple[tuple[str, ...], str]:
        """(names, where they come from); a class without a name is called by its number."""
        named = self.report.named
        return self.report.spec.labels, self.report.origins["labels"].value if named else NUMBERS

    @property
    def spec(self) -> ModelSpec:
        """The model as it was answered.

        Raises:
            LabelError: labels have not been chosen yet.
        """
        if not self.labels:
            raise LabelError(f"{self.report.spec.title}: {self.missing.lower()}")
        return replace(self._read_spec, labels=self.labels, recipe=self.recipe, notes=())

    @property
    def network(self) -> Network:
        """What an engine loads of the model as it was answered; raises as ``spec``."""
        return self.report.found.network_as(self.spec)

    @property
    def kept(self) -> dict[str, Any]:
        """What is to be kept beside the model, so that nothing is asked next time."""
        values: dict[str, Any] = {"labels": list(self.labels)} if self._labels_chosen else {}
        if self.outputs:
            values["output_name"] = self.output
        if self.kinds:
            values["output"] = self.kind
        return values | {"recipe": self.recipe.to_dict()}


def standing(
    pictures: Sequence[Golden], answers: Mapping[int, Answer], labels: Sequence[str]
) -> Standing:
    """How a candidate has done.

    Args:
        pictures: what was shown.
        answers: its answers by the picture's place; pictures that were not tried are missing.
        labels: names of the classes; none where they are not known yet.
    """
    return standing_on(answers, [picture.index(labels) for picture in pictures])


def standing_on(answers: Mapping[int, Answer], known: Sequence[int | None]) -> Standing:
    """How a candidate has done on pictures whose classes, or None, are these; as ``standing``."""
    pairs = [
        (answer, index)
        for at, answer in answers.items()
        if at >= 0 and (index := known[at]) is not None and index < len(answer.shares)
    ]
    if not pairs:
        return Standing()
    right = sum(answer.best[0] == index for answer, index in pairs)
    confidence = sum(float(answer.shares[index]) for answer, index in pairs) / len(pairs)
    return Standing(right, len(pairs), confidence)


CLOSE = 0.05
"""Difference of two candidates' confidence that ten pictures do not prove."""


def best(standings: Mapping[str, Standing]) -> str | None:
    """The candidate that is surest of the known classes; None while there is no proof."""
    known = {id: stand for id, stand in standings.items() if stand.of and stand.right}
    return max(known, key=lambda id: (known[id].confidence, known[id].right)) if known else None


def close_to(id: str, standings: Mapping[str, Standing]) -> tuple[str, ...]:
    """Other candidates that are nearly as sure as that one, surest first."""
    least = standings[id].confidence - CLOSE
    near = [k for k, stand in standings.items() if k != id and stand.confidence >= least]
    return tuple(sorted(near, key=lambda k: -standings[k].confidence))


def top_of(answer: Answer, labels: Sequence[str]) -> tuple[ClassificationObservation, ...]:
    """The three best classes, by number where they have no names yet."""
    count = len(answer.shares)
    names = labels if len(labels) == count else numbered(count)
    return tuple(
        ClassificationObservation(names[index], float(answer.shares[index]), index)
        for index in answer.best
    )
