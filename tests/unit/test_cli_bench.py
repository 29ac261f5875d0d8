"""The interleaved timer."""

from __future__ import annotations

from twinlens.app.commands.bench import interleaved


def test_tasks_take_turns_and_warm_up_is_not_counted() -> None:
    calls: list[str] = []
    ticks = iter(float(i) for i in range(1000))
    times = interleaved(
        [lambda: calls.append("a"), lambda: calls.append("b")],
        rounds=4,
        warmup=2,
        clock=lambda: next(ticks),
    )
    assert calls == ["a", "b"] * 6
    assert [len(own) for own in times] == [4, 4]
    assert times[0] == [1000.0] * 4
