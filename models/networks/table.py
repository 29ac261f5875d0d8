"""The networks that are assembled by hand, and which of them a heap of parameters belongs to.

`mnist:FOLDER` on the command line is a network and its parameters; a folder or file alone is
recognised by the names and sizes of what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from twinlens.engine.errors import ModelError
from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.engine.layers import Conv2d, Linear
from twinlens.engine.params import (
    OWN,
    Naming,
    Parameters,
    check_parameters,
    open_parameters,
    similarity,
)
from twinlens.models.networks import (
    efficientnet_lite,
    inception_v3,
    mnist,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    squeezenet,
)

Build = Callable[..., Graph]
"""Takes parameters (or None), `classes` and `naming`."""

_ENOUGH = 0.5
"""Share of tensors that must fit before a heap of parameters is taken for a network's."""

_IMAGENET = 1000


@dataclass(frozen=True)
class Source:
    """Where parameters of a network are published: how they are named, and how they are fed."""

    naming: Naming
    recipe: Recipe


@dataclass(frozen=True)
class Architecture:
    """A network that is assembled by hand.

    Attributes:
        id: name on the command line.
        title: name that is shown.
        build: assembles it.
        classes: outputs that it was published with.
        sources: where its parameters may come from.
        labels: name of each class, where they belong to the network.
    """

    id: str
    title: str
    build: Build
    classes: int
    sources: tuple[Source, ...]
    labels: tuple[str, ...] = ()


_PYTORCH = Recipe(width=224, height=224)
_SYMMETRIC = Recipe(
    width=224, height=224, scale=1 / 127.5, mean=(1.0, 1.0, 1.0), std=(1.0, 1.0, 1.0)
)


def _network(
    id: str, title: str, build: Build, naming: Naming, recipe: Recipe, classes: int = _IMAGENET
) -> Architecture:
    """A network with one place where it is published; our own names are fed in the same way."""
    return Architecture(id, title, build, classes, (Source(naming, recipe), Source(OWN, recipe)))


NETWORKS = {
    network.id: network
    for network in (
        replace(
            _network("mnist", "MNIST", mnist.mnist, mnist.FILES, mnist.RECIPE, 10),
            labels=mnist.LABELS,
        ),
        _network(
            "inception-v3",
            "Inception-v3",
            inception_v3.inception_v3,
            inception_v3.FILES,
            inception_v3.RECIPE,
            1008,
        ),
        _network(
            "mobilenet-v1", "MobileNet", mobilenet_v1.mobilenet_v1, mobilenet_v1.KERAS, _SYMMETRIC
        ),
        _network(
            "mobilenet-v2",
            "MobileNet-v2",
            partial(mobilenet_v2.mobilenet_v2, size=224),
            mobilenet_v2.TORCHVISION,
            _PYTORCH,
        ),
        _network(
            "mobilenet-v3-small",
            "MobileNet-v3 small",
            mobilenet_v3.mobilenet_v3_small,
            mobilenet_v3.TORCHVISION,
            _PYTORCH,
        ),
        _network(
            "squeezenet-1.1",
            "SqueezeNet 1.1",
            squeezenet.squeezenet,
            squeezenet.TORCHVISION,
            _PYTORCH,
        ),
        _network(
            "resnet-18", "ResNet-18", partial(resnet.resnet, 18), resnet.TORCHVISION, _PYTORCH
        ),
        _network(
            "resnet-50", "ResNet-50", partial(resnet.resnet, 50), resnet.TORCHVISION, _PYTORCH
        ),
        _network(
            "efficientnet-lite0",
            "EfficientNet-Lite0",
            efficientnet_lite.efficientnet_lite0,
            efficientnet_lite.TIMM,
            _SYMMETRIC,
        ),
    )
}
"""By id."""


def split_name(name: str) -> tuple[Architecture, Path] | None:
    """A network and the path of its parameters, of `ID:PATH`; None where a name is no such thing.

    Raises:
        ModelError: a network is named, but no parameters.
    """
    id, _, path = name.partition(":")
    network = NETWORKS.get(id)
    if network is None:
        return None
    if not path:
        raise ModelError(
            f"{id}: is assembled by hand, and its parameters do not come with Twinlens",
            hint=f"Give the folder or file that has them: {id}:PATH.",
        )
    return network, Path(path)


@dataclass(frozen=True)
class Match:
    """Parameters, and the network that they belong to.

    Attributes:
        architecture: the network.
        published: where its parameters are published by such names.
        classes: outputs, background included.
        build: assembles it without numbers.
        path: the parameters.
    """

    architecture: Architecture
    published: Source
    classes: int
    build: Callable[[Parameters | None], Graph]
    path: Path

    def graph(self) -> Graph:
        """Assemble it with its numbers; raises as ``match_parameters``."""
        return self.build(open_parameters(self.path))


def match_parameters(path: Path, architecture: Architecture | None = None) -> Match:
    """Find the network that bare parameters belong to, and check them.

    Args:
        path: a folder or file that `open_parameters` takes.
        architecture: whose parameters they are; None finds out by names and sizes.

    Raises:
        ModelFileError: the parameters cannot be read.
        ParameterError: they do not fit the network; names all that do not.
        ModelError: they belong to no network that is known.
    """
    parameters = open_parameters(path)
    among = (architecture,) if architecture else tuple(NETWORKS.values())
    network, source = _closest(parameters, among)
    classes = _classes(network, parameters, source.naming)
    build = partial(network.build, classes=classes, naming=source.naming)
    check_parameters(build(), parameters, source.naming)
    return Match(network, source, classes, build, path)


def _closest(
    parameters: Parameters, networks: Sequence[Architecture]
) -> tuple[Architecture, Source]:
    """The network and source whose names and sizes are most like these."""
    found = [
        (_similarity(network, parameters, source.naming), network, source)
        for network in networks
        for source in network.sources
    ]
    likeness, network, source = max(found, key=lambda one: one[0])
    if len(networks) > 1 and likeness < _ENOUGH:
        raise ModelError(
            f"{parameters.source}: these parameters belong to no network that is known; closest is "
            f"{network.title} as {source.naming.title} names it, where {likeness:.0%} fit",
            hint=f"Known are {', '.join(NETWORKS)}; NETWORK:PATH says which one is meant.",
        )
    return network, source


def _similarity(network: Architecture, parameters: Parameters, naming: Naming) -> float:
    classes = _classes(network, parameters, naming)
    return similarity(network.build(classes=classes), parameters, naming)


def _classes(network: Architecture, parameters: Parameters, naming: Naming) -> int:
    """Outputs of the last layer, which another training may have given another number."""
    layers = [n for n in network.build().nodes if isinstance(n.layer, Conv2d | Linear)]
    name = naming.layer(layers[-1].name)
    for pattern in naming.bias:
        entry = parameters.entries.get(pattern.format(name))
        if entry is None:
            continue
        if entry.shape is not None:
            return entry.shape[0] if len(entry.shape) == 1 and entry.shape[0] else network.classes
        # A raw file of another number of outputs is taken for float32.
        expected = (network.classes * 2, network.classes * 4)
        return network.classes if entry.nbytes in expected else max(1, entry.nbytes // 4)
    return network.classes
