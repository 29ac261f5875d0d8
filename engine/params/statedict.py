"""The trained numbers in what a training program saved, and the names that a network knows.

A checkpoint holds them beside an optimiser's, a learning rate's and others, perhaps twice (as they
are, and averaged over time), and wrappers put their own name in front of every other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from twinlens.engine.params.pickles import Table, printable
from twinlens.engine.params.torchnames import Tensor

_MAX_DEPTH = 4

PREFERRED = (
    # An average over time is what its makers measured.
    *("state_dict_ema", "model_ema", "ema_state_dict", "params_ema", "ema", "ema_model"),
    *("state_dict", "model_state_dict", "model_state", "model", "params", "module", "net"),
    *("network", "weights", "classifier", "backbone"),
)
"""Where training programs put the trained numbers, best first."""

_NOT_TRAINED = ("optim", "sched", "scaler", "loss", "criterion", "callback", "hyper", "sampler")
_WRAPPERS = (
    *("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "base_model."),
    *("encoder.", "_model.", "ema_model.", "student.", "timm_model.", "classifier_model."),
)
_MOST = 0.8
"""Share of all names that must have a wrapper's in front, for it to be one."""
_BESIDE = ("criterion.", "loss.", "loss_fn.", "loss_func.")
"""What a training program's module has beside the network."""


def find_state(value: object) -> tuple[str, dict[str, Tensor]]:
    """The tensors that make up a network.

    Args:
        value: what a file holds.

    Returns:
        Where in it they stand, joined by dots (empty: all over), and tensors by name. Without
        any tensor the dictionary is empty.
    """
    found: list[tuple[tuple[str, ...], dict[str, Tensor]]] = []
    for place, table in _tables(value):
        tensors = {name: one for name, one in table.named().items() if isinstance(one, Tensor)}
        if tensors:
            found.append((place, tensors))
    if not found:
        return "", {}
    most = max(len(tensors) for _, tensors in found)
    # A best accuracy may be a tensor too, and stand beside all of a network.
    large = [one for one in found if 2 * len(one[1]) >= most]
    place, tensors = min(large, key=lambda one: (_rank(one[0]), -len(one[1])))
    return printable(".".join(place)), tensors


def _tables(value: object) -> Iterator[tuple[tuple[str, ...], Table]]:
    """Dictionaries in dictionaries, the outermost first, an optimiser's and its like left out."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), value)]
    seen: set[int] = set()
    for place, one in waiting:
        # A table may stand in many places, and in itself.
        if not isinstance(one, Table) or id(one) in seen:
            continue
        seen.add(id(one))
        yield place, one
        if len(place) < _MAX_DEPTH:
            waiting.extend(
                ((*place, name), child)
                for name, child in one.named().items()
                if isinstance(child, Table)
                and not any(word in name.lower() for word in _NOT_TRAINED)
            )


def _rank(place: tuple[str, ...]) -> int:
    """How much a place is one where trained numbers stand; less is more."""
    ranks = [PREFERRED.index(name) for name in place if name in PREFERRED]
    return min(ranks, default=len(PREFERRED))


def unwrapped(names: Iterable[str]) -> Mapping[str, str]:
    """Names as the network has them, without what wrappers put in front of them.

    Args:
        names: as they are stored.

    Returns:
        The stored name by the network's; as many as there were, less what stands beside a network
        in a training program's module.
    """
    found = {name: name for name in names}
    for _ in range(_MAX_DEPTH):
        wrapper = next((one for one in _WRAPPERS if _wraps(one, found)), None)
        if wrapper is None:
            break
        short = {name.removeprefix(wrapper): stored for name, stored in found.items()}
        if len(short) < len(found):  # two would have one name
            break
        found = {name: at for name, at in short.items() if not name.startswith(_BESIDE)}
    return found


def _wraps(wrapper: str, names: Iterable[str]) -> bool:
    having = [name.startswith(wrapper) for name in names]
    return bool(having) and sum(having) >= _MOST * len(having)
