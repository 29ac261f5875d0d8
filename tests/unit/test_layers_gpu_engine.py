"""The layers-gpu engine: what it loads, what it says, frames in flight, and how it fails."""

from contextlib import closing

import numpy as np
import pytest

from helpers.gpu import TOLERANCE, adapter_or_skip, found
from helpers.networks import network_of
from helpers.onnx_nets import edgetpu_mobilenet, mnist, mobilenet_v1, save, squeezenet
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.api.registry import load
from twinlens.engine.errors import (
    EngineError,
    EngineUnavailableError,
    InferenceError,
    ModelFileError,
    ShapeError,
)
from twinlens.engine.formats import load_onnx
from twinlens.engine.graph import optimize
from twinlens.engine.image import Recipe
from twinlens.engine.targets.gpu import LayersGpuEngine, engine
from twinlens.engine.targets.gpu.run import adapters
from twinlens.engine.targets.gpu.run.adapters import Adapter
from twinlens.models.identify.resolve import EMBEDDED_MODEL, PREFERRED_MODEL, resolve


def _network(path, **recipe):
    labels = tuple(f"class {number}" for number in range(10))
    return network_of(path, Recipe(**recipe), labels)


def _options(**more):
    """The adapter that tests run on."""
    return EngineOptions(adapter=adapter_or_skip()[0].title, **more)


@pytest.fixture(params=["fp32", "fp16"])
def runner(request, tmp_path):
    if request.param == "fp16" and not adapter_or_skip()[0].half:
        pytest.skip("the adapter has no shader-f16")
    path = save(mobilenet_v1(), tmp_path / "net.onnx")
    network = _network(path, width=33, height=33)
    runner = LayersGpuEngine().load(network, _options(precision=request.param))
    yield runner
    runner.close()


