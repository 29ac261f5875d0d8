"""Any graph as Python: whatever its wiring, and whatever it repeats, the answers stay."""

from __future__ import annotations

import ast

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twinlens.engine import layers as kinds
from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.formats.python import python_module
from twinlens.engine.graph import Graph, Node
from twinlens.engine.image import Recipe

SHAPE = (1, 2, 3, 3)
SPEC = ModelSpec("net", "Net", Recipe(3, 3), ())
NAMES = st.sampled_from(["{kind}_{at}", "b{run}/{kind}{part}", "{at}", "b{run}", "é{at}'"])


def _layer(kind, rng):
    values = rng.uniform(0.5, 1.5, (2, 2, 1, 1)).astype(np.float32)
    return {
        "conv": lambda: kinds.Conv2d(values, values[:, 0, 0, 0]),
        "depth": lambda: kinds.DepthwiseConv2d(values[:, :1], stride=(1, 1)),
        "leaky": lambda: kinds.LeakyReLU(float(rng.integers(1, 3)) / 10),
        "relu": kinds.ReLU,
        "pool": lambda: kinds.MaxPool2d((3, 3), pads=(1, 1, 1, 1)),
        "prelu": lambda: kinds.PReLU(values[0]),
        "quantize": lambda: kinds.QuantizeLinear(np.float32(0.5), np.uint8(9)),
        "dequantize": lambda: kinds.DequantizeLinear(np.float32(0.5), np.uint8(9)),
        "add": kinds.Add,
        "mul": kinds.Mul,
    }[kind]()


@st.composite
def _graphs(draw):
    """Runs of a few kinds of layers, which read what is near or, now and then, far back."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    motifs = draw(
        st.lists(
            st.lists(
                st.sampled_from(
                    ["conv", "depth", "leaky", "relu", "pool", "prelu", "round", "add"]
                ),
                min_size=1,
                max_size=6,
            ),
            min_size=1,
            max_size=3,
        )
    )
    form = draw(NAMES)
    wild = draw(st.sampled_from([0.0, 0.05, 0.4]))
    nodes, values, constants = [], ["in"], {}

    def append(kind, run, part, *inputs):
        at = len(nodes)
        name = form.format(kind=kind, at=at, run=run, part=part)
        name = name if name not in {node.name for node in nodes} else f"{name}.{at}"
        nodes.append(Node(name, _layer(kind, rng), inputs, f"v{at}"))
        return f"v{at}"

    for run in range(draw(st.integers(1, 14))):
        entry = values[-1]
        for part, kind in enumerate(motifs[int(rng.integers(len(motifs)))]):
            read = values[int(rng.integers(len(values)))] if rng.random() < wild else values[-1]
            if kind == "add" and rng.random() < 0.3:
                constant = f"c{int(rng.integers(3))}"
                constants[constant] = np.full((2, 1, 1), len(constant), np.float32)
                values.append(append("mul", run, part, read, constant))
            elif kind == "add":
                values.append(append("add", run, part, read, entry))
            elif kind == "round":
                values.append(append("dequantize", run, part, append("quantize", run, part, read)))
            else:
                values.append(append(kind, run, part, read))
    more = draw(st.lists(st.integers(0, len(values) - 1), max_size=2))
    outputs = list(dict.fromkeys([values[-1], *(values[at] for at in more)]))
    return Graph("net", {"in": SHAPE}, outputs, nodes, constants=constants)


@settings(deadline=None, max_examples=150)
@given(_graphs())
def test_answers_stay_whatever_the_wiring(graph):
    module = python_module(graph, SPEC, "net")
    names = {"__file__": "net.py", "__name__": "net"}
    ast.parse(module.text)
    start = module.text.index("from __future__")
    code = module.text[start : module.text.index("\n\n\ndef model()")]
    exec(compile(code, "net.py", "exec"), names)
    back = names["assemble"](module.arrays)
    x = np.random.default_rng(0).uniform(-1, 1, SHAPE).astype(np.float32)
    with np.errstate(all="ignore"):
        expected = graph.run({"in": x})
        received = back.run(dict.fromkeys(back.inputs, x))
    for one, other in zip(expected.values(), received.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(len(line) <= 100 for line in module.text.splitlines())
    for function in ast.parse(code).body:
        if isinstance(function, ast.FunctionDef):
            assert sum(isinstance(part, ast.stmt) for part in ast.walk(function)) <= 50
