"""The networks that are assembled by hand, and which of them a heap of parameters belongs to.

`mnist:FOLDER` on the command line is a network and its parameters; a folder or file alone is
recognised by the names and sizes of what it holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod
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
from twinlens.models.networks.published import NETWORKS, Architecture, Build, Source

_ENOUGH = 0.5
"""Share of tensors that must fit before a heap of parameters is taken for a network's."""
_CLOSE = 0.25
"""Share from which on a network is worth naming, where none fits."""

INSIDE = "model.py"
"""Name of the module in a folder of parameters."""

_MAX_SETTINGS = 1 << 20


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
        assumed: whether others publish parameters by the same names, and nothing says whose these
            are.
    """

    architecture: Architecture
    published: Source
    classes: int
    build: Callable[[Parameters | None], Graph]
    path: Path
    assumed: bool = False

    def graph(self) -> Graph:
        """Assemble it with its numbers; raises as ``match_parameters``."""
        return self.build(open_parameters(self.path))


def match_parameters(path: Path, architecture: Architecture | None = None) -> Match:
    """Find the network that bare parameters belong to, and check them.

    Args:
        path: a folder or file that `open_parameters` takes.
        architecture: whose parameters they are; None finds out by names and sizes.

    Where they fit none, the network is the one that a module beside them assembles, as
    ``twinlens convert`` writes it; the module is read, never run.

    Raises:
        ModelFileError: the parameters, or the module beside them, cannot be read.
        ParameterError: they do not fit the network; names all that do not.
        ModelError: they belong to no network that is known.
    """
    parameters = open_parameters(path)
    module = module_beside(path)
    try:
        return _match(path, parameters, architecture)
    except ModelError:
        if architecture is not None or not module.is_file():
            raise
    return _assembled_by(module, path, parameters)


def module_beside(path: Path) -> Path:
    """Where the module lies that assembles a network of parameters: NAME.py, or in the folder."""
    return path / INSIDE if path.is_dir() else path.with_suffix(".py")


def _assembled_by(module: Path, path: Path, parameters: Parameters) -> Match:
    """The network that a generated module assembles."""
    # Late: hardly anything that is opened is a module.
    from twinlens.engine.formats.python import read_module

    assemble = read_module(module)
    graph = assemble(parameters)
    classes = prod(graph.shapes[graph.outputs[0]])

    def build(given: Parameters | None) -> Graph:
        return graph if given is None else assemble(given)

    network = Architecture("", graph.name, build, classes, ())
    source = Source(OWN, _recipe(graph))
    return Match(network, source, classes, build, path)


def _recipe(graph: Graph) -> Recipe:
    """A recipe of the input's size; how it is scaled stands in the settings beside it."""
    shape = next(iter(graph.inputs.values()))
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise ModelError(f"{graph.name}: takes {shape}, expected one picture")
    if shape[1] == 1:
        return Recipe(shape[3], shape[2], color="GRAY", mean=(0.0,), std=(1.0,))
    return Recipe(shape[3], shape[2])


def _match(path: Path, parameters: Parameters, architecture: Architecture | None) -> Match:
    among = (architecture,) if architecture else tuple(NETWORKS.values())
    network, sources = _closest(parameters, among)
    source, known = _called(sources, path)
    classes = _classes(network, parameters, source.naming)
    build = partial(source.build or network.build, classes=classes, naming=source.naming)
    check_parameters(build(), parameters, source.naming)
    return Match(network, source, classes, build, path, assumed=not known)


