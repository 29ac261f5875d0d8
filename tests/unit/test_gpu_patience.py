"""A GPU that does not answer: every wait for it ends, and says so."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.gpu import adapter_or_skip
from twinlens.engine.errors import EngineError, EngineUnavailableError, InferenceError

# Some seconds of a processor that plays a GPU, which ends loops after 65,535 turns: so many groups.
_GROUPS = 3_000
_SLOW = """
@group(0) @binding(0) var<storage, read_write> b0: array<u32>;
@compute @workgroup_size(1)
fn main() {
    var x = b0[0];
    for (var i = 0u; i < 65000u; i++) { x = x * 1664525u + 1013904223u; x ^= x >> 13u; }
    b0[0] = x;
}
"""
#: Much less than that.
_PATIENCE_S = 0.25
_MESSAGE = "no answer within"
#: More than anything else here takes.
_DEADLINE_S = 60


@contextmanager
def _slow_device():
    """A device with a kernel that takes its time: the device, a buffer, and the call."""
    from twinlens.engine.targets.gpu.run.device import Device

    adapter, raw = adapter_or_skip()
    if not adapter.software:
        pytest.skip("a GPU's own watchdog may end what takes so long")
    device = Device(adapter, raw)
    try:
        buffer = device.buffer(16)
        pipeline = device.pipeline(_SLOW)
        yield device, buffer, (pipeline, device.bind(pipeline, [buffer]), (_GROUPS, 1, 1))
    finally:
        device.close()


def _set_patience(monkeypatch, seconds):
    for name in ("flight", "device"):
        monkeypatch.setattr(
            f"twinlens.engine.targets.gpu.run.{name}.PATIENCE_S", seconds, raising=False
        )


def _fill(memory):
    memory[...] = 1


def test_a_frame_that_takes_too_long_fails_in_time(monkeypatch):
    from twinlens.engine.targets.gpu.run.flight import Feed, Flight
    from twinlens.engine.targets.gpu.run.native import Calls

    with _slow_device() as (device, buffer, call):
        feed = Feed(16, buffer, Calls([call]), [((), "slow")])
        flight = Flight(device, [(buffer, 16)], 1, ahead=False)
        ticket = flight.submit(feed, _fill)
        _set_patience(monkeypatch, _PATIENCE_S)
        with pytest.raises(InferenceError, match=_MESSAGE):
            ticket.parts()
        flight.close()


@contextmanager
def _mute_device(monkeypatch):
    """A device that answers nothing any more, from when it is asked to: the device, and how."""
    from twinlens.engine.targets.gpu.run import native
    from twinlens.engine.targets.gpu.run.device import Device

    device = Device(*adapter_or_skip())

    def mute():
        monkeypatch.setattr(native, "look", lambda device: False)
        # Handing work over may run callbacks, too.
        monkeypatch.setattr(native.Staging, "request", lambda staging: None)
        _set_patience(monkeypatch, _PATIENCE_S)

    try:
        yield device, mute
    finally:
        device.close()


def test_a_gpu_that_does_not_answer_is_waited_for_once(monkeypatch):
    from twinlens.engine.targets.gpu.run.flight import Feed, Flight
    from twinlens.engine.targets.gpu.run.native import Calls

    with _mute_device(monkeypatch) as (device, mute):
        buffer = device.buffer(16)
        feed = Feed(16, buffer, Calls([]), [])
        flight = Flight(device, [(buffer, 16)], 2, ahead=False)
        mute()
        tickets = [flight.submit(feed, _fill), flight.submit(feed, _fill)]
        with pytest.raises(InferenceError, match=_MESSAGE):
            tickets[0].parts()
        # The device counts as lost: the test would end by its own limit first.
        _set_patience(monkeypatch, 1000)
        with pytest.raises(InferenceError, match=_MESSAGE):
            tickets[1].parts()
        with pytest.raises(InferenceError, match=_MESSAGE):
            flight.submit(feed, _fill)
        flight.close()


def test_reading_and_trying_on_a_gpu_that_does_not_answer_fails_in_time(monkeypatch):
    from twinlens.engine.targets.gpu.run.native import FAILURES
    from twinlens.engine.targets.gpu.run.tune import times_ms

    with _mute_device(monkeypatch) as (device, mute):
        buffer = device.buffer(16)
        pipeline = device.pipeline(_SLOW)
        call = (pipeline, device.bind(pipeline, [buffer]), (1, 1, 1))
        mute()
        with pytest.raises(FAILURES, match=_MESSAGE):
            device.read(buffer, 16)
        with pytest.raises(FAILURES, match=_MESSAGE):
            times_ms(device, [call])
        device.features = frozenset()
        with pytest.raises(FAILURES, match=_MESSAGE):
            times_ms(device, [call])


def test_reading_gives_what_was_written():
    from twinlens.engine.targets.gpu.run.device import Device

    device = Device(*adapter_or_skip())
    try:
        for size in (1, 3, 16, 4099):
            given = np.random.default_rng(size).integers(0, 256, size).astype(np.uint8)
            np.testing.assert_array_equal(device.read(device.upload(given), size), given)
    finally:
        device.close()


@contextmanager
def _driver_that_hangs():
    """A call that does not come back until the test is over."""
    over = threading.Event()

    def hang(*args, **kwargs):
        del args, kwargs
        over.wait(_DEADLINE_S)
        raise RuntimeError("over")

    try:
        yield hang
    finally:
        over.set()


def _outcome(call):
    """What a call raises, and whether it came back at all."""
    raised = []

    def run():
        try:
            call()
        except (EngineError, EngineUnavailableError) as why:
            raised.append(why)

    caller = threading.Thread(target=run, daemon=True)
    caller.start()
    caller.join(_DEADLINE_S / 4)
    return raised, not caller.is_alive()


def test_a_driver_that_opens_no_device_is_given_up(monkeypatch):
    from twinlens.engine.targets.gpu.run import adapters

    adapter_or_skip()
    monkeypatch.setattr(adapters, "PATIENCE_S", _PATIENCE_S, raising=False)
    with _driver_that_hangs() as hang:
        raw = SimpleNamespace(features=(), request_device_sync=hang)
        raised, came_back = _outcome(lambda: adapters.open_device(raw))
    assert came_back
    assert _MESSAGE in raised[0].message


def test_a_driver_that_lists_no_adapters_is_given_up(monkeypatch):
    import wgpu

    from twinlens.engine.targets.gpu.run import adapters

    adapter_or_skip()
    monkeypatch.setattr(adapters, "PATIENCE_S", _PATIENCE_S, raising=False)
    adapters._found.cache_clear()
    with _driver_that_hangs() as hang, monkeypatch.context() as patched:
        patched.setattr(wgpu.gpu, "enumerate_adapters_sync", hang)
        raised, came_back = _outcome(adapters.list_adapters)
    adapters._found.cache_clear()
    assert came_back
    assert _MESSAGE in raised[0].message
