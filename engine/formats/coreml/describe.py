"""What a Core ML model declares: picture, preprocessing, class labels."""

from __future__ import annotations

from typing import Any

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.answer.answers import answers_of
from twinlens.engine.formats.coreml.chart import chart_of_coreml
from twinlens.engine.formats.coreml.file import COLORS, CoreMLFile, input_shape
from twinlens.engine.formats.coreml.importer import biases, scaler_of
from twinlens.engine.formats.coreml.operation import Constants
from twinlens.engine.formats.coreml.program import classify_operation, main_block
from twinlens.engine.formats.described import ModelFile, no_picture, picture_shape


def describe_coreml(file: CoreMLFile) -> ModelFile:
    """What a parsed Core ML file or package declares, without its weights being interpreted.

    Raises:
        ModelFileError: damaged, or without one picture in.
    """
    shape = input_shape(file)
    if picture_shape(shape) is None:
        raise ModelFileError(f"{file.path}: {no_picture(file.input.name, shape)}")
    labels = _labels(file)
    answers = answers_of(chart_of_coreml(file))
    best = answers.best
    described = file.model.description.metadata
    metadata = {entry.key: entry.value for entry in described.userDefined}
    for name in ("shortDescription", "author", "license"):
        if getattr(described, name):
            metadata[name] = getattr(described, name)
    return ModelFile(
        path=file.path,
        input_shape=shape,
        output_width=len(labels) or (best.width if best else None),
        answers=answers,
        metadata=metadata,
        labels=labels,
        recipe=_recipe(file),
        format="Core ML",
    )


def _labels(file: CoreMLFile) -> tuple[str, ...]:
    if file.kind != "mlProgram":
        network = file.network
        whole = [str(number) for number in network.integerLabels.vector]
        return tuple(network.stringLabels.vector) or tuple(whole)
    classify = classify_operation(file)
    if classify is None:
        return ()
    constants = Constants(file)
    for entry in classify.inputs:
        if entry.key == "classes" and entry.value.bindings:
            binding = entry.value.bindings[0]
            value = binding.value if binding.HasField("value") else _constant(file, binding.name)
            found = None if value is None else constants.read(value)
            return () if found is None else tuple(str(part) for part in found)
    return ()


def _constant(file: CoreMLFile, name: str) -> Any | None:
    for operation in main_block(file).operations:
        if operation.type == "const" and operation.outputs and operation.outputs[0].name == name:
            return next((e.value for e in operation.attributes if e.key == "val"), None)
    return None


def _recipe(file: CoreMLFile) -> dict[str, Any]:
    """How pixels are fed: ``channelScale * pixel + bias``, in the colour order of the input.

    An ML Program does so itself. Nothing is said of an array that is no image.
    """
    kind = file.input.type
    if not kind.HasField("image"):
        return {}
    color = COLORS.get(kind.image.colorSpace, "RGB")
    channels = 1 if color == "GRAY" else 3
    scaler = scaler_of(file)
    scale, mean = 1.0, (0.0,) * channels
    if scaler is not None:
        # A scale of 0 is how the default, 1, is left out.
        scale = float(scaler.channelScale) or 1.0
        mean = tuple(-float(value) for value in biases(scaler, channels, color))
    # Core ML's own applications (Vision) cut out the centre unless they are told otherwise.
    return {"color": color, "scale": scale, "mean": mean, "std": (1.0,) * channels}
