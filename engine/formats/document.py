"""Model files that are parsed once: what they declare and their graph come of the same contents.

A format is a row: how it is parsed, described and built. How it is told from others by its first
bytes stands with everything else that a path can be, in ``models.identify``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinlens.engine.api.protocol import GraphSource
from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import CancelledError
from twinlens.engine.graph import Graph
from twinlens.engine.links import blobs_of

if TYPE_CHECKING:
    from twinlens.engine.formats.answer.answers import Answer
    from twinlens.engine.formats.described import ModelFile

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ModelFormat:
    """A way of storing a network.

    Attributes:
        title: its name, for display.
        parse: reads a file or package; the only time that its contents are read.
        describe: what parsed contents declare, without weights being interpreted.
        build: the graph of parsed contents; gets a name, and sizes for axes that are left open.
        cut: parsed contents with one value as their only output; may change what it is given.
            None where the graph is cut instead.
        for_onnxruntime: whether ONNX Runtime reads such a file by itself.
    """

    title: str
    parse: Callable[[Path], Any]
    describe: Callable[[Path, Any], ModelFile]
    build: Callable[[Any, str, Shape | None], Graph]
    cut: Callable[[Any, str], Any] | None
    for_onnxruntime: bool = False


def _late(module: str, function: str) -> Callable[..., Any]:
    """A reader that is imported when it is first called: who starts with one format needs one."""

    def call(*args: Any, **options: Any) -> Any:
        return getattr(import_module(f"{__package__}.{module}"), function)(*args, **options)

    return call


_onnx_graph = _late("onnx.importer", "graph_from_onnx")
_tflite_graph = _late("tflite.importer", "graph_from_tflite")
_coreml_graph = _late("coreml.importer", "graph_from_coreml")
_coreml_facts = _late("coreml.describe", "describe_coreml")
_keras_graph = _late("keras.importer", "graph_from_keras")
_keras_facts = _late("keras.describe", "describe_keras")

ONNX = ModelFormat(
    "ONNX",
    _late("onnx.file", "read_model"),
    _late("onnx.describe", "describe_onnx"),
    lambda model, name, sizes: _onnx_graph(model, name=name, open_sizes=sizes),
    _late("onnx.chart", "cut_onnx"),
    for_onnxruntime=True,
)
TFLITE = ModelFormat(
    "TensorFlow Lite",
    _late("tflite.file", "read_tflite"),
    _late("tflite.describe", "describe_tflite"),
    lambda file, name, sizes: _tflite_graph(file, name=name, open_sizes=sizes),
    _late("tflite.chart", "cut_tflite"),
)
CORE_ML = ModelFormat(
    "Core ML",
    _late("coreml.file", "read_coreml"),
    lambda path, file: _coreml_facts(file),
    lambda file, name, sizes: _coreml_graph(file),
    _late("coreml.chart", "cut_coreml"),
)
KERAS = ModelFormat(
    "Keras",
    _late("keras.file", "read_keras"),
    lambda path, file: _keras_facts(file),
    lambda file, name, sizes: _keras_graph(file, open_sizes=sizes),
    None,
)


class Document:
    """A model file of a known format; used by any thread.

    Args:
        path: the file, or the folder of a package.
        format: its format.
    """

    def __init__(self, path: Path, format: ModelFormat) -> None:
        self.path, self.format = path, format
        self._lock = threading.RLock()
        self._parsed: Any = None
        self._answer: Answer | None = None

    @cached_property
    def described(self) -> ModelFile:
        """What the file declares.

        Raises:
            ModelFileError: missing, too large, damaged, or without one picture in and one
                classification out.
            LabelError: it has labels that cannot be read.
        """
        with self._lock:
            return self.format.describe(self.path, self._contents())

    def read_at(self, answer: Answer) -> None:
        """Let the graph, and what ONNX Runtime gets, end in one of ``described.answers``.

        Said once, before either is asked for.
        """
        self._answer = answer

    def graph(self, open_sizes: Shape | None = None) -> Graph:
        """Build the graph as it is stored, not optimised.

        Args:
            open_sizes: sizes for the axes that the file leaves open.

        Raises:
            ModelError: the file cannot be read or needs what the layers lack.
        """
        with self._lock:
            kept = self._sizes_left_open()
            try:
                graph = self.format.build(self._cut(), self.path.stem, open_sizes)
                if self.format.cut is None and self._answer is not None and self._answer.value:
                    from twinlens.engine.formats.answer.graph import cut_graph

                    return cut_graph(graph, self._answer.value)
                return graph
            except CancelledError:
                kept = True  # whoever asks next need not read the file again
                raise
            finally:
                if not kept:
                    self._parsed = None  # the graph has all of it

    @property
    def source(self) -> GraphSource:
        """What makes the graph for an engine."""
        # Of a file that nobody described nobody knows whether sizes are left open.
        described = "described" in vars(self)
        return GraphSource(self.graph, open_axes=not described or self._sizes_left_open())

    @property
    def onnx(self) -> Path | bytes | None:
        """The file, or its contents, where ONNX Runtime reads them by itself.

        It is what is left of it where the answer is none of its outputs. A file in a cache of
        links comes with its data: ONNX Runtime takes data from the model's own folder only.
        """
        if not self.format.for_onnxruntime:
            return None
        whole = self._answer is None or bool(self._answer.output)
        if whole and blobs_of(self.path) is None:
            return self.path
        with self._lock:
            data: bytes = (self._contents() if whole else self._cut()).SerializeToString()
            return data

    def _cut(self) -> Any:
        contents = self._contents()
        if self._answer is not None and self.format.cut is not None:
            contents = self._parsed = self.format.cut(contents, self._answer.value)
        return contents

    def _contents(self) -> Any:
        checkpoint()
        if self._parsed is None:
            self._parsed = self.format.parse(self.path)
        return self._parsed

    def _sizes_left_open(self) -> bool:
        """Whether the file is known to leave sizes to the recipe, so that it may be built again."""
        described: ModelFile | None = vars(self).get("described")
        # A batch that is left open is one picture.
        return described is not None and None in described.input_shape[-3:]
