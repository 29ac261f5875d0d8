"""Generated Python: written with what lies beside it, imported, held to this project's rules."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from helpers.tflite_cases import CASES
from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.formats.python import python_module
from twinlens.engine.formats.tflite.file import parse_tflite
from twinlens.engine.formats.tflite.importer import graph_from_tflite
from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.engine.params import open_parameters, write_safetensors
from twinlens.models.identify.sidecar import write_values

ROOT = Path(__file__).parents[2]


def spec_of(graph: Graph, title: str = "Some net", labels: int = 0) -> ModelSpec:
    """A model around a graph; its recipe has the size of the input where that is a picture."""
    shape = next(iter(graph.inputs.values()))
    recipe = Recipe(8, 8)
    if len(shape) == 4 and shape[1] in (1, 3):
        grey = {"color": "GRAY", "mean": (0.0,), "std": (1.0,)} if shape[1] == 1 else {}
        recipe = Recipe(shape[3], shape[2], scale=1 / 255, **grey)
    names = tuple(f"class {number}" for number in range(labels))
    return ModelSpec("net", title, recipe, names)


def tflite_graph(name: str) -> Graph:
    """One of the small TensorFlow Lite files."""
    return graph_from_tflite(parse_tflite(CASES[name]().data, name))


def write_module(graph: Graph, spec: ModelSpec, folder: Path, stem: str) -> Path:
    """Write a model as Python; returns the module's path."""
    module = python_module(graph, spec, stem)
    path = folder / f"{stem}.py"
    path.write_text(module.text, encoding="utf-8")
    write_safetensors(path.with_suffix(".safetensors"), module.arrays)
    if module.labels:
        write_values(path.with_suffix(".toml"), {"labels": list(module.labels)})
    return path


def load_module(path: Path) -> ModuleType:
    """Import a file that is in no package."""
    loader = importlib.util.spec_from_file_location(path.stem, path)
    assert loader is not None
    assert loader.loader is not None
    module = importlib.util.module_from_spec(loader)
    sys.modules[path.stem] = module  # dataclasses look there
    try:
        loader.loader.exec_module(module)
    finally:
        del sys.modules[path.stem]
    return module


def assemble(path: Path) -> Graph:
    """The network of a generated module."""
    graph = load_module(path).assemble(open_parameters(path.with_suffix(".safetensors")))
    assert isinstance(graph, Graph)
    return graph


def assert_same_answers(one: Graph, other: Graph, *, exact: bool = True) -> None:
    """The same outputs for the same noise."""
    rng = np.random.default_rng(0)
    feeds = [rng.uniform(-1, 1, shape).astype(np.float32) for shape in one.inputs.values()]
    assert list(one.inputs.values()) == list(other.inputs.values())
    with np.errstate(all="ignore"):
        expected = one.run(dict(zip(one.inputs, feeds, strict=True)))
        received = other.run(dict(zip(other.inputs, feeds, strict=True)))
    for a, b in zip(expected.values(), received.values(), strict=True):
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-5)


def assert_clean(folder: Path) -> None:
    """All modules of a folder pass ruff's rules, its format and strict mypy."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    links = folder / ".typecheck"
    links.mkdir(exist_ok=True)
    if not (links / "twinlens").exists():
        (links / "twinlens").symlink_to(ROOT)
    modules = sorted(path.name for path in folder.glob("*.py"))
    assert modules
    for words in (("ruff", "check"), ("ruff", "format", "--diff"), ("mypy",)):
        run = subprocess.run(
            [sys.executable, "-m", *words, *modules],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
