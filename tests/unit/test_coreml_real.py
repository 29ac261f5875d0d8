"""Models that coremltools itself wrote give the answers of what they were made of."""

import numpy as np
import pytest

from helpers.networks import described
from helpers.onnx_nets import NETS
from twinlens.engine.api import registry
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.formats import graph_from_onnx, load_onnx
from twinlens.engine.formats.coreml.importer import load_coreml
from twinlens.models.identify.kinds import glance
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = tuple(f"thing {n}" for n in range(10))


def _saved(tools, folder, family, program, **more):
    from helpers.coreml_models import translate

    graph = graph_from_onnx(NETS[family]())
    model = translate(
        graph, program=program, labels=NAMES, scale=1 / 127.5, bias=(-1.0, -0.5, -0.25), **more
    )
    path = folder / ("net.mlpackage" if program else "net.mlmodel")
    model.save(str(path))
    return graph, path


def _pixels(shape):
    return np.random.default_rng(5).integers(0, 256, shape).astype(np.float32)


def _fed(spec, pixels):
    """What the recipe makes of pixels (1, C, H, W)."""
    mean, std = (np.reshape(v, (1, -1, 1, 1)) for v in (spec.recipe.mean, spec.recipe.std))
    return ((pixels * spec.recipe.scale - mean) / std).astype(np.float32)


@pytest.mark.parametrize("family", ["mobilenet_v1", "mobilenet_v3", "squeezenet", "resnet"])
@pytest.mark.parametrize("program", [False, True])
def test_answers_are_those_of_the_source(coreml_tools, tmp_path, family, program):
    graph, path = _saved(coreml_tools, tmp_path, family, program)
    assert glance(path).format == ("Core ML package" if program else "Core ML")
    network = resolve(path)
    spec = network.spec
    assert spec.labels == NAMES
    assert spec.notes == ()
    assert spec.output == ("logits" if family == "resnet" else "probabilities")
    ((name, shape),) = graph.inputs.items()
    pixels = _pixels(shape)
    shift = np.reshape([-1.0, -0.5, -0.25], (1, 3, 1, 1))
    source = (pixels / 127.5 + shift).astype(np.float32)
    (expected,) = graph.run({name: source}).values()
    for engine in ("vision", "layers-cpu"):
        runner = registry.load(network, engine, EngineOptions(threads=1))
        answer = runner.run(_fed(spec, pixels))
        runner.close()
        np.testing.assert_allclose(answer, expected.reshape(-1), atol=2e-5, rtol=1e-4)


def test_half_precision_comes_close(coreml_tools, tmp_path):
    graph, path = _saved(
        coreml_tools, tmp_path, "mobilenet_v1", True, compute=coreml_tools.precision.FLOAT16
    )
    network = resolve(path)
    spec = network.spec
    ((name, shape),) = graph.inputs.items()
    pixels = _pixels(shape)
    shift = np.reshape([-1.0, -0.5, -0.25], (1, 3, 1, 1))
    (expected,) = graph.run({name: (pixels / 127.5 + shift).astype(np.float32)}).values()
    loaded = network.graph
    (answer,) = loaded.run({n: _fed(spec, pixels) for n in loaded.inputs}).values()
    np.testing.assert_allclose(answer.reshape(-1), expected.reshape(-1), atol=2e-3)


def _quantised(tools, folder, bits, mode):
    """A network in fewer bits, as their specification, beside the whole one's file."""
    from coremltools.models.neural_network import quantization_utils as quantise

    _, path = _saved(tools, folder, "mobilenet_v1", False)
    small = quantise.quantize_weights(tools.models.MLModel(str(path)), bits, mode)
    spec = small.get_spec() if hasattr(small, "get_spec") else small
    tools.models.utils.save_spec(spec, str(folder / "small.mlmodel"))
    return spec, path


@pytest.mark.parametrize(
    ("mode", "bits"),
    [("linear", 16), ("linear_symmetric", 8), *(("linear", bits) for bits in range(1, 9))],
)
def test_scaled_weights_are_those_that_coremltools_reads(coreml_tools, tmp_path, mode, bits):
    from coremltools.models.neural_network import quantization_utils as quantise

    spec, _ = _quantised(coreml_tools, tmp_path, bits, mode)
    loaded = load_coreml(tmp_path / "small.mlmodel")
    if bits < 16:  # Their own way back to floats.
        quantise._dequantize_nn_spec(spec.neuralNetworkClassifier)
    coreml_tools.models.utils.save_spec(spec, str(tmp_path / "back.mlmodel"))
    expected = load_coreml(tmp_path / "back.mlmodel")
    compared = 0
    for one, other in zip(loaded.nodes, expected.nodes, strict=True):
        for name, array in one.layer.parameters.items():
            np.testing.assert_allclose(
                array, other.layer.parameters[name], rtol=1e-6, atol=1e-6, err_msg=one.name
            )
            compared += 1
    assert compared == 8


