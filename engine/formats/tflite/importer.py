"""TensorFlow Lite models as graphs of layers.

The graph is (N, C, H, W) from its input on; where the file's order of axes matters, a Transpose
stands in it. Weights that are stored as integers are multiplied out, without loss. Where the file
rounds a value to 8 bits, a QuantizeLinear and a DequantizeLinear do so in the graph; the answer
itself, from the last product on, is not rounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import (
    ModelError,
    ModelFileError,
    ShapeError,
    UnsupportedOperatorError,
)
from twinlens.engine.formats.damage import reading
from twinlens.engine.formats.onnx.assembly import node_list
from twinlens.engine.formats.tflite.file import (
    Operation,
    TFLiteFile,
    channels_first,
    read_tflite,
)
from twinlens.engine.formats.tflite.operator import TO_PICTURE, Net, Op, Place, round_to
from twinlens.engine.formats.tflite.operators import BUILDERS
from twinlens.engine.graph import Graph
from twinlens.engine.layers.base import Shape

# What only rearranges or rescales the answer.
_TAIL = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "SOFTMAX", "LOG_SOFTMAX", "DEQUANTIZE", "QUANTIZE")


# Operators of several outputs.
_PARTS = ("SPLIT", "SPLIT_V", "UNPACK")


def load_tflite(path: str | Path, *, open_sizes: Sequence[int] | None = None) -> Graph:
    """Read a TensorFlow Lite file as a graph of layers.

    Args:
        path: the file; floats, or integers per tensor or per channel.
        open_sizes: (N, C, H, W) for the axes that the file leaves open.

    Returns:
        The graph as the file says, not optimised. Its input is float32 (N, C, H, W), real values:
        for a file of integers, (integer - zero point) × scale.

    Raises:
        ModelFileError: missing, too large, damaged, or contradicting itself.
        UnsupportedOperatorError: operators that are not implemented; names all of them.
        ShapeError, ParameterError: shapes or parameters do not fit; names the operator.
    """
    path = Path(path)
    return graph_from_tflite(read_tflite(path), name=path.stem, open_sizes=open_sizes)


def graph_from_tflite(
    file: TFLiteFile, *, name: str | None = None, open_sizes: Sequence[int] | None = None
) -> Graph:
    """Turn a file's contents into a graph of layers; as ``load_tflite``."""
    needed = _needed(file)
    net = Net(file, _tail(file))
    inputs = {}
    for index in file.inputs:
        key, shape = _add_input(net, index, open_sizes)
        inputs[key] = shape
    _build(net, needed)
    outputs = []
    for index in file.outputs:
        place = net.places.get(index)
        if place is None:
            raise ModelFileError(f"{file.title}: nothing writes its output, tensor {index}")
        outputs.append(place.name)
    return net.values.graph(name or file.title, inputs, outputs, {})


def _needed(file: TFLiteFile) -> list[Operation]:
    """Operators that an output depends on; shapes that are computed for RESHAPE do not count."""
    wanted = set(file.outputs)
    kept = []
    for operation in reversed(file.operations):
        if wanted.isdisjoint(operation.outputs):
            continue
        kept.append(operation)
        wanted.update(operation.inputs[:1] if operation.kind == "RESHAPE" else operation.inputs)
    return kept[::-1]


def _build(net: Net, needed: Sequence[Operation]) -> None:
    """Add all operators' layers; what cannot be is gathered, so that one error names all of it."""
    file = net.file
    missing: dict[str, list[str]] = {}
    refused: list[str] = []
    unknown: set[int] = set()
    for operation in needed:
        checkpoint()
        kind = operation.kind
        if kind not in BUILDERS:
            output = file.tensors[operation.outputs[0]]
            missing.setdefault(kind, []).append(output.name or f"tensor {output.index}")
        elif unknown.isdisjoint(operation.inputs):
            try:
                _add(net, operation)
                continue
            except UnsupportedOperatorError as error:
                refused.append(error.message)
            except ModelError:
                if not missing and not refused:
                    raise
                break
        unknown.update(operation.outputs)
    if missing or refused:
        raise _lacking(file.title, missing, refused)


def _add(net: Net, operation: Operation) -> None:
    count = len(operation.outputs)
    if count > 1 and operation.kind not in _PARTS:
        raise UnsupportedOperatorError(
            f"operator {operation.kind} has {count} outputs; one is required"
        )
    step = Op(operation, net)
    with reading(f"{net.file.title}: operator {operation.kind} at {step.name!r}"):
        BUILDERS[operation.kind](step)


def _lacking(
    title: str, missing: Mapping[str, Sequence[str]], refused: Sequence[str]
) -> UnsupportedOperatorError:
    lines = list(refused[:8])
    if missing:
        kinds = [f"{kind} at {node_list(at)}" for kind, at in sorted(missing.items())]
        lines.insert(0, f"operators that the layers do not implement: {'; '.join(kinds)}")
    lines += [f"and {len(refused) - 8} more"] if len(refused) > 8 else []
    return UnsupportedOperatorError(
        f"{title}: {'; '.join(lines)}",
        hint="No engine here runs it: ONNX Runtime does not read TensorFlow Lite by itself.",
        operators={kind: len(at) for kind, at in missing.items()},
    )


def _tail(file: TFLiteFile) -> set[int]:
    """Tensors from the last product to the outputs, which need not be rounded."""
    writers = {output: op for op in file.operations for output in op.outputs}
    found: set[int] = set()
    waiting = list(file.outputs)
    while waiting:
        index = waiting.pop()
        writer = writers.get(index)
        if index not in found and writer is not None and writer.kind in _TAIL:
            waiting += writer.inputs[:1]
        found.add(index)
    return found


def _add_input(net: Net, index: int, open_sizes: Sequence[int] | None) -> tuple[str, Shape]:
    tensor = net.file.tensors[index]
    name = net.name_of(tensor)
    # Converters from PyTorch leave a picture as it was: channels first.
    picture = len(tensor.shape) == 4 and not channels_first(tensor)
    order = TO_PICTURE if picture else range(len(tensor.shape))
    shape = [1 if axis in tensor.open_axes else tensor.shape[axis] for axis in order]
    for place, axis in enumerate(order):
        if axis not in tensor.open_axes or axis == 0:
            continue
        if open_sizes is not None and len(open_sizes) == 4 and len(shape) == 3:
            open_sizes = open_sizes[1:]
        if open_sizes is None or len(open_sizes) != len(shape):
            raise ShapeError(
                f"{net.file.title}: input {name!r} leaves the size of axis {axis} open",
                hint="Give a model with fixed sizes.",
            )
        shape[place] = int(open_sizes[place])
    net.values.add_input(name, tuple(shape))
    value = round_to(net, name, tensor, name)
    net.places[index] = Place(value, picture)
    return name, tuple(shape)
