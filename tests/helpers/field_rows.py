"""The stand-ins of the field that are models, labels or recipes, each with its right answer.

What is right comes from elsewhere: numbers that ONNX Runtime and LiteRT gave, written down with the
files, or ONNX Runtime and NumPy on a picture that Pillow made ready. Nothing here runs Twinlens.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PICTURE = "eval/0576.jpg"
SLACK = 0.03
"""How far a probability may be from the right one: pictures are resized in more than one way."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SIDE = 32


@dataclass(frozen=True)
class Row:
    """One stand-in as a user brings it.

    Attributes:
        name: file in the folder of stand-ins.
        kind: what it stands for.
        right: by class name its probability; or a function from the data folder to that.
        read: how its outputs are to be read, as ``ModelSpec.output`` says; empty where any will do.
        refused: words of the message, where it has to be refused.
        labels: label file of the folder that is given on the command line.
        beside: by name what lies in the model's folder: a file's content, or of the folder's own
            files the name behind ``@``. The model is copied where this says anything.
        case: what tells rows of one file apart.
    """

    name: str
    kind: str
    right: Mapping[str, float] | Callable[[Path, str], Mapping[str, float]] = field(
        default_factory=dict
    )
    read: str = ""
    refused: str = ""
    labels: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)
    case: str = ""

    @property
    def title(self) -> str:
        """File and case, for display."""
        return f"{self.name}, {self.case}" if self.case else self.name

    def expected(self, data: Path) -> Mapping[str, float]:
        """By class name its probability, where the right answer is one."""
        return self.right(data, self.name) if callable(self.right) else self.right

    def lay_out(self, data: Path, folder: Path) -> tuple[Path, list[str]]:
        """The model, where it lies for this row, and what is said on the command line."""
        stand_ins = data / "field"
        model = stand_ins / self.name
        if self.beside:
            model = folder / f"net{model.suffix}"
            shutil.copy(stand_ins / self.name, model)
        for name, content in self.beside.items():
            if content.startswith("@"):
                shutil.copy(stand_ins / content[1:], folder / name)
            else:
                (folder / name).write_text(content, encoding="utf-8")
        return model, ["--labels", str(stand_ins / self.labels)] if self.labels else []


def classes(*shares: float | None) -> dict[str, float]:
    """Probabilities of classes that nothing names; None where none was written down."""
    return {f"class {i}": share for i, share in enumerate(shares) if share is not None}


def pixels(data: Path) -> NDArray[np.float32]:
    """The picture's middle square at the stand-ins' size: (32, 32, 3) float32, RGB, 0 to 1."""
    with Image.open(data / PICTURE) as opened:
        picture = opened.convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    small = square.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32) / 255


def softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities of (classes,) scores."""
    powers = np.exp(np.asarray(scores, np.float64) - np.max(scores))
    return np.asarray(powers / powers.sum())


def by_onnx_runtime(data: Path, name: str) -> dict[str, float]:
    """What ONNX Runtime answers when it is fed as ImageNet's networks are; its scores' softmax."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = data / "field" / name
        for part in path.parent.glob(f"{path.name}*"):
            shutil.copy(_followed(part), Path(folder) / part.name)
        session = onnxruntime.InferenceSession(Path(folder) / path.name)
    (given,) = session.get_inputs()
    fed = ((pixels(data) - np.float32(_MEAN)) / np.float32(_STD)).transpose(2, 0, 1)
    shape = [size if isinstance(size, int) else 1 for size in given.shape]
    (scores,) = session.run(None, {given.name: np.broadcast_to(fed, shape).astype(np.float32)})
    return classes(*softmax(np.reshape(scores, (-1, scores.shape[-1]))[0]))


def _followed(path: Path) -> Path:
    """What a link leads to, also where a copy has made it a file with the path in it."""
    if path.stat().st_size < 200 and (text := path.read_bytes()).startswith(b".."):
        return path.parent / text.decode()
    return path.resolve()


def by_its_layers(data: Path, name: str) -> dict[str, float]:
    """The Keras stand-in's answer from its arrays, in NumPy, fed with values of 0 to 1."""
    import h5py

    with h5py.File(data / "field" / name) as file:
        conv, dense = file["model_weights/conv/conv"], file["model_weights/dense/dense"]
        kernel, bias = conv["kernel:0"][()], conv["bias:0"][()]
        matrix, shift = dense["kernel:0"][()], dense["bias:0"][()]
    # 32 to 16 with a kernel of 3 and stride 2: one zero, below and to the right.
    wide = np.pad(pixels(data), ((0, 1), (0, 1), (0, 0)))
    steps = range(0, _SIDE, 2)
    windows = [np.tensordot(wide[r : r + 3, c : c + 3], kernel, 3) for r in steps for c in steps]
    features = np.maximum(np.array(windows) + bias, 0).mean(axis=0)
    return classes(*softmax(features @ matrix + shift))


def named(
    right: Callable[[Path, str], Mapping[str, float]], *names: str
) -> Callable[[Path, str], Mapping[str, float]]:
    """The same probabilities under other names."""
    return lambda data, name: dict(zip(names, right(data, name).values(), strict=True))


