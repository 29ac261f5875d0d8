"""Small networks take one thread or all, whichever is faster at present."""

from twinlens.engine.targets.cpu.run.threads import Pace


def _runs(pace, seconds, count):
    """Let ``count`` runs take what ``seconds`` says per number of threads; returns the choices."""
    taken = []
    for _ in range(count):
        threads = pace.threads()
        taken.append(threads)
        pace.record(threads, seconds[threads])
    return taken


def test_a_large_network_always_takes_all_threads():
    assert set(_runs(Pace(4, 10**9), {1: 1.0, 4: 9.0}, 200)) == {4}


def test_a_network_that_is_not_to_adapt_always_takes_all_threads():
    assert set(_runs(Pace(4, 1000, adapts=False), {1: 1.0, 4: 9.0}, 200)) == {4}


def test_one_thread_has_nothing_to_choose():
    assert set(_runs(Pace(1, 1000), {1: 1.0}, 200)) == {1}


def test_one_thread_is_taken_where_waking_others_costs_more():
    pace = Pace(2, 1_000_000)
    taken = _runs(pace, {1: 1.0, 2: 1.5}, 200)
    assert pace.taken == 1
    assert taken[12:64] == [1] * 52
    # The other way is tried again, but seldom.
    assert 0 < taken[64:].count(2) <= 0.1 * len(taken[64:])


def test_all_threads_are_kept_where_they_help():
    pace = Pace(2, 1_000_000)
    taken = _runs(pace, {1: 1.0, 2: 0.6}, 200)
    assert pace.taken == 2
    assert 0 < taken[64:].count(1) <= 0.1 * len(taken[64:])


def test_a_change_is_noticed():
    pace = Pace(2, 1_000_000)
    _runs(pace, {1: 1.0, 2: 0.6}, 100)
    _runs(pace, {1: 1.0, 2: 2.0}, 100)
    assert pace.taken == 1
    _runs(pace, {1: 1.0, 2: 0.6}, 100)
    assert pace.taken == 2


def test_a_first_run_that_wakes_helpers_does_not_count():
    pace = Pace(2, 1_000_000)
    _runs(pace, {1: 1.0, 2: 2.0}, 64)
    assert pace.taken == 1
    for place in range(4):
        assert pace.threads() == 2
        pace.record(2, 9.0 if place == 0 else 0.5)
    assert pace.taken == 2
