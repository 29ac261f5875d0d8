"""What a TensorFlow Lite file declares, and what its metadata say of pictures and labels.

Metadata are a FlatBuffers table of their own (``metadata_schema.fbs`` of tflite-support, identifier
``M001``), and label files lie in a zip archive behind the model, in the same file.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from twinlens.engine.errors import LabelError, ModelFileError
from twinlens.engine.formats.answer.answers import answers_of
from twinlens.engine.formats.answer.chart import Chart
from twinlens.engine.formats.described import (
    PACKED,
    ModelFile,
    counted,
    no_picture,
    picture_shape,
)
from twinlens.engine.formats.tflite.chart import chart_of_tflite
from twinlens.engine.formats.tflite.file import Tensor, TFLiteFile, channels_first
from twinlens.engine.formats.tflite.flatbuffer import Table
from twinlens.engine.formats.usual import (
    Usual,
    flat,
    imagenet,
    of_keras_applications,
    scaled_inside,
    symmetric,
)

_METADATA = "TFLITE_METADATA"
_AXIS_LABELS = 2
_NORMALIZATION = 1
_PACKED_NAMES = ("metadata.json", "TFLITE_ULTRALYTICS_METADATA.json", "temp_meta.txt")
_PACKED = (zlib.error, lzma.LZMAError)
_MAX_LABEL_BYTES = 4 << 20
_MOST = 1_000
# What pixels are scaled to.
_SPANS = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-128.0, 127.0))
# Operators that hold code for one chip.
_COMPILED = {
    "CUSTOM:edgetpu-custom-op": "Google's Edge TPU",
    "CUSTOM:ethos-u": "Arm's Ethos-U",
}


def describe_tflite(path: Path, file: TFLiteFile) -> ModelFile:
    """What a parsed TensorFlow Lite file declares, without its weights being interpreted.

    Args:
        path: the file; its labels lie in a zip archive at its end.
        file: its contents.

    Raises:
        ModelFileError: damaged, or without one picture in and one classification out.
        LabelError: it has labels that cannot be read.
    """
    if len(file.inputs) != 1 or not file.outputs:
        names = [[file.tensors[i].name for i in some] for some in (file.inputs, file.outputs)]
        raise ModelFileError(
            f"{path}: {counted(names[0], 'input')} and {counted(names[1], 'output')}, expected "
            "one picture in and one classification out"
        )
    entering = file.tensors[file.inputs[0]]
    declared = tuple(None if a in entering.open_axes else n for a, n in enumerate(entering.shape))
    sizes = picture_shape(declared)
    if sizes is None:
        raise ModelFileError(f"{path}: {no_picture(entering.name, declared)}")
    for operation in file.operations:
        if operation.kind in _COMPILED:
            raise ModelFileError(
                f"{path}: is compiled for {_COMPILED[operation.kind]}, which alone runs it",
                hint="Use the file that it was compiled from, mostly of the same name without "
                "_edgetpu or _vela.",
            )
    chart = chart_of_tflite(file)
    answers = answers_of(chart)
    best = answers.best
    if len(sizes) == 4 and not channels_first(entering):
        sizes = (sizes[0], sizes[3], sizes[1], sizes[2])
    metadata = _metadata(file)
    channels = sizes[1] if len(sizes) == 4 else sizes[0] if sizes[0] in (1, 3) else sizes[-1]
    words, usual = _usual(file, chart, channels) or ("", {})
    said = {"description": file.description} if file.description else {}
    packed = _packed(path)
    said |= {PACKED: packed} if packed else {}
    return ModelFile(
        path=path,
        input_shape=sizes,
        output_width=best.width if best else None,
        answers=answers,
        metadata=said,
        labels=_labels(path, metadata),
        recipe=_recipe(entering, metadata),
        usual=usual,
        usual_values=words,
        format="TensorFlow Lite",
    )


def _usual(file: TFLiteFile, chart: Chart, channels: int | None) -> Usual | None:
    """How such a network is mostly fed; None where nothing tells."""
    if channels not in (1, 3):
        return None
    calibrated = _calibrated(file.tensors[file.inputs[0]], channels)
    if calibrated is not None:
        return calibrated
    inside = scaled_inside(chart, str(file.inputs[0]), channels)
    if inside is not None or channels == 1:
        return inside
    return of_keras_applications(tensor.name for tensor in file.tensors)


def _metadata(file: TFLiteFile) -> Table | None:
    """The metadata of the network."""
    block = file.metadata.get(_METADATA)
    if block is None:
        return None
    graphs = Table.root(block, f"{file.title}: its metadata").tables(3, _MOST)
    return graphs[0] if graphs else None


def _recipe(entering: Tensor, metadata: Table | None) -> dict[str, Any]:
    """How pixels become real values.

    For a file of integers the pixels are mostly the integers (from -128 on where they are signed),
    so that scale and zero point say it; for floats the metadata do.
    """
    shape = entering.shape[-3:]
    channels = shape[2] if shape[2] in (1, 3, 4) else shape[0]
    count = channels if channels in (1, 3, 4) else 3
    color = {"color": {1: "GRAY", 3: "RGB", 4: "RGBA"}[count]}
    dtype = entering.dtype
    if dtype is not None and dtype.kind in "iu" and entering.scale is None:
        shift = 128.0 if dtype == np.int8 else 0.0  # pixels themselves: what follows scales them
        return color | {"scale": 1.0, "mean": (shift,) * count, "std": (1.0,) * count}
    if _is_pixels(entering):
        scale, zero = _quantised(entering)
        shift = scale * (zero + 128 if dtype == np.int8 else zero)
        return color | {"scale": scale, "mean": (shift,) * count, "std": (1.0,) * count}
    units = [] if metadata is None else _units(metadata)
    for unit in units:
        options = unit.table(1)
        if unit.integer(0, "B") != _NORMALIZATION or options is None:
            continue
        mean, std = (_per_channel(options, number, count) for number in (0, 1))
        if mean and std and all(std):
            return color | {"scale": 1.0, "mean": mean, "std": std}
    return {}


def _quantised(tensor: Tensor) -> tuple[float, int]:
    """(scale, zero point) of a tensor of integers."""
    scale = 1.0 if tensor.scale is None else float(tensor.scale.reshape(-1)[0])
    return scale, 0 if tensor.zero_point is None else int(tensor.zero_point.reshape(-1)[0])


def _range_of(tensor: Tensor) -> tuple[float, float]:
    """The least and the largest real value that an input of bytes can have."""
    scale, zero = _quantised(tensor)
    least = -128 if tensor.dtype == np.int8 else 0
    return scale * (least - zero), scale * (least + 255 - zero)


def _is_pixels(entering: Tensor) -> bool:
    """Whether the bytes that go in are pixels.

    Their range is the one that the values had on which the network was calibrated; of another
    width than pixels are scaled to, it says only roughly how those came.
    """
    dtype = entering.dtype
    if dtype is None or dtype.itemsize != 1 or entering.scale is None:
        return False
    low, high = _range_of(entering)
    near = 0.02 * (high - low)
    return any(abs(low - first) <= near and abs(high - last) <= near for first, last in _SPANS)


def _calibrated(entering: Tensor, channels: int) -> Usual | None:
    """What pixels are scaled to, by the range on which a network was calibrated."""
    byte = entering.dtype is not None and entering.dtype.itemsize == 1
    if not byte or entering.scale is None or _is_pixels(entering):
        return None
    low, high = _range_of(entering)
    near = 0.02 * (high - low)
    if low >= -near and high <= 1.5:
        words, values = flat(1 / 255, channels)
    elif low >= -near and high >= 64:
        words, values = flat(1.0, channels)
    elif low >= -1.5 and high <= 1.5:
        words, values = symmetric(channels)
    elif low >= -3 and high <= 3 and channels == 3:
        words, values = imagenet()
    else:
        return None
    return f"{words}, by the range of its integers", values


def _units(metadata: Table) -> list[Table]:
    tensors = metadata.tables(2, _MOST)
    return tensors[0].tables(4, _MOST) if tensors else []


def _per_channel(options: Table, number: int, count: int) -> tuple[float, ...]:
    array = options.array(number, np.float32)
    if array is None or array.size not in (1, count) or not np.isfinite(array).all():
        return ()
    return tuple(float(value) for value in np.broadcast_to(array, (count,)))


def _labels(path: Path, metadata: Table | None) -> tuple[str, ...]:
    """Names of the outputs, from the label file that the metadata name."""
    tensors = [] if metadata is None else metadata.tables(3, _MOST)
    files = tensors[0].tables(6, _MOST) if tensors else []
    names = [file.text(0) for file in files if file.integer(2, "b") == _AXIS_LABELS]
    if not names or not zipfile.is_zipfile(path):
        return ()
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(names[0])
            if entry.file_size > _MAX_LABEL_BYTES:
                raise LabelError(f"{path}: its {names[0]} has {entry.file_size:,} bytes")
            with archive.open(entry) as stream:
                text = stream.read(_MAX_LABEL_BYTES).decode("utf-8-sig")
    except KeyError:
        return ()
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, OSError, *_PACKED) as why:
        raise LabelError(f"{path}: its labels ({names[0]}) cannot be read: {why}") from why
    if text.lstrip().startswith("{"):
        return ()  # a mapping, such as Ultralytics puts there
    return tuple(line.strip() for line in text.rstrip().splitlines())


def _packed(path: Path) -> str:
    """What Ultralytics packs behind a network; "" where there is nothing of it.

    Of several the last counts, as with its own reader.
    """
    if not zipfile.is_zipfile(path):
        return ""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename in _PACKED_NAMES]
            if not entries or entries[-1].file_size > _MAX_LABEL_BYTES:
                return ""
            with archive.open(entries[-1]) as stream:
                return stream.read(_MAX_LABEL_BYTES).decode("utf-8-sig")
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, OSError, *_PACKED):
        return ""  # nothing that has to be there
