"""Networks as graphs of layers: build, check, simplify, plan, run.

A graph takes arrays and layers from whoever built it (an importer, a hand-written network) and
never opens a file.

Goes in: what is true of a network whatever computes it. Stays out: kernels (`engine.targets`).
"""

from twinlens.engine.graph.arrays import Named, named_arrays, with_arrays
from twinlens.engine.graph.batch import Batch, one_picture
from twinlens.engine.graph.builder import Builder
from twinlens.engine.graph.graph import Graph
from twinlens.engine.graph.node import Node
from twinlens.engine.graph.passes import optimize, part_activations
from twinlens.engine.graph.plan import Plan, Step
from twinlens.engine.graph.types import value_types

__all__ = [
    "Batch",
    "Builder",
    "Graph",
    "Named",
    "Node",
    "Plan",
    "Step",
    "named_arrays",
    "one_picture",
    "optimize",
    "part_activations",
    "value_types",
    "with_arrays",
]
