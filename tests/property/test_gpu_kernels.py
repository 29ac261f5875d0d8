"""Every kernel of layers-gpu against the float64 reference, on shapes drawn by chance.

Runs on the software adapter where there is one (Mesa's lavapipe in CI), both with the kernels that
are meant for it and with those for real GPUs.
"""

from contextlib import closing

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.cpu_check import reference, some_inputs
from helpers.cpu_nets import networks
from helpers.gpu import adapter_or_skip, chain, check, compare, program
from helpers.onnx_nets import NETS, save
from twinlens.engine.formats import load_onnx
from twinlens.engine.graph import Graph, Node, optimize
from twinlens.engine.layers import (
    ELU,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    DepthwiseConv2d,
    Div,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    Mul,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Sub,
    Tanh,
)
from twinlens.engine.targets.gpu.codegen.tensor import Buffer
from twinlens.engine.targets.gpu.kernels import product
from twinlens.engine.targets.gpu.kernels.tiles import SHARED, Tile
from twinlens.engine.targets.gpu.plan import memory
from twinlens.engine.targets.liveness import Life

FEW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
WAYS = pytest.mark.parametrize(
    ("precision", "software"),
    [("fp32", True), ("fp32", False), ("fp16", False)],
    ids=["fp32 software", "fp32", "fp16"],
)
ACTIVATIONS = (
    None,
    Clip(-0.5, 0.7),
    ELU(0.8),
    HardSigmoid(),
    HardSwish(),
    LeakyReLU(0.1),
    ReLU(),
    ReLU6(),
    Sigmoid(),
    SiLU(),
    Tanh(),
)


@pytest.fixture(scope="module", autouse=True)
def _adapter():
    adapter_or_skip()


def _floats(random, *shape):
    return (random.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32)


