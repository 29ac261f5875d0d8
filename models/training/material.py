"""What a run learns from and is measured on: pictures, teachers, held-out pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from . import data
from .teachers import Ensemble, Teacher

TEACHERS = ((2.0, "edgetpu.onnx"), (1.0, "mbv2.onnx"))
HELD_OUT_SOURCE = "ajschumacher/imagen"  # known classes, one picture each: chosen by, never learned


def load_ensemble(folder: Path, device: str, half: torch.dtype) -> Ensemble:
    """Read both teachers."""
    return Ensemble([(w, Teacher(folder / name, half)) for w, name in TEACHERS]).to(device).eval()


@torch.no_grad()
def teacher_classes(pictures: Tensor, teachers: Ensemble, dtype: torch.dtype) -> Tensor:
    """What the teachers call each stored picture, (N,) int64."""
    answers = []
    for part in pictures.split(1024):
        x = part.permute(0, 3, 1, 2).to(dtype) / 127.5 - 1
        x = functional.interpolate(x, (192, 192), mode="bilinear")
        x = x.contiguous(memory_format=torch.channels_last)
        answers.append(teachers.probabilities(teachers(x)).argmax(1))
    return torch.cat(answers)


def sampling_weights(classes: Tensor, power: float) -> Tensor:
    """Odds of each picture, so that a class counts by its size to the power 1 - `power`."""
    sizes = torch.bincount(classes, minlength=1000).float()
    return sizes[classes].pow(-power)


@dataclass
class Material:
    """Pictures (N, S, S, 3) uint8, classes (N,) or -1, both on the device; teachers; measures.

    The last `synthetic` pictures are drawn, the others real.
    """

    pictures: Tensor
    labels: Tensor
    called: Tensor
    synthetic: int
    teachers: Ensemble
    held_out: tuple[Tensor, Tensor]
    measured: tuple[Tensor, Tensor]
    device: str
    half: torch.dtype

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str,
        *,
        synthetic: Path | None = None,
        limit: int | None = None,
    ) -> Material:
        """Read the shards, the teachers, `eval.zip`, and drawn pictures where there are any."""
        half = torch.float16 if device == "cuda" else torch.float32
        teachers = load_ensemble(folder, device, half)
        stored = data.load_shards(sorted(folder.glob("shard-*.zip")), limit=limit)
        chosen = (stored.sources == HELD_OUT_SOURCE) & (stored.classes >= 0)
        held = stored.where(chosen)
        stored = stored.where(stored.sources != HELD_OUT_SOURCE)
        pictures = torch.from_numpy(stored.pixels).to(device)
        labels = torch.from_numpy(stored.classes).to(device)
        eval_pictures, eval_classes = data.load_labelled(folder / "eval.zip")
        material = cls(
            pictures,
            labels,
            teacher_classes(pictures, teachers, half),
            0,
            teachers,
            (torch.from_numpy(held.pixels), torch.from_numpy(held.classes)),
            (torch.from_numpy(eval_pictures), torch.from_numpy(eval_classes)),
            device,
            half,
        )
        if synthetic is not None:
            material.add(torch.from_numpy(data.load_synthetic(synthetic)))
        return material

    def add(self, drawn: Tensor) -> None:
        """Learn from drawn pictures too."""
        drawn = drawn.to(self.device)
        self.pictures = torch.cat([self.pictures, drawn])
        self.labels = torch.cat([self.labels, self.labels.new_full((len(drawn),), -1)])
        called = teacher_classes(drawn, self.teachers, self.half)
        self.called = torch.cat([self.called, called])
        self.synthetic += len(drawn)

    def coverage(self) -> Tensor:
        """How many real pictures the teachers call by each class, (1000,)."""
        real = self.called[: len(self.called) - self.synthetic]
        return torch.bincount(real, minlength=1000)

    def odds(self, power: float, synthetic_share: float) -> Tensor:
        """Odds of each picture to be drawn for a batch."""
        real = len(self.called) - self.synthetic
        odds = sampling_weights(self.called[:real], power)
        odds = odds / odds.sum()
        if self.synthetic == 0:
            return odds
        others = sampling_weights(self.called[real:], power)
        others = others / others.sum()
        return torch.cat([(1 - synthetic_share) * odds, synthetic_share * others])
