"""Files to begin with: small models of every format, as the tests make them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from fuzz.targets import _MANIFEST

from helpers.coreml_protos import add, blob, network, packed, program, single
from helpers.onnx_nets import NETS
from helpers.tflite_cases import CASES


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
    }


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


def write(target: str, folder: Path) -> None:
    """Write a target's seeds into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds()[target].items():
        (folder / name).write_bytes(data)
