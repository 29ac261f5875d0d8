"""Reading an ONNX file with care: everything that can be wrong with it is one clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twinlens.engine.errors import ModelFileError
from twinlens.engine.formats.damage import LFS_POINTER, lfs_pointer
from twinlens.engine.formats.onnx.functions import without_functions
from twinlens.engine.links import followed, inside

if TYPE_CHECKING:
    import onnx

MAX_BYTES = 2 << 30
"""Protocol buffers end here; data beside the file counts as well."""

_DAMAGED = "The file is damaged or incomplete; fetch it again."


def read_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX file, with the data that it keeps beside itself.

    Raises:
        ModelFileError: missing, empty, too large, text, truncated, not ONNX, or it points to
            data outside its own folder.
    """
    data = _read(path)
    model = _parse(data, path)
    _load_external_data(model, path)
    return model


def parse_model(data: bytes, title: str) -> onnx.ModelProto:
    """Read the contents of an ONNX file, which have all weights inside.

    Args:
        data: the contents.
        title: what errors call it.

    Raises:
        ModelFileError: empty, too large, text, truncated, not ONNX, or with data beside itself.
    """
    if len(data) > MAX_BYTES:
        raise ModelFileError(f"{title} has {len(data):,} bytes; at most {MAX_BYTES:,} can be read")
    model = _parse(data, Path(title))
    if _outside(model):
        raise ModelFileError(
            f"{title}: keeps data in files beside itself, where nothing lies beside bytes",
            hint="Give the path of the file instead.",
        )
    return model


def _parse(data: bytes, path: Path) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as why:
        raise _not_onnx(path, data) from why
    # Bytes of other kinds can be parsed as an empty message, so what must be there is asked for.
    if not model.opset_import or not (model.graph.node or model.graph.output):
        raise _not_onnx(path, data)
    _check_text(model, path)
    return without_functions(model, path.name)


def _check_text(model: onnx.ModelProto, path: Path) -> None:
    """Refuse names that are no UTF-8: protobuf hands them out as bytes."""
    graph = model.graph
    texts: list[object] = [graph.name, *(entry.domain for entry in model.opset_import)]
    nodes = [*graph.node, *(node for function in model.functions for node in function.node)]
    for node in nodes:
        texts += [node.name, node.op_type, node.domain, *node.input, *node.output]
    for named in (*graph.initializer, *graph.input, *graph.output):
        texts.append(named.name)
    texts += [text for f in model.functions for text in (f.name, f.domain, *f.input, *f.output)]
    for entry in model.metadata_props:
        texts += [entry.key, entry.value]
    for tensor in graph.initializer:
        texts += [part for entry in tensor.external_data for part in (entry.key, entry.value)]
    if not all(isinstance(text, str) for text in texts):
        raise ModelFileError(f"{path} has names that are no text", hint=_DAMAGED)


def _read(path: Path) -> bytes:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelFileError(f"{path} {what}; an ONNX file was expected")
    try:
        found = followed(path)
        size = found.stat().st_size
        if size > MAX_BYTES:
            raise ModelFileError(f"{path} has {size:,} bytes; at most {MAX_BYTES:,} can be read")
        return found.read_bytes()
    except OSError as why:
        raise ModelFileError(f"{path} cannot be read: {why.strerror or why}") from why


def _not_onnx(path: Path, data: bytes) -> ModelFileError:
    if not data:
        return ModelFileError(f"{path} is empty; an ONNX file was expected", hint=_DAMAGED)
    if data.startswith(LFS_POINTER):
        return lfs_pointer(path)
    try:
        text = data[:4096].decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and all(letter.isprintable() or letter.isspace() for letter in text):
        return ModelFileError(
            f"{path} is a text file, not an ONNX model",
            hint="Perhaps a web page was saved instead of the download.",
        )
    return ModelFileError(f"{path} is truncated or not an ONNX model", hint=_DAMAGED)


def _outside(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Tensors whose data lie beside the model."""
    import onnx

    outside = onnx.TensorProto.EXTERNAL
    return [tensor for tensor in model.graph.initializer if tensor.data_location == outside]


def _load_external_data(model: onnx.ModelProto, path: Path) -> None:
    total = 0
    for tensor in _outside(model):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        target = inside(path, location)
        if target is None:
            raise ModelFileError(
                f"{path}: the data of {tensor.name!r} lie at {location!r}, outside the model's "
                "folder",
                hint="Data are read only from the folder of the model, or the cache it links to.",
            )
        if not target.is_file():
            raise ModelFileError(
                f"{path}: the data of {tensor.name!r} should be in {location!r}, which does not "
                "exist beside it"
            )
        total += _length(entries, target)
        if total > MAX_BYTES:
            raise ModelFileError(f"{path}: its data take more than {MAX_BYTES:,} bytes")
        _fill(tensor, entries, target)


def _length(entries: dict[str, str], target: Path) -> int:
    size = target.stat().st_size
    with target.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise lfs_pointer(target)
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or size - offset)
    except ValueError as why:
        raise ModelFileError(f"{target}: offset and length must be numbers: {why}") from why
    if offset < 0 or length < 0 or offset + length > size:
        raise ModelFileError(
            f"{target} has {size:,} bytes, but {length:,} are wanted from {offset:,} on",
            hint=_DAMAGED,
        )
    return length


def _fill(tensor: onnx.TensorProto, entries: dict[str, str], target: Path) -> None:
    length = _length(entries, target)
    try:
        with target.open("rb") as stream:
            stream.seek(int(entries.get("offset") or 0))
            tensor.raw_data = stream.read(length)
    except OSError as why:
        raise ModelFileError(f"{target} cannot be read: {why.strerror or why}") from why
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
