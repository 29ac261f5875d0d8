"""Pictures go into networks of every type, rank, batch and order of axes, on both engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from helpers.picture_nets import picture_net
from twinlens.engine.api import registry
from twinlens.engine.api.door import Door
from twinlens.engine.errors import ModelFileError, ShapeError
from twinlens.engine.image import Converter, PixelBuffer, Recipe
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.resolve import identify, resolve

KINDS: dict[str, dict[str, Any]] = {
    "half": {"dtype": "float16"},
    "no batch": {"shape": (3, 16, 24)},
    "no batch, channels last": {"shape": (16, 24, 3)},
    "no batch, grey": {"shape": (1, 28, 28)},
    "no batch, half": {"shape": (3, 16, 24), "dtype": "float16"},
    "batch of 8": {"shape": (8, 3, 16, 24)},
    "batch of 2, channels last": {"shape": (2, 16, 24, 3)},
    "batch of 4, half": {"shape": (4, 3, 16, 24), "dtype": "float16"},
    "open batch": {"shape": ("n", 3, 16, 24)},
    "open sizes": {"shape": ("n", 3, "h", "w")},
    "open sizes, channels last": {"shape": (1, "h", "w", 3)},
    "grey": {"shape": (1, 1, 28, 28)},
    "grey, channels last": {"shape": (1, 28, 28, 1)},
    "with alpha": {"shape": (1, 4, 16, 24)},
    "with alpha, channels last": {"shape": (1, 16, 24, 4)},
    "48 by 192": {"shape": (1, 3, 48, 192)},
    "48 by 192, channels last": {"shape": (1, 48, 192, 3)},
}
CAST: dict[str, dict[str, Any]] = {
    "doubles": {"dtype": "float64"},
    "bytes": {"dtype": "uint8"},
    "bytes, channels last": {"dtype": "uint8", "shape": (1, 16, 24, 3)},
    "signed bytes": {"dtype": "int8"},
    "whole numbers": {"dtype": "int32", "shape": (1, 16, 24, 3)},
    "bytes, batch of 3": {"dtype": "uint8", "shape": (3, 16, 24, 3)},
}


def picture(width: int = 40, height: int = 30) -> PixelBuffer:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return PixelBuffer.from_array(pixels, "RGB8")


def expected(path: Path, tensor: np.ndarray) -> np.ndarray:
    """What ONNX Runtime makes of it, fed by hand."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    name = entry.type.removeprefix("tensor(").removesuffix(")")
    dtype = {"float": "float32", "double": "float64"}.get(name, name)
    x = tensor if len(entry.shape) == 4 else tensor[0]
    count = entry.shape[0] if len(entry.shape) == 4 and isinstance(entry.shape[0], int) else 1
    x = np.concatenate([x] * count) if count > 1 else x
    (answer,) = session.run(None, {entry.name: x.astype(dtype)})
    return np.asarray(answer[0], np.float32)


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_answers_as_onnxruntime(kind: str, engine: str, tmp_path: Path) -> None:
    check(KINDS[kind], engine, tmp_path)


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
@pytest.mark.parametrize("kind", CAST)
def test_what_is_cast_inside_answers_as_onnxruntime(kind: str, engine: str, tmp_path: Path) -> None:
    check(CAST[kind], engine, tmp_path)


def check(made: dict[str, Any], engine: str, tmp_path: Path) -> None:
    path = picture_net(tmp_path / "net.onnx", **made)
    network = resolve(path)
    recipe = network.spec.recipe
    tensor = Converter(recipe).convert(picture()).copy()
    runner = registry.load(network, engine)
    answer = runner.run(tensor)
    warm = runner.run(np.zeros(runner.info.input_shape, np.float32))  # as the window warms it
    runner.close()
    assert answer.shape == warm.shape == (4,)
    close = 2e-2 if made.get("dtype") == "float16" else 1e-4
    np.testing.assert_allclose(answer, expected(path, tensor), rtol=close, atol=close)


def test_signed_bytes_get_pixels_less_128(tmp_path: Path) -> None:
    recipe = resolve(picture_net(tmp_path / "net.onnx", dtype="int8")).spec.recipe
    black = PixelBuffer.from_array(np.zeros((9, 9, 3), np.uint8), "RGB8")
    assert Converter(recipe).convert(black).min() == -128


def test_alpha_is_255_and_colours_keep_their_order() -> None:
    recipe = Recipe(4, 4, color="BGRA", scale=1.0, mean=(0.0,) * 4, std=(1.0,) * 4)
    red = PixelBuffer.from_array(np.full((4, 4, 3), (255, 0, 0), np.uint8), "RGB8")
    assert Converter(recipe).convert(red)[0, :, 0, 0].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("shape", [(1, 3, 16), (1, 77, 512), (3, 16), (1, 2, 3, 4, 5)])
