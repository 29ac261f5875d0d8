"""Checks and data for all tests."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.processes import signals_reach_children

_LEAK_GRACE_S = 2.0


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail a test that leaves a thread of ours running."""
    before = set(threading.enumerate())
    yield
    deadline_s = time.monotonic() + _LEAK_GRACE_S
    for thread in _ours(before):
        thread.join(max(0.0, deadline_s - time.monotonic()))
    leaked = _ours(before)
    if leaked:
        pytest.fail(f"leaked threads: {', '.join(sorted(t.name for t in leaked))}")


def _ours(before: set[threading.Thread]) -> list[threading.Thread]:
    # Threads that C libraries and Qt show as _DummyThread are not started by Python.
    return [
        thread
        for thread in threading.enumerate()
        if thread not in before and not isinstance(thread, threading._DummyThread)
    ]


@pytest.fixture(autouse=True, scope="session")
def signals_as_in_a_terminal() -> Iterator[None]:
    """Let what tests start answer Ctrl-C also where these tests run in the background."""
    with signals_reach_children():
        yield


@pytest.fixture(autouse=True, scope="session")
def no_models_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what this computer's user has fetched and chosen out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINLENS_MODELS", str(tmp_path_factory.mktemp("models")))
        patch.setenv("TWINLENS_RECIPES", str(tmp_path_factory.mktemp("recipes")))
        yield


@pytest.fixture(autouse=True, scope="session")
def plans_of_this_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep compiled plans in a folder of the session's own, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINLENS_CACHE", str(tmp_path_factory.mktemp("plans")))
        yield


@pytest.fixture(autouse=True, scope="session")
def reports_of_this_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep reports of faults, which tests make, out of the user's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINLENS_REPORTS", str(tmp_path_factory.mktemp("reports")))
        yield


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real models, clips and pictures, named by TWINLENS_TEST_DATA."""
    folder = os.environ.get("TWINLENS_TEST_DATA")
    if not folder:
        pytest.skip("TWINLENS_TEST_DATA is not set: no real models and pictures to test with")
    path = Path(folder)
    if not path.is_dir():
        pytest.skip(f"TWINLENS_TEST_DATA names {folder}, which is not a folder")
    return path
