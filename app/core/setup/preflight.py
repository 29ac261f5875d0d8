"""What is known of a model before it is loaded: format, operators, sizes, labels, recipe.

Nothing here asks or changes anything; it reads the file, so it belongs on a thread of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from twinlens.app.core.shelf.rows import megabytes
from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.errors import LabelError, ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats import load_graph
from twinlens.engine.found import PARTS, Found, Origin
from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.models.identify.resolve import find

MAX_BYTES = 2 << 30
"""Largest model that is opened; every reader of files holds to it as well."""

_ONNX = "ONNX"


@dataclass(frozen=True, eq=False)
class Preflight:
    """A model that was looked at.

    Attributes:
        name: what names it next time: catalog name or path.
        found: what is known of it, and from where.
        bytes: size of the file, or of all files of a folder.
        operators: layers of the graph by kind, and how often each stands there; empty where the
            graph cannot be built.
        unsupported: operators that our layers lack, and how often each stands there.
        refused: the error that says so; None where all are supported.
        parameters: number of weights and biases; 0 where the graph cannot be built.
        outputs: number of outputs, background included; None where nothing tells it.
    """

    name: str
    found: Found
    bytes: int
    operators: Mapping[str, int] = field(default_factory=dict)
    unsupported: Mapping[str, int] = field(default_factory=dict)
    refused: UnsupportedOperatorError | None = None
    parameters: int = 0
    outputs: int | None = None

    @property
    def spec(self) -> ModelSpec:
        """The model, as far as it is known."""
        return self.found.spec

    @property
    def classes(self) -> int | None:
        """Number of labels that it needs; None where nothing tells it."""
        return None if self.outputs is None else self.outputs - self.spec.background_outputs

    @property
    def asks(self) -> tuple[str, ...]:
        """Parts (of ``found.PARTS``) that nothing tells and nobody agreed on."""
        origins = self.found.origins
        unknown = [p for p in ("size", "layout", "values") if origins.get(p) is Origin.ASSUMED]
        return (*(["labels"] if self.found.problem else []), *unknown)

    @property
    def runs_on(self) -> tuple[str, ...] | None:
        """Ids of the only engines that can run it; None where all can, empty where none can.

        ONNX Runtime reads ONNX files itself; everything else goes through our layers.
        """
        if self.refused is None:
            return None
        return ("vision",) if self.found.format == _ONNX else ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What there is to say of it, short, for display."""
        return (
            f"{self.found.format}, {megabytes(self.bytes)}",
            self._operators_line(),
            size_text(self.spec.recipe),
            self._labels_line(),
            *self._recipe_lines(),
        )

    def _operators_line(self) -> str:
        if self.unsupported:
            listed = ", ".join(f"{kind} {n}×" for kind, n in self.unsupported.items())
            return f"not implemented by our layers: {listed}"
        if self.refused is not None:
            return "not all operators implemented by our layers"
        return f"{sum(self.operators.values())} layers, all implemented"

    def _labels_line(self) -> str:
        outputs = "outputs not declared" if self.outputs is None else f"{self.outputs:,} outputs"
        if self.found.problem is not None:
            return f"{outputs}, no labels"
        origin = self.found.origins["labels"].value
        return f"{outputs}, {len(self.spec.labels):,} labels {origin}"

    def _recipe_lines(self) -> list[str]:
        by_origin: dict[Origin, list[str]] = {}
        for part in PARTS:
            origin = self.found.origins.get(part)
            if part != "labels" and origin is not None:
                by_origin.setdefault(origin, []).append(_SHOWN[part])
        if len(by_origin) == 1:
            return [f"recipe {origin.value}" for origin in by_origin]
        return [f"{', '.join(parts)} {origin.value}" for origin, parts in by_origin.items()]


_SHOWN = {
    "size": "size",
    "layout": "layout",
    "color": "colour order",
    "values": "value range",
    "crop": "crop",
}


def preflight(path: Path, *, labels: Path | None = None) -> Preflight:
    """Look at a model file, a Core ML package or bare parameters.

    Args:
        path: what was dropped.
        labels: label file that overrides the model's own.

    Raises:
        ModelError: it cannot be used whatever is answered; says why.
    """
    size = _size(path)
    if size > MAX_BYTES:
        raise ModelFileError(f"{path}: {size:,} bytes, expected at most {MAX_BYTES:,}")
    found = find(path, labels=labels)
    try:
        graph = graph_of(found.spec)
    except UnsupportedOperatorError as error:
        return Preflight(
            str(path),
            found,
            size,
            unsupported=dict(sorted(error.operators.items())),
            refused=error,
            outputs=found.outputs,
        )
    outputs = found.outputs or _outputs(graph)
    counts = Counter(node.layer.kind for node in graph.nodes)
    held = _held_to(found, outputs)
    if held.problem is not None and held.origins.get("values") is Origin.CARD:
        raise held.problem  # the catalog knows better than a wrong file beside the model
    return Preflight(
        str(path),
        held,
        size,
        operators=dict(counts.most_common()),
        parameters=graph.parameter_count,
        outputs=outputs,
    )


def graph_of(spec: ModelSpec) -> Graph:
    """The network of a model whose recipe may still be a guess; raises as ``load_graph``."""
    return load_graph(spec, open_sizes=spec.recipe.input_shape)


def _outputs(graph: Graph) -> int | None:
    sizes = [n for n in graph.shapes[graph.outputs[0]] if n > 1]
    return sizes[0] if len(sizes) == 1 else None


def _held_to(found: Found, outputs: int | None) -> Found:
    """Hold labels against outputs that only the graph tells."""
    background = found.spec.background_outputs
    if found.problem is not None or outputs is None:
        return found
    count = len(found.spec.labels)
    if count == outputs - background:
        return found
    problem = LabelError(
        f"{found.spec.path.name} has {outputs} outputs, but {count} labels",
        hint=f"Give a label file with {outputs - background} lines.",
    )
    origins = {part: origin for part, origin in found.origins.items() if part != "labels"}
    return replace(found, spec=replace(found.spec, labels=()), origins=origins, problem=problem)


def _size(path: Path) -> int:
    try:
        files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except OSError as why:
        raise ModelFileError(f"{path}: cannot be read ({why.strerror or why})") from why


def size_text(recipe: Recipe) -> str:
    """``"224×224 RGB"``."""
    return f"{recipe.width}×{recipe.height} {'grey' if recipe.color == 'GRAY' else recipe.color}"