def test_what_is_no_picture_stays_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    from helpers.tiny_nets import tiny_classifier

    path = tiny_classifier(tmp_path / "net.onnx", 1000, shape=shape)
    with pytest.raises(ModelFileError, match="is no picture"):
        resolve(path)


def test_a_door_refuses_what_does_not_fit_and_passes_on_what_does() -> None:
    door = Door.of((1, 3, 8, 8), (1, 3, 8, 8), name="net")
    tensor = np.zeros((1, 3, 8, 8), np.float32)
    assert door.enter(tensor) is tensor
    with pytest.raises(ShapeError, match="net takes"):
        Door.of((1, 3, 9, 8), (1, 3, 8, 8), name="net")
    with pytest.raises(ShapeError, match="net takes"):
        Door.of((3, 8), (1, 3, 8, 8), name="net")
    bytes_ = Door.of((2, 3, 8, 8), (1, 3, 8, 8), dtype="uint8", name="net")
    full = bytes_.enter(np.full((1, 3, 8, 8), 300.4, np.float32))
    assert (full.dtype, full.shape, full.max()) == (np.uint8, (2, 3, 8, 8), 255)


# --- what metadata and exports say of feeding -------------------------------------------------

UNIT = (1 / 255, (0.0,) * 3, (1.0,) * 3)
SYMMETRIC = (1 / 127.5, (1.0,) * 3, (1.0,) * 3)
PIXELS = (1.0, (0.0,) * 3, (1.0,) * 3)
IMAGENET = (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = (1 / 255, (0.5,) * 3, (0.5,) * 3)

INSIDE = {
    "Bgr8 0..255": (
        {"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "NominalRange_0_255"},
        "BGR",
        PIXELS,
    ),
    "Rgb8 0..1": (
        {"Image.BitmapPixelFormat": "Rgb8", "Image.NominalPixelRange": "Normalized_0_1"},
        "RGB",
        UNIT,
    ),
    "Rgb8 -1..1": (
        {"Image.BitmapPixelFormat": "Rgb8", "Image.NominalPixelRange": "Normalized_1_1"},
        "RGB",
        SYMMETRIC,
    ),
    "Bgr8, range left out": ({"Image.BitmapPixelFormat": "Bgr8"}, "BGR", PIXELS),
    "studio range": (
        {"Image.BitmapPixelFormat": "Rgb8", "Image.NominalPixelRange": "NominalRange_16_235"},
        "RGB",
        (219 / 255, (-16.0,) * 3, (1.0,) * 3),
    ),
    "Ultralytics": ({"task": "classify", "imgsz": "[16, 24]", "names": "{0: 'a'}"}, "RGB", UNIT),
    "timm": (
        {"pretrained_cfg": json.dumps({"mean": [0.5] * 3, "std": [0.5] * 3})},
        "RGB",
        HALF,
    ),
    "timm, as Python": (
        {"pretrained_cfg": str({"mean": (0.5,) * 3, "std": (0.5,) * 3})},
        "RGB",
        HALF,
    ),
    "mean and std alone": ({"mean": "[0.5, 0.5, 0.5]", "std": "[0.5, 0.5, 0.5]"}, "RGB", HALF),
}


@pytest.mark.parametrize("kind", INSIDE)
def test_metadata_say_how_a_model_is_fed(kind: str, tmp_path: Path) -> None:
    metadata, color, values = INSIDE[kind]
    known = identify(picture_net(tmp_path / "net.onnx", metadata=metadata)).known
    recipe = known.spec.recipe
    assert recipe.color == color
    for own, right in zip((recipe.scale, recipe.mean, recipe.std), values, strict=True):
        assert own == pytest.approx(right)
    assert known.origins["values"] is Origin.FILE
    assert (recipe.height, recipe.width) == (16, 24)


BESIDE = {
    "preprocessor_config.json": (
        {
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
            "size": {"height": 32, "width": 48},
        },
        ("RGB", HALF, "scale-fill", (32, 48)),
    ),
    "preprocessor_config.json, cropped": (
        {
            "do_normalize": False,
            "do_center_crop": True,
            "crop_size": {"height": 32, "width": 32},
            "size": {"shortest_edge": 48},
            "do_flip_channel_order": True,
        },
        ("BGR", UNIT, "center-crop", (32, 32)),
    ),
    "config.json": (
        {"pretrained_cfg": {"mean": IMAGENET[1], "std": IMAGENET[2], "input_size": [3, 32, 32]}},
        ("RGB", IMAGENET, "center-crop", (32, 32)),
    ),
    "cvexport.manifest": (
        {"DomainType": "Classification", "Platform": "ONNX", "ExporterVersion": "2.0"},
        ("BGR", PIXELS, "center-crop", (224, 224)),
    ),
    "signature.json": (
        {
            "doc_id": "x",
            "classes": {"Label": ["a", "b", "c", "d"]},
            "inputs": {"Image": {"shape": [None, 32, 32, 3]}},
        },
        ("RGB", UNIT, "center-crop", (32, 32)),
    ),
    "metadata.json": (
        {"tmVersion": "2.4.5", "labels": ["a", "b", "c", "d"], "imageSize": 32},
        ("RGB", SYMMETRIC, "center-crop", (32, 32)),
    ),
    "model_metadata.h": (
        "#define EI_CLASSIFIER_INPUT_WIDTH 32\n#define EI_CLASSIFIER_INPUT_HEIGHT 32\n"
        "#define EI_CLASSIFIER_RESIZE_MODE EI_CLASSIFIER_RESIZE_SQUASH\n"
        'const char* ei_classifier_inferencing_categories[] = { "a", "b", "c", "d" };\n',
        ("RGB", UNIT, "scale-fill", (32, 32)),
    ),
    "inference.yml": (
        "PreProcess:\n  transform_ops:\n  - CropImage:\n      size: 32\n  - NormalizeImage:\n"
        "      mean:\n      - 0.485\n      - 0.456\n      - 0.406\n      scale: 1.0/255.0\n"
        "      std:\n      - 0.229\n      - 0.224\n      - 0.225\n"
        "PostProcess:\n  Topk:\n    label_list:\n    - a\n    - b\n    - c\n    - d\n",
        ("RGB", IMAGENET, "center-crop", (32, 32)),
    ),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_exports_say_how_a_model_is_fed(kind: str, tmp_path: Path) -> None:
    says, (color, values, crop, size) = BESIDE[kind]
    path = picture_net(tmp_path / "net.onnx", ("n", 3, "h", "w"))
    text = says if isinstance(says, str) else json.dumps(says)
    (tmp_path / kind.split(",", maxsplit=1)[0]).write_bytes(text.encode("utf-8-sig"))
    known = identify(path).known
    recipe = known.spec.recipe
    assert recipe.color == color
    for own, right in zip((recipe.scale, recipe.mean, recipe.std), values, strict=True):
        assert own == pytest.approx(right)
    assert recipe.crop_and_scale.value == crop
    assert (recipe.height, recipe.width) == size
    assert known.origins["values"] is Origin.BESIDE
    if "labels" in text or '"a"' in text or "label_list" in text:
        assert known.spec.labels == ("a", "b", "c", "d")
        assert known.labels_source == kind


def test_an_export_names_the_classes(tmp_path: Path) -> None:
    path = picture_net(tmp_path / "net.onnx")
    names = {"id2label": {str(i): n for i, n in enumerate(("a", "b", "c", "d"))}}
    (tmp_path / "config.json").write_text(json.dumps(names), encoding="utf-8")
    known = identify(path).known
    assert (known.spec.labels, known.labels_source) == (("a", "b", "c", "d"), "config.json")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"image_mean": ["x"], "image_std": [0, 0, 0], "size": -5, "do_resize": 1}',
        '{"image_mean": [1e999, 1, 1], "image_std": [0, 0, 0], "size": "big"}',
        '{"image_mean": [1, 2], "image_std": [1, 2], "size": {"height": true}}',
        '{"image_mean": [0.5,0.5,0.5], "image_std": [0,0.5,0.5], "rescale_factor": null}',
    ],
)
def test_an_export_that_says_nonsense_never_blocks(text: str, tmp_path: Path) -> None:
    path = picture_net(tmp_path / "net.onnx")
    (tmp_path / "preprocessor_config.json").write_text(text, encoding="utf-8")
    assert resolve(path).spec.recipe.width == 24


def test_somebody_comes_before_the_file_and_the_file_before_its_export(tmp_path: Path) -> None:
    inside = {"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "Normalized_0_1"}
    path = picture_net(tmp_path / "net.onnx", metadata=inside)
    manifest = {"DomainType": "Classification", "ExporterVersion": "2.0"}
    (tmp_path / "cvexport.manifest").write_text(json.dumps(manifest), encoding="utf-8")
    known = identify(path).known
    assert known.spec.recipe.scale == 1 / 255
    assert known.origins["crop"] is Origin.BESIDE, "what the file leaves out, its export says"
    path.with_suffix(".toml").write_text('[recipe]\ncolor = "RGB"\n', encoding="utf-8")
    known = identify(path).known
    assert (known.spec.recipe.color, known.spec.recipe.scale) == ("RGB", 1 / 255)
    assert (known.origins["color"], known.origins["values"]) == (Origin.BESIDE, Origin.FILE)