_SCORES = np.array([-0.35, 5.34, -2.88, 0.77, 1.37])
_HALF = np.array([3.357, -0.782, -0.117, -2.738, 4.832])
_COLORS = ("red", "green", "blue")
_KERAS = "keras_with_architecture.h5"
_ZIPMAP = {"controller": 1.0, "keyboard": 0.0, "laptop": 0.0, "monitor": 0.0, "mouse": 0.0}
_MULTI = classes(0.0023, 0.0159, 0.0, 0.0021, 0.9984)
_STRANGERS = "".join(f"stranger {i}\n" for i in range(7))
_FITTING = "".join(f"stranger {i}\n" for i in range(5))
_AS_RUNTIME = (
    ("layer_norm", "LayerNormalization"),
    ("split_in_two", "Split"),
    ("slice_channels", "Slice of channels"),
    ("sum_of_two", "Sum"),
    ("cast_float_to_float", "Cast to itself"),
    ("dropout_with_mask", "Dropout with its mask"),
    ("nodes_out_of_order", "nodes in any order"),
    ("chw_without_batch", "no batch axis"),
    ("fixed_batch_8", "a batch of 8"),
)
_LAYOUTS = {
    "rows of CSV": ("net.labels.txt", "0,red\n1,green\n2,blue\n"),
    "synsets": ("net.labels.txt", "n01440764 red\nn01443537 green\nn01484850 blue\n"),
    "Coral": ("net.labels.txt", "0  red\n1  green\n2  blue\n"),
    "id2label": ("config.json", '{"id2label": {"0": "red", "1": "green", "2": "blue"}}'),
    "YAML": ("labels.yaml", "names:\n  0: red\n  1: green\n  2: blue\n"),
}

ROWS: tuple[Row, ...] = (
    Row("sigmoid_multilabel.onnx", "independent sigmoids", _MULTI, "independent"),
    Row(
        "sigmoid_binary_one_output.onnx",
        "one sigmoid",
        {"class 1": 0.5815, "not class 1": 0.4185},
        "binary",
    ),
    Row(
        "sigmoid_binary_one_output.onnx",
        "one sigmoid",
        {"neg": 0.4185, "pos": 0.5815},
        "binary",
        labels="labels2.txt",
        case="two labels",
    ),
    Row(
        "sigmoid_binary_one_output.onnx",
        "one sigmoid",
        {"one": 0.5815, "not one": 0.4185},
        "binary",
        labels="one.txt",
        case="one label",
    ),
    Row(
        "logistic_binary.tflite",
        "one logistic",
        {"class 1": 0.5763, "not class 1": 0.4237},
        "binary",
    ),
    Row(
        "softmax_then_clip.onnx",
        "softmax, then Clip",
        classes(0.0, 0.0, 0.9835, 0.0, 0.0165),
        "probabilities",
    ),
    Row("label_and_zipmap.onnx", "label, ZipMap", _ZIPMAP, "probabilities"),
    Row(
        "label_and_zipmap.onnx",
        "names inside",
        _ZIPMAP,
        beside={"labels.txt": _FITTING},
        case="another model's labels.txt",
    ),
    Row(
        "argmax_and_probabilities.onnx",
        "index first",
        classes(None, None, 0.7548),
        "probabilities",
    ),
    Row(
        "argmax_and_probabilities.onnx",
        "a general name",
        classes(None, None, 0.7548),
        beside={"labels.txt": _STRANGERS},
        case="labels.txt of seven",
    ),
    Row(
        "argmax_and_probabilities.onnx",
        "a general name",
        {"stranger 2": 0.7548},
        beside={"labels.txt": _FITTING},
        case="labels.txt of five",
    ),
    Row("features_before_logits.onnx", "features first", classes(*softmax(_SCORES)), "logits"),
    Row("sequence_output.onnx", "text recogniser", refused="text recogniser"),
    Row("image_metadata_bgr_0_255.onnx", "Image.* metadata", classes(None, None, 1.0)),
    Row(
        "ultralytics_names.onnx",
        "Ultralytics",
        {"fox": 0.792, "owl": 0.146, "bird's nest": 0.061},
    ),
    Row("teachable_labels.onnx", "numbered lines", {"nest": 0.5393}),
    *(
        Row(_KERAS, "label layout", named(by_its_layers, *_COLORS), labels=name, case=name)
        for name in ("labels_list.json", "labels_utf16.txt", "labels_index_name.txt")
    ),
    *(
        Row(
            _KERAS,
            "label layout",
            named(by_its_layers, *_COLORS),
            beside={name: text},
            case=layout,
        )
        for layout, (name, text) in _LAYOUTS.items()
    ),
    Row(_KERAS, "architecture inside", by_its_layers, "probabilities"),
    Row(
        _KERAS,
        "byte order mark",
        named(by_its_layers, *_COLORS),
        beside={"net.toml": "@recipe_bom.toml"},
        case="recipe_bom.toml",
    ),
    Row("float16_in_and_out.onnx", "half", classes(*softmax(_HALF)), "logits"),
    Row(
        "uint8_nhwc_preprocessing_inside.onnx",
        "bytes in",
        classes(0.4758, 0.0579, 0.2961, 0.1261, 0.0440),
    ),
    Row("nchw_input.tflite", "NCHW", classes(0.0314, 0.1546, 0.5789, 0.1398, 0.0953)),
    Row("neg.tflite", "NEG", classes(0.1848, 0.2666, 0.1627, 0.3692, 0.0167)),
    Row("int8_pool_reshape_dense.tflite", "int8, Reshape", classes(0.2578, 0.7422)),
    *(Row(f"{name}.onnx", kind, by_onnx_runtime) for name, kind in _AS_RUNTIME),
    Row(
        "hf_cache/snapshots/abc/onnx/model.onnx",
        "links into blobs",
        named(by_onnx_runtime, *_COLORS),
    ),
)
"""All of them. Pictures and videos are tested where sources are."""
