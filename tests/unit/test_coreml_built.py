"""A `.mlmodel` that coremltools builds layer by layer answers as NumPy does in float64."""

import cv2
import numpy as np
import pytest

from helpers.coreml_built import (
    MAX,
    MEAN,
    RELU,
    build,
    convolution,
    dense,
    probabilities,
    stored,
)
from twinlens.engine.api.predictor import Predictor
from twinlens.models.identify.kinds import glance
from twinlens.models.identify.resolve import resolve

# coremltools warns of what it does without; warnings are errors here.
pytestmark = pytest.mark.filterwarnings("ignore")

ENGINES = ("layers-cpu", "vision")
STORAGE = {
    "fp32": None,
    "fp16": (16, "linear"),
    "8 bits": (8, "linear"),
    "table": (8, "linear_lut"),
}


def saved(tools, model, storage, folder):
    """Write a model with its weights in that form; returns (path, specification)."""
    from coremltools.models.neural_network import quantization_utils as quantise

    if STORAGE[storage] is not None:
        model = quantise.quantize_weights(model, *STORAGE[storage])
    spec = model.get_spec() if hasattr(model, "get_spec") else model
    path = folder / "net.mlmodel"
    tools.models.utils.save_spec(spec, str(path))
    assert glance(path).format == "Core ML"
    return path, spec


def answered(path, engine, pixels):
    asked = Predictor(lambda: resolve(path), engine)
    try:
        return asked.answer(pixels)
    finally:
        asked.close()


def assert_equal_answers(path, pixels, labels, expected):
    """On every engine the same label, and each probability to float32's precision."""
    for engine in ENGINES:
        best, received = answered(path, engine, pixels)
        assert best == labels[int(expected.argmax())]
        found = [received[label] for label in labels]
        np.testing.assert_allclose(found, expected, atol=2e-6, rtol=1e-4, err_msg=engine)


def colours():
    """A network for pictures of 20 × 24 pixels: strides, borders, groups, channel by channel."""
    rng = np.random.default_rng(9)

    def layer(*shape):
        fan = np.prod(shape[1:])
        return rng.normal(0, np.sqrt(2 / fan), shape), rng.uniform(-0.2, 0.2, shape[0])

    return [
        convolution("stem", *layer(8, 3, 3, 3), stride=2),
        RELU,
        convolution("deep", *layer(8, 1, 3, 3), groups=8),
        RELU,
        convolution("pairs", *layer(16, 4, 1, 1), groups=2),
        MAX,
        convolution("inner", *layer(12, 16, 3, 2), same=False),
        RELU,
        MEAN,
        dense("classes", *layer(5, 12)),
    ]


COLOURS = ("red", "grün", "blue sky", "🟡", "5")


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("storage", STORAGE)
def test_pictures_in_colour(coreml_tools, storage, order, tmp_path):
    steps = colours()
    model = build(
        coreml_tools,
        steps,
        (3, 20, 24),
        COLOURS,
        is_bgr=order == "BGR",
        red_bias=-0.9,
        green_bias=-1.1,
        blue_bias=-0.6,
        image_scale=1 / 120,
    )
    path, spec = saved(coreml_tools, model, storage, tmp_path)
    recipe = resolve(path).spec.recipe
    assert (recipe.color, recipe.width, recipe.height) == (order, 24, 20)
    pixels = np.random.default_rng(2).integers(0, 256, (20, 24, 3), dtype=np.uint8)  # B, G, R
    picture = pixels.transpose(2, 0, 1) / 120 + np.reshape([-0.6, -1.1, -0.9], (3, 1, 1))
    if order == "RGB":
        picture = picture[::-1]
    expected = probabilities(stored(spec, steps), picture)
    assert_equal_answers(path, pixels, COLOURS, expected)
    # Few bits change the answer, and only a little.
    change = np.abs(expected - probabilities(steps, picture)).max()
    assert change < 1e-7 if storage == "fp32" else 1e-7 < change < 0.05


def digits(folder):
    """The published digits network; its files have [out][kh][kw][in]."""
    shapes = {"conv1": (20, 5, 5, 1), "conv2": (50, 5, 5, 20), "fc1": (320, 7, 7, 50)}
    shapes["fc2"] = (10, 1, 1, 320)

    def layer(name):
        weight, bias = (np.fromfile(folder / f"{name}_{part}.bin", "<f4") for part in "Wb")
        return weight.reshape(shapes[name]).transpose(0, 3, 1, 2).astype(np.float64), bias

    def flat(name):
        weight, bias = layer(name)
        return weight.reshape(len(weight), -1), bias

    first = [convolution("conv1", *layer("conv1")), RELU, MAX]
    second = [convolution("conv2", *layer("conv2")), RELU, MAX]
    return [*first, *second, dense("fc1", *flat("fc1")), RELU, dense("fc2", *flat("fc2"))]


@pytest.mark.parametrize("storage", STORAGE)
def test_published_digits(coreml_tools, test_data, storage, tmp_path):
    folder = test_data / "models" / "mnist_mpscnn"
    steps = digits(folder)
    names = tuple("0123456789")
    grey = {"gray_bias": 255.0, "image_scale": -1.0}
    model = build(coreml_tools, steps, (1, 28, 28), names, **grey)
    path, spec = saved(coreml_tools, model, storage, tmp_path)
    for name, digit in (("five", 5), ("three", 3)):
        drawn = cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        pixels = cv2.resize(drawn, (28, 28), interpolation=cv2.INTER_AREA)
        expected = probabilities(stored(spec, steps), 255.0 - pixels[None])
        assert expected.argmax() == digit
        assert_equal_answers(path, pixels, names, expected)
