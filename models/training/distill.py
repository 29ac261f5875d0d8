"""Distillation with consistent teaching, for a wall-clock budget, from checkpoint to checkpoint.

    python -m twinlens.models.training.distill --data FOLDER --out FOLDER --seconds 420

The data folder holds `shard-*.zip` (pictures), `edgetpu.onnx` and `mbv2.onnx` (teachers) and
`eval.zip` (measured, never learned from). `--out` gets `log.tsv`, `student_fp16.pt` (EMA weights)
and `checkpoint.pt`; given `--resume checkpoint.pt`, a run goes on with weights and step count.
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
from torch.nn import functional

from . import augment, data, evaluate
from .student import Student, start_from_folded
from .teachers import Ensemble, Teacher

WAYS = ("plain", "mixup", "cutmix", "mosaic")


@dataclass
class Options:
    """What a run is given; `shares` are the odds of the four ways of mixing."""

    data: Path
    out: Path
    seconds: float = 420.0
    batch: int = 1024
    rate: float = 1.5e-3
    sizes: tuple[int, ...] = (160, 176, 192)
    shares: tuple[float, ...] = (0.3, 0.3, 0.25, 0.15)
    balance: float = 0.5
    average: float = 0.998
    start: Path | None = None
    resume: Path | None = None
    limit: int | None = None
    seed: int = 0
    device: str = field(default_factory=lambda: "cuda" if torch.cuda.is_available() else "cpu")


def rate_at(fraction: float, step: int, peak: float, warm_up: int = 150) -> float:
    """Learning rate: linear warm-up over steps, then half a cosine over the wall-clock budget."""
    return peak * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * min(1, fraction)))


def sampling_weights(classes: Tensor, power: float) -> Tensor:
    """Odds of each picture, so that a class counts by its size to the power 1 - `power`."""
    sizes = torch.bincount(classes, minlength=1000).float()
    return sizes[classes].pow(-power)


@torch.no_grad()
def teacher_classes(pictures: Tensor, teachers: Ensemble, dtype: torch.dtype) -> Tensor:
    """What the teachers call each stored picture, (N,) int64."""
    answers = []
    for part in pictures.split(1024):
        x = part.permute(0, 3, 1, 2).to(dtype) / 127.5 - 1
        x = functional.interpolate(x, (192, 192), mode="bilinear")
        answers.append(teachers(x.contiguous(memory_format=torch.channels_last)).argmax(1))
    return torch.cat(answers)


class Trainer:
    """One run: networks, optimiser, moving average and log."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.half = torch.float16 if options.device == "cuda" else torch.float32
        torch.manual_seed(options.seed)
        random.seed(options.seed)
        torch.set_float32_matmul_precision("high")
        shards = sorted(options.data.glob("shard-*.zip"))
        stored = torch.from_numpy(data.load_shards(shards, limit=options.limit))
        self.pictures = stored.to(options.device)
        files = ((2.0, "edgetpu.onnx"), (1.0, "mbv2.onnx"))
        members = [(w, Teacher(options.data / name, self.half)) for w, name in files]
        self.teachers = Ensemble(members).to(options.device).eval()
        self.classes = teacher_classes(self.pictures, self.teachers, self.half)
        self.odds = sampling_weights(self.classes, options.balance)
        self.student = Student().to(options.device, memory_format=torch.channels_last)
        self.step = 0
        self.begin()
        self.average = Student().to(options.device)
        self.average.load_state_dict(self.student.state_dict())
        decayed = [p for p in self.student.parameters() if p.ndim > 1]
        others = [p for p in self.student.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": 0.02},
            {"params": others, "weight_decay": 0.0},
        ]
        fused = options.device == "cuda"
        self.optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=fused)
        self.eval_pictures, self.eval_classes = data.load_labelled(options.data / "eval.zip")
        options.out.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """Take over earlier weights, if the options name any."""
        options = self.options
        if options.resume is not None:
            state = torch.load(options.resume, map_location=options.device, weights_only=True)
            self.student.load_state_dict(state["student"])
            self.step = int(state["step"])
        elif options.start is not None:
            count = min(512, len(self.pictures))
            chosen = torch.randperm(len(self.pictures))[:count].to(options.device)
            sample = augment.augment(self.pictures[chosen], 192, "plain", torch.float32)
            start_from_folded(self.student, options.start, sample)

    def batch(self) -> Tensor:
        """One augmented batch, of a size and a way of mixing drawn at random."""
        options = self.options
        index = torch.multinomial(self.odds, options.batch, replacement=True)
        way = random.choices(WAYS, options.shares)[0]
        return augment.augment(self.pictures[index], random.choice(options.sizes), way, self.half)

    def learn(self, rate: float) -> Tensor:
        """One step; answers the loss (KL from the teachers, nats)."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        x = self.batch()
        with torch.no_grad():
            wanted = self.teachers(x)
        with torch.autocast(self.options.device, torch.bfloat16):
            logits = self.student(x.float() if self.half is torch.float32 else x)
        loss = functional.kl_div(logits.float().log_softmax(1), wanted, reduction="batchmean")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        return loss.detach()

    @torch.no_grad()
    def follow(self, done: int) -> None:
        """Move the average towards the student."""
        keep = min(self.options.average, (1 + done) / (10 + done))
        mine, theirs = self.average.state_dict(), self.student.state_dict()
        names = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[n] for n in names], [theirs[n] for n in names], 1 - keep)

    def measure(self, size: int = 208) -> evaluate.Score:
        """The averaged network on the pictures kept for measuring."""
        self.average.eval()
        answers = evaluate.probabilities(
            self.average, self.eval_pictures, size, self.options.device
        )
        return evaluate.score(answers, self.eval_classes)

    def run(self) -> None:
        """Train until the budget is used up, then save."""
        with (self.options.out / "log.tsv").open("a", encoding="utf-8") as log:
            log.write("step\tseconds\tloss\trate\tpictures_per_s\ttop1\ttop5\tece\n")
            self._run(log)
        self.save()

    def _run(self, log: TextIO) -> None:
        self.report(log, 0.0, math.nan, 0.0, 0.0)
        self.student.train()
        begun = lap = time.monotonic()
        first = lap_step = self.step
        losses: list[Tensor] = []
        while (elapsed := time.monotonic() - begun) < self.options.seconds:
            fraction = elapsed / self.options.seconds
            rate = rate_at(fraction, self.step - first, self.options.rate)
            losses.append(self.learn(rate))
            self.follow(self.step - first)
            if len(losses) == 300:
                loss = float(torch.stack(losses).mean())  # waits for the device
                speed = (self.step - lap_step) * self.options.batch / (time.monotonic() - lap)
                self.report(log, elapsed, loss, rate, speed)
                losses, lap, lap_step = [], time.monotonic(), self.step
        loss = float(torch.stack(losses).mean()) if losses else math.nan
        self.report(log, elapsed, loss, 0.0, 0.0)

    def report(self, log: TextIO, elapsed: float, loss: float, rate: float, speed: float) -> None:
        """Measure and write one line of the log."""
        result = self.measure()
        line = (
            f"{self.step}\t{elapsed:.0f}\t{loss:.3f}\t{rate:.5f}\t{speed:.0f}"
            f"\t{result.top1:.4f}\t{result.top5:.4f}\t{result.ece:.4f}\n"
        )
        log.write(line)
        log.flush()

    def save(self) -> None:
        """Write the averaged weights (float16) and the checkpoint."""

        def stored(network: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
            state = network.state_dict()
            return {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}

        half = torch.float16
        torch.save(stored(self.average, half), self.options.out / "student_fp16.pt")
        state = {"student": stored(self.student, half), "step": self.step}
        torch.save(state, self.options.out / "checkpoint.pt")
        counts = np.bincount(self.classes.cpu().numpy(), minlength=1000)
        np.savetxt(self.options.out / "coverage.txt", counts, fmt="%d")


def parse() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=420.0)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--balance", type=float, default=0.5)
    parser.add_argument("--shares", type=float, nargs=4, default=(0.3, 0.3, 0.25, 0.15))
    parser.add_argument("--sizes", type=int, nargs="+", default=(160, 176, 192))
    parser.add_argument("--start", type=Path)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--limit", type=int)
    return Options(**vars(parser.parse_args()))


if __name__ == "__main__":
    Trainer(parse()).run()
