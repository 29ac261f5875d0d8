"""What several of the unit tests need."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def coreml_tools() -> Iterator[Any]:
    """coremltools, which has no wheels for Windows and is silenced: it warns when imported."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pytest.importorskip("coremltools", reason="coremltools is not installed")
        import tqdm

    # Its bars start a thread that outlives them.
    tqdm.tqdm.monitor_interval = 0
    yield found
    logging.disable(logging.NOTSET)
