"""Core ML models as graphs of layers: neural networks here, ML Programs in ``coreml_program``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.coreml.file import (
    COLORS,
    MAX_NODES,
    CoreMLFile,
    input_shape,
    read_coreml,
)
from twinlens.engine.formats.coreml.layer import LayerStep, Net
from twinlens.engine.formats.coreml.layers import BUILDERS
from twinlens.engine.formats.coreml.weights import floats
from twinlens.engine.formats.damage import reading
from twinlens.engine.formats.onnx.assembly import node_list
from twinlens.engine.graph import Graph
from twinlens.engine.layers import Add, Mul, Sub
from twinlens.engine.layers.base import Array, Layer

_FIRST_KIND = 100


def load_coreml(path: str | Path) -> Graph:
    """Read a ``.mlmodel`` file or a ``.mlpackage`` folder as a graph of layers.

    Args:
        path: the file or folder.

    Returns:
        The graph as the file says, not optimised. Its input is float32 (1, C, H, W): pixels after
        the scale and bias that the file asks for (they are part of the recipe); a mean image that
        it asks for is part of the graph.

    Raises:
        ModelFileError: missing, too large, damaged, or contradicting itself.
        UnsupportedOperatorError: layers that are not implemented; names all of them.
        ShapeError, ParameterError: shapes or parameters do not fit; names the layer.
    """
    return graph_from_coreml(read_coreml(Path(path)))


def graph_from_coreml(file: CoreMLFile) -> Graph:
    """Turn a parsed file into a graph of layers; as ``load_coreml``."""
    if file.kind == "mlProgram":
        from twinlens.engine.formats.coreml.program import graph_from_program

        return graph_from_program(file)
    network = file.network
    kinds = layer_kinds(file)
    net = Net(file.path.stem)
    shape = input_shape(file)
    name = net.unique(file.input.name)
    net.values.add_input(name, shape)
    net.places[file.input.name] = _prepared(net, file, name)
    exact = network.arrayMapping == 1
    for layer, kind in zip(network.layers, kinds, strict=True):
        if len(layer.output) != 1:
            raise ModelFileError(
                f"{file.title}: layer {layer.name!r} ({kind}) has {len(layer.output)} outputs; "
                "one is required"
            )
        checkpoint()
        step = LayerStep(net, layer, kind, exact)
        with reading(f"{step.what} ({kind})"):
            BUILDERS[kind](step)
    output = output_name(file)
    if output not in net.places:
        raise ModelFileError(f"{file.title}: nothing writes its output {output!r}")
    return net.values.graph(net.title, {name: shape}, [net.places[output]], {})


def layer_kinds(file: CoreMLFile) -> list[str]:
    """What each layer is.

    Raises:
        ModelFileError: too many layers, or none.
        UnsupportedOperatorError: some are not implemented; names all of them.
    """
    layers = file.network.layers
    if not 0 < len(layers) <= MAX_NODES:
        raise ModelFileError(f"{file.title}: has {len(layers):,} layers; 1 to {MAX_NODES:,} fit")
    kinds, missing = [], dict[str, list[str]]()
    for layer in layers:
        kind = kind_of(layer)
        kinds.append(kind)
        if kind not in BUILDERS:
            missing.setdefault(kind, []).append(layer.name)
    if missing:
        listed = "; ".join(f"{kind} at {node_list(at)}" for kind, at in sorted(missing.items()))
        raise UnsupportedOperatorError(
            f"{file.title}: layers that are not implemented: {listed}",
            operators={kind: len(at) for kind, at in missing.items()},
        )
    return kinds


def kind_of(layer: Any) -> str:
    """Name of a layer's kind."""
    found = [field.name for field, _ in layer.ListFields() if field.number >= _FIRST_KIND]
    return found[0] if found else "of an unknown kind"


def output_name(file: CoreMLFile) -> str:
    """The blob that holds one value per class."""
    network, layers = file.network, file.network.layers
    if network.probabilitiesName:
        return str(network.probabilitiesName)
    written = {name for layer in layers for name in layer.output}
    named = [feature.name for feature in file.model.description.output if feature.name in written]
    last = layers[-1].output if layers else []
    return str((named or list(last) or [""])[0])


def scaler_of(file: CoreMLFile) -> Any | None:
    """The scale and biases that apply to the pixels first; None where there are none."""
    if file.kind == "mlProgram":
        return None
    steps = _steps(file)
    return steps[0].scaler if steps and steps[0].HasField("scaler") else None


def _steps(file: CoreMLFile) -> list[Any]:
    return [
        step for step in file.network.preprocessing if step.featureName in ("", file.input.name)
    ]


def _prepared(net: Net, file: CoreMLFile, value: str) -> str:
    """The input after what the recipe cannot say: a mean image, and a scaler behind one."""
    shape = net.values.shapes[value]
    steps = _steps(file)
    color = COLORS.get(file.input.type.image.colorSpace, "RGB")

    def emit(layer: Layer, array: Array, name: str) -> str:
        made = net.unique(name)
        return net.values.emit(made, layer, [value, net.keep(array, f"{name}.array")], made)

    for step in steps[1 if steps and steps[0].HasField("scaler") else 0 :]:
        if step.HasField("meanImage"):
            mean = floats(step.meanImage.values, "<f4", None, f"{net.title}: mean image")
            if mean.size != int(np.prod(shape[1:])):
                raise ModelFileError(
                    f"{net.title}: its mean image has {mean.size:,} values for pictures {shape}"
                )
            value = emit(Sub(), mean.reshape(shape), f"{file.input.name}/mean")
        if step.HasField("scaler"):
            factor = np.asarray(step.scaler.channelScale, np.float32)
            value = emit(Mul(), factor, f"{file.input.name}/scale")
            shift = biases(step.scaler, shape[1], color).reshape(-1, 1, 1)
            value = emit(Add(), shift, f"{file.input.name}/bias")
    return value


def biases(scaler: Any, channels: int, color: str) -> Array:
    """A scaler's summands, (channels,), in the colour order of the network."""
    three = [scaler.redBias, scaler.greenBias, scaler.blueBias]
    values = [scaler.grayBias] if channels == 1 else three[:: -1 if color == "BGR" else 1]
    return np.asarray(values, np.float32)