def _picture(runner, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal(runner.info.input_shape).astype(np.float32)


def test_runs_and_says_what_runs(runner, tmp_path):
    info = runner.info
    assert (info.engine_id, info.engine_title) == ("layers-gpu", "Layers GPU")
    assert info.detail == adapter_or_skip()[0].title
    assert (info.input_shape, info.output_width) == ((1, 3, 33, 33), 10)
    assert info.fallbacks == ()
    x = _picture(runner)
    first = runner.run(x)
    expected = load_onnx(tmp_path / "net.onnx").run({"image": x.astype(np.float64)})
    np.testing.assert_allclose(
        first, next(iter(expected.values()))[0], atol=TOLERANCE[info.precision] * first.max()
    )
    assert (first.shape, first.dtype) == ((10,), np.float32)
    kept = first.copy()
    second = runner.run(x + 1)
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(first, second)
    assert "depthwise" in runner.summary()


def test_frames_in_flight(runner):
    pictures = [_picture(runner, seed) for seed in range(5)]
    expected = [runner.run(picture) for picture in pictures]
    given = [picture.copy() for picture in pictures]
    tickets = []
    for picture in given:
        tickets.append(runner.submit(picture))
        picture[...] = 0  # it was copied
    for ticket, answer in zip(reversed(tickets), reversed(expected), strict=True):
        np.testing.assert_array_equal(ticket.result(), answer)
        assert ticket.done
        np.testing.assert_array_equal(ticket.result(), answer)


def test_timings_name_every_kernel(runner):
    x = _picture(runner)
    runner.run(x)
    assert runner.timings() is None
    if not runner.program.device.stamps:
        pytest.skip("the adapter has no timestamps")
    runner.profile = True
    runner.run(x)
    times = runner.timings()
    named = {node for layer in times.layers for node in layer.nodes}
    assert named == set(runner.program.kernels)
    assert all(layer.ms >= 0 for layer in times.layers)
    assert times.layers[0].kernel == "input"
    assert times.compute_ms > 0
    runner.profile = False
    runner.run(x)
    assert runner.timings() is None


@pytest.mark.parametrize(
    "tensor", [np.zeros((1, 3, 33, 34), np.float32), np.zeros((1, 3, 33, 33), np.float64)]
)
def test_wrong_tensors_are_refused(runner, tensor):
    for give in (runner.run, runner.submit):
        with pytest.raises(InferenceError, match="Layers GPU: the tensor"):
            give(tensor)


def test_closed_runners_say_so(runner):
    ticket = runner.submit(_picture(runner))
    runner.close()
    runner.close()
    with pytest.raises(InferenceError, match="closed"):
        runner.run(_picture(runner))
    with pytest.raises(InferenceError, match="closed"):
        ticket.result()


@pytest.mark.parametrize("frames", [0, 1, 4])
def test_a_lost_device_is_reported_and_the_next_load_works(tmp_path, frames):
    path = save(mnist(), tmp_path / "net.onnx")
    network = _network(path, width=28, height=28, color="GRAY", mean=(0.0,), std=(1.0,))
    with closing(LayersGpuEngine().load(network, _options())) as runner:
        for _ in range(frames):
            runner.run(_picture(runner))
        runner.program.device.raw.destroy()
        for _ in range(5):
            with pytest.raises(InferenceError, match=r"Layers GPU: .* failed") as caught:
                runner.run(_picture(runner))
            assert "again" in caught.value.hint
    with closing(LayersGpuEngine().load(network, _options())) as runner:
        assert np.isfinite(runner.run(_picture(runner))).all()


def test_frames_under_way_tell_that_the_device_was_lost(runner):
    tickets = [runner.submit(_picture(runner)) for _ in range(3)]
    runner.program.device.raw.destroy()
    # Some may have been computed before; the others end with an error, and none waits for ever.
    for ticket in [*tickets, *tickets]:
        try:
            assert np.isfinite(ticket.result()).all()
        except InferenceError as why:
            assert "failed" in why.message
        assert ticket.done
    with pytest.raises(InferenceError, match="failed"):
        runner.submit(_picture(runner))


def test_lost_devices_between_kernels_and_numpy(tmp_path):
    path = save(squeezenet(), tmp_path / "net.onnx")
    with closing(LayersGpuEngine().load(_network(path, width=35, height=35), _options())) as runner:
        assert runner.info.fallbacks
        runner.run(_picture(runner))
        runner.program.device.raw.destroy()
        for _ in range(3):
            with pytest.raises(InferenceError, match=r"Layers GPU: .* failed: ") as caught:
                runner.run(_picture(runner))
            assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "stage",
    ["create_buffer", "create_compute_pipeline", "create_bind_group", "create_query_set"],
)
def test_what_wgpu_raises_while_loading_is_told_as_our_error(stage, monkeypatch, tmp_path):
    from wgpu import GPUValidationError
    from wgpu.backends.wgpu_native import GPUDevice

    from twinlens.engine.targets.gpu.run.program import Options, Program

    adapter = adapter_or_skip()
    if stage == "create_query_set" and "timestamp-query-inside-passes" not in adapter[0].features:
        pytest.skip("the adapter has no timestamps")

    def fail(*_, **__):
        raise GPUValidationError("Validation\n\nno more")

    graph = optimize(load_onnx(save(mobilenet_v1(), tmp_path / "net.onnx")))
    monkeypatch.setattr(GPUDevice, stage, fail)
    with pytest.raises(EngineError, match="no more") as caught:
        # Tiles are tried, by the GPU's clock.
        Program(graph, adapter, Options(software=False, tune_s=5.0, use_cache=False))
    assert "\n" not in caught.value.message


def test_an_adapter_that_opens_no_device_is_looked_for_again(monkeypatch, tmp_path):
    import wgpu

    class Gone:
        features = frozenset({"shader-f16"})

        def request_device_sync(self, **_):
            raise wgpu.GPUError("it was unplugged")

    known = adapters._found
    known()
    assert known.cache_info().currsize == 1
    with pytest.raises(EngineError, match="opens no device: it was unplugged") as caught:
        adapters.open_device(Gone())
    assert "another adapter" in caught.value.hint
    assert known.cache_info().currsize == 0


