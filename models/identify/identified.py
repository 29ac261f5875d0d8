"""What ``identify`` returns: what a path is, what is known of it, and its graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from twinlens.engine.api.protocol import GraphSource, ModelSpec, Network
from twinlens.engine.api.tasks import row_width, task_of
from twinlens.engine.errors import ModelFileError, TwinlensError, UnsupportedOperatorError
from twinlens.engine.formats.described import ModelFile
from twinlens.engine.graph import Graph
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.kinds import Kind
from twinlens.models.identify.labels import Labels
from twinlens.models.identify.outputs import CLASSIFIERS, Read


@dataclass(frozen=True, eq=False)
class Model:
    """What is known of a model before it is loaded.

    Attributes:
        spec: how it is fed and read, as far as it is known.
        source: makes its graph, once.
        origins: where each of ``PARTS`` comes from; labels are missing where none are known.
        outputs: number of outputs, background included; None where the file leaves it open.
        onnx: the file, where ONNX Runtime reads it by itself, or what of it is read.
        metadata: the file's own key-value pairs, where it was looked at.
        labels_source: what names the classes, for display: a file's name ...
        read: how its outputs are read, where its operators were looked at.
        labels_for: finds the labels anew, once the number of outputs is known.
        label_note: the one of the notes that is about labels.
        labels_passed: what has names that do not fit, and why.
        described: what the file declares, where it was looked at.
    """

    spec: ModelSpec
    source: GraphSource
    origins: Mapping[str, Origin] = field(default_factory=dict)
    outputs: int | None = None
    onnx: Path | bytes | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    labels_source: str = ""
    read: Read | None = None
    labels_for: Callable[[int | None], Labels] | None = None
    label_note: str = ""
    described: ModelFile | None = None
    labels_passed: tuple[str, ...] = ()

    @property
    def surely_named(self) -> bool:
        """Whether the labels are those of a card or of somebody: no graph need be held to them."""
        return self.origins.get("labels") in (Origin.CARD, Origin.GIVEN)


@dataclass(frozen=True, eq=False)
class Identified:
    """What a name or a path is.

    Attributes:
        name: what names it next time: catalog name or path.
        path: the file or folder that is meant: of a folder with one model in it, that model.
        kind: what it is.
        format: what it is stored as, for display.
        model: what is known of it; None where it is no model.
        problem: why it cannot be used as it is (labels missing, no model ...); None where it can.
    """

    name: str
    path: Path
    kind: Kind
    format: str
    model: Model | None = None
    problem: TwinlensError | None = None

    @property
    def known(self) -> Model:
        """What is known of the model.

        Raises:
            ModelError: it is none; says what it is.
        """
        if self.model is None:
            raise self.problem or ModelFileError(f"{self.path}: is a {self.kind.value}, no model")
        return self.model

    @property
    def graph(self) -> Graph:
        """The model's graph, made once of the file that was parsed once; engines get the same.

        Raises:
            ModelError: it is no model, or needs what the layers lack.
        """
        return self.known.source.graph(self.known.spec.recipe.input_shape)

    @property
    def network(self) -> Network:
        """What an engine loads.

        Raises:
            TwinlensError: the problem that is left.
        """
        model, found = self.model, self
        if model is not None and model.outputs is None and not model.surely_named:
            try:
                found = self.held_to_graph()
            except UnsupportedOperatorError:
                if model.onnx is None:
                    raise
                found = self  # ONNX Runtime may run it all the same
        if found.problem is not None:
            raise found.problem
        return found.network_as(found.known.spec)

    def network_as(self, spec: ModelSpec) -> Network:
        """What an engine loads, fed and read in a way that somebody chose.

        Raises:
            ModelError: it is no model.
        """
        return Network(spec, self.known.source, self.path, self.known.onnx)

    @property
    def bytes(self) -> int:
        """Size of the file, or of all files of a folder; raises ModelFileError."""
        return size_of(self.path)

    def held_to_graph(self) -> Identified:
        """The same with labels held against the outputs that only the graph tells.

        Raises:
            ModelError: it is no model, or needs what the layers lack.
            ModelFileError: its layers give no row of numbers; says what it is instead.
        """
        model, graph = self.known, self.graph
        if model.outputs is not None or model.labels_for is None:
            return self
        outputs = _outputs(graph)
        if outputs is None:
            raise _no_classifier(self.path, graph)
        labels = model.labels_for(outputs)
        rest = tuple(note for note in model.spec.notes if note != model.label_note)
        spec = replace(
            model.spec, labels=labels.names, notes=(labels.note, *rest) if labels.note else rest
        )
        origins = {part: origin for part, origin in model.origins.items() if part != "labels"}
        if labels.origin is not None:
            origins["labels"] = labels.origin
        model = replace(
            model,
            spec=spec,
            outputs=outputs,
            origins=origins,
            labels_source=labels.source,
            label_note=labels.note,
            labels_passed=labels.passed,
        )
        return replace(self, model=model, problem=labels.problem)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder.

    Raises:
        ModelFileError: it cannot be read.
    """
    try:
        files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except OSError as why:
        raise ModelFileError(f"{path}: cannot be read ({why.strerror or why})") from why


def _outputs(graph: Graph) -> int | None:
    return row_width(graph.shapes[graph.outputs[0]])


def _no_classifier(path: Path, graph: Graph) -> ModelFileError:
    """What a network is whose file leaves sizes open, by those that its layers give."""
    shape = graph.shapes[graph.outputs[0]]
    picture = next(iter(graph.inputs.values()))
    task = task_of(shape, picture) or "a network that answers with no row of numbers"
    shown = "×".join(str(n) for n in shape)
    return ModelFileError(
        f"{path}: is {task}, output {graph.outputs[0]!r} of {shown}, not a classifier of pictures",
        hint=CLASSIFIERS,
    )
