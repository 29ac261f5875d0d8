"""Texts to begin with, for the targets in ``texts.py``."""

from __future__ import annotations

import json

from fuzz.texts import TEXTS

from helpers.keras_files import cases
from twinlens.models.identify.exports import BESIDE

_LABELS = {
    "lines": b"red\ngreen\nblue\n",
    "numbered": b"0: red\n1: green\n2: blue\n",
    "behind": b"red 0\ngreen 1\nblue 2\n",
    "rows": b'index,mid,display_name\n0,/m/1,red\n1,/m/2,"green"\n2,/m/3,blue\n',
    "semicolons": b"label;index\nred;0\ngreen;1\nblue;2\n",
    "synsets": b"n02119789 1 red\nn02100735 2 green\nn02110185 3 blue\n",
    "list": b'[{"id": 1, "name": "red"}, {"id": 2, "display_name": "green"}]',
    "index": b'{"0": ["n01440764", "red"], "1": ["n01443537", "green"]}',
    "id2label": b'{"id2label": {"0": "red", "1": "green"}, "label2id": {"red": "LABEL_0"}}',
    "python": b"{0: 'red',\n 1: 'green',\n 2: (\"x\", \"blue\")}",
    "flow": b"names: [red, 'green', \"blue\"]  # three\nnc: 3\n",
    "block": b"a:\n  names:\n  - red\n  - green\nnc: 3\n",
    "mapping": b"names:\n  0: red\n  '1': green\n  2: {a: b}\n",
    "yaml": b"---\n- red\n# no\n- 'green''s'\n",
    "pbtxt": b'item {\n  id: 1\n  name: \'red\'\n}\nitem { label: 2 display_name: "a\\"b" }\n',
    "c": b'const char* ei_classifier_inferencing_categories[] = { "red", "green" };',
    "wide": "red\ngreen".encode("utf-16"),
    "wider": "red\ngreen".encode("utf-32"),
    "mark": b"\xef\xbb\xbfred\r\ngr\xc3\xbcn\r\n",
    "windows": b"gr\xfcn\nrot\n",
}
_SIDECARS = {
    "all": b'title = "Pets"\nbackground_outputs = 1\noutput = "logits"\noutput_name = "y"\n'
    b'labels = ["cat", "d\\u00f6g"]\n[recipe]\ncolor = "BGR"\nscale = 0.0078\n'
    b'mean = [1.0, 1.0, 1.0]\nstd = [1, 1, 1]\ncrop_and_scale = "scale-fit"\n',
    "grey": b'[recipe]\ncolor = "GRAY"\nwidth = 28\nheight = 28\nmean = [0.5]\nlayout = "NHWC"\n'
    b"contrast = 3.0\n",
    "date": b"[recipe]\nscale = 1979-05-27\n",
}
_EXPORTS = {
    "preprocessor_config.json": {
        "do_normalize": True,
        "do_rescale": True,
        "rescale_factor": 0.00392,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "size": {"shortest_edge": 256},
        "crop_size": {"height": 224, "width": 224},
        "do_center_crop": True,
        "resample": 0,
        "do_flip_channel_order": True,
    },
    "config.json": {
        "id2label": {"0": "a", "1": "b"},
        "pretrained_cfg": {
            "mean": [0.4, 0.4, 0.4],
            "std": [0.2, 0.2, 0.2],
            "input_size": [3, 16, 24],
            "crop_mode": "squash",
        },
    },
    "cvexport.manifest": {"DomainType": "Classification", "ExporterVersion": "2.0"},
    "signature.json": {
        "doc_id": "x",
        "inputs": {"Image": {"shape": [None, 16, 24, 3]}},
        "classes": {"Label": ["a", "b", "c"]},
    },
    "metadata.json": {"tmVersion": "2.4", "imageSize": 224, "labels": ["a", "b", "c"]},
    "model_metadata.h": "#define EI_CLASSIFIER_INPUT_WIDTH 24\n#define EI_CLASSIFIER_INPUT_HEIGHT "
    "16\n#define EI_CLASSIFIER_IMAGE_SCALING EI_CLASSIFIER_IMAGE_SCALING_TORCH\n#define "
    "EI_CLASSIFIER_RESIZE_MODE EI_CLASSIFIER_RESIZE_SQUASH\nconst char* "
    'ei_classifier_inferencing_categories[] = { "a", "b", "c" };\n',
    "inference.yml": "PreProcess:\n  transform_ops:\n  - DecodeImage:\n      img_mode: BGR\n"
    "  - CropImage:\n      size: 224\n  - NormalizeImage:\n      mean:\n      - 0.4\n      - 0.4\n"
    "      - 0.4\n      scale: 1.0/255.0\n      std: [0.2, 0.2, 0.2]\nPostProcess:\n  Topk:\n"
    "    label_list:\n    - a\n    - b\n    - c\n",
    "metadata.yaml": "task: classify\nimgsz:\n- 16\n- 24\nnames:\n  0: a\n  1: b\n  2: c\n",
}
_METADATA = {
    "image": {"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "NominalRange_16_235"},
    "ultralytics": {"imgsz": "[16, 24]", "task": "classify", "names": "{0: 'a', 1: 'b', 2: 'c'}"},
    "timm": {"pretrained_cfg": "{'mean': (0.4,), 'std': (0.2,), 'input_size': (3, 16, 24)}"},
    "plain": {"mean": "[0.4, 0.4, 0.4]", "std": "0.2", "input_size": "[3, 16, 24]"},
    "huggingface": {"preprocessor_config": '{"size": 224, "image_mean": [0.5], "image_std": [1]}'},
    "ours": {
        "twinlens.recipe": '{"scale": 1.0, "mean": [0.0, 0.0, 0.0]}',
        "twinlens.model": '{"title": "a", "background_outputs": 0, "output": "logits"}',
        "labels": '["a", "b", "c"]',
    },
}
_MODULE = '''"""A network."""
from twinlens.engine.graph import Builder
from twinlens.engine.layers import Clip, ReLU6, Softmax

NAMES = {"a_weight": "a.weight"}


def _block(net: Builder, x: str, name: str, outputs: int) -> str:
    y = net.conv(f"{name}", x, outputs, 1, pads=(0, 0, 0, 0), then=ReLU6())
    return net.add(f"{name}clip", Clip(-float("inf"), 1e3), y)


def assemble(parameters):
    net = Builder("net", parameters)
    x = net.input("x", 1, 3, 4, 4)
    for name, outputs in (("a", 2),):
        x = _block(net, x, name, outputs)
    for _ in range(2):
        x = net.add("soft", Softmax(axis=1), x)
    return net.graph(x)
'''


def text_seeds() -> dict[str, dict[str, bytes]]:
    """Bytes by name, for each target of ``TEXTS``."""
    found = {
        "labels": _LABELS,
        "sidecar": _SIDECARS,
        "export": {name: _export(number, name) for number, name in enumerate(BESIDE)},
        "metadata": {name: json.dumps(pairs).encode() for name, pairs in _METADATA.items()},
        "python_module": {"usual": _MODULE.encode()},
        "keras_json": _keras(),
    }
    return {target: found[target] for target in TEXTS}


def _export(number: int, name: str) -> bytes:
    text = _EXPORTS[name]
    text = text if isinstance(text, str) else json.dumps(text)
    return bytes([number]) + text.encode()


def _keras() -> dict[str, bytes]:
    found = {}
    for version in ("2", "3"):
        for name, case in cases(version).items():
            if "keras" in case.about:
                found[f"{name}{version}"] = case.about["keras"]["config.json"].encode()
    return found