def test_gpus_that_cannot_be_listed_are_a_reason_not_a_crash(monkeypatch):
    adapter_or_skip()

    def fail():
        raise RuntimeError("the loader\nis broken")

    monkeypatch.setattr(adapters, "_found", fail)
    layers = LayersGpuEngine()
    assert "cannot be listed: the loader is broken" in layers.available()
    assert layers.precisions() == ("fp32",)
    assert layers.missing_precisions() == {}
    with pytest.raises(EngineUnavailableError, match="cannot be listed"):
        adapters.choose(None)


def test_what_is_too_large_for_the_adapter_is_refused_in_one_line(monkeypatch):
    from twinlens.engine.graph import Graph, Node
    from twinlens.engine.layers import Flatten, Linear, ReLU
    from twinlens.engine.targets.gpu.run.device import Device
    from twinlens.engine.targets.gpu.run.program import Program

    adapter = adapter_or_skip()
    most = adapter[1].limits["max-storage-buffer-binding-size"]
    side = int((most / 12) ** 0.5) + 8
    picture = Graph("large", {"x": (1, 3, side, side)}, ["r"], [Node("r", ReLU(), ("x",), "r")])
    said = rf"takes at most {most / 1e6:.1f} MB in one buffer; \d+\.\d MB are needed$"
    if most <= 1 << 30:
        with pytest.raises(EngineError, match=said) as caught:
            Program(picture, adapter)
        assert "Another engine" in caught.value.hint
    monkeypatch.setattr(Device, "largest", 100_000)
    weights = Linear(np.zeros((400, 75), np.float32))
    nodes = [Node("f", Flatten(), ("x",), "f"), Node("l", weights, ("f",), "l")]
    with pytest.raises(EngineError, match=r"at most 0\.1 MB in one buffer; 0\.2 MB are needed"):
        Program(Graph("wide", {"x": (1, 3, 5, 5)}, ["l"], nodes), adapter)


def test_layers_without_a_kernel_run_in_numpy_and_are_marked(tmp_path):
    path = save(squeezenet(), tmp_path / "net.onnx")
    network = _network(path, width=35, height=35)
    with closing(LayersGpuEngine().load(network, _options())) as runner:
        (left,) = runner.info.fallbacks
        assert runner.info.detail.endswith("; 1 layer in NumPy")
        (line,) = (line for line in runner.summary().splitlines() if line.startswith(left))
        assert line.endswith("reference")
        x = _picture(runner)
        expected = load_onnx(path).run({"image": x.astype(np.float64)})
        np.testing.assert_allclose(runner.run(x), next(iter(expected.values()))[0], rtol=1e-4)
        with pytest.raises(InferenceError, match=left):
            runner.submit(x)


def test_channels_last(tmp_path):
    path = save(edgetpu_mobilenet(), tmp_path / "last.onnx")
    network = _network(path, width=32, height=32, layout="NHWC")
    with closing(LayersGpuEngine().load(network, _options())) as runner:
        assert runner.info.input_shape == (1, 32, 32, 3)
        assert runner.info.fallbacks == ()
        x = _picture(runner)
        expected = load_onnx(path).run({"image": x.astype(np.float64)})
        # The network comes quantised and is computed in floats here.
        np.testing.assert_allclose(runner.run(x), next(iter(expected.values()))[0], atol=0.01)


@pytest.mark.parametrize("model", [PREFERRED_MODEL, EMBEDDED_MODEL])
def test_what_comes_with_twinlens_agrees_with_the_cpu(model):
    adapter_or_skip()
    network = resolve(model)
    with (
        closing(load(network, "layers-gpu", _options())) as gpu,
        closing(load(network, "layers-cpu")) as cpu,
    ):
        assert gpu.info.fallbacks == ()
        x = _picture(gpu)
        np.testing.assert_allclose(gpu.run(x), cpu.run(x), atol=1e-5)


