"""Model files as graphs of layers, and graphs as ONNX."""

from twinlens.engine.formats.load import load_graph
from twinlens.engine.formats.onnx.export import onnx_bytes, onnx_from_graph
from twinlens.engine.formats.onnx.importer import graph_from_onnx, load_onnx
from twinlens.engine.formats.recognize import Format, peek, recognize

__all__ = [
    "Format",
    "graph_from_onnx",
    "load_graph",
    "load_onnx",
    "onnx_bytes",
    "onnx_from_graph",
    "peek",
    "recognize",
]
