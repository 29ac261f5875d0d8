from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.app.core.session.meters import percentile
from twinlens.app.core.session.slot import LatestSlot
from twinlens.app.core.session.smoothing import Smoother
from twinlens.app.core.settings import Settings, SettingsStore

SHARES = st.floats(0, 1, width=32)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMES = [name for name in Settings.__dataclass_fields__ if name != "extra"]


@given(st.lists(st.lists(SHARES, min_size=3, max_size=3), min_size=1), st.floats(0.001, 2))
def test_an_average_stays_between_its_answers(answers: list[list[float]], gap_s: float) -> None:
    smoother = Smoother()
    for step, answer in enumerate(answers):
        values, winner = smoother.update(np.array(answer, np.float32), step * gap_s)
        seen = np.array(answers[: step + 1], np.float32)
        assert (values >= seen.min(axis=0) - 1e-6).all()
        assert (values <= seen.max(axis=0) + 1e-6).all()
        assert values.max() - values[winner] <= 0.08 + 1e-6, "the winner lacks at most the margin"


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_percentile_equals_numpys(values: list[float], percent: float) -> None:
    assert percentile(sorted(values), percent) == pytest.approx(
        float(np.percentile(values, percent)), rel=1e-9, abs=1e-6
    )


@given(st.lists(st.none() | st.integers()))
def test_every_item_is_taken_dropped_or_waiting(actions: list[int | None]) -> None:
    slot: LatestSlot[int] = LatestSlot()
    put = taken = 0
    newest = None
    for action in actions:
        if action is None:
            item = slot.poll()
            assert item == newest
            taken += item is not None
            newest = None
        else:
            slot.put(action)
            put += 1
            newest = action
    assert put == taken + slot.dropped + slot.waiting


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), JSON))
def test_no_settings_file_stops_the_app(values: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SettingsStore(Path(folder) / "settings.json")
        store.path.write_text(json.dumps(values), "utf-8")
        settings = store.load()
        store.save(settings)
        assert store.load() == settings
        assert settings.crop_and_scale is None or settings.crop


@given(st.binary(max_size=64))
def test_no_bytes_stop_the_app(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SettingsStore(Path(folder) / "settings.json")
        store.path.write_bytes(raw)
        assert isinstance(store.load(), Settings)
