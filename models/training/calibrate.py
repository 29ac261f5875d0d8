"""Fit the last layer's bias and temperature on pictures that the run did not learn from.

    python -m twinlens.models.training.calibrate --data FOLDER --weights student_fp16.pt \
        --coverage coverage.txt --out calibrated.pt

Two numbers are fitted to the held-out pictures by their likelihood: how much of the classes' own
frequency in training is taken out of the logits (logit adjustment, Menon et al. 2021), and a
temperature (Guo et al. 2017). Both are then multiplied into the last layer: the network's shape
stays as it is.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import data, evaluate
from .material import HELD_OUT_SOURCE
from .student import Student

SHARES = (0.0, 0.1, 0.2)  # more would bet on classes that training hardly showed
TEMPERATURES = tuple(round(0.4 + 0.05 * step, 2) for step in range(17))


@dataclass(frozen=True)
class Calibration:
    """`logits' = (logits - share * log_frequency) / temperature`."""

    share: float
    temperature: float
    log_frequency: NDArray[np.float64]

    def __call__(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Adjusted logits (N, 1000)."""
        return (logits.astype(np.float64) - self.share * self.log_frequency) / self.temperature

    def apply(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same weights with both numbers in the last layer."""
        shift = torch.from_numpy(self.share * self.log_frequency)
        bias = (state["classifier.bias"].double() - shift) / self.temperature
        weight = state["classifier.weight"].double() / self.temperature
        kind = state["classifier.weight"].dtype
        changed = {"classifier.bias": bias.to(kind), "classifier.weight": weight.to(kind)}
        return {**state, **changed}


def log_frequency(coverage: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logarithm of each class's share of the pictures, with one more for each."""
    counts = np.asarray(coverage, np.float64) + 1
    return np.asarray(np.log(counts / counts.sum()))


def probabilities(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Softmax over classes."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float64)


def surprise(logits: NDArray[np.floating], classes: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of the right classes, nats."""
    right = probabilities(logits)[np.arange(len(classes)), classes]
    return float(-np.log(right + 1e-12).mean())


def fit(
    logits: NDArray[np.floating], classes: NDArray[np.int64], frequency: NDArray[np.float64]
) -> Calibration:
    """The pair of numbers that makes the right classes likeliest."""
    candidates = (Calibration(s, t, frequency) for s in SHARES for t in TEMPERATURES)
    return min(candidates, key=lambda one: surprise(one(logits), classes))


@torch.no_grad()
def held_out_logits(
    student: Student, pictures: NDArray[np.uint8], size: int
) -> NDArray[np.float64]:
    """Logits up to a constant for each picture."""
    answers = evaluate.probabilities(student, pictures, size, "cpu")
    return np.asarray(np.log(answers.astype(np.float64) + 1e-12))


def main() -> None:
    """Fit on the held-out pictures, write the changed weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--coverage", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=208)
    given = parser.parse_args()
    state = torch.load(given.weights, map_location="cpu", weights_only=True)
    student = Student()
    student.load_state_dict({k: v.float() for k, v in state.items()})
    shards = sorted(given.data.glob("shard-*.zip"))
    held = data.load_shards(shards, only=HELD_OUT_SOURCE)
    held = held.where(held.classes >= 0)
    logits = held_out_logits(student.eval(), held.pixels, given.size)
    frequency = log_frequency(np.loadtxt(given.coverage))
    found = fit(logits, held.classes, frequency)
    before = evaluate.score(probabilities(logits), held.classes)
    after = evaluate.score(probabilities(found(logits)), held.classes)
    torch.save(found.apply(state), given.out)
    sys.stdout.write(f"share {found.share}, temperature {found.temperature}\n")
    sys.stdout.write(f"held out before: {before}\nheld out after: {after}\n")


if __name__ == "__main__":
    main()
