"""Which stored array is which variable of which layer.

By name (``.h5``) a layer's group lists its arrays; a nested model's group lists those of all its
layers, what can be trained before what cannot. By number (``.keras``) a layer lies under its class
and the count of layers of that class before it in the model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twinlens.engine.errors import ParameterError
from twinlens.engine.formats.keras.config import LayerOf, ModelOf

Path = tuple[str, ...]
"""A layer's name, after those of the models that it lies in."""

Places = dict[Path, dict[str, str]]
"""Where each variable lies in the file, by layer."""

_ROOT = "model_weights"
_HOLDERS = ("layers", "_layer_checkpoint_dependencies", "_layers")
_STATE = ("moving_mean", "moving_variance", "mean", "variance", "count")
_OTHER_NAMES = {"depthwise_kernel": "kernel"}


def variables(layer: LayerOf) -> tuple[str, ...]:
    """A layer's variables in Keras' order."""
    settings = layer.settings

    def has(name: str) -> bool:
        return settings.get(name, True) is not False

    bias = ("bias",) if has("use_bias") else ()
    scaled = (("gamma",) if has("scale") else ()) + (("beta",) if has("center") else ())
    if layer.operation:
        return ()
    if layer.kind in ("Conv2D", "Conv2DTranspose"):
        return ("kernel", *bias)
    if layer.kind == "DepthwiseConv2D":
        return ("depthwise_kernel", *bias)
    if layer.kind == "SeparableConv2D":
        return ("depthwise_kernel", "pointwise_kernel", *bias)
    if layer.kind == "Dense":
        return ("kernel", *bias)
    if layer.kind in NORMS:
        return (*scaled, "moving_mean", "moving_variance")
    if layer.kind in ("LayerNormalization", "GroupNormalization"):
        return scaled
    if layer.kind == "Normalization":
        return () if settings.get("mean") is not None else ("mean", "variance", "count")
    return {"PReLU": ("alpha",), "LayerScale": ("gamma",)}.get(layer.kind, ())


NORMS = ("BatchNormalization", "BatchNormalizationV1", "SyncBatchNormalization")


@dataclass(frozen=True)
class _Leaf:
    path: Path
    layer: LayerOf
    trainable: bool

    @property
    def wanted(self) -> tuple[str, ...]:
        return variables(self.layer)


def _leaves(model: ModelOf, above: Path, trainable: bool) -> Iterator[_Leaf]:
    """Layers with variables, those of nested models as well."""
    for layer in model.layers.values():
        path = (*above, layer.name)
        trains = trainable and layer.settings.get("trainable", True) is not False
        if layer.model is not None:
            yield from _leaves(layer.model, path, trains and layer.model.trainable)
        elif variables(layer):
            yield _Leaf(path, layer, trains)


def named_places(title: str, file: Any, model: ModelOf) -> Places:
    """Places in a ``.h5`` file.

    Raises:
        ParameterError: arrays are missing, or more or fewer than a layer has variables.
    """
    root = file.get(_ROOT, file)
    places: Places = {}
    for layer in model.layers.values():
        leaves = (
            list(_leaves(layer.model, (layer.name,), layer.model.trainable))
            if layer.model is not None
            else [_Leaf((layer.name,), layer, True)]
            if variables(layer)
            else []
        )
        if not leaves:
            continue
        if layer.name not in root:
            raise ParameterError(f"{title}: has no arrays of layer {layer.name!r}")
        group = root[layer.name]
        names = _listed(group.attrs, "weight_names")
        prefix = f"{_ROOT}/{layer.name}" if _ROOT in file else layer.name
        for path, found in _shared_out(title, layer.name, leaves, names).items():
            places[path] = {name: f"{prefix}/{place}" for name, place in found.items()}
    return places


def _listed(attributes: Mapping[str, Any], name: str) -> list[str]:
    """A list of names, which Keras parts where it is longer than HDF5 lets an attribute be."""
    found: list[Any] = []
    if name in attributes:
        found += list(attributes[name])
    part = 0
    while f"{name}{part}" in attributes:
        found += list(attributes[f"{name}{part}"])
        part += 1
    return [one.decode("utf-8") if isinstance(one, bytes) else str(one) for one in found]


