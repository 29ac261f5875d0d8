"""The layers-cpu engine: what it loads, what it says, and how it fails."""

import threading
from contextlib import closing

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from helpers.networks import assembled, network_of
from helpers.onnx_nets import edgetpu_mobilenet, mnist, mobilenet_v1, save
from twinlens.assets import picture_path
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.api.registry import check_precision, load
from twinlens.engine.errors import (
    EngineError,
    ImageError,
    InferenceError,
    ModelFileError,
    ShapeError,
)
from twinlens.engine.formats import load_onnx
from twinlens.engine.image import Recipe
from twinlens.engine.targets.cpu import LayersCpuEngine, engine
from twinlens.engine.targets.cpu.codegen.isa import detect
from twinlens.engine.targets.cpu.engine import blas_thread_count, thread_count
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve


def _network(path, **recipe):
    labels = tuple(f"class {number}" for number in range(10))
    return network_of(path, Recipe(**recipe), labels)


@pytest.fixture(params=["compiled", "NumPy"])
def runner(request, tmp_path, monkeypatch):
    if request.param == "NumPy":
        monkeypatch.setattr(engine, "without_compiler", lambda: "llvmlite is not installed")
    path = save(mobilenet_v1(), tmp_path / "net.onnx")
    runner = LayersCpuEngine().load(_network(path, width=33, height=33), EngineOptions())
    runner.kind = request.param
    yield runner
    runner.close()


def test_runs_and_says_what_runs(runner, tmp_path):
    info = runner.info
    assert (info.engine_id, info.engine_title) == ("layers-cpu", "Layers CPU")
    said = {
        "compiled": f"{detect().title} kernels",
        "NumPy": "NumPy reference: llvmlite is not installed",
    }
    assert (info.detail, info.precision) == (said[runner.kind], "fp32")
    assert (info.input_shape, info.output_width) == ((1, 3, 33, 33), 10)
    assert info.threads >= 1
    assert info.fallbacks == ()
    x = np.random.default_rng(0).standard_normal(info.input_shape).astype(np.float32)
    first = runner.run(x)
    expected = load_onnx(tmp_path / "net.onnx").run({"image": x.astype(np.float64)})
    np.testing.assert_allclose(first, next(iter(expected.values()))[0], rtol=1e-4)
    assert (first.shape, first.dtype) == ((10,), np.float32)
    kept = first.copy()
    second = runner.run(x + 1)
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(first, second)


def test_the_input_is_left_alone(runner):
    x = np.full(runner.info.input_shape, -1, np.float32)
    runner.run(x)
    assert (x == -1).all()


@pytest.mark.parametrize(
    "tensor", [np.zeros((1, 3, 33, 34), np.float32), np.zeros((1, 3, 33, 33), np.float64)]
)
def test_wrong_tensors_are_refused(runner, tensor):
    with pytest.raises(InferenceError, match="Layers CPU"):
        runner.run(tensor)


def test_closed_runners_say_so(runner):
    runner.close()
    runner.close()
    with pytest.raises(InferenceError, match="closed"):
        runner.run(np.zeros((1, 3, 33, 33), np.float32))


def test_channels_last_and_gray(tmp_path):
    layers = LayersCpuEngine()
    last = save(edgetpu_mobilenet(), tmp_path / "last.onnx")
    spec = _network(last, width=32, height=32, layout="NHWC")
    with closing(layers.load(spec, EngineOptions())) as runner:
        assert runner.info.input_shape == (1, 32, 32, 3)
    gray = save(mnist(), tmp_path / "gray.onnx")
    spec = _network(gray, width=28, height=28, color="GRAY", mean=(0.0,), std=(1.0,))
    assert layers.load(spec, EngineOptions()).info.input_shape == (1, 1, 28, 28)


def test_models_that_do_not_fit(tmp_path):
    layers = LayersCpuEngine()
    assert layers.available() is None
    path = save(mobilenet_v1(), tmp_path / "net.onnx")
    with pytest.raises(ShapeError, match="its recipe makes"):
        layers.load(_network(path, width=32, height=32), EngineOptions())
    with pytest.raises(EngineError, match="fp32"):
        layers.load(_network(path, width=33, height=33), EngineOptions(precision="fp16"))
    with pytest.raises(ModelFileError, match="does not exist"):
        layers.load(_network(tmp_path / "no.onnx", width=33, height=33), EngineOptions())


@pytest.mark.skipif("bf16" not in LayersCpuEngine().precisions(), reason="no bf16 here")
def test_other_precisions_need_pictures_and_take_what_is_given(tmp_path):
    layers = LayersCpuEngine()
    spec = _network(save(mobilenet_v1(), tmp_path / "net.onnx"), width=33, height=33)
    with closing(layers.load(spec, EngineOptions(precision="bf16"))) as runner:
        assert (runner.info.precision, runner.info.agreement) == ("bf16", None)
    with pytest.raises(EngineError, match="auto needs pictures to measure on"):
        layers.load(spec, EngineOptions(precision="auto"))
    with pytest.raises(ImageError, match="nowhere"):
        layers.load(spec, EngineOptions(precision="bf16", calibration=tmp_path / "nowhere"))
    options = EngineOptions(precision="bf16", calibration=picture_path("start.jpg").parent)
    with closing(layers.load(spec, options)) as runner:
        assert runner.info.precision == "bf16"
        assert 0 <= runner.info.agreement <= 1


