"""Quantised classifiers against the float network that was made of one of them, on all pictures.

``TWINLENS_TEST_DATA=... python tests/bench/bench_formats.py [PICTURES]`` prints, for every file and
engine, how often the best label is right and how often it is that of the float network.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from twinlens.engine.api import registry
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.image import Converter, read_image
from twinlens.engine.targets.cpu.codegen.isa import FORCE
from twinlens.models.identify.resolve import resolve

FLOAT = "mobilenet_v2_1.0_224.onnx"
FILES = (FLOAT, "mobilenet_v2_1.0_224_quant.tflite", "mobilenet_edgetpu_224_1.0_uint8.tflite")
# layers-cpu runs quantised networks in integers where it can; AVX2 makes it run them in fp32.
WAYS = (("vision", ""), ("layers-cpu", ""), ("layers-cpu", "avx2"))


def main() -> None:
    """Run every file on every engine, picture by picture, and print a table."""
    data = Path(os.environ["TWINLENS_TEST_DATA"])
    rows = [line.split("\t") for line in (data / "eval/labels.tsv").read_text().splitlines()]
    rows = [row for row in rows if row[1].isdigit()]
    rows = rows[: int(sys.argv[1]) if len(sys.argv) > 1 else len(rows)]
    loaded = {}
    for name in FILES:
        for engine, isa in WAYS:
            os.environ[FORCE] = isa
            network = resolve(data / "models" / name)
            spec = network.spec
            runner = registry.load(network, engine, EngineOptions(threads=2))
            loaded[name, engine, isa] = (spec, runner, Converter(spec.recipe))
    best = {key: [] for key in loaded}
    times = {key: [] for key in loaded}
    for row in rows:
        buffer = read_image(data / "eval" / row[0])
        for key, (spec, runner, converter) in loaded.items():
            tensor = converter.convert(buffer)
            start = time.perf_counter()
            answer = runner.run(tensor)
            times[key].append(time.perf_counter() - start)
            best[key].append(int(np.argmax(answer[spec.background_outputs :])))
    labels = np.array([int(row[1]) for row in rows])
    expected = np.array(best[FLOAT, "vision", ""])
    print(f"{len(rows)} pictures")
    print(f"{'file':42}{'engine':12}{'precision':10}{'right':>8}{'agrees':>8}{'ms':>7}")
    for (name, engine, isa), (_, runner, _) in loaded.items():
        own = np.array(best[name, engine, isa])
        right, agrees = np.mean(own == labels), np.mean(own == expected)
        middle = 1e3 * float(np.median(times[name, engine, isa]))
        precision = runner.info.precision
        print(f"{name:42}{engine:12}{precision:10}{right:8.2%}{agrees:8.2%}{middle:7.2f}")


if __name__ == "__main__":
    main()