def test_models_and_options_that_do_not_fit(tmp_path):
    adapter_or_skip()
    layers = LayersGpuEngine()
    assert layers.available() is None
    assert layers.precisions()[0] == "fp32"
    path = save(mobilenet_v1(), tmp_path / "net.onnx")
    fitting = _network(path, width=33, height=33)
    with pytest.raises(ShapeError, match="its recipe makes"):
        layers.load(_network(path, width=32, height=32), _options())
    with pytest.raises(EngineError, match="int8"):
        layers.load(fitting, EngineOptions(precision="int8"))
    with pytest.raises(EngineError, match="no adapter is called 'abacus'") as caught:
        layers.load(fitting, EngineOptions(adapter="abacus"))
    assert adapter_or_skip()[0].name in caught.value.hint
    with pytest.raises(ModelFileError, match="does not exist"):
        layers.load(_network(tmp_path / "no.onnx", width=33, height=33), _options())


def test_without_wgpu_or_adapters_it_says_why(monkeypatch, tmp_path):
    network = _network(tmp_path / "net.onnx", width=33, height=33)
    monkeypatch.setattr(engine, "list_adapters", lambda: ())
    if adapters.without_wgpu() is None:
        assert "no GPU adapter" in LayersGpuEngine().available()
        assert LayersGpuEngine().precisions() == ("fp32",)
    monkeypatch.setattr(engine, "without_wgpu", lambda: "wgpu is not installed")
    with pytest.raises(EngineUnavailableError, match="wgpu is not installed"):
        LayersGpuEngine().load(network, EngineOptions())


def test_adapters_are_told_apart_and_chosen_by_words(monkeypatch):
    def made(name, backend, kind):
        return Adapter(name, backend, kind, "", frozenset(), 1)

    known = [
        made("Slow", "D3D12", "discrete"),
        made("llvmpipe", "Vulkan", "software"),
        made("Fast 1", "Vulkan", "discrete"),
        made("Small", "Vulkan", "integrated"),
    ]
    ranked = sorted(known, key=adapters._rank)
    assert [adapter.name for adapter in ranked] == ["Fast 1", "Slow", "Small", "llvmpipe"]
    monkeypatch.setattr(adapters, "without_wgpu", lambda: None)
    monkeypatch.setattr(adapters, "_found", lambda: tuple((each, None) for each in ranked))
    for words, name in ((None, "Fast 1"), ("integrated", "Small"), ("D3D12 DISCRETE", "Slow")):
        assert adapters.choose(words)[0].name == name


def test_without_an_adapter_tests_say_so():
    adapter, reason = found()
    assert (adapter is None) == bool(reason)


def test_tiles_are_tried_once_and_kept(monkeypatch, tmp_path):
    from twinlens.engine.targets.gpu.run.program import Options, Program

    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path))
    graph = optimize(load_onnx(save(mobilenet_v1(), tmp_path / "net.onnx")))
    x = np.random.default_rng(0).standard_normal((1, 3, 33, 33)).astype(np.float32)
    expected = next(iter(graph.run({"image": x.astype(np.float64)}).values()))
    kernels = []
    for tried in (True, False):
        options = Options(software=False, tune_s=60.0)
        with closing(Program(graph, adapter_or_skip(), options)) as ready:
            assert bool(ready.tuner.measured) == tried
            for times in ready.tuner.measured.values():
                assert len(times) > 1
                assert min(times.values()) > 0
            answer = next(iter(ready.run({"image": x}).values()))
            np.testing.assert_allclose(answer, expected, atol=1e-5)
            kernels.append(ready.kernels)
    assert kernels[0] == kernels[1]
