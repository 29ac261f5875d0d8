"""Pictures of classes that no picture shows, drawn from what the teachers know (DeepInversion).

    python -m twinlens.models.training.invert --data FOLDER --out synthetic.npz --seconds 280

Each picture starts as a blurred real one and is changed, by gradient, until both teachers call it
by a class of few real pictures. What keeps it looking like a picture: it is held as a spectrum
whose steps shrink with frequency (Olah et al. 2017), it is judged under random crops, noise and
blur, and the mean and variance of every convolution's channels are pulled towards those of real
pictures (Yin et al. 2020, "Dreaming to Distill").
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from . import augment, data
from .material import load_ensemble
from .teachers import Ensemble

DECAY = 1.3  # natural pictures have amplitudes of about one over the frequency
Statistics = list[list[tuple[Tensor, Tensor]]]


@dataclass
class Options:
    """How pictures are drawn; weights are relative to the cross-entropy of the class."""

    size: int = 128
    batch: int = 256
    steps: int = 240
    rate: float = 0.6
    statistics: float = 2.0
    variation: float = 0.3
    noise: float = 0.2
    thin: int = 40


def frequency_scale(size: int, device: torch.device | str) -> Tensor:
    """(size, size // 2 + 1) steps for each frequency: one over the frequency."""
    rows = torch.fft.fftfreq(size, device=device)[:, None]
    columns = torch.fft.rfftfreq(size, device=device)[None]
    frequency = (rows.square() + columns.square()).sqrt().clamp(min=1.0 / size)
    return (frequency * size).pow(-DECAY) * size


class Spectrum:
    """Pictures held as spectra: `pictures()` are (N, 3, size, size) in -1..1."""

    def __init__(self, start: Tensor) -> None:
        size = start.shape[-1]
        self.size = size
        self.scale = frequency_scale(size, start.device)[..., None] / size
        inside = torch.atanh(start.float().clamp(-0.95, 0.95))
        spectrum = torch.view_as_real(torch.fft.rfft2(inside, norm="ortho")) / self.scale
        self.values = spectrum.clone().requires_grad_()

    def pictures(self) -> Tensor:
        """Answer the pictures as they stand."""
        spectrum = torch.view_as_complex((self.values * self.scale).contiguous())
        return torch.fft.irfft2(spectrum, s=(self.size, self.size), norm="ortho").tanh()


def real_statistics(ensemble: Ensemble, pictures: Tensor) -> Statistics:
    """Mean and variance of each channel of each convolution, per teacher, over real pictures."""
    answers: Statistics = []
    with torch.no_grad():
        for teacher in ensemble.members:
            teacher(pictures)
            answers.append([(m.clone(), v.clone()) for m, v in teacher.statistics])
    return answers


def statistics_gap(ensemble: Ensemble, real: Statistics) -> Tensor:
    """How far the last batch's statistics are from real ones, mean over layers and teachers."""
    gaps: list[Tensor] = []
    for teacher, layers in zip(ensemble.members, real, strict=True):
        for (mean, variance), (real_mean, real_variance) in zip(
            teacher.statistics, layers, strict=True
        ):
            spread = real_variance + 1e-3
            shift = ((mean - real_mean).square() / spread).mean()
            ratio = ((variance + 1e-3) / spread).log().square().mean()
            gaps.append(shift + 0.5 * ratio)
    return torch.stack(gaps).mean()


def total_variation(x: Tensor) -> Tensor:
    """Mean absolute difference of neighbours."""
    return (x[..., 1:, :] - x[..., :-1, :]).abs().mean() + (x[..., 1:] - x[..., :-1]).abs().mean()


def blurred(pictures: Tensor, size: int) -> Tensor:
    """Real pictures as a start: only their coarse colours, at half contrast, with some noise."""
    small = functional.interpolate(pictures, (12, 12), mode="area")
    wide = functional.interpolate(small, (size, size), mode="bicubic").float()
    return 0.5 * wide


def look(pictures: Tensor, noise: float) -> Tensor:
    """The pictures as the teachers see them in one step: cropped, turned, coarse or noisy.

    Noise and a random lower resolution keep the gradient from fine patterns that only the teachers
    answer to: what survives has to be large, as in real objects.
    """
    size = pictures.shape[-1]
    view = augment.crop_and_turn(pictures, size, smallest_area=0.45)
    side = int(size * random.choice((0.4, 0.55, 0.75, 1.0)))
    if side < size:
        view = functional.interpolate(view, (side, side), mode="area")
        view = functional.interpolate(view, (size, size), mode="bilinear")
    view = view + noise * random.random() * torch.randn_like(view)
    return view.contiguous(memory_format=torch.channels_last)


def draw(
    ensemble: Ensemble, real: Statistics, start: Tensor, classes: Tensor, options: Options
) -> tuple[Tensor, Tensor]:
    """One batch: pictures (N, 3, size, size) in -1..1, and the odds of the class, (N,)."""
    spectrum = Spectrum(blurred(start, options.size))
    optimiser = torch.optim.Adam([spectrum.values], lr=options.rate, betas=(0.8, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.rate, total_steps=options.steps, pct_start=0.15
    )
    for _ in range(options.steps):
        pictures = spectrum.pictures()
        answers = ensemble(look(pictures, options.noise))
        loss = options.variation * total_variation(pictures)
        loss = loss + options.statistics * statistics_gap(ensemble, real)
        for answer in answers:
            loss = loss + functional.cross_entropy(answer.logits, classes)
        optimiser.zero_grad(set_to_none=True)
        (loss * len(classes)).backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        pictures = spectrum.pictures().clamp(-1, 1)
        odds = ensemble.probabilities(ensemble(pictures)).gather(1, classes[:, None])[:, 0]
    return pictures.detach(), odds


def thin_classes(coverage: Tensor, options: Options) -> Tensor:
    """Odds of each class: what it lacks to `options.thin` pictures, squared."""
    return (options.thin - coverage.float()).clamp(min=0).square()


def draw_for(
    ensemble: Ensemble, stored: Tensor, coverage: Tensor, seconds: float, options: Options
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]:
    """Draw batches for so long: (N, size, size, 3) uint8 RGB, classes, odds."""
    device = stored.device
    half = ensemble.members[0].dtype

    def sample(count: int) -> Tensor:
        chosen = torch.randperm(len(stored), device=device)[:count]
        x = stored[chosen].permute(0, 3, 1, 2).to(half) / 127.5 - 1
        return augment.crop_and_turn(x, options.size, smallest_area=0.45)

    for teacher in ensemble.members:
        teacher.keep_features = True
    real = real_statistics(ensemble, sample(min(2048, len(stored))))
    lacking = thin_classes(coverage.to(device), options)
    begun = time.monotonic()
    parts: list[tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]] = []
    while not parts or time.monotonic() - begun < seconds:
        classes = torch.multinomial(lacking, options.batch, replacement=False)
        pictures, odds = draw(ensemble, real, sample(options.batch), classes, options)
        levels = ((pictures + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
        parts.append((levels.cpu().numpy(), classes.cpu().numpy(), odds.float().cpu().numpy()))
    for teacher in ensemble.members:
        teacher.keep_features = False
        teacher.statistics = []
    pictures_, classes_, odds_ = (np.concatenate(column) for column in zip(*parts, strict=True))
    return pictures_, classes_, odds_


def main() -> None:
    """Draw pictures for the classes that `coverage.txt` counts as thin."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--coverage", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=280.0)
    parser.add_argument("--limit", type=int)
    for name, value in vars(Options()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    given = parser.parse_args()
    options = Options(**{name: getattr(given, name) for name in vars(Options())})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    half = torch.float16 if device == "cuda" else torch.float32
    ensemble = load_ensemble(given.data, device, half)
    shards = sorted(given.data.glob("shard-*.zip"))
    stored = torch.from_numpy(data.load_shards(shards, limit=given.limit).pixels).to(device)
    coverage = torch.from_numpy(np.loadtxt(given.coverage))
    pictures, classes, odds = draw_for(ensemble, stored, coverage, given.seconds, options)
    np.savez(given.out, pictures=pictures, classes=classes, odds=odds)


if __name__ == "__main__":
    main()
