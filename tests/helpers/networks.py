"""What engines load, made of files and graphs without anything being asked."""

from __future__ import annotations

from pathlib import Path

from twinlens.engine.api.protocol import GraphSource, ModelSpec, Network
from twinlens.engine.formats import ONNX, Document
from twinlens.engine.formats.described import ModelFile
from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.models.identify.kinds import document


def network_of(
    path: str | Path, recipe: Recipe, labels: tuple[str, ...] = (), title: str = "Net"
) -> Network:
    """An ONNX file, fed as a recipe says."""
    file = Document(Path(path), ONNX)
    return Network(ModelSpec("net", title, recipe, labels), file.source, file.path, file.onnx)


def assembled(graph: Graph, spec: ModelSpec) -> Network:
    """A graph, fed and read as a spec says."""
    return Network(spec, GraphSource(lambda shape: graph))


def graph_of_file(path: str | Path, open_sizes: tuple[int, ...] | None = None) -> Graph:
    """The graph of a model file of any format."""
    return document(Path(path)).graph(open_sizes)


def described(path: str | Path) -> ModelFile:
    """What a model file of any format declares."""
    return document(Path(path)).described
