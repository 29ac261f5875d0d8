"""From a network's raw outputs to sorted, named observations; shared by every engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassificationObservation:
    """One class and how sure the network is of it.

    Attributes:
        identifier: the class label.
        confidence: probability in [0, 1].
        index: class index, counted without background outputs.
    """

    identifier: str
    confidence: float
    index: int
