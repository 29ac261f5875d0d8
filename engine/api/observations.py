"""From a network's raw outputs to sorted, named observations; shared by every engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.api.protocol import HOLDS
from twinlens.engine.errors import InferenceError

if TYPE_CHECKING:
    from twinlens.engine.api.protocol import ModelSpec


DOUBT_HINT = (
    "Its answers may be wrong. Say how its outputs are to be read: --output-kind, or output in "
    "NAME.toml beside it."
)
"""What helps where answers contradict the way that outputs are read."""

_SLACK = 0.02
"""How far from 0, 1 or their sum rounded numbers may be."""


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """How good a class's answers are at each confidence, measured on labelled pictures.

    Attributes:
        points: (confidence, precision, recall) triples: what holds for answers of at least that
            confidence, by rising confidence.
    """

    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class ClassificationObservation:
    """One class and how sure the network is of it.

    Attributes:
        identifier: the class label.
        confidence: probability in [0, 1].
        index: class index, counted without background outputs.
        curve: measured precision and recall of the class, where there is one.
    """

    identifier: str
    confidence: float
    index: int
    curve: PrecisionRecallCurve | None = field(default=None, repr=False)

    @property
    def has_precision_recall_curve(self) -> bool:
        """Whether the two questions below can be answered; without a curve they say no."""
        return self.curve is not None

    def has_minimum_precision(self, minimum: float, *, for_recall: float) -> bool:
        """Whether this answer passes at the strictest threshold that keeps ``for_recall``.

        The confidence has to reach that threshold, and of all answers there at least the share
        ``minimum`` has to be right.
        """
        points = self.curve.points if self.curve else ()
        wanted = [p for p in points if p[2] >= for_recall]
        return bool(wanted) and wanted[-1][1] >= minimum and self.confidence >= wanted[-1][0]

    def has_minimum_recall(self, minimum: float, *, for_precision: float) -> bool:
        """Whether this answer passes at the lowest threshold that keeps ``for_precision``.

        The confidence has to reach that threshold, and there at least the share ``minimum`` of
        what there is to find has to be found.
        """
        points = self.curve.points if self.curve else ()
        wanted = [p for p in points if p[1] >= for_precision]
        return bool(wanted) and wanted[0][2] >= minimum and self.confidence >= wanted[0][0]


def probabilities(raw: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float32]:
    """Turn a network's raw output into a probability for each class.

    Args:
        raw: (outputs,) float32, what ``spec.output`` says.
        spec: the model.

    Returns:
        (classes,) float32 in [0, 1]. Of classes of which one holds the sum is 1, less the share of
        the background outputs, which are left out; independent classes have no sum. One output is
        the second of two classes: (1 - p, p).

    Raises:
        InferenceError: the output is not finite.
    """
    if not np.isfinite(raw).all():
        raise InferenceError(
            f"{spec.title} answered with numbers that are not finite",
            hint="The model or its precision is broken; try another engine.",
        )
    values = _unscaled(raw, spec)
    kind = spec.output
    if kind == "logits" and values.size == 1:
        kind = "binary-logits"
    if kind == "logits":
        powers = np.exp(values - values.max())
        values = powers / powers.sum()
    elif kind in ("independent-logits", "binary-logits"):
        values = np.exp(-np.logaddexp(0.0, -values))
    elif kind in ("log-probabilities", "log-independent"):
        values = np.exp(np.minimum(values, 80.0))
    if values.size == 1:
        return np.asarray([1.0 - values[0], values[0]], np.float32)
    return values[spec.background_outputs :].astype(np.float32)


def contradiction(raw: NDArray[np.float32], spec: ModelSpec) -> str:
    """What in a network's raw output speaks against the way that it is read; empty where nothing.

    Args:
        raw: (outputs,) float32, finite.
        spec: the model.

    Returns:
        Words for a person, such as ``"its probabilities sum to 3.2"``.
    """
    values = _unscaled(raw, spec)
    kind, low, high = spec.output, float(values.min()), float(values.max())
    if kind == "logits":
        # Scores that are a distribution already would be flattened by another softmax.
        row = values.size > 2 and low >= 0 and high < 1 and abs(float(values.sum()) - 1) < 1e-4
        return "its scores are between 0 and 1 and sum to 1, as probabilities do" if row else ""
    if kind in ("independent-logits", "binary-logits"):
        return ""
    if kind in ("log-probabilities", "log-independent"):
        if high > _SLACK:
            return f"its logarithms of probabilities reach {high:.3g}, and may reach 0"
        values = np.exp(values)
    elif low < -_SLACK or high > 1 + _SLACK:
        return f"its probabilities go from {low:.3g} to {high:.3g}, and should from 0 to 1"
    if kind not in ("probabilities", "log-probabilities") or values.size == 1:
        return ""
    total = float(values.sum())
    # Numbers that were rounded to 8 bits each lose or gain up to 1/512.
    slack = _SLACK + min(0.5, values.size / 512)
    if total > 1 + slack or (total < 1 - slack and not spec.output_part):
        return f"its probabilities sum to {total:.3g}, and should to 1"
    return ""


def holding(probs: NDArray[np.float32], spec: ModelSpec) -> tuple[int, ...] | None:
    """Which independent classes hold, the surest first; None where exactly one class holds."""
    if not spec.independent or len(probs) != len(spec.labels):
        return None
    order = np.argsort(-probs, kind="stable")
    return tuple(int(index) for index in order if probs[index] >= HOLDS)


def _unscaled(raw: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float64]:
    values = raw.astype(np.float64)
    if spec.output_factor != 1 or spec.output_shift:
        values = (values - spec.output_shift) / spec.output_factor
    return values


def top_k(
    probs: NDArray[np.float32], labels: tuple[str, ...], k: int
) -> tuple[ClassificationObservation, ...]:
    """Return the ``k`` best classes, best first; of equals the lower index first.

    Numbers that contradict what they should be are still ordered, but shown within 0 and 1.
    """
    count = min(k, len(probs))
    # Ties at the cut have to go by index too, so the whole row is sorted stably.
    order = np.argsort(-probs, kind="stable")[:count]
    return tuple(
        ClassificationObservation(labels[i], min(1.0, max(0.0, float(probs[i]))), int(i))
        for i in order
    )
