"""The table of views: one key each, a place, a painter, and what follows from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from helpers.fakes import FakeRunner, make_frame, make_spec
from twinlens.app.core.measure.bench import BenchTable
from twinlens.app.core.measure.crossover import Climb
from twinlens.app.core.session.pipeline import Pipeline
from twinlens.app.core.session.types import Needs
from twinlens.app.core.settings import Settings
from twinlens.app.overlays.keys import COMMANDS, all_commands, cheat_sheet
from twinlens.app.views.bench import BENCH, BenchState
from twinlens.app.views.crossover import CROSSOVER, CrossoverState
from twinlens.app.views.table import VIEWS
from twinlens.app.views.top5 import TOP5
from twinlens.app.views.view import Command, Inputs, View, key_text


def test_every_key_stands_once() -> None:
    keys = Counter(key for command in all_commands() for key in command.keys)
    assert not [key for key, count in keys.items() if count > 1]
    assert len({command.id for command in all_commands()}) == len(all_commands())


def test_the_card_shows_every_command_that_has_words_once() -> None:
    shown = [row for group in cheat_sheet().groups for row in group.keys]
    assert sorted(shown) == sorted((c.key_text, c.words) for c in all_commands() if c.words)
    assert len({key for key, _ in shown}) == len(shown)


def test_a_command_that_is_twice_in_the_table_would_be_seen() -> None:
    twice = replace(TOP5, id="twice")
    keys = Counter(key for c in all_commands((*VIEWS, twice)) for key in c.keys)
    assert keys["T"] == 2


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.id)
def test_every_view_says_what_it_is(view: View[object, object]) -> None:
    assert view.title
    assert bool(view.key) == bool(view.words)
    assert not view.setting or hasattr(Settings(), view.setting)
    assert isinstance(view.needs, Needs)


def test_data_types_are_of_one_view_each() -> None:
    assert len({view.data for view in VIEWS}) == len(VIEWS)


def test_keys_are_written_as_a_person_reads_them() -> None:
    assert [key_text(key) for key in ("Shift+B", "Right", "Del", ",")] == [
        "Shift B",
        "→",
        "Delete",
        ",",
    ]
    assert Command("x", ("1",), shown="1 – 4").key_text == "1 – 4"
    assert all(command.keys for command in COMMANDS)


def test_snapshots_are_of_the_type_that_the_table_says() -> None:
    result = Pipeline(FakeRunner(), make_spec()).process(make_frame())
    assert isinstance(TOP5.snapshot(Inputs(None, result)), TOP5.data)
    assert TOP5.snapshot(Inputs(None)) is None
    table = BenchTable("Net")
    bench = BENCH.snapshot(Inputs(BenchState(table, running=True, stopping=False)))
    assert isinstance(bench, BENCH.data)
    assert (bench.model, bench.running) == ("Net", True)
    assert BENCH.snapshot(Inputs(BenchState(None, running=False, stopping=False))) is None
    climb = CROSSOVER.snapshot(Inputs(CrossoverState(Climb(()), running=False, stopping=False)))
    assert isinstance(climb, CROSSOVER.data)