@pytest.mark.parametrize("bits", range(1, 9))
def test_weights_from_a_table_are_its_nearest_entries(coreml_tools, tmp_path, bits):
    _, path = _quantised(coreml_tools, tmp_path, bits, "linear_lut")
    for one, other in zip(_weights(tmp_path / "small.mlmodel"), _weights(path), strict=True):
        entries = np.unique(one)
        assert len(entries) <= 1 << bits
        nearest = np.abs(other[..., None] - entries).min(-1)
        np.testing.assert_allclose(np.abs(one - other), nearest, atol=1e-6)


def _weights(path):
    graph = load_coreml(path)
    return [n.layer.weight for n in graph.nodes if "weight" in n.layer.parameters]


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_tables_of_programs(coreml_tools, tmp_path, bits):
    import coremltools.optimize.coreml as optimize

    _, path = _saved(coreml_tools, tmp_path, "mobilenet_v1", True)
    chosen = optimize.OpPalettizerConfig(
        mode="custom", lut_function=lambda weight: _table(weight, bits), weight_threshold=8
    )
    small = optimize.palettize_weights(
        coreml_tools.models.MLModel(str(path), skip_model_load=True),
        optimize.OptimizationConfig(global_config=chosen),
    )
    small.save(str(tmp_path / "small.mlpackage"))
    changed = 0
    for one, other in zip(_weights(tmp_path / "small.mlpackage"), _weights(path), strict=True):
        entries, indices = _table(other, bits)
        whole = one.size <= 8  # coremltools leaves small ones as they are
        expected = other if whole else entries[indices].reshape(one.shape)
        np.testing.assert_array_equal(one, expected.astype(np.float32))
        changed += not whole
    assert changed


def _table(weight, bits):
    """Evenly spaced entries, and for each weight the number of the nearest."""
    entries = np.linspace(weight.min(), weight.max(), 1 << bits, dtype=np.float32)
    step = float(entries[1] - entries[0])
    indices = np.clip(np.rint((weight - weight.min()) / step), 0, len(entries) - 1)
    return entries, indices.astype(np.uint8)


def test_linear_quantisation_of_programs(coreml_tools, tmp_path):
    import coremltools.optimize.coreml as optimize

    _, path = _saved(coreml_tools, tmp_path, "mobilenet_v1", True)
    chosen = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=8)
    small = optimize.linear_quantize_weights(
        coreml_tools.models.MLModel(str(path), skip_model_load=True),
        optimize.OptimizationConfig(global_config=chosen),
    )
    small.save(str(tmp_path / "small.mlpackage"))
    changed = 0
    for one, other in zip(_weights(tmp_path / "small.mlpackage"), _weights(path), strict=True):
        step = np.abs(other).max() / 127
        assert np.abs(one - other).max() <= step * 0.51 + 1e-6
        changed += not np.array_equal(one, other)
    assert changed


def test_the_default_survives_both_ways(coreml_tools, tmp_path):
    from helpers.coreml_models import translate

    network = resolve(EMBEDDED_MODEL)
    spec = network.spec
    graph = load_onnx(network.path)
    model = translate(graph, program=False, labels=spec.labels, scale=1 / 127.5, bias=(-1.0,) * 3)
    path = tmp_path / "default.mlmodel"
    model.save(str(path))
    read = resolve(path)
    assert read.spec.labels == spec.labels
    assert described(path).output_width == 1000
    x = np.random.default_rng(0).uniform(-1, 1, spec.recipe.input_shape).astype(np.float32)
    (expected,) = graph.run(dict.fromkeys(graph.inputs, x)).values()
    for engine in ("vision", "layers-cpu"):
        runner = registry.load(read, engine, EngineOptions(threads=2))
        assert np.abs(runner.run(x) - expected.reshape(-1)).max() < 1e-5
        runner.close()
