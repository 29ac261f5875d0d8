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

from twinlens.app.core.setup.golden import Golden
from twinlens.app.core.setup.preflight import Preflight
from twinlens.engine.api.labels import fitting
from twinlens.engine.api.observations import ClassificationObservation
from twinlens.engine.api.protocol import ModelSpec, Network
from twinlens.engine.errors import LabelError
from twinlens.engine.image import CropAndScale, Recipe
from twinlens.models.identify.labels import numbered, read_labels

Shares = NDArray[np.float32]
"""Probability of each class, (classes,)."""

TOP = 3
SIZES = (32, 96, 128, 160, 192, 224, 256, 299, 384)
LAYOUTS = ("NCHW", "NHWC")
AS_KNOWN = "as-known"
"""Id of the only candidate of a model whose values are known."""


@dataclass(frozen=True)
class Values:
    """A way of scaling pixels that many tools use.

    Attributes:
        id, title: its names.
        scale: factor on pixels of 0 to 255.
        mean: then subtracted; of R, G, B, or of grey.
        std: then divides.
    """

    id: str
    title: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


COLOUR_VALUES = (
    Values("unit", "0 to 1", 1 / 255, (0.0,) * 3, (1.0,) * 3),
    Values("symmetric", "−1 to 1", 1 / 127.5, (1.0,) * 3, (1.0,) * 3),
    Values("imagenet", "ImageNet mean, std", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    Values("pixels", "0 to 255", 1.0, (0.0,) * 3, (1.0,) * 3),
    # Means of ImageNet's training pictures, as Caffe's VGG models subtract them.
    Values("caffe", "Caffe mean", 1.0, (123.68, 116.779, 103.939), (1.0,) * 3),
)
GREY_VALUES = (
    Values("unit", "0 to 1", 1 / 255, (0.0,), (1.0,)),
    Values("symmetric", "−1 to 1", 1 / 127.5, (1.0,), (1.0,)),
    Values("mnist", "MNIST mean, std", 1 / 255, (0.1307,), (0.3081,)),
    Values("pixels", "0 to 255", 1.0, (0.0,), (1.0,)),
)
COLOUR_COLUMNS = ("RGB", "BGR")
GREY_COLUMNS = ("as it is", "inverted")


@dataclass(frozen=True)
class Candidate:
    """A recipe that may be the right one.

    Attributes:
        id: ``"symmetric BGR"`` ...
        row: how values are scaled.
        column: order of colours, or whether grey is inverted.
        recipe: all of it.
    """

    id: str
    row: str
    column: str
    recipe: Recipe


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
    """

    shares: Shares
    best: tuple[int, ...]

    @classmethod
    def of(cls, shares: Shares) -> Answer:
        """Rank an answer, once: of tens of thousands of classes it takes its time."""
        least = np.partition(shares, -TOP)[-TOP] if len(shares) > TOP else shares.min(initial=0.0)
        high = np.flatnonzero(shares >= least)  # equals of the last one, too
        order = high[np.argsort(-shares[high], kind="stable")][:TOP]
        return cls(shares, tuple(int(index) for index in order))


class Wizard:
    """Questions about one model, and the answers so far.

    Args:
        report: what is known of it.
    """

    def __init__(self, report: Preflight) -> None:
        self.report = report
        spec = report.spec
        # Names are asked for; a model runs without, too, but here somebody is there to give them.
        self.labels: tuple[str, ...] = spec.labels if report.named else ()
        self.labels_from = report.origins["labels"].value if report.named else ""
        self._labels_chosen = False
        self._take_base(spec.recipe)
        self.chosen = next(
            (c.id for c in self.candidates() if _alike(c.recipe, spec.recipe)),
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
        return fitting(
            read_labels(path),
            self.report.outputs,
            spec.background_outputs,
            source=path.name,
            of=spec.title,
        )

    def number_labels(self) -> None:
        """Let the classes be called by their numbers; nothing happens where none are known."""
        if self.report.classes:
            self.take_labels(numbered(self.report.classes), "numbers")

    def take_labels(self, names: tuple[str, ...], source: str) -> None:
        """Take labels that fit.

        Args:
            names: one for each class.
            source: where they are from, for display.
        """
        self.labels, self.labels_from, self._labels_chosen = names, source, True

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
        self._candidates = {candidate.id: candidate for candidate in self._made_of(base)}

    def _made_of(self, base: Recipe) -> tuple[Candidate, ...]:
        if not self.asks_values:
            return (Candidate(AS_KNOWN, self._known_values(), base.color, base),)
        grey = base.color == "GRAY"
        make = _grey if grey else _coloured
        return tuple(
            Candidate(f"{values.id} {column}", values.title, column, make(base, values, column))
            for values in (GREY_VALUES if grey else COLOUR_VALUES)
            for column in (GREY_COLUMNS if grey else COLOUR_COLUMNS)
        )

    def _known_values(self) -> str:
        return f"values {self.report.origins['values'].value}"

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
        spec = replace(self.report.spec, labels=labels, recipe=self.candidates()[0].recipe)
        return self.report.found.network_as(spec)

    @property
    def spec(self) -> ModelSpec:
        """The model as it was answered.

        Raises:
            LabelError: labels have not been chosen yet.
        """
        if not self.labels:
            raise LabelError(f"{self.report.spec.title}: {self.missing.lower()}")
        return replace(self.report.spec, labels=self.labels, recipe=self.recipe, notes=())

    @property
    def network(self) -> Network:
        """What an engine loads of the model as it was answered; raises as ``spec``."""
        return self.report.found.network_as(self.spec)

    @property
    def kept(self) -> dict[str, Any]:
        """What is to be kept beside the model, so that nothing is asked next time."""
        values: dict[str, Any] = {"labels": list(self.labels)} if self._labels_chosen else {}
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


def _coloured(base: Recipe, values: Values, order: str) -> Recipe:
    step = 1 if order == "RGB" else -1
    mean, std = values.mean[::step], values.std[::step]
    if base.channels == 4:
        # Alpha is scaled as the colours are where they are all scaled alike.
        alike = len({*mean}) == len({*std}) == 1
        mean, std = (*mean, mean[0] if alike else 0.0), (*std, std[0] if alike else 1.0)
        order += "A"
    return replace(base, color=order, scale=values.scale, mean=mean, std=std)


def _grey(base: Recipe, values: Values, column: str) -> Recipe:
    scale, mean = values.scale, values.mean
    if column == "inverted":  # 255 - pixel in place of pixel
        scale, mean = -scale, tuple(m - 255 * values.scale for m in mean)
    return replace(base, scale=scale, mean=mean, std=values.std)


def _alike(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes scale values and order colours alike."""
    return one.color == other.color and bool(
        np.allclose(
            [one.scale, *one.mean, *one.std], [other.scale, *other.mean, *other.std], rtol=1e-6
        )
    )
