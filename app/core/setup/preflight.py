"""What is known of a model before it is loaded: format, operators, sizes, labels, recipe.

Nothing here asks or changes anything; it reads the file, so it belongs on a thread of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twinlens.app.core.shelf.rows import megabytes
from twinlens.engine.api.labels import classes_of
from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.errors import ModelFileError, UnsupportedOperatorError
from twinlens.engine.image import Recipe
from twinlens.models.identify.facts import PARTS, Origin
from twinlens.models.identify.identified import Identified
from twinlens.models.identify.resolve import identify


@dataclass(frozen=True, eq=False)
class Preflight:
    """A model that was looked at.

    Attributes:
        found: what is known of it, and from where; its graph is made.
        bytes: size of the file, or of all files of a folder.
        operators: layers of the graph by kind, and how often each stands there; empty where the
            graph cannot be built.
        unsupported: operators that our layers lack, and how often each stands there.
        refused: the error that says so; None where all are supported.
        parameters: number of weights and biases; 0 where the graph cannot be built.
    """

    found: Identified
    bytes: int
    operators: Mapping[str, int] = field(default_factory=dict)
    unsupported: Mapping[str, int] = field(default_factory=dict)
    refused: UnsupportedOperatorError | None = None
    parameters: int = 0

    @property
    def name(self) -> str:
        """What names it next time: catalog name or path."""
        return self.found.name

    @property
    def spec(self) -> ModelSpec:
        """The model, as far as it is known."""
        return self.found.known.spec

    @property
    def outputs(self) -> int | None:
        """Number of outputs, background included; None where nothing states it."""
        return self.found.known.outputs

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Where each part (of ``facts.PARTS``) that is known comes from."""
        return self.found.known.origins

    @property
    def classes(self) -> int | None:
        """Number of labels that it needs; None where nothing states it."""
        if self.outputs is None:
            return None
        return classes_of(self.outputs, self.spec.background_outputs)

    @property
    def asks(self) -> tuple[str, ...]:
        """Parts (of ``facts.PARTS``) that nothing states and nobody agreed on, and ``"output"``.

        Names are none of them: a class without one is called by its number.
        """
        origins, read = self.origins, self.found.known.read
        unknown = [p for p in ("size", "layout", "values") if origins.get(p) is Origin.ASSUMED]
        several = read is not None and read.name_origin is Origin.ASSUMED
        return (*(["output"] if several else []), *unknown)

    @property
    def named(self) -> bool:
        """Whether anything names the classes; else they are called by their numbers."""
        return self.outputs == 1 or self.origins.get("labels", Origin.ASSUMED) is not Origin.ASSUMED

    @property
    def runs_on(self) -> tuple[str, ...] | None:
        """Ids of the only engines that can run it; None where all can, empty where none can.

        ONNX Runtime reads ONNX files itself; everything else goes through our layers.
        """
        if self.refused is None:
            return None
        return ("vision",) if self.found.known.onnx is not None else ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What is known of it, short, for display."""
        return (
            f"{self.found.format}, {megabytes(self.bytes)}",
            self._operators_line(),
            size_text(self.spec.recipe),
            self._labels_line(),
            *self.found.known.labels_passed,
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
        if self.outputs == 1:
            outputs = "1 output, for or against"
        elif self.spec.independent:
            outputs += ", each on its own"
        if not self.named:
            return f"{outputs}, no labels"
        origin = self.origins["labels"].value
        return f"{outputs}, {len(self.spec.labels):,} labels {origin}"

    def _recipe_lines(self) -> list[str]:
        by_origin: dict[Origin, list[str]] = {}
        for part in PARTS:
            origin = self.origins.get(part)
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


def preflight(path: Path, *, labels: Path | None = None, output_name: str = "") -> Preflight:
    """Look at a model file, a Core ML package or bare parameters.

    Args:
        path: what was dropped.
        labels: label file that overrides the model's own.
        output_name: the output that classifies; empty for the one that is found.

    Raises:
        ModelError: it cannot be used whatever is answered; says why.
    """
    found = identify(path, labels=labels, output_name=output_name)
    if found.model is None:
        raise found.problem or ModelFileError(f"{path}: is no model")
    try:
        graph = found.graph
    except UnsupportedOperatorError as error:
        missing = dict(sorted(error.operators.items()))
        return Preflight(found, found.bytes, unsupported=missing, refused=error)
    counts = Counter(node.layer.kind for node in graph.nodes)
    return Preflight(
        found.held_to_graph(),
        found.bytes,
        operators=dict(counts.most_common()),
        parameters=graph.parameter_count,
    )


def size_text(recipe: Recipe) -> str:
    """``"224×224 RGB"``."""
    return f"{recipe.width}×{recipe.height} {'grey' if recipe.color == 'GRAY' else recipe.color}"
