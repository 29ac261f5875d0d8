"""Model files as graphs of layers, and graphs as ONNX.

Goes in: a room a format, and `document.py` with a row each: parse, describe, build. Stays out:
what labels and recipes mean (`models.identify`), and running anything.
"""

from twinlens.engine.formats.document import CORE_ML, KERAS, ONNX, TFLITE, Document, ModelFormat
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
