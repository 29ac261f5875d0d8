"""Recipes measured one against the other: the same start, the same seconds, one process.

    python -m twinlens.models.training.compare --data FOLDER --out FOLDER --seconds 50 \
        --start models/weights/twinlens_208.onnx --synthetic synthetic.npz

Writes `compare.tsv`: one line a recipe.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from .distill import Options, Trainer
from .losses import Weights
from .material import Material

ONE_SIZE = ((1.01, (160,)),)


def recipes(base: Options) -> list[tuple[str, Options]]:
    """Each adds one thing to the one before it."""
    kl = Weights(logits=0, pooled=0, bottleneck=0, hard=0)
    logits = replace(kl, logits=0.5)
    features = replace(logits, pooled=1, bottleneck=1)
    hard = replace(features, hard=0.3)
    return [
        ("probabilities", replace(base, weights=kl, synthetic_share=0)),
        ("+ logits", replace(base, weights=logits, synthetic_share=0)),
        ("+ features", replace(base, weights=features, synthetic_share=0)),
        ("+ hard labels", replace(base, weights=hard, synthetic_share=0)),
        ("+ drawn pictures", replace(base, weights=hard, synthetic_share=0.25)),
    ]


def main() -> None:
    """Run every recipe and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=50.0)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--synthetic", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--batch", type=int, default=1024)
    given = parser.parse_args()
    base = Options(
        given.data,
        given.out,
        seconds=given.seconds,
        start=given.start,
        batch=given.batch,
        sizes=ONE_SIZE,
        rate=1.0e-3,
        average=0.99,
        settle=0.25,
    )
    material = Material.load(given.data, base.device, synthetic=given.synthetic, limit=given.limit)
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "compare.tsv").open("w", encoding="utf-8") as table:
        table.write("recipe\tsteps\ttop1\ttop5\tece\theld_out_top1\theld_out_top5\n")
        for name, options in recipes(base):
            trainer = Trainer(replace(options, out=given.out / name.strip("+ ")), material)
            trainer.run()
            score, held = trainer.measure()
            table.write(f"{name}\t{trainer.step}\t{score.top1:.4f}\t{score.top5:.4f}")
            table.write(f"\t{score.ece:.4f}\t{held.top1:.4f}\t{held.top5:.4f}\n")
            table.flush()


if __name__ == "__main__":
    main()