def test_missing_precisions_name_the_instructions(monkeypatch, tmp_path):
    layers = LayersCpuEngine()
    assert set(layers.precisions()) | set(layers.missing_precisions()) >= {"fp32", "bf16", "int8"}
    monkeypatch.setenv("TWINLENS_CPU_ISA", "generic")
    assert layers.precisions() == ("fp32",)
    assert "AVX512-BF16" in layers.missing_precisions()["bf16"]
    assert "AVX512-VNNI" in layers.missing_precisions()["int8"]
    check_precision("layers-cpu", "fp32")
    with pytest.raises(EngineError, match="int8 needs a processor with AVX512-VNNI"):
        check_precision("layers-cpu", "int8")
    with pytest.raises(EngineError, match="fp4 is not one of its precisions"):
        check_precision("layers-cpu", "fp4")
    spec = _network(save(mobilenet_v1(), tmp_path / "net.onnx"), width=33, height=33)
    with pytest.raises(EngineError, match="bf16 needs a processor"):
        layers.load(spec, EngineOptions(precision="bf16"))
    monkeypatch.setattr(engine, "without_compiler", lambda: "llvmlite is not installed")
    assert layers.missing_precisions()["int8"] == "llvmlite is not installed"


def test_vision_refuses_a_precision_that_it_would_ignore():
    with pytest.raises(EngineError, match="as the model file has it, not in 'bf16'"):
        load(resolve(EMBEDDED_MODEL), "vision", EngineOptions(precision="bf16"))


def test_blas_leaves_a_processor_to_the_window_unless_told():
    assert blas_thread_count(EngineOptions(threads=1)) == 1
    processors = blas_thread_count(EngineOptions(threads=1000))
    assert blas_thread_count(EngineOptions()) == max(1, min(4, processors - 1))


def test_compiled_layers_use_all_processors_up_to_four_unless_told():
    assert thread_count(EngineOptions(threads=1)) == 1
    processors = thread_count(EngineOptions(threads=1000))
    assert thread_count(EngineOptions()) == min(4, processors)


def test_blas_is_limited_only_while_the_network_runs(monkeypatch):
    monkeypatch.setattr(engine, "without_compiler", lambda: "not wanted here")
    pools = ThreadpoolController().select(user_api="blas")
    if not pools:
        pytest.skip("NumPy's BLAS here cannot be limited")
    before = [pool["num_threads"] for pool in pools.info()]
    runner = load(resolve(EMBEDDED_MODEL), "layers-cpu", EngineOptions(threads=1))
    assert runner.info.threads == 1
    runner.run(np.zeros(runner.info.input_shape, np.float32))
    assert [pool["num_threads"] for pool in pools.info()] == before


@pytest.mark.skipif("int8" not in LayersCpuEngine().precisions(), reason="no int8 here")
def test_a_network_whose_parameters_are_a_folder_is_calibrated_too(tmp_path):
    file = save(mobilenet_v1(), tmp_path / "net.onnx")
    spec = assembled(load_onnx(file), _network(file, width=33, height=33).spec)
    options = EngineOptions(precision="int8", calibration=picture_path("start.jpg").parent)
    with closing(LayersCpuEngine().load(spec, options)) as runner:
        assert runner.info.precision == "int8"


class _TakesTurns:
    """A program's pace that takes another number of threads at each run."""

    def __init__(self):
        self.taken = 2

    def threads(self):
        return self.taken

    def record(self, threads, seconds):
        self.taken = 3 - threads


def test_what_runs_is_published_by_runs_and_only_read_by_readers(tmp_path):
    path = save(mobilenet_v1(), tmp_path / "net.onnx")
    spec = _network(path, width=33, height=33)
    with closing(LayersCpuEngine().load(spec, EngineOptions(threads=2))) as runner:
        x = np.zeros(runner.info.input_shape, np.float32)
        pace = runner.program._pace = _TakesTurns()
        before = runner.info
        pace.taken = 1
        # What changed inside is seen with the next answer, whoever looks in between.
        assert all(runner.info is before for _ in range(3))
        expected, seen, ended = set(), set(), threading.Event()

        def read():
            while not ended.is_set():
                seen.add((runner.info.threads, runner.info.output_width, runner.info.detail))

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for _ in range(50):
            runner.run(x)
            assert runner.info is runner.info
            assert runner.info.threads == pace.taken
            expected.add((pace.taken, before.output_width, before.detail))
        ended.set()
        for reader in readers:
            reader.join()
        assert seen <= expected | {(2, before.output_width, before.detail)}
        last = runner.info
    assert runner.info is last
