"""Engines in a host: loads networks, runs them, and tells what engines there are."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from twinlens.app.core.hosts.arena import Arena
from twinlens.app.core.hosts.child import Link
from twinlens.app.core.hosts.messages import Record, field
from twinlens.app.core.hosts.parcel import Parcel, open_parcel
from twinlens.app.core.hosts.records import choice_record, error_record, info_record, options_of
from twinlens.app.core.session.engines import engine_choices
from twinlens.engine.api import registry
from twinlens.engine.api.protocol import GraphSource, Making, ModelSpec, Network, Runner
from twinlens.engine.errors import EngineError, EngineStoppedError, InferenceError, TwinlensError
from twinlens.engine.graph import Graph

_log = logging.getLogger(__name__)


def serve(link: Link) -> None:
    """Answer until nobody asks any more."""
    host = EnginesChild(link)
    host.warm()
    link.ready()
    host.warm_more()
    while (message := link.next()) is not None:
        host.answer(*message)


class EnginesChild:
    """Networks by number, and what is asked of them.

    Args:
        link: to whoever asks.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        handle = link.settings.arena
        self._arena = Arena.join(handle) if handle else None
        self._runners: dict[int, Runner] = {}
        self._count = 0
        self._known: dict[str, Network] = {}
        self._acts: dict[str, Callable[[Record, bytearray], tuple[Record, bytes | memoryview]]] = {
            "live": lambda record, payload: ({}, b""),
            "resolve": self._resolve,
            "load": self._load,
            "run": self._run,
            "close": self._close,
            "choices": self._choices,
            "profile": self._profile,
        }

    def warm(self) -> None:
        """Import what the first engine needs, before somebody waits for it."""
        from twinlens.engine.targets.cpu.engine import without_compiler

        if without_compiler() is None:
            from twinlens.engine.targets.cpu.codegen.isa import detect
            from twinlens.engine.targets.cpu.run import runner  # noqa: F401

            detect()

    def warm_more(self) -> None:
        """Import what most networks need, while nobody asks yet."""
        import twinlens.engine.params.pytorch
        import twinlens.models.identify.resolve  # noqa: F401

    def answer(self, record: Record, payload: bytearray) -> None:
        """Do what is asked, and answer; whatever goes wrong is an answer as well."""
        try:
            done, out = self._acts[field(record, "op", str)](record, payload)
        except TwinlensError as error:
            self._link.refuse(record, error_record(error))
        except MemoryError:
            limit = self._link.settings.memory / 2**30
            why = EngineStoppedError(
                f"needs more than the {limit:.1f} GiB of memory that it may have"
            )
            self._link.refuse(record, error_record(why))
        except Exception as error:  # noqa: BLE001
            # Runtimes and importers raise anything on a broken model: the process's boundary.
            _log.exception("%s failed unexpectedly", record.get("op"))
            kind = InferenceError if record.get("op") == "run" else EngineError
            text = f"failed unexpectedly: {type(error).__name__}: {error}"
            self._link.refuse(record, error_record(kind(text)))
        else:
            self._link.answer(record, done, out)

    def _resolve(self, record: Record, payload: bytearray) -> tuple[Record, bytes]:
        """Tell what a name or path is; it is kept, since it is most likely loaded next."""
        del payload
        from twinlens.models.identify.resolve import resolve

        labels, recipe = record.get("labels"), field(record, "recipe", dict)
        network = resolve(
            field(record, "name", str),
            labels=None if labels is None else Path(labels),
            recipe={k: tuple(v) if isinstance(v, list) else v for k, v in recipe.items()},
            output_name=field(record, "output_name", str),
            output_kind=field(record, "output_kind", str),
        )
        making = network.source.making
        if making is not None:
            self._known = {_key(making): network}
        file = network.onnx if isinstance(network.onnx, Path) else None
        return Parcel.of((network.spec, making, network.path, file)).post(None)

    def _network(self, parts: Any) -> Network:
        """The network that a parcel holds, or tells how to make."""
        spec, graph, path, onnx, making = parts
        if not (
            isinstance(spec, ModelSpec)
            and isinstance(graph, (Graph, type(None)))
            and isinstance(making, (Making, type(None)))
        ):
            raise EngineError(f"a network of {[type(part).__name__ for part in parts]}")
        if making is None:
            data = onnx.tobytes() if isinstance(onnx, np.ndarray) else onnx
            return Network(spec, GraphSource(lambda shape: _there(graph, spec)), path, data)
        known = self._known.get(_key(making))
        if known is None:
            known = _made(making)
            # The last one only: a host that measures is asked for the same again and again.
            self._known = {_key(making): known}
        return replace(known, spec=spec)

    def _load(self, record: Record, payload: bytearray) -> tuple[Record, bytes]:
        network = self._network(open_parcel(record, payload, self._arena))
        options = options_of(field(record, "options", dict))
        runner = registry.load(network, field(record, "engine", str), options)
        self._count += 1
        self._runners[self._count] = runner
        if record.get("only"):
            self._known.clear()
            del network
            _give_back()
        profiled = hasattr(runner, "profile") and hasattr(runner, "timings")
        return {
            "runner": self._count,
            "info": info_record(runner.info),
            "profiled": profiled,
        }, b""

    def _run(self, record: Record, payload: bytearray) -> tuple[Record, memoryview]:
        runner = self._runner(record)
        shape, dtype = field(record, "shape", list), field(record, "dtype", str)
        if self._arena is not None:
            self._arena.follow(field(record, "size", int))
            tensor = self._arena.array(0, shape, dtype)
        else:
            tensor = np.frombuffer(payload, np.dtype(dtype)).reshape(shape)
        before = runner.info
        begun_s = time.perf_counter()
        outputs = np.ascontiguousarray(runner.run(tensor), np.float32)
        spent_s = time.perf_counter() - begun_s
        done: Record = {"outputs": list(outputs.shape), "spent_s": spent_s}
        if runner.info is not before:
            done["info"] = info_record(runner.info)
        return done, outputs.data.cast("B")

    def _close(self, record: Record, payload: bytearray) -> tuple[Record, bytes]:
        del payload
        self._runners.pop(field(record, "runner", int)).close()
        return {}, b""

    def _choices(self, record: Record, payload: bytearray) -> tuple[Record, bytes]:
        del payload
        choices = engine_choices(field(record, "later", list))
        return {"engines": [choice_record(choice) for choice in choices]}, b""

    def _profile(self, record: Record, payload: bytearray) -> tuple[Record, bytes]:
        """Switch the reporting of times on or off, and give the last ones."""
        del payload
        runner: Any = self._runner(record)
        if record.get("on") is not None:
            runner.profile = bool(record["on"])
            return {}, b""
        times = runner.timings()
        names = ("upload_ms", "readback_ms", "compute_ms")
        return {"times": None if times is None else {n: getattr(times, n) for n in names}}, b""

    def _runner(self, record: Record) -> Runner:
        return self._runners[field(record, "runner", int)]


def _give_back() -> None:
    """Give the system what reading and compiling have left."""
    gc.collect()
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def _there(graph: Graph | None, spec: ModelSpec) -> Graph:
    if graph is None:
        raise EngineError(f"{spec.title}: the network's graph stayed behind")
    return graph


def _made(making: Making) -> Network:
    """The network that a making means; its maker is one of our own functions."""
    module, _, name = making.maker.partition(":")
    if not module.startswith("twinlens.models."):
        raise EngineError(f"{making.maker} makes no network of ours")
    network = getattr(import_module(module), name)(**making.arguments)
    if not isinstance(network, Network):
        raise EngineError(f"{making.maker} gave {type(network).__name__}")
    return network


def _key(making: Making) -> str:
    return f"{making.maker} {json.dumps(making.arguments, sort_keys=True)}"
