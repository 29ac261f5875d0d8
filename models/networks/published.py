"""The networks that are assembled by hand, and where parameters of theirs are published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.engine.params import OWN, Naming
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

_IMAGENET = 1000


@dataclass(frozen=True)
class Source:
    """Where parameters of a network are published: how they are named, and how they are fed.

    Attributes:
        naming: names and layout.
        recipe: how a picture becomes the input.
        build: assembles it, where it is not as elsewhere; None where it is.
        called: parts of a file's name that say that it is from here, where another source names
            its tensors alike; where nothing says so, the first of them is assumed.
    """

    naming: Naming
    recipe: Recipe
    build: Build | None = None
    called: tuple[str, ...] = ()


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


def _symmetric(size: int) -> Recipe:
    """-1 to 1."""
    ones = (1.0, 1.0, 1.0)
    return Recipe(width=size, height=size, scale=1 / 127.5, mean=ones, std=ones)


_PYTORCH = Recipe(width=224, height=224)
_SYMMETRIC = _symmetric(224)


def _network(
    id: str,
    title: str,
    build: Build,
    naming: Naming,
    recipe: Recipe,
    *more: Source,
    classes: int = _IMAGENET,
) -> Architecture:
    """A network with the place where it is published, and more; our own names are fed as there."""
    sources = (Source(naming, recipe), Source(OWN, recipe), *more)
    return Architecture(id, title, build, classes, sources)


def _resnet(depth: int) -> Architecture:
    """torchvision's names are timm's too."""
    build = partial(resnet.resnet, depth)
    return _network(f"resnet-{depth}", f"ResNet-{depth}", build, resnet.TORCHVISION, _PYTORCH)


def _efficientnet_lite(version: int) -> Architecture:
    build = partial(efficientnet_lite.efficientnet_lite, version)
    size, name = efficientnet_lite.VERSIONS[version][2], f"efficientnet_lite{version}"
    # Their port subtracts 127 and divides by 128, as TensorFlow's own does.
    port = Recipe(width=size, height=size, scale=1 / 128, mean=(127 / 128,) * 3, std=(1.0,) * 3)
    timm = efficientnet_lite.timm(version)
    own = replace(timm, title="timm", epsilon=1e-5)  # trained by timm itself
    return _network(
        f"efficientnet-lite{version}",
        f"EfficientNet-Lite{version}",
        build,
        efficientnet_lite.PORT,
        port,
        Source(timm, _symmetric(size), called=(f"tf_{name}",)),
        Source(
            own,
            Recipe(width=size, height=size),
            partial(build, padding="half"),
            called=(name,),
        ),
    )


NETWORKS = {
    network.id: network
    for network in (
        replace(
            _network("mnist", "MNIST", mnist.mnist, mnist.FILES, mnist.RECIPE, classes=10),
            labels=mnist.LABELS,
        ),
        _network(
            "inception-v3",
            "Inception-v3",
            inception_v3.inception_v3,
            inception_v3.FILES,
            inception_v3.RECIPE,
            Source(
                inception_v3.TORCHVISION,
                _symmetric(299),
                partial(inception_v3.inception_v3, torchvision=True),
            ),
            classes=1008,
        ),
        _network(
            "mobilenet-v1",
            "MobileNet",
            mobilenet_v1.mobilenet_v1,
            mobilenet_v1.KERAS,
            _SYMMETRIC,
            Source(
                mobilenet_v1.TIMM, _SYMMETRIC, partial(mobilenet_v1.mobilenet_v1, padding="half")
            ),
        ),
        _network(
            "mobilenet-v2",
            "MobileNet-v2",
            partial(mobilenet_v2.mobilenet_v2, size=224),
            mobilenet_v2.TORCHVISION,
            _PYTORCH,
            Source(mobilenet_v2.TIMM, _PYTORCH),
        ),
        _network(
            "mobilenet-v3-small",
            "MobileNet-v3 small",
            mobilenet_v3.mobilenet_v3_small,
            mobilenet_v3.TORCHVISION,
            _PYTORCH,
            Source(mobilenet_v3.TIMM, _PYTORCH, called=("mobilenetv3_small",)),
            Source(
                mobilenet_v3.TIMM_TF,
                _SYMMETRIC,
                partial(mobilenet_v3.mobilenet_v3_small, padding="same"),
                called=("tf_mobilenetv3_small",),
            ),
        ),
        _network(
            "squeezenet-1.1",
            "SqueezeNet 1.1",
            squeezenet.squeezenet,
            squeezenet.TORCHVISION,
            _PYTORCH,
        ),
        *map(_resnet, resnet.STAGES),
        *map(_efficientnet_lite, efficientnet_lite.VERSIONS),
    )
}
"""By id."""
