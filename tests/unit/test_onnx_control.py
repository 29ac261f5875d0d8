"""Branches, loops and functions that cannot be put in place: one clear error each, soon."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from helpers.onnx_small import Small
from twinlens.engine.errors import ModelFileError, UnsupportedOperatorError
from twinlens.engine.formats import graph_from_onnx
from twinlens.engine.formats.onnx import assembly


def _branch(name, nodes, output, initializers=()):
    value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [value], list(initializers))


def _body(*, cond="on"):
    nodes = [
        helper.make_node("Identity", [cond], ["still"]),
        helper.make_node("Relu", ["state"], ["next"]),
    ]
    inputs = [("number", TensorProto.INT64), ("on", TensorProto.BOOL), ("state", 1)]
    outputs = [("still", TensorProto.BOOL), ("next", TensorProto.FLOAT)]
    made = [
        [helper.make_tensor_value_info(name, kind, None) for name, kind in side]
        for side in (inputs, outputs)
    ]
    return helper.make_graph(nodes, "body", *made)


def test_a_condition_that_the_picture_decides_is_refused():
    s = Small()
    bright = s.add("Greater", s.add("ReduceMean", "x", keepdims=0), s.const(0.5))
    graphs = [_branch(w, [helper.make_node(w, ["x"], [w])], w) for w in ("Relu", "Abs")]
    model = s.model(s.add("If", bright, then_branch=graphs[0], else_branch=graphs[1]))
    with pytest.raises(UnsupportedOperatorError, match=r"its condition .* while the network runs"):
        graph_from_onnx(model)


def test_rounds_that_the_picture_decides_are_refused():
    s = Small()
    count = s.add("Cast", s.add("ReduceMax", "x", keepdims=0), to=TensorProto.INT64)
    model = s.model(s.add("Loop", count, "", "x", body=_body()))
    with pytest.raises(UnsupportedOperatorError, match="number of rounds"):
        graph_from_onnx(model)
    s = Small()
    loud = s.add("Greater", s.add("ReduceMax", "x", keepdims=0), s.const(0.0))
    model = s.model(s.add("Loop", s.const(3), "", "x", body=_body(cond=loud)))
    with pytest.raises(UnsupportedOperatorError, match="whether it goes on"):
        graph_from_onnx(model)


@pytest.mark.parametrize("count", [10**18, None])
def test_a_loop_without_end_is_refused(count, monkeypatch):
    monkeypatch.setattr(assembly, "MAX_NODES", 500)
    s = Small()
    rounds = "" if count is None else s.const(count)
    model = s.model(s.add("Loop", rounds, s.const(True), "x", body=_body()))
    with pytest.raises(ModelFileError, match="more than 500 nodes"):
        graph_from_onnx(model)


def test_an_empty_loop_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(assembly, "MAX_NODES", 500)
    body = _body()
    del body.node[:]
    body.output[0].name, body.output[1].name = "on", "state"
    s = Small()
    model = s.model(s.add("Loop", s.const(10**18), "", "x", body=body))
    with pytest.raises(ModelFileError, match="more than 500 nodes"):
        graph_from_onnx(model)


def test_what_a_branch_lacks_is_named_with_its_node():
    s = Small()
    nodes = [helper.make_node("Det", ["x"], ["d"], name="deep")]
    graphs = [_branch(word, nodes, "d") for word in ("one", "two")]
    model = s.model(s.add("If", s.const(True), then_branch=graphs[0], else_branch=graphs[1]))
    with pytest.raises(UnsupportedOperatorError, match=r"Det at node 'If_0/deep'"):
        graph_from_onnx(model)


def test_a_branch_reads_what_another_branch_around_it_makes():
    s = Small()
    inner = _branch("inner", [helper.make_node("Add", ["a", "x"], ["sum"])], "sum")
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("If", ["yes"], ["out"], then_branch=inner, else_branch=inner),
    ]
    yes = s.const(True)
    nodes[1].input[0] = yes
    outer = _branch("outer", nodes, "out")
    model = s.model(s.add("If", yes, then_branch=outer, else_branch=outer))
    graph = graph_from_onnx(model)
    assert [node.layer.kind for node in graph.nodes[:2]] == ["ReLU", "Add"]


def _function(name, calls):
    nodes = [
        helper.make_node(kind, ["x"], ["y" if at == len(calls) - 1 else f"t{at}"], domain=domain)
        for at, (kind, domain) in enumerate(calls)
    ]
    return helper.make_function(
        "lab",
        name,
        ["x"],
        ["y"],
        nodes,
        [helper.make_opsetid("", 17), helper.make_opsetid("lab", 1)],
    )


def _calling(functions):
    s = Small()
    model = s.model(s.add("F0", "x", domain="lab"))
    model.functions.extend(functions)
    model.opset_import.append(helper.make_opsetid("lab", 1))
    return model


def test_functions_in_a_circle_are_refused():
    model = _calling([_function("F0", [("F1", "lab")]), _function("F1", [("F0", "lab")])])
    with pytest.raises(ModelFileError, match="call each other in a circle"):
        graph_from_onnx(model)


def test_functions_that_grow_without_end_are_refused():
    functions = [_function(f"F{n}", [(f"F{n + 1}", "lab")] * 10) for n in range(12)]
    model = _calling([*functions, _function("F12", [("Relu", "")])])
    with pytest.raises(ModelFileError, match="more than 50,000 nodes"):
        graph_from_onnx(model)


def test_weights_do_not_go_through_the_functions():
    """The model that is given stays as it is, weights included."""
    model = _calling([_function("F0", [("Relu", "")])])
    before = model.SerializeToString()
    graph = graph_from_onnx(model)
    assert model.SerializeToString() == before
    assert np.isfinite(next(iter(graph.run({"x": np.ones((1, 4, 8, 6))}).values()))).all()


@pytest.mark.parametrize("shape", [(1, 3, 4, 8, 8), (1, 3, 2, 8, 8)])
@pytest.mark.parametrize("kind", ["Conv", "MaxPool", "AveragePool"])
def test_volumes_are_told_as_such(shape, kind):
    weights = [helper.make_tensor("w", 1, (2, 3, 2, 2, 2), [0.0] * 48)] if kind == "Conv" else []
    more = {} if kind == "Conv" else {"kernel_shape": [1, 1, 1]}
    node = helper.make_node(kind, ["x", "w"] if weights else ["x"], ["y"], **more)
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(UnsupportedOperatorError, match="a volume or a video"):
        graph_from_onnx(model)
