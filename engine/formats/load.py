"""A model as a graph of layers, whatever it is stored as."""

from __future__ import annotations

from collections.abc import Sequence

from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.cancel import checkpoint
from twinlens.engine.formats.coreml.importer import load_coreml
from twinlens.engine.formats.onnx.importer import load_onnx
from twinlens.engine.formats.recognize import Format, recognize
from twinlens.engine.formats.tflite.importer import load_tflite
from twinlens.engine.graph import Graph


def load_graph(model: ModelSpec, *, open_sizes: Sequence[int] | None = None) -> Graph:
    """Assemble a model that is built by hand, or read its file.

    Args:
        model: what to load.
        open_sizes: sizes for the axes that the file leaves open.

    Returns:
        The graph as it is stored, not optimised.

    Raises:
        ModelError: the file cannot be read or needs what the layers lack.
    """
    checkpoint()
    if model.assemble is not None:
        return model.assemble()
    kind = recognize(model.path)
    if kind is Format.TFLITE:
        return load_tflite(model.path, open_sizes=open_sizes)
    if kind in (Format.CORE_ML, Format.CORE_ML_PACKAGE):
        return load_coreml(model.path)
    return load_onnx(model.path, open_sizes=open_sizes)
