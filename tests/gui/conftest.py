"""Fixtures of the window tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.gated import Gated
from helpers.gui_stand import Stand, run_stand, stand

__all__ = ["stand"]


@pytest.fixture
def gated() -> Iterator[Gated]:
    """A loader whose runners wait until it is opened."""
    made = Gated()
    yield made
    made.open()


@pytest.fixture
def waiting(qtbot: Any, tmp_path: Path, gated: Gated) -> Iterator[Stand]:
    """A window whose measurings wait until the gate is opened."""
    for made in run_stand(qtbot, tmp_path, load=gated):
        yield made
        gated.open()
