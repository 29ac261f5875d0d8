"""Core ML's ML Programs as graphs of layers.

A program is a list of operations of the Model Intermediate Language; what each takes and gives is
said at https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html.
Values of 16 bits become float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twinlens.engine.errors import ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats.coreml.file import MAX_NODES, CoreMLFile, input_shape
from twinlens.engine.formats.coreml.layer import Net
from twinlens.engine.formats.coreml.operation import Constants, OperationStep
from twinlens.engine.formats.coreml.operations import BUILDERS
from twinlens.engine.formats.damage import reading
from twinlens.engine.formats.onnx.assembly import node_list
from twinlens.engine.graph import Graph


def graph_from_program(file: CoreMLFile) -> Graph:
    """Turn an ML Program into a graph of layers; as ``load_coreml``."""
    block = main_block(file)
    _check_operations(file, block, BUILDERS)
    net, constants = Net(file.path.stem), Constants(file)
    shape = input_shape(file)
    name = net.unique(file.input.name)
    net.values.add_input(name, shape)
    net.places[file.input.name] = name
    for operation in block.operations:
        if not operation.outputs:
            raise ModelFileError(f"{file.title}: an operation {operation.type} has no output")
        if operation.type == "const":
            _constant(file, operation, constants)
        else:
            step = OperationStep(net, operation, constants)
            with reading(f"{step.what} ({operation.type})"):
                BUILDERS[operation.type](step)
    output = probabilities_name(file)
    if output not in net.places:
        raise ModelFileError(f"{file.title}: nothing writes its output {output!r}")
    return net.values.graph(net.title, {name: shape}, [net.places[output]], {})


def main_block(file: CoreMLFile) -> Any:
    """The operations of the program's main function.

    Raises:
        ModelFileError: there is none.
    """
    functions = {entry.key: entry.value for entry in file.network.functions}
    function = functions.get("main")
    blocks = {} if function is None else {entry.key: entry.value for entry in function.blocks}
    block = blocks.get(function.opset) if function is not None else None
    if block is None or not 0 < len(block.operations) <= MAX_NODES:
        raise ModelFileError(f"{file.title}: has no main function of 1 to {MAX_NODES:,} operations")
    return block


def classify_operation(file: CoreMLFile) -> Any | None:
    """The operation that turns probabilities into a class; None in a network without."""
    found = [op for op in main_block(file).operations if op.type == "classify"]
    return found[0] if found else None


def probabilities_name(file: CoreMLFile) -> str:
    """The value that holds one number per class."""
    classify = classify_operation(file)
    if classify is not None:
        for entry in classify.inputs:
            if entry.key == "probabilities" and entry.value.bindings:
                return str(entry.value.bindings[0].name)
    outputs = main_block(file).outputs
    return str(outputs[0]) if outputs else ""


def _check_operations(file: CoreMLFile, block: Any, known: Mapping[str, Any]) -> None:
    missing: dict[str, list[str]] = {}
    for operation in block.operations:
        if operation.type not in known and operation.type != "const":
            name = operation.outputs[0].name if operation.outputs else ""
            missing.setdefault(operation.type, []).append(name)
    if missing:
        listed = "; ".join(f"{kind} at {node_list(at)}" for kind, at in sorted(missing.items()))
        raise UnsupportedOperatorError(
            f"{file.title}: operations that are not implemented: {listed}",
            operators={kind: len(at) for kind, at in missing.items()},
        )


def _constant(file: CoreMLFile, operation: Any, constants: Constants) -> None:
    given = next((e.value for e in operation.attributes if e.key == "val"), None)
    for entry in operation.inputs:
        if given is None and entry.key == "val" and entry.value.bindings:
            given = entry.value.bindings[0].value
    if given is None:
        raise ModelFileError(f"{file.title}: constant {operation.outputs[0].name!r} has no value")
    found = constants.read(given)
    name = operation.outputs[0].name
    if isinstance(found, list):
        constants.texts[name] = found
    else:
        constants.arrays[name] = found
