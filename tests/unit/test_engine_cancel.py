"""Loading, compiling, calibrating and fetching end between two stages when nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.gpu import adapter_or_skip
from helpers.networks import network_of
from helpers.onnx_nets import mobilenet_v1, save
from twinlens.engine.api import registry
from twinlens.engine.api.protocol import EngineOptions, Network
from twinlens.engine.cancel import cancel_scope, checkpoint, is_cancelled
from twinlens.engine.errors import CancelledError
from twinlens.engine.image import Recipe
from twinlens.engine.targets.cpu.codegen.isa import detect
from twinlens.engine.targets.cpu.run.runner import precisions

SHORT = [p for p in precisions(detect()) if p != "fp32"]


class EndsAt:
    """A token that counts how often it is looked at, and is cancelled from one look on."""

    def __init__(self, look: int | None = None) -> None:
        self.looks, self._last = 0, look

    @property
    def cancelled(self) -> bool:
        self.looks += 1
        return self._last is not None and self.looks >= self._last


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Network]:
    """Makes a network whose file was not read yet."""
    path = save(mobilenet_v1(), tmp_path / "net.onnx")
    return lambda: network_of(path, Recipe(width=33, height=33), tuple("abcdefghij"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
        assert cv2.imwrite(str(folder / f"{number}.png"), pixels)
    return folder


@pytest.fixture(autouse=True)
def nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / "kept"))


def ends_at_every_stage(load: Callable[[], None], *, at_least: int, tries: int = 6) -> None:
    """Count the looks of one load, then end others at some of them."""
    counted = EndsAt()
    with cancel_scope(counted):
        load()
    assert counted.looks >= at_least
    threads = threading.active_count()
    for look in np.linspace(1, counted.looks, tries).astype(int).tolist():
        token = EndsAt(look)
        with cancel_scope(token), pytest.raises(CancelledError):
            load()
        assert token.looks == look, "it ended at that very stage"
        assert threading.active_count() <= threads, "and left no thread behind"


def test_a_scope_holds_for_its_body_and_an_inner_one_takes_its_place() -> None:
    checkpoint()
    with cancel_scope(EndsAt(1)):
        assert is_cancelled()
        with cancel_scope(None):
            checkpoint()
        with pytest.raises(CancelledError):
            checkpoint()
    checkpoint()


@pytest.mark.parametrize(
    ("engine_id", "at_least"), [("layers-cpu", 40), ("vision", 3)], ids=lambda v: str(v)
)
def test_a_load_ends_between_any_two_stages(
    fresh: Callable[[], Network],
    engine_id: str,
    at_least: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = iter(range(1000))

    def load() -> None:
        # Each time from the start: machine code that is kept would leave stages out.
        monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / f"kept{next(count)}"))
        registry.load(fresh(), engine_id, EngineOptions(threads=2)).close()

    ends_at_every_stage(load, at_least=at_least)


def test_a_load_on_the_gpu_ends_between_any_two_stages(fresh: Callable[[], Network]) -> None:
    adapter_or_skip()

    def load() -> None:
        registry.load(fresh(), "layers-gpu", EngineOptions()).close()

    ends_at_every_stage(load, at_least=40, tries=4)


@pytest.mark.skipif(not SHORT, reason="this processor computes in fp32 only")
def test_calibrating_ends_between_any_two_pictures(
    fresh: Callable[[], Network], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = iter(range(1000))

    def load() -> None:
        monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / f"kept{next(count)}"))
        options = EngineOptions(2, SHORT[0], pictures)
        registry.load(fresh(), "layers-cpu", options).close()

    ends_at_every_stage(load, at_least=200)


@pytest.mark.parametrize("look", [5, 50])
def test_what_was_given_up_loads_the_next_time(fresh: Callable[[], Network], look: int) -> None:
    network = fresh()
    with cancel_scope(EndsAt(look)), pytest.raises(CancelledError):
        registry.load(network, "layers-cpu", EngineOptions(threads=2))
    runner = registry.load(network, "layers-cpu", EngineOptions(threads=2))
    assert runner.run(np.zeros(network.spec.recipe.input_shape, np.float32)).size == 10
    runner.close()
