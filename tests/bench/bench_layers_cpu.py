"""Layers (NumPy) against ONNX Runtime on one model, in turns; prints medians.

Run by hand: ``python tests/bench/bench_layers_cpu.py [MODEL.onnx] [rounds]``.
"""

import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime

from twinlens.engine.formats import load_onnx
from twinlens.engine.graph import optimize

DEFAULT = Path(__file__).resolve().parents[2] / "models" / "weights" / "twinlens_208.onnx"


def main(path: Path, rounds: int) -> None:
    graph = load_onnx(path)
    small = optimize(graph)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ((name, shape),) = graph.inputs.items()
    inputs = {name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    contenders = {
        "layers, as imported": lambda: graph.run(inputs),
        "layers, optimised": lambda: small.run(inputs),
        "ONNX Runtime": lambda: session.run(None, inputs),
    }
    times: dict[str, list[float]] = {title: [] for title in contenders}
    for turn in range(rounds + 2):
        for title, run in contenders.items():
            start = time.perf_counter()
            run()
            if turn >= 2:  # the first two turns warm caches and pools
                times[title].append((time.perf_counter() - start) * 1e3)
    base = median(times["ONNX Runtime"])
    print(f"{path.name}: {graph.macs / 1e6:.0f} million MACs, {rounds} turns")
    for title, each in times.items():
        print(f"{title:22} {median(each):8.2f} ms   {median(each) / base:6.2f}×")


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT,
        int(sys.argv[2]) if len(sys.argv) > 2 else 30,
    )
