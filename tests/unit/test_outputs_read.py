"""How a network's answer is read is a fact of its operators, whichever exporter wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.answer_nets import CASES, SHAPE, Case, scores_of, write_net
from twinlens.engine.api import registry
from twinlens.engine.api.observations import probabilities, top_k
from twinlens.engine.api.protocol import EngineOptions, Network
from twinlens.engine.errors import UnsupportedOperatorError
from twinlens.models.identify.resolve import identify

ENGINES = ("layers-cpu", "vision")
ALL = [pytest.param(case, id=f"{kind}: {case.name}") for kind, of in CASES.items() for case in of]


def network_of(path: Path, labels: tuple[str, ...] | None) -> Network:
    """Identify a file, with names in a file that is given."""
    given = None
    if labels is not None:
        given = path.with_name("given.txt")
        given.write_text("\n".join(labels), encoding="utf-8")
    return identify(path, labels=given).network


def answer(network: Network, engine: str, x: np.ndarray) -> np.ndarray:
    """What a person is shown of a tensor, by class."""
    runner = registry.load(network, engine, EngineOptions(threads=1))
    try:
        return probabilities(runner.run(x), network.spec)
    finally:
        runner.close()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", ALL)
def test_an_answer_is_what_the_scores_say(case: Case, engine: str, tmp_path: Path) -> None:
    path = write_net(tmp_path / "net.onnx", case)
    network = network_of(path, case.labels)
    assert network.spec.output == case.kind
    assert network.spec.labels == (case.named or case.labels)
    x = np.random.default_rng(1).uniform(-1, 1, SHAPE).astype(np.float32)
    try:
        shown = answer(network, engine, x)
    except UnsupportedOperatorError:
        assert engine != "vision", "what layers lack must not keep it from ONNX Runtime"
        pytest.skip("an operator that the layers lack")
    right = case.right(scores_of(path, x))
    np.testing.assert_allclose(shown, right, atol=3e-6)
    assert top_k(shown, network.spec.labels, 1)[0].index == int(np.argmax(right))