def _shared_out(title: str, name: str, leaves: Sequence[_Leaf], names: Sequence[str]) -> Places:
    """A group's arrays for the layers in it."""
    groups: dict[str, list[str]] = {}
    for place in names:
        groups.setdefault(place.rpartition("/")[0], []).append(place)
    if len(leaves) == 1 and len(groups) <= 1:
        return {leaves[0].path: _matched(title, leaves[0], names)}
    chosen = [_group_of(leaf, groups) for leaf in leaves]
    if None not in chosen and len(set(chosen)) == len(chosen):
        return {
            leaf.path: _matched(title, leaf, groups[str(group)])
            for leaf, group in zip(leaves, chosen, strict=True)
        }
    return _in_order(title, name, leaves, names)


def _group_of(leaf: _Leaf, groups: Mapping[str, Sequence[str]]) -> str | None:
    """The one group that a layer's name, and those of the models around it, stand for."""
    found = [group for group in groups if group.split("/")[-1] == leaf.path[-1]]
    if len(found) > 1:
        around = set(leaf.path[:-1])
        most = max(len(around.intersection(group.split("/")[:-1])) for group in found)
        found = [g for g in found if len(around.intersection(g.split("/")[:-1])) == most]
    return found[0] if len(found) == 1 else None


def _in_order(title: str, name: str, leaves: Sequence[_Leaf], names: Sequence[str]) -> Places:
    """As Keras itself reads a nested model: what can be trained first, names do not count."""
    order = [
        (leaf, one)
        for fixed in (False, True)
        for leaf in leaves
        for one in leaf.wanted
        if (one in _STATE or not leaf.trainable) is fixed
    ]
    if len(order) != len(names):
        raise ParameterError(
            f"{title}: {name!r} has {len(names)} arrays, but its layers have {len(order)} variables"
        )
    places: Places = {leaf.path: {} for leaf in leaves}
    for (leaf, one), place in zip(order, names, strict=True):
        places[leaf.path][one] = place
    return places


def _matched(title: str, leaf: _Leaf, names: Sequence[str]) -> dict[str, str]:
    """A layer's arrays by what they are called, else by their order."""
    short = {re.sub(r"(_\d+)?(:\d+)?$", "", name.rpartition("/")[2]): name for name in names}
    for other, usual in _OTHER_NAMES.items():
        if other in leaf.wanted and other not in short and usual in short:
            short[other] = short[usual]
    if all(one in short for one in leaf.wanted):
        return {one: short[one] for one in leaf.wanted}
    if len(names) != len(leaf.wanted):
        raise ParameterError(
            f"{title}: layer {leaf.path[-1]!r} ({leaf.layer.kind}) has {len(names)} arrays, "
            f"expected {', '.join(leaf.wanted)}"
        )
    return dict(zip(leaf.wanted, names, strict=True))


def numbered_places(file: Any, model: ModelOf) -> Places:
    """Places in a ``.keras`` file's weights; what the file lacks is found out when it is read."""
    places: Places = {}
    _number(file, model, "", (), places)
    return places


def _number(file: Any, model: ModelOf, prefix: str, above: Path, places: Places) -> None:
    holder = next((one for one in _HOLDERS if f"{prefix}{one}" in file), _HOLDERS[0])
    counts: Counter[str] = Counter()
    for layer in model.layers.values():
        if layer.operation:
            continue
        kind = snake_case(layer.kind)
        own = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        place, path = f"{prefix}{holder}/{own}", (*above, layer.name)
        if layer.model is not None:
            _number(file, layer.model, f"{place}/", path, places)
        elif wanted := variables(layer):
            places[path] = {name: f"{place}/vars/{i}" for i, name in enumerate(wanted)}


def snake_case(name: str) -> str:
    """A class's name as Keras files it."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
