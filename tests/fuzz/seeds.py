"""Files to begin with: small models of every format, as the tests make them."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import zipfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import h5py
import numpy as np
import onnx
from fuzz.targets import _MANIFEST, NETWORK
from fuzz.text_seeds import text_seeds
from onnx import helper, numpy_helper
from safetensors.numpy import save

from helpers import torch_files
from helpers.coreml_protos import add, blob, network, packed, program, single
from helpers.keras_files import cases
from helpers.onnx_nets import NETS
from helpers.tflite_cases import CASES
from twinlens.models.networks.assembly import random_parameters

_ARRAYS = random_parameters(NETWORK)


def seeds() -> dict[str, dict[str, bytes]]:
    """Bytes by name, for each target."""
    core = {"empty": single("copy")}
    core |= _core_ml()
    weights = blob(np.zeros((2, 3, 1, 1), "<f4"), 2)
    model = program().SerializeToString()
    return {
        "onnx": {name: build().SerializeToString() for name, build in NETS.items()},
        "tflite": {name: build().data for name, build in CASES.items()},
        "mlmodel": core,
        "mlpackage": {"program": len(model).to_bytes(4, "little") + model + weights},
        "manifest": {"usual": json.dumps(_MANIFEST).encode()},
        "keras_hdf5": _keras(".h5"),
        "keras_config": _keras_configs(),
        "keras_archive": _keras(".keras"),
        "npz": {"stored": _npz(), "deflated": _deflated()},
        "safetensors": {"float32": save(_ARRAYS), "float16": save(_halves())},
        "pytorch": _pytorch(),
        "pickled": {name: torch_files.pickled(body) for name, body in _pickles().items()},
        "hdf5": {"keras2": _hdf5("{0}/{0}/{1}:0"), "keras3": _hdf5("layers/{0}/vars/0", 6)},
        "initializers": {"raw": _initializers()},
        "raw": {"named": bytes(4) + _kernel().tobytes(), "described": _described()},
    } | text_seeds()


def _core_ml():
    model, net = network((3, 6, 5), image="RGB")
    net.preprocessing.add().scaler.channelScale = 0.5

    def conv(s):
        s.outputChannels, s.kernelChannels = 2, 3
        s.kernel.extend((3, 3))
        s.weights.floats = packed(np.ones(54))
        s.same.asymmetry = 0

    def dense(s):
        s.inputChannels, s.outputChannels = 2, 2
        s.weights.raw = bytes(4)
        s.weights.quantization.bits = 8
        s.weights.quantization.linear.scale = packed([0.5])
        s.weights.quantization.linear.bias = packed([1])

    x = add(net, "convolution", "picture", fill=conv)
    x = add(net, "activation", x, fill=lambda s: s.ReLU.SetInParent())
    x = add(net, "pooling", x, fill=lambda s: setattr(s, "globalPooling", True))
    x = add(net, "innerProduct", x, fill=dense)
    add(net, "softmax", x, output="probabilities")
    return {"classifier": model.SerializeToString()}


# One case for each part of the reader.
_KERAS = ("conv_same_odd", "flatten_dense", "norm", "nested", "twice", "operators", "sliced")


def _keras(suffix):
    found = {}
    for version in ("2", "3"):
        for name in _KERAS:
            case = cases(version)[name]
            if suffix[1:] in case.about:
                with tempfile.TemporaryDirectory() as folder:
                    found[f"{name}{version}"] = case.write(Path(folder), suffix).read_bytes()
    return found


def _keras_configs():
    found = {}
    for name, data in _keras(".keras").items():
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            config, weights = archive.read("config.json"), archive.read("model.weights.h5")
        found[name] = len(config).to_bytes(4, "little") + config + weights
    return found


def _kernel():
    return _ARRAYS["a_weight"].astype("<f4")


def _halves():
    return {name: array.astype(np.float16) for name, array in _ARRAYS.items()}


def _npz():
    buffer = io.BytesIO()
    np.savez(buffer, **_ARRAYS)
    return buffer.getvalue()


def _deflated():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as to, to.open("a.npy", "w") as file:
        np.lib.format.write_array(file, _kernel())
    return buffer.getvalue()


def _pickles():
    """Tensors of a network, and what training programs keep beside them."""
    own, tensor = torch_files, torch_files.tensor
    views = {"a_weight": tensor("0", "Float", 16, (2, 3), (1, 2), 1), "b": own.integer(3)}
    views["c_bias"] = tensor("1", "Half", 32, (4,), (2,), 3, part=own.tuple_of(own.text("v")))
    scalar = own.call("numpy.dtype", own.text("f8"), b"\x89", b"\x88") + b"Nb"
    beside = {
        "state_dict": own.ordered({"module.a_weight": tensor("0", "Float", 16, (16,))}),
        "optimizer": own.table(state=b"}K\x01]q\x01h\x01as"),
        "best": own.call("numpy.core.multiarray.scalar", scalar, b"C\x0812345678"),
        "set": own.call("builtins.set", b"](K\x01K\x02e"),
        "bytes": own.call("_codecs.encode", own.text("a"), own.text("latin1")),
        "other": own.name("os.system"),
    }
    typed = (own.storage("1", "torch.storage.UntypedStorage", 64), own.integer(0))
    more = (own.integers((3, 4)), own.integers((4, 1)), b"\x89", b"}", own.name("torch.uint16"))
    return {
        "views": own.items(views),
        "checkpoint": own.items(beside),
        "typed": own.table(a=own.call("torch._utils._rebuild_tensor_v3", *typed, *more)),
        "text": b"(dV\\u0061\nI01\nsS'b'\nF1.5\nsp0\ng0\n0",
        "newer": b"\x8f(\x8c\x01a\x94\x90\x8c\x0bcollections\x8c\x0bOrderedDict\x93)\x81\x86",
    }


def _pytorch():
    values, storages = torch_files.stored(_ARRAYS)
    body = torch_files.ordered(values)
    return {
        "zip": torch_files.zipped(body, storages),
        "deflated": torch_files.zipped(body, storages, packed=True, order="big"),
        "legacy": torch_files.legacy(body, storages),
        "tar": torch_files.tarred(_ARRAYS, views=[("d", "a_weight", 1, (3, 2), (2, 1))]),
    }


def _hdf5(place, deflate=None):
    """Contiguous arrays, or deflated ones in chunks."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in _ARRAYS.items():
            layer, _, kind = name.partition("_")
            where = place.format(layer, "kernel" if kind == "weight" else kind)
            if where not in file:
                file.create_dataset(where, data=array, compression=deflate)
    return buffer.getvalue()


def _initializers():
    value = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [value])
    graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in _ARRAYS.items())
    return helper.make_model(graph).SerializeToString()


def _described():
    shape = _kernel().shape
    file = {"name": "a_weight", "file": "a_weight.dat", "dtype": "float32", "shape": shape}
    file |= {"kernel": shape, "groups": 1, "axes": "OIHW"}
    told = {"format": "twinlens.parameters", "version": 1, "order": "own", "tensors": [file]}
    told = json.dumps(told).encode()
    return len(told).to_bytes(4, "little") + told + _kernel().tobytes()


def write(target: str, folder: Path) -> None:
    """Write a target's seeds into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds()[target].items():
        (folder / name).write_bytes(data)
