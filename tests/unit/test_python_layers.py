"""Graphs as Python: every layer has a form, whatever its settings, and comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.all_layers import all_layers, odd_spec
from helpers.generated import (
    assemble,
    assert_same_answers,
    load_module,
    spec_of,
    tflite_graph,
    write_module,
)
from helpers.tflite_cases import CASES
from twinlens.engine import layers as kinds
from twinlens.engine.errors import (
    UnsupportedOperatorError,
)
from twinlens.engine.formats.python import python_module
from twinlens.engine.graph import Graph, Node


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_operator_of_tflite(name: str, tmp_path: Path) -> None:
    graph = tflite_graph(name)
    path = write_module(graph, spec_of(graph), tmp_path, "net")
    assert_same_answers(graph, assemble(path))


def test_every_layer_has_a_python_form(tmp_path: Path) -> None:
    graph = all_layers()
    used = {type(node.layer).__name__ for node in graph.nodes}
    layers = {
        name
        for name in kinds.__all__
        if isinstance(getattr(kinds, name), type) and issubclass(getattr(kinds, name), kinds.Layer)
    }
    assert layers - used == {"Layer", "Activation"}
    path = write_module(graph, odd_spec(graph), tmp_path, "odd")
    assert_same_answers(graph, assemble(path))
    module = load_module(path)
    assert odd_spec(graph).recipe == module.RECIPE
    spec = module.model().spec
    assert (spec.background_outputs, spec.output) == (1, "logits")
    # Without labels a class is called by its number, the background left out.
    assert spec.labels == ("0", "1", "2", "3")


def test_a_layer_of_somebody_else_is_named() -> None:
    class Odd(kinds.Tanh):
        pass

    graph = Graph("net", {"x": (1, 3)}, ["y"], [Node("n", Odd(), ("x",), "y")])
    with pytest.raises(UnsupportedOperatorError, match="net: no Python form of Odd"):
        python_module(graph, spec_of(graph), "net")


def test_an_output_that_is_a_constant_is_refused() -> None:
    node = Node("n", kinds.Add(), ("c", "c"), "y")
    constants = {"c": np.ones((1, 3), np.float32)}
    graph = Graph("net", {"x": (1, 3)}, ["y"], [node], constants=constants)
    with pytest.raises(UnsupportedOperatorError, match="output 'y' is a constant"):
        python_module(graph, spec_of(graph), "net")