@st.composite
def convolutions(draw, *, depthwise=False):
    """A convolution that fits its input, and the input's shape."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (2, 5), (5, 1)]))
    stride = draw(st.sampled_from([(1, 1), (2, 2), (1, 3)]))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1)]))
    pads = tuple(draw(st.integers(0, k // 2 + 1)) for k in (*kernel, *kernel))
    height, width = draw(st.integers(9, 14)), draw(st.integers(9, 17))
    batch = draw(st.sampled_from([1, 1, 2]))
    if depthwise:
        channels = draw(st.sampled_from([3, 8, 17]))
        weight = _floats(random, channels, 1, *kernel)
        layer = DepthwiseConv2d(
            weight, _floats(random, channels), stride=stride, dilation=dilation, pads=pads
        )
    else:
        groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
        channels = draw(st.sampled_from([1, 3, 4, 12])) * groups
        outputs = draw(st.sampled_from([1, 4, 6, 24])) * groups
        weight = _floats(random, outputs, channels // groups, *kernel)
        bias = _floats(random, outputs) if draw(st.booleans()) else None
        layer = Conv2d(weight, bias, stride=stride, dilation=dilation, groups=groups, pads=pads)
    return layer, (batch, channels, height, width)


def _two_branches(layer, shape, activation):
    """The convolution alone, and with a residual that is written after it."""
    random = np.random.default_rng(7)
    outputs = layer.output_channels
    side = Conv2d(
        _floats(random, outputs, layer.input_channels, *layer.kernel),
        stride=layer.stride,
        dilation=layer.dilation,
        pads=layer.pads,
    )
    nodes = [Node("a", layer, ("x",), "a")]
    if activation is not None:
        nodes.append(Node("act", activation, ("a",), "act"))
    nodes += [
        Node("b", layer, ("x",), "b"),
        Node("c", side, ("x",), "c"),
        Node("sum", Add(), ("b", "c"), "sum"),
        Node("relu", ReLU(), ("sum",), "relu"),
    ]
    first = "a" if activation is None else "act"
    return Graph("branches", {"x": shape}, [first, "relu"], nodes)


@WAYS
@FEW
@given(case=convolutions(), activation=st.sampled_from(ACTIVATIONS))
def test_convolutions(precision, software, case, activation):
    check(_two_branches(*case, activation), precision, software=software)


@WAYS
@FEW
@given(case=convolutions(depthwise=True), activation=st.sampled_from(ACTIVATIONS))
def test_depthwise_convolutions(precision, software, case, activation):
    check(_two_branches(*case, activation), precision, software=software)


@pytest.mark.parametrize("tile", SHARED[:-1], ids=Tile.text)
def test_tiles(tile, monkeypatch):
    # Sizes that fill no tile, depths that end within one, and two taps in one fetch.
    monkeypatch.setattr(product, "candidates", lambda *_: [tile])
    random = np.random.default_rng(3)
    layers = (
        Conv2d(_floats(random, 40, 12, 3, 3), _floats(random, 40), pads=(1, 1, 1, 1)),
        ReLU(),
        Conv2d(_floats(random, 36, 40, 1, 1)),
    )
    found = check(chain((1, 12, 9, 11), *layers), software=False)
    assert tile.text() in found["n0"]
    if tile.bytes(2) <= 16_384 and tile.thread_rows < 8:
        check(chain((1, 12, 9, 11), *layers), "fp16", software=False)


@WAYS
@pytest.mark.parametrize("rows", [1, 3])
def test_products_of_rows(precision, software, rows):
    random = np.random.default_rng(rows)
    layers = (
        Linear(_floats(random, 37, 50), _floats(random, 37)),
        Tanh(),
        Linear(_floats(random, 10, 37)),
        Softmax(1),
    )
    check(chain((rows, 50), *layers), precision, software=software)


@WAYS
@pytest.mark.parametrize("shape", [(1, 6, 5, 3), (2, 8, 4, 4), (1, 1, 6, 6)], ids=str)
def test_flattened_pictures(precision, software, shape):
    random = np.random.default_rng(0)
    count = int(np.prod(shape[1:]))
    layers = (ReLU(), Flatten(), Linear(_floats(random, 9, count), _floats(random, 9)))
    check(chain(shape, *layers), precision, software=software)


@WAYS
@FEW
@given(data=st.data())
def test_pools(precision, software, data):
    kernel = data.draw(st.sampled_from([(2, 2), (3, 3), (1, 3)]))
    pads = tuple(data.draw(st.integers(0, k // 2)) for k in (*kernel, *kernel))
    given = {
        "stride": data.draw(st.sampled_from([(1, 1), (2, 2), (2, 1)])),
        "pads": pads,
        "ceil_mode": data.draw(st.booleans()),
    }
    nodes = [
        Node("largest", MaxPool2d(kernel, **given, dilation=(1, 1)), ("x",), "largest"),
        Node("mean", AvgPool2d(kernel, **given), ("x",), "mean"),
        Node("counted", AvgPool2d(kernel, **given, count_include_pad=True), ("x",), "counted"),
        Node("all", GlobalAvgPool2d(), ("x",), "all"),
        Node("top", GlobalMaxPool2d(), ("x",), "top"),
    ]
    shape = (data.draw(st.sampled_from([1, 2])), data.draw(st.sampled_from([3, 8])), 9, 11)
    graph = Graph("pools", {"x": shape}, [node.output for node in nodes], nodes)
    check(graph, precision, software=software, seed=data.draw(st.integers(0, 99)))


@WAYS
@pytest.mark.parametrize("shape", [(1, 6, 5, 4), (2, 8, 3, 3)], ids=str)
def test_functions_of_samples(precision, software, shape):
    random = np.random.default_rng(1)
    channels = shape[1]
    constants = {
        "scalar": np.float32(1.5),
        "vector": random.uniform(0.5, 1.5, (channels, 1, 1)).astype(np.float32),
    }
    nodes = [
        Node(f"act{place}", layer, ("x",), f"act{place}")
        for place, layer in enumerate(ACTIVATIONS[1:])
    ]
    numbers = [random.uniform(0.5, 1.5, channels).astype(np.float32) for _ in range(4)]
    nodes += [
        Node("norm", BatchNorm2d(*numbers), ("x",), "norm"),
        Node("prelu", PReLU(_floats(random, channels, 1, 1)), ("x",), "prelu"),
        Node("pixel", GlobalAvgPool2d(), ("x",), "pixel"),
        Node("gated", Mul(), ("x", "pixel"), "gated"),
        Node("less", Sub(), ("pixel", "x"), "less"),
        Node("half", Div(), ("x", "vector"), "half"),
        Node("more", Add(), ("scalar", "x"), "more"),
        Node("both", Mul(), ("act0", "act1"), "both"),
        Node("shares", Softmax(1), ("x",), "shares"),
        Node("logs", LogSoftmax(1), ("x",), "logs"),
        # What fills up the channels is 0 / 0 here, and must not reach the convolution's sums.
        Node("odd", Div(), ("gated", "gated"), "odd"),
        Node("conv", Conv2d(_floats(random, 5, channels, 1, 1)), ("odd",), "conv"),
    ]
    outputs = [node.output for node in nodes]
    graph = Graph("functions", {"x": shape}, outputs, nodes, constants=constants)
    check(graph, precision, software=software)


@WAYS
@pytest.mark.parametrize("widths", [(4, 8, 3), (4, 6, 3)], ids=str)
def test_concatenation(precision, software, widths):
    random = np.random.default_rng(2)
    nodes = [
        Node(f"p{place}", Conv2d(_floats(random, width, 5, 1, 1)), ("x",), f"p{place}")
        for place, width in enumerate(widths)
    ]
    nodes += [
        Node("joined", Concat(1), tuple(f"p{place}" for place in range(len(widths))), "joined"),
        # One part is read again beside the whole, and the whole is joined once more.
        Node("again", Conv2d(_floats(random, 4, widths[0], 3, 3), pads=(1,) * 4), ("p0",), "again"),
        Node("wider", Concat(1), ("joined", "again", "x"), "wider"),
        Node("out", Conv2d(_floats(random, 7, sum(widths) + 9, 1, 1)), ("wider",), "out"),
    ]
    graph = Graph("joined", {"x": (1, 5, 6, 7)}, ["out"], nodes)
    check(graph, precision, software=software)
    check(graph, precision, software=software, share=True)


@WAYS
@pytest.mark.parametrize("shape", [(1, 8, 9, 10), (2, 12, 6, 7)], ids=str)
def test_winograd(precision, software, shape):
    random = np.random.default_rng(4)
    nodes = [
        Node("a", Conv2d(_floats(random, 8, shape[1], 3, 3), pads=(1, 1, 1, 1)), ("x",), "a"),
        Node("b", Conv2d(_floats(random, 8, 8, 3, 3), pads=(1, 1, 1, 1)), ("a",), "b"),
        Node("sum", Add(), ("a", "b"), "sum"),
        Node("relu", ReLU(), ("sum",), "relu"),
        Node("c", Conv2d(_floats(random, 4, 8, 3, 3), pads=(0, 2, 1, 0)), ("relu",), "c"),
    ]
    found = check(
        Graph("tiles", {"x": shape}, ["c"], nodes), precision, software=software, winograd=1
    )
    assert "Winograd" in found["a"]
    assert "Winograd" in found["b"]


@pytest.mark.parametrize("name", NETS)
def test_networks(name, tmp_path):
    graph = load_onnx(save(NETS[name](), tmp_path / "net.onnx"))
    check(graph, kernels=False)
    check(graph, "fp16", kernels=False, software=False, share=True)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@FEW
@given(case=convolutions(depthwise=True), activation=st.sampled_from(ACTIVATIONS))
def test_depthwise_within_products(precision, case, activation):
    layer, shape = case
    random = np.random.default_rng(6)
    channels = layer.output_channels
    nodes = [
        Node("d", layer, ("x",), "d"),
        Node("a", activation or ReLU(), ("d",), "a"),
        Node("p", Conv2d(_floats(random, 20, channels, 1, 1), _floats(random, 20)), ("a",), "p"),
        # A second one, whose answer is added to the first's.
        Node("e", layer, ("x",), "e"),
        Node("q", Conv2d(_floats(random, 20, channels, 1, 1)), ("e",), "q"),
        Node("sum", Add(), ("p", "q"), "sum"),
    ]
    graph = Graph("block", {"x": shape}, ["sum"], nodes)
    found = check(graph, precision, software=False)
    assert ("depthwise and product" in found["d"]) == (shape[0] == 1)
    check(graph, precision, software=False, most_front=0)


@pytest.mark.parametrize("subgroups", [False, True])
@pytest.mark.parametrize("channels", [3, 64, 1001])
def test_shares_with_and_without_subgroups(subgroups, channels):
    for layer in (Softmax(1), LogSoftmax(1)):
        check(chain((2, channels), layer), subgroups=subgroups)


@pytest.mark.parametrize("ahead", [False, True], ids=["recorded late", "recorded ahead"])
def test_frames_leave_each_other_alone(ahead):
    random = np.random.default_rng(5)
    layers = (Conv2d(_floats(random, 8, 3, 3, 3)), ReLU(), GlobalAvgPool2d(), Flatten())
    graph = optimize(chain((1, 3, 8, 8), *layers))
    pictures = [random.standard_normal((1, 3, 8, 8)).astype(np.float32) for _ in range(7)]
    with closing(program(graph, share=True, ahead=ahead)) as ready:
        tickets = [ready.submit({"x": picture}) for picture in pictures]
        # More than are under way at once, fetched in another order, one of them twice.
        for place in (6, 0, 3, 1, 2, 5, 4, 0):
            (answer,) = ready.answer(tickets[place]).values()
            (expected,) = graph.run({"x": pictures[place].astype(np.float64)}).values()
            compare("answer", answer, expected, 1e-5)


def test_a_row_is_added_along_the_width():
    # Six channels, six columns: broadcasting sets the row beside the columns.
    row = [
        Node("mean", GlobalAvgPool2d(), ("x",), "mean"),
        Node("row", Flatten(), ("mean",), "row"),
        Node("sum", Add(), ("x", "row"), "sum"),
    ]
    check(Graph("beside", {"x": (1, 6, 5, 6)}, ["sum"], row), kernels=False)


@settings(FEW, max_examples=25)
@given(graph=networks(), options=st.sampled_from(({"software": True}, {"winograd": 1}, {})))
def test_networks_of_any_wiring(graph, options):
    """Each value that is held, layer by layer drawn: shared, joined, flattened, fused, in NumPy."""
    graph = optimize(graph)
    inputs = some_inputs(graph, 0)
    expected = reference(graph, inputs)
    with closing(program(graph, **{"software": False, **options})) as ready:
        outputs = ready.run(inputs)
        for key, value in {**dict(ready.values()), **outputs}.items():
            if key in expected:
                compare(key, value, expected[key], 1e-3)


@settings(deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6), st.integers(1, 9)), max_size=30)
)
def test_buffers_share_memory_only_when_one_is_done(spans):
    buffers = {Buffer(1, size, 1, 1): Life(born, born + length) for born, length, size in spans}
    groups = memory.pieces(buffers)
    assert sorted(map(id, buffers)) == sorted(id(b) for group in groups for b in group)
    for group in groups:
        assert group[0].size == max(buffer.size for buffer in group)
        for place, buffer in enumerate(group):
            assert not any(buffers[buffer].meets(buffers[other]) for other in group[:place])
    assert len(memory.pieces(buffers, share=False)) == len(buffers)
