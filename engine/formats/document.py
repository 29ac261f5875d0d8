"""Model files that are parsed once: what they declare and their graph come of the same contents.

A format is a row: how it is parsed, described and built. How it is told from others by its first
bytes stands with everything else that a path can be, in ``models.identify``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from twinlens.engine.api.protocol import GraphSource
from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import CancelledError
from twinlens.engine.formats.coreml.describe import describe_coreml
from twinlens.engine.formats.coreml.file import read_coreml
from twinlens.engine.formats.coreml.importer import graph_from_coreml
from twinlens.engine.formats.described import ModelFile
from twinlens.engine.formats.keras.describe import FORMAT as KERAS_TITLE
from twinlens.engine.formats.keras.describe import describe_keras
from twinlens.engine.formats.keras.file import read_keras
from twinlens.engine.formats.keras.importer import graph_from_keras
from twinlens.engine.formats.onnx.describe import describe_onnx
from twinlens.engine.formats.onnx.file import read_model
from twinlens.engine.formats.onnx.importer import graph_from_onnx
from twinlens.engine.formats.tflite.describe import describe_tflite
from twinlens.engine.formats.tflite.file import read_tflite
from twinlens.engine.formats.tflite.importer import graph_from_tflite
from twinlens.engine.graph import Graph
from twinlens.engine.links import blobs_of

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ModelFormat:
    """A way of storing a network.

    Attributes:
        title: its name, for display.
        parse: reads a file or package; the only time that its contents are read.
        describe: what parsed contents declare, without weights being interpreted.
        build: the graph of parsed contents; gets a name, and sizes for axes that are left open.
        for_onnxruntime: whether ONNX Runtime reads such a file by itself.
    """

    title: str
    parse: Callable[[Path], Any]
    describe: Callable[[Path, Any], ModelFile]
    build: Callable[[Any, str, Shape | None], Graph]
    for_onnxruntime: bool = False


ONNX = ModelFormat(
    "ONNX",
    read_model,
    describe_onnx,
    lambda model, name, sizes: graph_from_onnx(model, name=name, open_sizes=sizes),
    for_onnxruntime=True,
)
TFLITE = ModelFormat(
    "TensorFlow Lite",
    read_tflite,
    describe_tflite,
    lambda file, name, sizes: graph_from_tflite(file, name=name, open_sizes=sizes),
)
CORE_ML = ModelFormat(
    "Core ML",
    read_coreml,
    lambda path, file: describe_coreml(file),
    lambda file, name, sizes: graph_from_coreml(file),
)
KERAS = ModelFormat(
    KERAS_TITLE,
    read_keras,
    lambda path, file: describe_keras(file),
    lambda file, name, sizes: graph_from_keras(file, open_sizes=sizes),
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
                return self.format.build(self._contents(), self.path.stem, open_sizes)
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

        A file in a cache of links comes with its data as bytes: ONNX Runtime takes data from the
        model's own folder only.
        """
        if not self.format.for_onnxruntime:
            return None
        if blobs_of(self.path) is None:
            return self.path
        with self._lock:
            return bytes(self._contents().SerializeToString())

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
