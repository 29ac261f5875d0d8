"""Model files as graphs of layers."""

from twinlens.engine.formats.load import load_graph
from twinlens.engine.formats.onnx_import import graph_from_onnx, load_onnx

__all__ = ["graph_from_onnx", "load_graph", "load_onnx"]
