"""One way in: a file or a folder is recognised by what it holds, not by its ending."""

from __future__ import annotations

from pathlib import Path

from twinlens.engine.errors import ModelFileError
from twinlens.engine.params.initializers import open_initializers
from twinlens.engine.params.npz import open_npz
from twinlens.engine.params.parameters import MAX_BYTES, Parameters
from twinlens.engine.params.raw import open_raw

_ZIP = b"PK\x03\x04"


def open_parameters(path: Path) -> Parameters:
    """Open trained parameters; their values are read when they are asked for.

    Args:
        path: a folder of raw ``.dat`` or ``.bin`` files, an npz or an ONNX file.

    Raises:
        ModelFileError: missing, damaged, too large, a pickle, or none of these; says which.
    """
    try:
        if path.is_dir():
            return open_raw(path)
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as why:
        raise ModelFileError(f"{path}: cannot be read ({why.strerror or why})") from why
    if size > MAX_BYTES:
        raise ModelFileError(f"{path}: {size:,} bytes, expected at most {MAX_BYTES:,}")
    if start.startswith(_ZIP):
        return open_npz(path)
    return open_initializers(path)
