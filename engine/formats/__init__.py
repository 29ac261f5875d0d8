"""Model files as graphs of layers, and graphs as ONNX.

Goes in: a room a format, and `document.py` with a row each: parse, describe, build. Stays out:
what labels and recipes mean (`models.identify`), and running anything.

ONNX's reader and writer are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from twinlens.engine.formats.document import CORE_ML, KERAS, ONNX, TFLITE, Document, ModelFormat
from twinlens.engine.late import names_of

if TYPE_CHECKING:
    from twinlens.engine.formats.onnx.export import onnx_bytes, onnx_from_graph
    from twinlens.engine.formats.onnx.importer import graph_from_onnx, load_onnx

__all__ = [
    "CORE_ML",
    "KERAS",
    "ONNX",
    "TFLITE",
    "Document",
    "ModelFormat",
    "graph_from_onnx",
    "load_onnx",
    "onnx_bytes",
    "onnx_from_graph",
]

_HOMES = {
    "graph_from_onnx": "twinlens.engine.formats.onnx.importer",
    "load_onnx": "twinlens.engine.formats.onnx.importer",
    "onnx_bytes": "twinlens.engine.formats.onnx.export",
    "onnx_from_graph": "twinlens.engine.formats.onnx.export",
}

if not TYPE_CHECKING:  # for a type checker it would hide the real names
    __getattr__ = names_of(__name__, _HOMES)
