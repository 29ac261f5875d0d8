"""Model files as graphs of layers, and graphs as ONNX.

Goes in: a room a format, and `document.py` with a row each: parse, describe, build. Stays out:
what labels and recipes mean (`models.identify`), and running anything.

ONNX's reader and writer are loaded when they are first used.
"""

from typing import TYPE_CHECKING, Any

from twinlens.engine.formats.document import CORE_ML, KERAS, ONNX, TFLITE, Document, ModelFormat

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
    "graph_from_onnx": "importer",
    "load_onnx": "importer",
    "onnx_bytes": "export",
    "onnx_from_graph": "export",
}

if not TYPE_CHECKING:  # for a type checker it would hide the real names

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.onnx.{_HOMES[name]}"), name)
