"""What a fuzzer feeds: bytes of any content, read as a model or parameters of each format.

A reader may refuse them with one of our errors; any other exception is a fault of ours.
"""

from __future__ import annotations

import io
import json
import tempfile
from contextlib import suppress
from math import prod
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from fuzz.texts import TEXTS

from helpers.networks import described
from twinlens.engine.errors import TwinlensError
from twinlens.engine.formats import onnx_bytes
from twinlens.engine.formats.coreml.importer import load_coreml
from twinlens.engine.formats.keras.importer import load_keras
from twinlens.engine.formats.onnx.importer import load_onnx
from twinlens.engine.formats.tflite.importer import load_tflite
from twinlens.engine.graph import optimize
from twinlens.engine.params import OWN, open_parameters, with_parameters
from twinlens.engine.params.pickles import PickleError, read_pickle
from twinlens.engine.params.statedict import find_state, unwrapped
from twinlens.engine.params.torchnames import NAMES, recall_storage
from twinlens.models.identify.resolve import resolve
from twinlens.models.networks.assembly import Assembly

# A graph of at most so many multiply-adds and samples is run, written and optimised as well, and
# an array of at most so many bytes is read: a network asks only for what is of the size it needs.
_MACS, _SAMPLES, _BYTES = 1_000_000, 100_000, 1 << 20
_MANIFEST = {
    "fileFormatVersion": "1.0.0",
    "itemInfoEntries": {"id": {"path": "com.apple.CoreML/model.mlmodel"}},
    "rootModelIdentifier": "id",
}


def onnx(data: bytes, folder: Path) -> None:
    """ONNX."""
    path = folder / "net.onnx"
    path.write_bytes(data)
    _use(path, lambda: load_onnx(path, open_sizes=(1, 3, 16, 16)))


def tflite(data: bytes, folder: Path) -> None:
    """TensorFlow Lite."""
    path = folder / "net.tflite"
    path.write_bytes(data)
    _use(path, lambda: load_tflite(path, open_sizes=(1, 3, 16, 16)))


def mlmodel(data: bytes, folder: Path) -> None:
    """Core ML in one file."""
    path = folder / "net.mlmodel"
    path.write_bytes(data)
    _use(path, lambda: load_coreml(path))


def mlpackage(data: bytes, folder: Path) -> None:
    """A Core ML package: 4 bytes that say how long the model is, the model, its weights."""
    package = folder / "net.mlpackage"
    inner = package / "Data" / "com.apple.CoreML"
    (inner / "weights").mkdir(parents=True, exist_ok=True)
    (package / "Manifest.json").write_text(json.dumps(_MANIFEST))
    size = int.from_bytes(data[:4], "little")
    (inner / "model.mlmodel").write_bytes(data[4 : 4 + size])
    (inner / "weights" / "weight.bin").write_bytes(data[4 + size :])
    _use(package, lambda: load_coreml(package))


def manifest(data: bytes, folder: Path) -> None:
    """The manifest of a Core ML package."""
    package = folder / "net.mlpackage"
    package.mkdir(exist_ok=True)
    (package / "Manifest.json").write_bytes(data)
    _use(package, lambda: load_coreml(package))


def keras_hdf5(data: bytes, folder: Path) -> None:
    """A Keras model in HDF5."""
    path = folder / "net.h5"
    path.write_bytes(data)
    _use(path, lambda: load_keras(path, open_sizes=(1, 3, 16, 16)))


def keras_config(data: bytes, folder: Path) -> None:
    """A ``.keras`` archive: 4 bytes that say how long its description is, that, its weights."""
    size = int.from_bytes(data[:4], "little")
    path = folder / "net.keras"
    with ZipFile(path, "w") as archive:
        archive.writestr("config.json", data[4 : 4 + size])
        archive.writestr("model.weights.h5", data[4 + size :])
    _use(path, lambda: load_keras(path, open_sizes=(1, 3, 16, 16)))


def keras_archive(data: bytes, folder: Path) -> None:
    """A ``.keras`` archive."""
    path = folder / "net.keras"
    path.write_bytes(data)
    _use(path, lambda: load_keras(path, open_sizes=(1, 3, 16, 16)))


def npz(data: bytes, folder: Path) -> None:
    """NumPy's arrays in a zip."""
    _read(folder / "net.npz", data)


def safetensors(data: bytes, folder: Path) -> None:
    """safetensors."""
    _read(folder / "net.safetensors", data)


def pytorch(data: bytes, folder: Path) -> None:
    """PyTorch, as a zip archive, a tar archive, or pickles one after the other."""
    _read(folder / "net.pth", data)


def pickled(data: bytes, folder: Path) -> None:
    """The pickle in PyTorch's archive, by itself: many more a second than with files around it."""
    del folder
    with suppress(PickleError):
        value = read_pickle(io.BytesIO(data), NAMES.__getitem__, recall_storage)
        unwrapped(find_state(value)[1])


def hdf5(data: bytes, folder: Path) -> None:
    """HDF5, as Keras writes it."""
    _read(folder / "net.h5", data)


def initializers(data: bytes, folder: Path) -> None:
    """ONNX for its initialisers alone."""
    _read(folder / "net.onnx", data)


def raw(data: bytes, folder: Path) -> None:
    """A folder of raw files: 4 bytes that say how long its manifest is, the manifest, a file."""
    size = int.from_bytes(data[:4], "little")
    (folder / "net").mkdir()
    if size:
        (folder / "net" / "manifest.json").write_bytes(data[4 : 4 + size])
    _read(folder / "net" / "a_weight.dat", data[4 + size :], folder / "net")


def _network():
    """What the parameters are for: ``a`` and ``c`` with kernels, ``b`` depthwise."""
    net = Assembly("net", (1, 2, 5, 5))
    net.conv("a", 3, 3)
    net.depthwise("b", 3)
    net.dense("c", 4)
    return net.graph()


NETWORK = _network()

TARGETS = {
    "onnx": onnx,
    "tflite": tflite,
    "mlmodel": mlmodel,
    "mlpackage": mlpackage,
    "manifest": manifest,
    "keras_hdf5": keras_hdf5,
    "keras_config": keras_config,
    "keras_archive": keras_archive,
    "npz": npz,
    "safetensors": safetensors,
    "pytorch": pytorch,
    "pickled": pickled,
    "hdf5": hdf5,
    "initializers": initializers,
    "raw": raw,
} | TEXTS


def check(target: str, data: bytes) -> None:
    """Read bytes as one format; raises what is not one of our errors."""
    with tempfile.TemporaryDirectory() as folder:
        TARGETS[target](data, Path(folder))


def _use(path, load):
    for ask in (described, resolve):
        with suppress(TwinlensError):
            ask(path)
    with suppress(TwinlensError), np.errstate(all="ignore"):
        _run(load())


def _run(graph):
    sizes = [prod(shape) for shape in graph.shapes.values()]
    if graph.macs <= _MACS and max(sizes) <= _SAMPLES:
        onnx_bytes(graph)
        zeros = {name: np.zeros(shape, np.float32) for name, shape in graph.inputs.items()}
        optimize(graph).run(zeros)


def _read(path, data, source=None):
    path.write_bytes(data)
    with suppress(TwinlensError):
        found = open_parameters(source or path)
        for name, entry in found.entries.items():
            if entry.nbytes <= _BYTES:
                with suppress(TwinlensError):
                    found.read(name)
        with_parameters(NETWORK, found, OWN)
