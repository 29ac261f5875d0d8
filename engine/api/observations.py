"""From a network's raw outputs to sorted, named observations; shared by every engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import InferenceError

if TYPE_CHECKING:
    from twinlens.engine.api.protocol import ModelSpec


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
        raw: (outputs,) float32, logits or probabilities as ``spec.output`` says.
        spec: the model.

    Returns:
        (classes,) float32 in [0, 1]: softmax over all outputs where they are logits, then without
        the background outputs, so that the sum is 1 less the background's share.

    Raises:
        InferenceError: the output is not finite.
    """
    if not np.isfinite(raw).all():
        raise InferenceError(
            f"{spec.title} answered with numbers that are not finite",
            hint="The model or its precision is broken; try another engine.",
        )
    values = raw.astype(np.float64)
    if spec.output == "logits":
        powers = np.exp(values - values.max())
        values = powers / powers.sum()
    return values[spec.background_outputs :].astype(np.float32)


def top_k(
    probs: NDArray[np.float32], labels: tuple[str, ...], k: int
) -> tuple[ClassificationObservation, ...]:
    """Return the ``k`` best classes, best first; of equals the lower index first."""
    count = min(k, len(probs))
    # Ties at the cut have to go by index too, so the whole row is sorted stably.
    order = np.argsort(-probs, kind="stable")[:count]
    return tuple(
        ClassificationObservation(labels[index], float(probs[index]), int(index)) for index in order
    )
