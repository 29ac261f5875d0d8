"""Distillation with consistent teaching, for a wall-clock budget, from checkpoint to checkpoint.

    python -m twinlens.models.training.distill --data FOLDER --out FOLDER --seconds 500

The data folder holds `shard-*.zip` (pictures), `index.tsv` and `synsets.txt` (their classes, where
known), `edgetpu.onnx` and `mbv2.onnx` (teachers) and `eval.zip` (measured, never learned from).
`--out` gets `log.tsv`, `student_fp16.pt` (EMA weights), `coverage.txt` and `checkpoint.pt`; given
`--resume checkpoint.pt`, a run goes on where the schedule stood: `--total` is the length of all
runs together.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from torch import Tensor, nn

from . import augment, evaluate
from .losses import Projections, Weights, distillation
from .material import Material
from .student import Student, start_from_folded

WAYS = ("plain", "mixup", "cutmix", "mosaic")
# (until this fraction of the schedule, sizes drawn from): small first, because it is fast. All are
# multiples of 32: the teachers pad for even maps, so that theirs and the student's have one size.
SIZES = ((0.3, (128,)), (0.65, (128, 160)), (0.9, (160,)), (1.01, (160, 192)))


@dataclass
class Options:
    """What a run is given; `shares` are the odds of the four ways of mixing."""

    data: Path
    out: Path
    seconds: float = 500.0
    total: float | None = None
    batch: int = 1024
    rate: float = 2.0e-3
    sizes: tuple[tuple[float, tuple[int, ...]], ...] = SIZES
    shares: tuple[float, ...] = (0.3, 0.25, 0.25, 0.2)
    settle: float = 0.1  # the last part of the schedule sees mostly whole pictures
    balance: float = 0.6
    average: float = 0.9995
    weights: Weights = field(default_factory=Weights)
    synthetic: Path | None = None
    synthetic_share: float = 0.25
    start: Path | None = None
    resume: Path | None = None
    limit: int | None = None
    seed: int = 0
    device: str = field(default_factory=lambda: "cuda" if torch.cuda.is_available() else "cpu")


def rate_at(fraction: float, step: int, peak: float, warm_up: int = 300) -> float:
    """Learning rate: linear warm-up over steps, then half a cosine over the schedule."""
    return peak * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * min(1, fraction)))


class Trainer:
    """One run: networks, optimiser, moving average and log."""

    def __init__(self, options: Options, material: Material) -> None:
        self.options, self.material = options, material
        torch.manual_seed(options.seed)
        random.seed(options.seed)
        torch.set_float32_matmul_precision("high")
        share = options.synthetic_share
        self.odds = material.odds(options.balance, share)
        self.settled_odds = material.odds(options.balance, share / 2)
        self.student = Student().to(options.device, memory_format=torch.channels_last)
        self.projections: Projections | None = None
        self.step = 0
        self.spent = 0.0
        self.begin()
        self.average = Student().to(options.device)
        self.average.load_state_dict(self.student.state_dict())
        self.optimiser = self._optimiser()
        self.go_on()
        options.out.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """Take over earlier weights if the options name any, and size the projections."""
        options, material = self.options, self.material
        count = min(512, len(material.pictures))
        chosen = torch.randperm(len(material.pictures))[:count].to(options.device)
        sample = augment.augment(material.pictures[chosen], 192, "plain", torch.float32)
        if options.start is not None:
            start_from_folded(self.student, options.start, sample)
        if options.weights.needs_features:
            with torch.no_grad():
                mine = self.student.eval().answer(sample[:4])
                theirs = material.teachers(sample[:4])
            self.projections = Projections(mine, theirs).to(options.device)

    def _optimiser(self) -> torch.optim.Optimizer:
        parameters = list(self.student.parameters())
        if self.projections is not None:
            parameters += self.projections.parameters()
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.02},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        fused = self.options.device == "cuda"
        return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=fused)

    def go_on(self) -> None:
        """Take over a checkpoint: both networks, projections, optimiser, place in the schedule."""
        if self.options.resume is None:
            return
        place = self.options.device
        state = torch.load(self.options.resume, map_location=place, weights_only=True)
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        if self.projections is not None and state["projections"] is not None:
            self.projections.load_state_dict(state["projections"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent = int(state["step"]), float(state["spent"])

    def batch(self, fraction: float) -> tuple[Tensor, Tensor | None]:
        """One augmented batch, of a size and a way of mixing drawn at random; classes if plain."""
        options = self.options
        settled = fraction > 1 - options.settle
        odds = self.settled_odds if settled else self.odds
        index = torch.multinomial(odds, options.batch, replacement=True)
        shares = (0.7, 0.1, 0.1, 0.1) if settled else options.shares
        way = random.choices(WAYS, shares)[0]
        sizes = next(s for until, s in options.sizes if fraction < until)
        stored = self.material.pictures[index]
        x = augment.augment(stored, random.choice(sizes), way, self.material.half)
        return x, self.material.labels[index] if way == "plain" else None

    def learn(self, fraction: float, rate: float) -> Tensor:
        """One step; answers the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        x, labels = self.batch(fraction)
        with torch.no_grad():
            wanted = self.material.teachers(x)
        with torch.autocast(self.options.device, torch.bfloat16):
            mine = self.student.answer(x.float() if x.dtype is torch.float32 else x)
            loss = distillation(
                mine,
                wanted,
                self.material.teachers,
                self.projections,
                self.options.weights,
                labels,
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        return loss.detach()

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average towards the student."""
        keep = min(self.options.average, (1 + self.step) / (10 + self.step))
        mine, theirs = self.average.state_dict(), self.student.state_dict()
        names = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[n] for n in names], [theirs[n] for n in names], 1 - keep)

    def measure(self, size: int = 208) -> tuple[evaluate.Score, evaluate.Score]:
        """The averaged network on the pictures kept for measuring, and on those held out."""
        self.average.eval()
        scores = []
        for pictures, classes in (self.material.measured, self.material.held_out):
            answers = evaluate.probabilities(
                self.average, pictures.numpy(), size, self.options.device
            )
            scores.append(evaluate.score(answers, classes.numpy()))
        return scores[0], scores[1]

    def run(self) -> None:
        """Train until the budget is used up, then save."""
        path = self.options.out / "log.tsv"
        new = not path.exists()
        with path.open("a", encoding="utf-8") as log:
            if new:
                log.write("step\tseconds\tloss\trate\tpictures_per_s")
                log.write("\ttop1\ttop5\tece\theld_out_top1\theld_out_top5\n")
            self._run(log)
        self.save()

    def _run(self, log: TextIO) -> None:
        options = self.options
        total = options.total or self.spent + options.seconds
        self.student.train()
        begun = lap = time.monotonic()
        lap_step = self.step
        earlier, losses = self.spent, list[Tensor]()
        rate = 0.0
        while (elapsed := time.monotonic() - begun) < options.seconds:
            fraction = min(1.0, (earlier + elapsed) / total)
            rate = rate_at(fraction, self.step, options.rate)
            losses.append(self.learn(fraction, rate))
            self.follow()
            if len(losses) == 400:
                loss = float(torch.stack(losses).mean())  # waits for the device
                speed = (self.step - lap_step) * options.batch / (time.monotonic() - lap)
                self.report(log, earlier + elapsed, loss, rate, speed)
                losses, lap, lap_step = [], time.monotonic(), self.step
        self.spent = earlier + elapsed
        loss = float(torch.stack(losses).mean()) if losses else math.nan
        self.report(log, self.spent, loss, rate, 0.0)

    def report(self, log: TextIO, elapsed: float, loss: float, rate: float, speed: float) -> None:
        """Measure and write one line of the log."""
        result, held_out = self.measure()
        line = (
            f"{self.step}\t{elapsed:.0f}\t{loss:.3f}\t{rate:.5f}\t{speed:.0f}"
            f"\t{result.top1:.4f}\t{result.top5:.4f}\t{result.ece:.4f}"
            f"\t{held_out.top1:.4f}\t{held_out.top5:.4f}\n"
        )
        log.write(line)
        log.flush()

    def save(self) -> None:
        """Write the averaged weights (float16) and the checkpoint."""
        out = self.options.out
        state = self.average.state_dict()
        half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
        torch.save(half, out / "student_fp16.pt")
        projections = self.projections.state_dict() if self.projections is not None else None
        checkpoint = {
            "student": self.student.state_dict(),
            "average": state,
            "projections": projections,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent": self.spent,
        }
        torch.save(checkpoint, out / "checkpoint.pt")
        np.savetxt(out / "coverage.txt", self.material.coverage().cpu().numpy(), fmt="%d")


def parse() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=500.0)
    parser.add_argument("--total", type=float)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--rate", type=float, default=2.0e-3)
    parser.add_argument("--balance", type=float, default=0.6)
    parser.add_argument("--shares", type=float, nargs=4, default=(0.3, 0.25, 0.25, 0.2))
    parser.add_argument("--synthetic", type=Path)
    parser.add_argument("--synthetic-share", type=float, default=0.25)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--limit", type=int)
    return Options(**vars(parser.parse_args()))


def main() -> None:
    """Read the material, train, save."""
    options = parse()
    material = Material.load(
        options.data, options.device, synthetic=options.synthetic, limit=options.limit
    )
    Trainer(options, material).run()


if __name__ == "__main__":
    main()
