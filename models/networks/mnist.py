"""Handwritten digits: the small network of the MPSCNN example, after LeCun et al. 1998.

Two convolutions of 5×5, each halved by a pool, and two dense layers. Its published parameters are
eight raw files, `conv1_W.bin` … `fc2_b.bin`, float32, `[out][kh][kw][in]`.
"""

from __future__ import annotations

from collections.abc import Mapping

from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.engine.layers import Array, ReLU, Softmax
from twinlens.engine.params import MPSCNN, OWN, Naming
from twinlens.models.networks.assembly import Assembly

LABELS = tuple("0123456789")

FILES = Naming("the MPSCNN example", MPSCNN, weight=("{}_W",), bias=("{}_b",))

RECIPE = Recipe(
    width=28,
    height=28,
    color="GRAY",
    # Ink is dark on paper and light in MNIST; in between there is nearly nothing.
    contrast=100.0,
    scale=-1.0,
    mean=(-255.0,),
    std=(1.0,),
)


def mnist(
    parameters: Mapping[str, Array] | None = None, classes: int = 10, *, naming: Naming = OWN
) -> Graph:
    """Assemble the network.

    Args:
        parameters: trained arrays; None leaves the network without numbers.
        classes: outputs.
        naming: how they are named and laid out.

    Returns:
        A graph from "input", (1, 1, 28, 28) with white ink on black in 0..255, to
        "probabilities", (1, classes).

    Raises:
        ParameterError: parameters do not fit; names all that do not.
    """
    net = Assembly("MNIST", (1, 1, 28, 28), padding="same")
    net.conv("conv1", 20, 5, then=ReLU())
    net.max_pool("pool1", 2, 2)
    net.conv("conv2", 50, 5, then=ReLU())
    net.max_pool("pool2", 2, 2)
    net.dense("fc1", 320, then=ReLU())
    net.dense("fc2", classes)
    net.add("probabilities", Softmax(axis=1))
    return net.graph(parameters, naming)
