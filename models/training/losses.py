"""What the student is asked to copy: probabilities, logits, features.

The divergence of probabilities (Hinton et al. 2015) says next to nothing of classes that no picture
shows: their probability is about 1e-5 wherever one looks. Logits and features do (Kim et al. 2021
compare the two; FitNets, Romero et al. 2015, for features), and half of the 1,000 classes have
hardly a picture here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .teachers import Answer, Ensemble


@dataclass(frozen=True)
class Weights:
    """How much each part counts; 0 leaves it out."""

    probabilities: float = 1.0
    logits: float = 0.05
    pooled: float = 0.3
    bottleneck: float = 0.3
    hard: float = 0.3

    @property
    def needs_features(self) -> bool:
        """Whether any part looks at features."""
        return self.pooled > 0 or self.bottleneck > 0


class Projections(nn.Module):
    """Linear maps from the student's features to each teacher's; thrown away after training."""

    def __init__(self, student: Answer, teachers: Sequence[Answer]) -> None:
        super().__init__()
        width, narrow = student.pooled.shape[1], student.bottleneck.shape[1]
        self.pooled = nn.ModuleList(nn.Linear(width, t.pooled.shape[1]) for t in teachers)
        self.bottleneck = nn.ModuleList(
            nn.Conv2d(narrow, t.bottleneck.shape[1], 1) for t in teachers
        )


def relative_error(guess: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error in units of the channel's variance over the batch."""
    axes = (0, 2, 3) if wanted.ndim == 4 else (0,)
    wanted = wanted.float()
    spread = wanted.var(axes, keepdim=True).clamp(min=1e-3)
    return ((guess.float() - wanted).square() / spread).mean()


def with_hard_labels(probabilities: Tensor, labels: Tensor, share: float) -> Tensor:
    """Blend known classes (N,) int64, -1 = unknown, into the teachers' probabilities."""
    known = labels >= 0
    one_hot = functional.one_hot(labels.clamp(min=0), probabilities.shape[1])
    blended = (1 - share) * probabilities + share * one_hot
    return torch.where(known[:, None], blended, probabilities)


def distillation(
    student: Answer,
    teachers: Sequence[Answer],
    ensemble: Ensemble,
    projections: Projections | None,
    weights: Weights,
    labels: Tensor | None = None,
) -> Tensor:
    """The loss of one batch. `labels` are given only for pictures that are not mixtures."""
    wanted = ensemble.probabilities(list(teachers))
    if labels is not None and weights.hard > 0:
        wanted = with_hard_labels(wanted, labels, weights.hard)
    logits = student.logits.float()
    loss = weights.probabilities * functional.kl_div(
        logits.log_softmax(1), wanted, reduction="batchmean"
    )
    if weights.logits > 0:
        centred = logits - logits.mean(1, keepdim=True)
        loss = loss + weights.logits * functional.mse_loss(centred, ensemble.logits(list(teachers)))
    if projections is not None and weights.needs_features:
        for number, teacher in enumerate(teachers):
            share = ensemble.weights[number]
            pooled = projections.pooled[number](student.pooled)
            bottleneck = projections.bottleneck[number](student.bottleneck)
            loss = loss + share * weights.pooled * relative_error(pooled, teacher.pooled)
            loss = loss + share * weights.bottleneck * relative_error(
                bottleneck, teacher.bottleneck
            )
    return loss
