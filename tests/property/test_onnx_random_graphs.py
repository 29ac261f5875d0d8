"""Random graphs: what is written opens in ONNX Runtime and answers as the float64 reference."""

import numpy as np
import onnxruntime as ort
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from twinlens.engine import layers as kinds
from twinlens.engine.errors import ModelError
from twinlens.engine.formats import graph_from_onnx, onnx_bytes, onnx_from_graph
from twinlens.engine.graph import Graph, Node, optimize

SHAPE = (1, 4, 6, 5)
SILENT = ort.SessionOptions()
SILENT.log_severity_level = 4
AXIS = st.integers(-4, 3)
AXES = st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True)
FLAG, SIDES = st.booleans(), st.just((1, 0, 0, 1))


def _weight(*shape):
    return st.integers(0, 99).map(
        lambda seed: np.random.default_rng(seed).normal(0, 0.4, shape).astype(np.float32)
    )


@st.composite
def _slice(draw):
    axes = draw(AXES)
    steps = [draw(st.sampled_from([1, 1, 2, -1])) for _ in axes]
    starts = [draw(st.integers(0, 2)) if step > 0 else -1 for step in steps]
    ends = [draw(st.integers(3, 20)) if step > 0 else -20 for step in steps]
    return kinds.Slice(starts, ends, axes, steps)


@st.composite
def _pair(draw):
    """A quantiser and the way back, of every type, with and without a zero point."""
    dtype = draw(st.sampled_from(["uint8", "int8", "uint16", "int16"]))
    zero = draw(st.none() | st.just(np.asarray(3, dtype)))
    scale = np.float32(0.03)
    back = np.asarray(0, dtype) if zero is None else zero
    return kinds.QuantizeLinear(scale, zero, dtype=dtype), kinds.DequantizeLinear(scale, back)


MOVES = st.one_of(
    _slice(),
    st.builds(kinds.Transpose, st.permutations(range(4))),
    st.builds(kinds.Tile, st.tuples(*[st.integers(1, 2)] * 4)),
    st.builds(kinds.Expand, st.sampled_from([(2, 1, 1, 1), (1, 1, 1, 1)])),
    st.builds(kinds.Pad, st.lists(st.tuples(*[st.integers(0, 2)] * 2), min_size=4, max_size=4)),
    st.builds(kinds.DepthToSpace, st.just(2), st.sampled_from(["DCR", "CRD"])),
    st.builds(kinds.SpaceToDepth, st.just(2), st.sampled_from(["DCR", "CRD"])),
    st.builds(kinds.Reshape, st.sampled_from([(0, 0, -1, 1), (0, -1, 1, 2), (1, 2, 2, -1)])),
)
COMPUTES = st.one_of(
    *(
        st.builds(getattr(kinds, n))
        for n in ("Neg", "Abs", "Tanh", "Sigmoid", "Sin", "Cos", "Atan")
    ),
    *(
        st.builds(getattr(kinds, n))
        for n in ("Softplus", "ReLU", "HardSwish", "SiLU", "Erf", "Mish")
    ),
    st.builds(kinds.Clip, st.just(-0.5), st.just(0.75)),
    st.builds(kinds.Softmax, AXIS),
    st.builds(kinds.LogSoftmax, AXIS),
    st.builds(kinds.CumSum, AXIS, exclusive=FLAG, reverse=FLAG),
    *(
        st.builds(getattr(kinds, f"Reduce{name}"), AXES, keep_dims=st.just(True))
        for name in ("Mean", "Sum", "Max", "Min", "L1", "SumSquare", "LogSumExp")
    ),
    st.builds(
        kinds.Conv2d, _weight(3, 4, 2, 2), st.none() | _weight(3), pads=st.just((1, 0, 0, 1))
    ),
    st.builds(kinds.Linear, _weight(3, 5), st.none() | _weight(3)),
    st.builds(kinds.AvgPool2d, st.just((2, 2)), pads=SIDES, count_include_pad=FLAG),
    st.builds(kinds.MaxPool2d, st.just((2, 1)), dilation=st.just((2, 1)), ceil_mode=FLAG),
    st.builds(kinds.LocalResponseNorm, st.integers(1, 4)),
)
JOINS = st.sampled_from([kinds.Add, kinds.Sub, kinds.Mul, kinds.Maximum, kinds.Minimum])


@st.composite
def _graphs(draw, rounded):
    nodes, names, shapes = [], ["x"], {"x": SHAPE}

    def add(layer, *inputs):
        shape = layer.output_shape(*(shapes[name] for name in inputs))
        if 0 in shape or np.prod(shape) > 4000:
            return False
        name = f"v{len(nodes)}"
        nodes.append(Node(name, layer, inputs, name))
        names.append(name)
        shapes[name] = shape
        return True

    for _ in range(draw(st.integers(2, 9))):
        kind = draw(st.integers(0, 4 if rounded else 3))
        try:
            if kind == 0:
                one, other = draw(st.sampled_from(names)), names[-1]
                add(draw(JOINS)(), one, other)
            elif kind == 4:
                there, back = draw(_pair())
                if add(there, names[-1]):
                    integers = names.pop()
                    add(back, integers)
            else:
                add(draw(MOVES if kind == 1 else COMPUTES), names[-1])
        except ModelError:
            continue
    assume(nodes)
    return Graph("random", {"x": SHAPE}, [names[-1]], nodes)


def _answers(graph):
    """Of the layers in double precision, and of ONNX Runtime."""
    x = np.random.default_rng(0).uniform(-1, 1, SHAPE).astype(np.float32)
    (double,) = graph.run({"x": x.astype(np.float64)}).values()
    (answer,) = ort.InferenceSession(onnx_bytes(graph), SILENT).run(None, {"x": x})
    return double, answer


@settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
@given(_graphs(rounded=False))
def test_random_graphs_answer_as_onnx_runtime(graph):
    for tried in (graph, optimize(graph), graph_from_onnx(onnx_from_graph(graph))):
        double, answer = _answers(tried)
        assert double.shape == answer.shape
        scale = 1 + np.abs(double).max()
        assert np.abs(double - answer).max() < 2e-5 * scale


@settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
@given(_graphs(rounded=True))
def test_random_graphs_of_integers_open_in_onnx_runtime(graph):
    for tried in (graph, optimize(graph), graph_from_onnx(onnx_from_graph(graph))):
        double, answer = _answers(tried)
        assert double.shape == answer.shape
