"""Networks of rising size with random numbers, to see how the time of an answer grows with work.

Nothing has to be fetched: the time that a network takes does not depend on what it was taught.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from twinlens.engine.api.protocol import GraphSource, Making, ModelSpec, Network
from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.engine.params import with_parameters
from twinlens.models.networks.assembly import random_parameters
from twinlens.models.networks.mnist import mnist
from twinlens.models.networks.mobilenet_v2 import mobilenet_v2
from twinlens.models.networks.resnet import resnet
from twinlens.models.networks.squeezenet import squeezenet

SEED = 6


@dataclass(frozen=True)
class Rung:
    """One network of the ladder.

    Attributes:
        id: name on the command line.
        title: name that is shown.
        macs: multiply-adds of one answer.
        network: with random numbers, the same ones each time.
    """

    id: str
    title: str
    macs: int
    network: Network


def ladder() -> tuple[Rung, ...]:
    """All rungs, the smallest first."""
    rungs = [
        _rung("mnist", "MNIST", mnist),
        _rung("squeezenet-1.1", "SqueezeNet 1.1", squeezenet),
        _rung("resnet-18", "ResNet-18", partial(resnet, 18)),
        _rung("resnet-50", "ResNet-50", partial(resnet, 50)),
    ]
    for width, size in ((0.35, 96), (0.5, 160), (1.0, 128), (1.0, 224)):
        build = partial(mobilenet_v2, width=width, size=size)
        name = f"mobilenet-v2-{width:g}@{size}"
        rungs.append(_rung(name, f"MobileNet-v2 {width:g} @ {size}", build))
    return tuple(sorted(rungs, key=lambda rung: rung.macs))


def _rung(name: str, title: str, build: Callable[[], Graph]) -> Rung:
    graph = build()
    ((_, channels, height, width),) = graph.inputs.values()
    recipe = Recipe(width=width, height=height)
    if channels == 1:
        recipe = Recipe(width=width, height=height, color="GRAY", mean=(0.0,), std=(1.0,))
    classes = graph.shapes[graph.outputs[0]][-1]
    spec = ModelSpec(
        id=name,
        title=title,
        recipe=recipe,
        labels=tuple(str(number) for number in range(classes)),
    )
    making = Making(f"{__name__}:{rung_network.__name__}", {"name": name})
    network = Network(spec, GraphSource(lambda shape: _with_numbers(build), making=making))
    return Rung(name, title, graph.macs, network)


def rung_network(name: str) -> Network:
    """The network of a rung, by its name."""
    return next(rung.network for rung in ladder() if rung.id == name)


def _with_numbers(build: Callable[[], Graph]) -> Graph:
    graph = build()
    return with_parameters(graph, random_parameters(graph, SEED))
