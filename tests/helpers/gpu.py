"""Graphs on a GPU adapter, checked against float64: what the tests of ``targets.gpu`` share."""

from __future__ import annotations

from contextlib import closing
from functools import cache

import numpy as np
import pytest

from twinlens.engine.errors import TwinlensError
from twinlens.engine.graph import Graph, Node, optimize
from twinlens.engine.targets.gpu.run import adapters

#: Of a layer's largest value.
TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}


@cache
def found():
    """The adapter that tests run on, software where there is one; or why there is none."""
    try:
        known = adapters.list_adapters()
    except TwinlensError as why:
        return None, why.message
    for wanted in ("vulkan software", "software", ""):
        for adapter in known:
            if all(word in adapter.title.lower() for word in wanted.split()):
                return adapters.choose(adapter.title.lower()), ""
    return None, "no GPU adapter was found (mesa-vulkan-drivers brings one in software)"


def adapter_or_skip():
    """The adapter, or skip the test and say why."""
    adapter, reason = found()
    if adapter is None:
        pytest.skip(f"no GPU to test on: {reason}")
    return adapter


def program(graph, precision="fp32", *, software=None, **options):
    """A program that keeps all its values."""
    from twinlens.engine.targets.gpu.run.program import Options, Program

    adapter = adapter_or_skip()
    if precision == "fp16" and not adapter[0].half:
        pytest.skip(f"{adapter[0].title} has no shader-f16")
    options.setdefault("share", False)
    return Program(
        graph, adapter, Options(precision, software=software, use_cache=False, **options)
    )


def check(graph, precision="fp32", *, software=None, seed=0, kernels=True, **options):
    """Run a graph and compare every value that the GPU holds, and the outputs, with float64.

    Args:
        graph: one input.
        precision: of the program.
        software: whether kernels are those for processors; None means as the adapter is.
        seed: of the input.
        kernels: whether every layer must have a kernel.
        options: of the program.

    Returns:
        What ran, by node.
    """
    graph = optimize(graph)
    ((name, shape),) = graph.inputs.items()
    x = np.random.default_rng(seed).standard_normal(shape)
    expected = {node.output: value for node, value in graph.run_traced({name: x})}
    with closing(program(graph, precision, software=software, **options)) as ready:
        if kernels:
            assert ready.fallbacks == ()
        for turn in range(2):  # a second run finds what the first one left
            outputs = ready.run({name: x.astype(np.float32)})
            # Where memory is shared, values are gone once they were read.
            kept = {} if ready.options.share or not turn else dict(ready.values())
            found = {**kept, **outputs}
            for key, value in found.items():
                if key in expected:
                    compare(key, value, expected[key], TOLERANCE[precision])
        return ready.kernels


def compare(name, value, expected, tolerance):
    """Same shape, and no value off by more than a share of the largest."""
    assert value.shape == expected.shape, name
    assert np.isfinite(value).all(), name
    largest = float(np.abs(expected).max()) or 1.0
    error = float(np.abs(value - expected).max()) / largest
    assert error <= tolerance, f"{name}: off by {error:.1e} of the largest value"


def chain(shape, *layers, outputs=None):
    """A graph of layers one after the other, each reading the last."""
    nodes, value = [], "x"
    for place, layer in enumerate(layers):
        nodes.append(Node(f"n{place}", layer, (value,), f"v{place}"))
        value = f"v{place}"
    return Graph("chain", {"x": shape}, outputs or [value], nodes)
