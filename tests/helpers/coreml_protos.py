"""Small Core ML models, field by field; floats are written as their bytes."""

from __future__ import annotations

import json

import numpy as np

from twinlens.engine.formats.coreml.schema import message

SHAPE = (4, 6, 5)


def packed(values):
    """Floats as the wire has them."""
    return np.asarray(values, "<f4").tobytes()


def network(shape=SHAPE, *, image=None, labels=("a", "b"), exact=False):
    """A classifier without layers yet; (model, network)."""
    model = message("Model")(specificationVersion=4)
    entry = model.description.input.add(name="picture")
    if image is None:
        entry.type.array.shape.extend(shape)
        entry.type.array.dataType = 65568
    else:
        entry.type.image.width, entry.type.image.height = shape[2], shape[1]
        entry.type.image.colorSpace = {"GRAY": 10, "RGB": 20, "BGR": 30}[image]
    model.description.output.add(name="probabilities")
    net = model.neuralNetworkClassifier
    net.arrayMapping = int(exact)
    net.stringLabels.vector.extend(labels)
    return model, net


def add(net, kind, *inputs, output=None, fill=None):
    """Append a layer; return its output's name."""
    name = output or f"v{len(net.layers)}"
    layer = net.layers.add(name=name, input=list(inputs), output=[name])
    getattr(layer, kind).SetInParent()
    if fill is not None:
        fill(getattr(layer, kind))
    return name


def single(kind, fill=None, shape=SHAPE, exact=False):
    """Bytes of a network of one layer."""
    model, net = network(shape, exact=exact)
    add(net, kind, "picture", output="answer", fill=fill)
    return model.SerializeToString()


def package(folder, model, *, name="com.apple.CoreML/model.mlmodel", weights=None):
    """Write a package; return its path."""
    where = folder / "Data" / "com.apple.CoreML"
    where.mkdir(parents=True)
    (where / "model.mlmodel").write_bytes(model.SerializeToString())
    if weights is not None:
        (where / "weights").mkdir()
        (where / "weights" / "weight.bin").write_bytes(weights)
    entry = {"author": "com.apple.CoreML", "name": "model.mlmodel", "path": name}
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {"id": entry},
        "rootModelIdentifier": "id",
    }
    (folder / "Manifest.json").write_text(json.dumps(manifest))
    return folder


def blob(array, code):
    """A weight file of one array, whose description begins at byte 64."""
    data = np.ascontiguousarray(array).tobytes()
    head = np.zeros(16, "<u4")
    head[:2] = 1, 2
    entry = np.zeros(8, "<u8")
    entry[0] = 0xDEADBEEF | code << 32
    entry[1:3] = len(data), 128
    return head.tobytes() + entry.tobytes() + data


def program(weight_offset=64, shape=(2, 3, 1, 1), file="@model_path/weights/weight.bin"):
    """A program: a convolution with weights from a file, the mean of each channel, softmax."""
    model = message("Model")(specificationVersion=6)
    entry = model.description.input.add(name="picture")
    entry.type.image.width, entry.type.image.height = 5, 4
    entry.type.image.colorSpace = 20
    function = message("Function")(opset="CoreML5")
    block = message("Block")()
    constant(block, "weight", shape, 11, file=(file, weight_offset))
    constant(block, "axes", (2,), 23, ints=[2, 3])
    constant(block, "keep", (), 1, bools=[0])
    constant(block, "axis", (), 23, ints=[-1])
    constant(block, "names", (2,), 2, strings=["cat", "dog"])
    operation(block, "conv", "c", x="picture", weight="weight")
    operation(block, "reduce_mean", "m", x="c", axes="axes", keep_dims="keep")
    operation(block, "softmax", "p", x="m", axis="axis")
    operation(block, "classify", "label", probabilities="p", classes="names")
    block.outputs.append("label")
    made = function.blocks.add(key="CoreML5")
    made.value.CopyFrom(block)
    entry = model.mlProgram.functions.add(key="main")
    entry.value.CopyFrom(function)
    return model


def operation(block, kind, output, **inputs):
    """Append an operation whose inputs are values by name."""
    made = block.operations.add(type=kind)
    for key, name in inputs.items():
        entry = made.inputs.add(key=key)
        entry.value.bindings.add(name=name)
    made.outputs.add(name=output)


def constant(block, name, shape, code, *, file=None, **values):
    """Append a constant, in the program or in a file."""
    made = block.operations.add(type="const")
    made.outputs.add(name=name)
    value = made.attributes.add(key="val").value
    value.type.tensor.dataType = code
    for size in shape:
        value.type.tensor.dimensions.add().constant.size = size
    if file is not None:
        value.file.name, value.file.offset = file
        return
    if "floats" in values:
        value.immediate.tensor.floats.values = packed(values.pop("floats"))
    for field, given in values.items():
        getattr(value.immediate.tensor, field).values.extend(given)
