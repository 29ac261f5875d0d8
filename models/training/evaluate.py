"""Measures: top-1 and top-5 with standard errors, and the expected calibration error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Score:
    """Shares in 0..1; the standard errors are those of a share among `count` pictures."""

    count: int
    top1: float
    top5: float
    ece: float

    @property
    def top1_error(self) -> float:
        """Standard error of top-1."""
        return math.sqrt(self.top1 * (1 - self.top1) / self.count)

    @property
    def top5_error(self) -> float:
        """Standard error of top-5."""
        return math.sqrt(self.top5 * (1 - self.top5) / self.count)

    def __str__(self) -> str:
        return (
            f"top-1 {self.top1:.1%} ± {self.top1_error:.1%}, "
            f"top-5 {self.top5:.1%} ± {self.top5_error:.1%}, ECE {self.ece:.3f} (n={self.count})"
        )


def calibration_error(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 15
) -> float:
    """Expected calibration error over equal bins of confidence (Guo et al. 2017)."""
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    total = 0.0
    for number in range(bins):
        inside = index == number
        if inside.any():
            gap = abs(float(confidence[inside].mean()) - float(right[inside].mean()))
            total += gap * float(inside.mean())
    return total


def score(probabilities: NDArray[np.floating], classes: NDArray[np.int64]) -> Score:
    """Compare (N, 1000) probabilities with the right classes (N,)."""
    if len(probabilities) != len(classes):
        raise ValueError(f"{len(probabilities)} answers for {len(classes)} pictures")
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    right = best[:, 0] == classes
    return Score(
        count=len(classes),
        top1=float(right.mean()),
        top5=float((best == classes[:, None]).any(1).mean()),
        ece=calibration_error(probabilities.max(1), right),
    )


@torch.no_grad()
def probabilities(
    network: Callable[[Tensor], Tensor],
    pictures: NDArray[np.uint8],
    size: int,
    device: str,
    batch: int = 250,
) -> NDArray[np.float32]:
    """Answers of a network that gives logits, on whole pictures scaled to `size`."""
    answers = []
    for start in range(0, len(pictures), batch):
        x = torch.from_numpy(pictures[start : start + batch]).to(device).permute(0, 3, 1, 2)
        x = functional.interpolate(
            x.float(), (size, size), mode="bilinear", antialias=True, align_corners=False
        )
        answers.append(network(x / 127.5 - 1).float().softmax(1).cpu())
    return torch.cat(answers).numpy()
