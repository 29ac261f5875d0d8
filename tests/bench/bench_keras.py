"""Keras Applications' networks, saved by real Keras, on our engines: the largest error of each.

Run: ``python tests/bench/bench_keras.py`` in an environment of the project. The script makes
another one with Keras (``--keras 3``: on PyTorch; ``--keras 2``: tf.keras of TensorFlow 2.15, which
needs ``--python`` of Python 3.11 or older), has ``keras_nets.py`` there write every network with
random weights as ``.h5`` and ``.keras`` together with an input and Keras' own answer, and compares
ours with it. A figure is the largest difference over the largest output; the last column says how
far another picture moves the outputs, by the same measure. It ends with 1 where a figure is above
``--most``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from peers.environment import cache_folder, python_of

from twinlens.engine.api.protocol import EngineOptions, GraphSource, ModelSpec, Network
from twinlens.engine.errors import TwinlensError
from twinlens.engine.formats.keras.importer import load_keras
from twinlens.engine.image import Recipe
from twinlens.engine.targets.cpu.engine import LayersCpuEngine
from twinlens.engine.vision.engine import VisionEngine

PACKAGES = {"3": ("keras", "torch", "jax"), "2": ("tensorflow-cpu==2.15.*", "setuptools")}
ENGINES = {"layers-cpu": LayersCpuEngine(), "vision": VisionEngine()}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keras", choices=("2", "3"), default="3")
    parser.add_argument("--python", default=sys.executable, help="makes the environment")
    parser.add_argument("--venv", type=Path, metavar="DIR", help="default: a cache folder")
    parser.add_argument("--work", type=Path, metavar="DIR", help="default: a cache folder")
    parser.add_argument("--nets", default="", help="names, with commas between (default: all)")
    parser.add_argument("--most", type=float, default=1e-5, help="largest error allowed (1e-5)")
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> tuple[Path, Path]:
    """(Keras' own interpreter, folder of the networks)."""
    cache = cache_folder() / f"bench-keras{args.keras}"
    folder = args.venv or cache / "venv"
    python = python_of(folder)
    if not python.exists():
        subprocess.run([args.python, "-m", "venv", str(folder)], check=True)
        command = [str(python), "-m", "pip", "install", "-q", *PACKAGES[args.keras]]
        subprocess.run(command, check=True)
    work = args.work or cache / "nets"
    work.mkdir(parents=True, exist_ok=True)
    return python, work


def written(python: Path, work: Path, name: str, keras: str) -> list[Path]:
    """One network's files, made by Keras."""
    files = [work / f"{name}{suffix}" for suffix in (".h5", ".keras")]
    if not all(file.exists() for file in [*files, work / f"{name}.npz"]):
        maker = Path(__file__).with_name("keras_nets.py")
        command = [str(python), str(maker), name, str(work), keras]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [file for file in files if file.exists()]


def names(python: Path, keras: str) -> list[str]:
    """Names of all networks that this Keras has."""
    maker = Path(__file__).with_name("keras_nets.py")
    command = [str(python), str(maker), "--list", keras]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return result.stdout.split()


def error(engine: str, path: Path, answer: np.lib.npyio.NpzFile) -> float:
    """Largest difference from Keras, over the largest output."""
    x = np.ascontiguousarray(answer["x"].transpose(0, 3, 1, 2))
    recipe = Recipe(width=x.shape[3], height=x.shape[2])
    spec = ModelSpec(path.stem, path.stem, recipe, ())
    network = Network(spec, GraphSource(lambda shape: load_keras(path)), path)
    runner = ENGINES[engine].load(network, EngineOptions())
    try:
        ours = runner.run(x)
    finally:
        runner.close()
    theirs = answer["y"].reshape(-1)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def main() -> int:
    """Compare, network by network."""
    args = arguments()
    python, work = prepare(args)
    worst = 0.0
    heads = "".join(f"{engine:>14}" for engine in ENGINES)
    print(f"{'network':<28}{'file':<8}{heads}{'moves':>10}")
    wanted = args.nets.split(",") if args.nets else names(python, args.keras)
    for name in wanted:
        for path in written(python, work, name, args.keras):
            with np.load(work / f"{name}.npz") as answer:
                row, moves = [], float(answer["moves"])
                for engine in ENGINES:
                    try:
                        figure = error(engine, path, answer)
                    except TwinlensError as why:
                        print(f"{name}: {engine}: {why}", file=sys.stderr)
                        figure = float("inf")
                    row.append(figure)
            worst = max(worst, *row)
            cells = "".join(f"{figure:14.1e}" for figure in row)
            print(f"{name:<28}{path.suffix:<8}{cells}{moves:10.2f}", flush=True)
    print(f"largest: {worst:.1e}")
    return int(worst > args.most)


if __name__ == "__main__":
    sys.exit(main())
