"""The kinds of files: one table, a row each, told by content; the first row that fits counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from twinlens.engine.formats import CORE_ML, KERAS, ONNX, TFLITE, ModelFormat
from twinlens.engine.params.raw import SUFFIXES as RAW_SUFFIXES
from twinlens.models.identify import signatures as signs
from twinlens.models.identify.foreign import FOREIGN, TEXT, Foreign
from twinlens.models.identify.signatures import Start


class Kind(Enum):
    """What a path can be."""

    MODEL = "model"
    PARAMETERS = "parameters"
    PICTURE = "picture"
    VIDEO = "video"
    PICTURES = "folder of pictures"
    LABELS = "labels"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Row:
    """A kind of file and how it is told.

    Attributes:
        kind: what it is.
        format: its name, for display; empty where it is not known.
        fits: whether a file is of this kind.
        model: how it is read, where it is a model.
        refusal: why it is no model file, behind the file's name; empty where it is one.
        hint: what helps then.
    """

    kind: Kind
    format: str
    fits: Callable[[Start], bool]
    model: ModelFormat | None = None
    refusal: str = ""
    hint: str = ""


MODEL_SUFFIXES = (".onnx", ".tflite", ".lite", ".mlmodel", ".mlpackage")
# Keras' endings do not say whether a file has a network or only parameters.
KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
_LABEL_SUFFIXES = (".txt", ".names", ".labels", ".csv", ".tsv", "")
_EXPORT = (
    "torch.onnx.export(model.eval(), (torch.zeros(1, 3, 224, 224),), 'model.onnx', dynamo=True)."
)
_PICKLE_HINT = (
    "To open a pickle is to run what its author wrote into it, so it is not opened. In Python, "
    "where you trust the file, save arrays as safetensors (safetensors.numpy.save_file), or export "
    f"the network: {_EXPORT}"
)

COMPILED_REFUSAL = ": is a compiled Core ML model (.mlmodelc), which only Apple's systems open"
COMPILED_HINT = "Use the .mlmodel or .mlpackage that it was compiled from."
_SAVED_MODEL_HINT = (
    "Convert it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx "
    "(pip install tf2onnx tensorflow)."
)


def _refused(one: Foreign) -> Row:
    return Row(Kind.NOTHING, one.format, one.fits, refusal=one.refusal, hint=one.hint)


# The first row that fits counts. Pictures come first because nothing else starts like them; what
# is only a name comes last.
FILES: tuple[Row, ...] = (
    *(_refused(one) for one in FOREIGN if one.certain),
    Row(
        Kind.NOTHING,
        "ORT",
        signs.is_ort,
        refusal=": is in ONNX Runtime's own format (.ort), which only the runtime that made it "
        "reads",
        hint="Use the .onnx file that it was made from.",
    ),
    Row(
        Kind.NOTHING,
        "TensorFlow.js",
        signs.is_tfjs_graph,
        refusal=": is a TensorFlow.js graph, which is not read",
        hint="Convert it: python -m tf2onnx.convert --tfjs model.json --output model.onnx "
        "(pip install tf2onnx tensorflow); in Custom Vision export it as ONNX.",
    ),
    Row(
        Kind.NOTHING,
        "TensorFlow.js",
        signs.is_tfjs,
        refusal=": is a TensorFlow.js model, which is not read",
        hint="Convert it: tensorflowjs_converter --input_format=tfjs_layers_model "
        "--output_format=keras model.json model.h5 (pip install tensorflowjs); in Teachable "
        "Machine export it as TensorFlow Lite or Keras.",
    ),
    Row(Kind.PICTURE, "picture", signs.is_picture),
    Row(Kind.VIDEO, "video", signs.is_video),
    Row(Kind.MODEL, TFLITE.title, signs.is_tflite, TFLITE),
    # Before HDF5 and zip, which it is as well.
    Row(
        Kind.MODEL,
        KERAS.title,
        signs.is_keras,
        KERAS,
    ),
    Row(
        Kind.PARAMETERS,
        "HDF5",
        signs.is_hdf5,
        refusal=": is an HDF5 file, which holds parameters, not a network that we can read",
        hint="Save all of the Keras model, model.save('net.keras'), or export it: "
        "model.export('model.onnx', format='onnx').",
    ),
    # Before pickles: a header of 640 bytes makes safetensors start as they do.
    Row(
        Kind.PARAMETERS,
        "safetensors",
        signs.is_safetensors,
        refusal=": is a safetensors file, which holds parameters, but no network",
        hint="Give the network as ONNX, TensorFlow Lite or Core ML.",
    ),
    Row(
        Kind.PARAMETERS,
        "PyTorch",
        signs.is_pytorch,
        refusal=": is a PyTorch file, which holds parameters, but no network that we can read",
        hint=f"In Python, export the network: {_EXPORT}",
    ),
    Row(
        Kind.PARAMETERS,
        "npz",
        signs.is_npz,
        refusal=": is a zip archive with arrays, which are parameters, but no network",
        hint="Give the network as ONNX, TensorFlow Lite or Core ML.",
    ),
    Row(
        Kind.NOTHING,
        "pickle",
        signs.is_pickle,
        refusal=": is a Python pickle, and no PyTorch file that torch.save wrote, expected ONNX",
        hint=_PICKLE_HINT,
    ),
    Row(
        Kind.NOTHING,
        "damaged zip",
        signs.is_damaged_zip,
        refusal=": is a zip archive, damaged or incomplete",
        hint="Fetch it again.",
    ),
    Row(
        Kind.NOTHING,
        "empty zip",
        lambda start: signs.is_zip(start) and start.members == [],
        refusal=": is a zip archive with nothing in it",
        hint="What made it has failed; export it again.",
    ),
    Row(
        Kind.NOTHING,
        "compiled Core ML",
        signs.is_compiled_zip,
        refusal=COMPILED_REFUSAL,
        hint=COMPILED_HINT,
    ),
    Row(
        Kind.NOTHING,
        "zip",
        signs.is_zip,
        refusal=": is a zip archive without a model that is read, expected a model file",
        hint="Unpack it, and open what is inside.",
    ),
    Row(
        Kind.LABELS,
        "text",
        lambda start: start.suffix in _LABEL_SUFFIXES and signs.is_text(start),
    ),
    Row(
        Kind.NOTHING,
        "Core ML pipeline",
        signs.is_core_ml_pipeline,
        refusal=": is a Core ML pipeline, several models in a row, which is not read; those that "
        "Create ML trains on pictures go through Apple's own feature extractor, which is part of "
        "Apple's systems, not of the file, so that they run nowhere else",
        hint="Train a network of its own on the same pictures (Keras, PyTorch), and export that: "
        f"{_EXPORT}",
    ),
    Row(Kind.MODEL, CORE_ML.title, signs.is_core_ml, CORE_ML),
    Row(Kind.MODEL, ONNX.title, signs.is_onnx, ONNX),
    Row(
        Kind.NOTHING,
        "TensorFlow",
        lambda start: start.path.name == "saved_model.pb" and signs.is_tensorflow(start),
        refusal=": is a TensorFlow SavedModel, which is not read",
        hint=_SAVED_MODEL_HINT,
    ),
    Row(
        Kind.NOTHING,
        "TensorFlow",
        signs.is_tensorflow,
        refusal=": is a frozen TensorFlow graph, which is not read",
        hint="Convert it: python -m tf2onnx.convert --graphdef FILE.pb --inputs input:0 "
        "--outputs output:0 --output model.onnx (pip install tf2onnx tensorflow).",
    ),
    *(_refused(one) for one in FOREIGN if not one.certain),
    _refused(TEXT),
    # What is called a model is left to a reader, which says what is wrong with it.
    Row(Kind.MODEL, "", lambda start: start.suffix in MODEL_SUFFIXES, ONNX),
    Row(
        Kind.NOTHING,
        "tensor",
        lambda start: start.suffix in RAW_SUFFIXES,
        refusal=" is one tensor",
        hint="Drop the folder with all of them.",
    ),
)
REFUSED = tuple(row for row in FILES if row.kind is Kind.NOTHING and row.format != "tensor")
"""Kinds of files that are told and not read."""
COMPILED = Row(Kind.NOTHING, "compiled Core ML", lambda start: False, refusal=COMPILED_REFUSAL)
EXPORT = Row(Kind.MODEL, "zip archive of an export", lambda start: False)
"""An archive with a model among its members; what it is, its members say."""
CORE_ML_PACKAGE = Row(Kind.MODEL, "Core ML package", lambda start: False, CORE_ML)

PICTURE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".gif"),
        *(".tif", ".tiff", ".heic", ".heif", ".hif", ".avif"),
    )
)
"""Endings of pictures, by which a folder's are told; each is known by its content when read."""
