"""Parameters of networks, named and laid out as their publishers write them."""

from __future__ import annotations

import numpy as np

from twinlens.engine.layers import Conv2d
from twinlens.models.networks.assembly import random_parameters
from twinlens.models.networks.published import Architecture


def as_named(
    network: Architecture, number: int, classes: int | None = None
) -> dict[str, np.ndarray]:
    """Random parameters of a network as its source number `number` names and lays them out."""
    naming = network.sources[number].naming
    graph = network.build(classes=classes or network.classes)
    own = random_parameters(graph, 1)
    file = {}
    for node in graph.nodes:
        if not node.layer.parameters:
            continue
        weight, bias = own[f"{node.name}_weight"], own[f"{node.name}_bias"]
        groups = node.layer.groups if isinstance(node.layer, Conv2d) else 1
        kernel = weight if weight.ndim == 4 else weight.reshape(*weight.shape, 1, 1)
        stored = naming.order.from_layers(kernel, groups)
        if weight.ndim == 2 and naming.order.kernel.startswith("O"):
            stored = stored.reshape(weight.shape)
        name = naming.layer(node.name)
        file[naming.weight[0].format(name)] = stored
        norm = naming.norm_names(node.name)
        if norm:
            gamma, beta, mean, variance = norm
            file |= {gamma: np.ones_like(bias), beta: bias}
            file |= {mean: np.zeros_like(bias), variance: np.ones_like(bias)}
        else:
            file[naming.bias[0].format(name)] = bias
    return file
