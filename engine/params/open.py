"""One way in: a file or a folder is recognised by what it holds, not by its ending."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from twinlens.engine.errors import ModelFileError
from twinlens.engine.params.hdf5 import open_hdf5
from twinlens.engine.params.initializers import open_initializers
from twinlens.engine.params.npz import open_npz
from twinlens.engine.params.parameters import MAX_BYTES, Parameters
from twinlens.engine.params.raw import open_raw
from twinlens.engine.params.safetensors_file import open_safetensors

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLE = b"\x80"
_PICKLE_PROTOCOLS = range(2, 6)


def open_parameters(path: Path) -> Parameters:
    """Open trained parameters; their values are read when they are asked for.

    Args:
        path: a folder of raw ``.dat`` or ``.bin`` files, or an HDF5, safetensors, npz or ONNX
            file.

    Raises:
        ModelFileError: missing, damaged, too large, a pickle, or none of these; says which.
        EngineUnavailableError: HDF5, where h5py is not installed.
    """
    if path.is_dir():
        return open_raw(path)
    return (_opener(path) or open_initializers)(path)


def _opener(path: Path) -> Callable[[Path], Parameters] | None:
    """What opens a file that holds nothing but parameters."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as why:
        raise ModelFileError(f"{path}: cannot be read ({why.strerror or why})") from why
    if size > MAX_BYTES:
        raise ModelFileError(f"{path}: {size:,} bytes, expected at most {MAX_BYTES:,}")
    if start.startswith(_ZIP):
        return open_npz
    if start.startswith(_HDF5):
        return open_hdf5
    # Before pickles: a header of 640 bytes makes safetensors start as they do.
    if is_safetensors(start, size):
        return open_safetensors
    if start.startswith(_PICKLE) and len(start) > 1 and start[1] in _PICKLE_PROTOCOLS:
        return _refuse_pickle
    return None


def _refuse_pickle(path: Path) -> Parameters:
    raise ModelFileError(
        f"{path}: is a Python pickle, which is not opened because it can run any code",
        hint="Save the weights as safetensors: safetensors.torch.save_file(state, path).",
    )


def is_safetensors(start: bytes, size: int) -> bool:
    """Whether a file of this size that starts so is safetensors, damaged ones included.

    It starts with the length of a JSON header, 8 bytes little-endian, and the header. What ends
    before its header does counts too, so that a half download is called what it is.
    """
    if len(start) < 9 or start[8:9] != b"{":
        return False
    (length,) = struct.unpack("<Q", start[:8])
    return bool(length < max(size, 100 << 20))
