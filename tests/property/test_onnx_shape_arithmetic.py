"""What exporters compute from shapes is folded at import as onnx's evaluator computes it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.onnx_cases import reference
from helpers.onnx_nets import Net
from twinlens.engine.formats import graph_from_onnx

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def _same(net, output, shape):
    model = net.model(output, shape)
    picture = {"image": np.zeros(shape, np.float32)}
    (answer,) = graph_from_onnx(model).run(picture).values()
    (expected,) = reference(model, picture)
    assert answer.dtype == expected.dtype
    np.testing.assert_array_equal(answer, expected)


@settings(deadline=None, max_examples=60)
@given(SIZES, st.integers(-7, 7), st.integers(-7, 7), st.sampled_from([-2, -1, 1, 2]))
def test_slices_of_a_shape(shape, start, end, step):
    # By the operator's text, as ONNX Runtime does it: onnx's evaluator slices as Python does, which
    # takes an end that still is negative for a place at the back.
    net = Net()
    bounds = [net.constant(np.array([n])) for n in (start, end, 0, step)]
    model = net.model(net.node("Slice", net.node("Shape", "image"), *bounds), shape)
    (answer,) = graph_from_onnx(model).run({"image": np.zeros(shape, np.float32)}).values()
    rank = len(shape)
    low, high = (0, rank) if step > 0 else (-1, rank - 1)
    first = min(max(start + rank * (start < 0), low, 0), high)
    last = min(max(end + rank * (end < 0), low), high)
    assert answer.dtype == np.int64
    assert answer.tolist() == [shape[axis] for axis in range(first, last, step)]


@settings(deadline=None, max_examples=40)
@given(SIZES, st.data())
def test_gather_cast_and_fill(shape, data):
    net = Net()
    places = st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=4)
    indices = net.constant(np.array(data.draw(places)))
    sizes = net.node("Gather", net.node("Shape", "image"), indices, axis=0)
    filled = net.node("ConstantOfShape", sizes)
    _same(net, net.node("Cast", net.node("Shape", filled), to=1), shape)


@settings(deadline=None, max_examples=40)
@given(SIZES, st.data())
def test_part_of_a_shape_and_size(shape, data):
    # The operator's text clamps what lies further in front; the evaluator takes it as negative.
    places = st.integers(-len(shape), len(shape) + 2)
    net = Net()
    part = net.node("Shape", "image", start=data.draw(places), end=data.draw(places))
    _same(net, part, shape)
    other = Net()
    _same(other, other.node("Size", "image"), shape)


@given(SIZES, st.integers(-9, 9), st.integers(-9, 9))
def test_part_of_a_shape_is_clamped(shape, start, end):
    net = Net()
    model = net.model(net.node("Shape", "image", start=start, end=end), shape)
    (answer,) = graph_from_onnx(model).run({"image": np.zeros(shape, np.float32)}).values()
    rank = len(shape)
    first, last = (min(max(n + rank if n < 0 else n, 0), rank) for n in (start, end))
    assert answer.tolist() == [shape[axis] for axis in range(first, last)]