def _closest(
    parameters: Parameters, networks: Sequence[Architecture]
) -> tuple[Architecture, tuple[Source, ...]]:
    """The network whose names and sizes are most like these, and those of its sources that are."""
    found = [
        (_similarity(network, parameters, source.naming), network, source)
        for network in networks
        for source in network.sources
    ]
    likeness, network, source = max(found, key=lambda one: one[0])
    if len(networks) > 1 and likeness < _ENOUGH:
        close = ""
        if likeness >= _CLOSE:
            close = (
                f"; closest is {network.title} as {source.naming.title} names it, "
                f"where {likeness:.0%} fit"
            )
        other = _of_others(parameters)
        if other is not None:
            what, hint = other
            raise ModelError(f"{parameters.source}: holds {what}", hint=hint)
        raise ModelError(
            f"{parameters.source}: these parameters belong to no network that is known{close}",
            hint=f"Known are {', '.join(NETWORKS)}; NETWORK:PATH says which one is meant. What is "
            "none of them has to bring its layers: as ONNX, TensorFlow Lite, Core ML or a whole "
            "Keras model.",
        )
    return network, tuple(
        source for other, of, source in found if of is network and other == likeness
    )


_EXPORT = "Export it: optimum-cli export onnx --model FOLDER onnx (pip install optimum[onnx])."
_PICTURES = "Give a classifier of pictures."
# By what names of parameters hold; the first that fits counts.
_OTHERS: tuple[tuple[str, str, str], ...] = (
    (
        r"lora_[AB]\b|lora_(up|down)\b",
        "an adapter (LoRA), which is part of another model",
        _PICTURES,
    ),
    (
        r"model\.diffusion_model\.|(^|\.)(down|up)_blocks\.\d",
        "a network that makes pictures (diffusion), not one that classifies them",
        _PICTURES,
    ),
    (
        r"(^|\.)(vit|deit|beit|swin|convnext|dinov2|resnet|mobilenet_v[12]|efficientnet|regnet|"
        r"mobilevit|levit|poolformer|cvt|focalnet|segformer|data2vec_vision)\.(embeddings|"
        r"embedder|encoder|stem|conv_stem|patch_embeddings|conv_1to1_stem)\b",
        "a network of Hugging Face's transformers, which is not assembled by hand here",
        _EXPORT,
    ),
    (
        r"embed_tokens\.weight|lm_head\.weight|word_embeddings?\.weight|(^|\.)wte\.weight|"
        r"tok_embeddings\.weight",
        "a language model, not a classifier of pictures",
        _PICTURES,
    ),
)


def _of_others(parameters: Parameters) -> tuple[str, str] | None:
    """What parameters are of no network here, by their names; and what helps."""
    names = "\n".join(parameters)
    for pattern, what, hint in _OTHERS:
        if re.search(pattern, names, re.M):
            return what, hint
    return None


def _called(sources: Sequence[Source], path: Path) -> tuple[Source, bool]:
    """Which of several sources with the same names a file is of, and whether anything says so:
    its own name, or what Hugging Face's settings beside it name.
    """
    names = f"{path.stem} {_architecture(path)}".lower()
    # The longest, since one may be part of another: with "tf_" in front, for one.
    found = [(len(name), source) for source in sources for name in source.called if name in names]
    if found:
        return max(found, key=lambda one: one[0])[1], True
    return sources[0], len(sources) == 1


def _architecture(path: Path) -> str:
    """``architecture`` in ``config.json``, as timm writes it; empty without."""
    settings = path / "config.json" if path.is_dir() else path.with_name("config.json")
    try:
        if settings.stat().st_size > _MAX_SETTINGS:
            return ""
        values = json.loads(settings.read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    return str(values.get("architecture", "")) if isinstance(values, dict) else ""


def _similarity(network: Architecture, parameters: Parameters, naming: Naming) -> float:
    classes = _classes(network, parameters, naming)
    return similarity(_bare(network.build, classes), parameters, naming)


@lru_cache(maxsize=64)
def _bare(build: Build, classes: int) -> Graph:
    """A network without numbers; kept, since every source of it is compared with one."""
    return build(classes=classes)


def _classes(network: Architecture, parameters: Parameters, naming: Naming) -> int:
    """Outputs of the last layer, which another training may have given another number."""
    layers = [
        n
        for n in _bare(network.build, network.classes).nodes
        if isinstance(n.layer, Conv2d | Linear)
    ]
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
