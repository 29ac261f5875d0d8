"""Which axis order a file without shapes has: the one whose network reads golden pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twinlens.engine.errors import InferenceError, ParameterError
from twinlens.engine.graph import Graph
from twinlens.engine.layers import Array
from twinlens.engine.params.load import Naming, with_parameters
from twinlens.engine.params.order import ORDERS, AxisOrder

Golden = tuple[Array, int]
"""A converted picture, of the network's input shape, and the output that must win."""


@dataclass(frozen=True)
class Trial:
    """How a network did with one axis order.

    Attributes:
        order: the axis order.
        right: golden pictures whose expected output was the largest.
        confidence: mean probability (0 to 1) of the expected outputs; that of the softmax where
            the network ends in logits.
        problem: why it could not be tried; empty where it could.
    """

    order: AxisOrder
    right: int = 0
    confidence: float = 0.0
    problem: str = ""


def try_orders(
    graph: Graph,
    parameters: Mapping[str, Array],
    naming: Naming,
    golden: Sequence[Golden],
    orders: Iterable[AxisOrder] = tuple(ORDERS.values()),
) -> tuple[Trial, ...]:
    """Run the network with each axis order on golden pictures.

    Args:
        graph: the network, with one input and one output.
        parameters: arrays by the file's names.
        naming: how the file names them; its own order does not matter.
        golden: converted pictures with the output that must win.
        orders: what to try.

    Returns:
        One trial for each order, best first; an order that fits no shapes says so.

    Raises:
        ParameterError: there is no golden picture.
    """
    if not golden:
        raise ParameterError(f"{graph.name}: no golden picture; at least one is required")
    trials = [_try(graph, parameters, replace(naming, order=order), golden) for order in orders]
    return tuple(sorted(trials, key=lambda one: (-one.right, -one.confidence, bool(one.problem))))


def best_order(trials: Sequence[Trial], count: int) -> AxisOrder:
    """The axis order that fits.

    Args:
        trials: what `try_orders` found, best first.
        count: golden pictures that were tried.

    Returns:
        The one whose network got all pictures right. Orders that lay this network's kernels out
        alike, such as PyTorch's and BNNS's, have the same figures; the first of them stands for
        all.

    Raises:
        ParameterError: none got all right, or another one that answers differently did too.
    """
    listed = "\n  ".join(
        f"{one.order.name}: "
        + (one.problem or f"{one.right} of {count} right, confidence {one.confidence:.2f}")
        for one in trials
    )
    fitting = [one for one in trials if not one.problem and one.right == count]
    if not fitting:
        raise ParameterError(f"no axis order reads the golden pictures:\n  {listed}")
    rivals = [one for one in fitting if one.confidence != fitting[0].confidence]
    if rivals:
        raise ParameterError(
            f"several axis orders read the golden pictures:\n  {listed}",
            hint="Give more golden pictures, of different classes.",
        )
    return fitting[0].order


def _try(
    graph: Graph, parameters: Mapping[str, Array], naming: Naming, golden: Sequence[Golden]
) -> Trial:
    try:
        network = with_parameters(graph, parameters, naming)
        (name,) = network.inputs
        shares = [_shares(network.run({name: picture})) for picture, _ in golden]
    except (ParameterError, InferenceError) as why:
        return Trial(naming.order, problem=str(why).split("\n", maxsplit=1)[0])
    pairs = list(zip(shares, (index for _, index in golden), strict=True))
    right = sum(int(share.argmax()) == index for share, index in pairs)
    return Trial(naming.order, right, float(np.mean([share[index] for share, index in pairs])))


def _shares(outputs: Mapping[str, Array]) -> Array:
    """The only output as probabilities."""
    (output,) = outputs.values()
    values = output.reshape(-1).astype(np.float64)
    if values.min() >= 0 and abs(values.sum() - 1) < 1e-3:
        return values
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum())
