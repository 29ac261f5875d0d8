"""A network in a host, as a runner: what is run there, and what goes wrong there, in words."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.app.core.hosts.arena import ArenaClosedError
from twinlens.app.core.hosts.messages import MessageError, Record, field
from twinlens.app.core.hosts.parcel import Parcel
from twinlens.app.core.hosts.process import HostGoneError, HostProcess
from twinlens.app.core.hosts.records import info_of, options_record
from twinlens.app.core.session.engines import engine_title
from twinlens.app.core.session.meters import percentile
from twinlens.app.core.workers import CancelToken
from twinlens.engine.api.protocol import (
    EngineOptions,
    GraphSource,
    Network,
    Runner,
    RunnerInfo,
)
from twinlens.engine.cancel import checkpoint, current_token
from twinlens.engine.errors import CancelledError, EngineStoppedError, InferenceError
from twinlens.engine.graph import Graph

FLOOR_S = 1.5
FACTOR = 10
_TIMED = 31
_TENSOR_ROOM = 1 << 12


@dataclass(frozen=True)
class Stopped:
    """What a host's end was: for those who remember it.

    Attributes:
        network: the model that it ran or loaded.
        engine_id: on which engine.
        why: in a few words.
        answers: how many it had given before.
        from_outside: somebody else ended it.
    """

    network: Network
    engine_id: str
    why: str
    answers: int = 0
    from_outside: bool = False


def load_in(
    host: HostProcess,
    network: Network,
    engine_id: str,
    options: EngineOptions,
    *,
    closed: Callable[[HostProcess], object],
    stopped: Callable[[Stopped], object] = lambda stopped: None,
    only: bool = True,
) -> Runner:
    """Load a network in a host. Cancelling ends the host.

    Args:
        host: which no other thread asks meanwhile.
        network: the model.
        engine_id: the engine.
        options: of the engine.
        closed: called with the host when the runner is closed.
        stopped: called when the host ended by itself or by the watchdog.
        only: nothing else is loaded there, so that it keeps nothing but what runs.

    Raises:
        EngineStoppedError: the host ended, hung or took too much memory.
        CancelledError: nobody waits for it any more.
        TwinlensError: what the engine raised, as it is.
    """
    call = _Call(host, network, engine_id, stopped)
    parcel = Parcel.of(_parts(network, engine_id))
    checkpoint()
    room = network.spec.recipe.input_shape
    start = _TENSOR_ROOM + 4 * int(np.prod(room, dtype=np.int64))
    try:
        fields, payload = parcel.post(host.arena, start)
    except ArenaClosedError:  # it has ended: asking says how
        fields, payload = {}, b""
    fields |= {"engine": engine_id, "options": options_record(options), "only": only}
    token = current_token()
    if isinstance(token, CancelToken):
        with token.cancelling(lambda: host.end(on_purpose=True)):
            record, _ = call("load", fields, payload)
    else:
        record, _ = call("load", fields, payload)
    if host.arena is not None:
        host.arena.forget(start)  # The host has made its own of it.
    kind = _ProfiledRunner if record.get("profiled") else HostedRunner
    return kind(call, record, closed)


def in_scope(host: HostProcess, op: str, fields: Record, stopped: str) -> tuple[Record, bytearray]:
    """Ask a host for something that ends with it when this thread's work is cancelled.

    Args:
        host: which no other thread asks meanwhile.
        op: what is asked.
        fields: more of the request.
        stopped: what is said where the host ends, before the reason.

    Raises:
        EngineStoppedError: the host ended.
        CancelledError, TwinlensError: as it answers.
    """
    token = current_token()
    own = token if isinstance(token, CancelToken) else CancelToken()
    try:
        with own.cancelling(lambda: host.end(on_purpose=True)):
            return host.ask(op, fields)
    except HostGoneError as gone:
        if gone.ended_by_us:
            raise CancelledError("nobody waits for it any more") from gone
        raise EngineStoppedError(f"{stopped}: the process {gone.why}") from gone


def resolved(parts: Any) -> Network:
    """The network that a host has identified; its graph is made here only if somebody asks."""
    spec, making, path, onnx = parts

    def build(shape: tuple[int, ...]) -> Graph:
        # late: what reads models is not imported where hosts do it
        from twinlens.models.identify.resolve import again

        return again(**making.arguments).source.graph(shape)

    return Network(spec, GraphSource(build, open_axes=True, making=making), path, onnx)


class _Call:
    """Asks a host, and says what its end means."""

    def __init__(
        self,
        host: HostProcess,
        network: Network,
        engine_id: str,
        stopped: Callable[[Stopped], object],
    ) -> None:
        self.host, self.title = host, engine_title(engine_id)
        self._network, self._engine_id = network, engine_id
        self._stopped = stopped
        self.answers = 0

    def __call__(
        self, op: str, fields: Record, payload: bytes = b"", *, limit_s: float | None = None
    ) -> tuple[Record, bytearray]:
        outside = False
        try:
            answer = self.host.ask(op, fields, payload, limit_s=limit_s)
            self.answers += op == "run"
            return answer
        except HostGoneError as gone:
            if gone.ended_by_us:
                raise CancelledError(f"{self.title}: nobody waits for it any more") from gone
            why, outside = gone.why, gone.from_outside
        except EngineStoppedError as error:  # it says itself that its memory does not do
            why = error.message
        self.host.end(why)
        self._stopped(Stopped(self._network, self._engine_id, why, self.answers, outside))
        raise EngineStoppedError(f"{self.title} stopped: its process {why}")


class HostedRunner:
    """A loaded network in a host; see ``Runner``.

    Args:
        call: asks the host.
        loaded: what it said of the network.
        closed: called with the host at the end.
    """

    def __init__(
        self, call: _Call, loaded: Record, closed: Callable[[HostProcess], object]
    ) -> None:
        self._call, self._closed = call, closed
        self._number = field(loaded, "runner", int)
        self._info = info_of(field(loaded, "info", dict))
        self._times: deque[float] = deque(maxlen=_TIMED)
        self._open = True
        self._lock = threading.Lock()
        self.spent_s = 0.0
        """Seconds that the last answer took in the host, without the way there and back."""

    @property
    def host(self) -> HostProcess:
        """Where it runs."""
        return self._call.host

    @property
    def lives(self) -> bool:
        """Whether its host runs."""
        return self.host.alive

    @property
    def info(self) -> RunnerInfo:
        """What really runs."""
        return self._info

    @property
    def limit_s(self) -> float | None:
        """After how long an answer is overdue, by those so far; None before there are any."""
        if len(self._times) < 2:
            return None
        return FLOOR_S + FACTOR * percentile(sorted(self._times), 50)

    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network once; see ``Runner.run``.

        Raises:
            EngineStoppedError: the host ended, hung, or took more memory than it may.
            InferenceError: the engine failed, or answered what is no answer.
            CancelledError: the host was ended on purpose.
        """
        if not self._open:
            raise InferenceError(f"{self._call.title}: the network was closed")
        fields: Record = {
            "runner": self._number,
            "shape": list(tensor.shape),
            "dtype": tensor.dtype.str,
        }
        payload = b""
        arena = self.host.arena
        if arena is not None:
            with contextlib.suppress(ArenaClosedError):  # it has ended: asking says how
                arena.put(tensor)
                fields["size"] = arena.size
        else:
            payload = tensor.tobytes()
        record, out = self._call("run", fields, payload, limit_s=self.limit_s)
        if "info" in record:
            self._info = info_of(field(record, "info", dict))
        self.spent_s = field(record, "spent_s", float)
        self._times.append(self.spent_s)
        return self._checked(record, out)

    def close(self) -> None:
        """Free the network; may be called twice."""
        with self._lock:
            was_open, self._open = self._open, False
        if was_open:
            self._closed(self.host)

    def _checked(self, record: Record, out: bytearray) -> NDArray[np.float32]:
        shape, width = tuple(field(record, "outputs", list)), self._info.output_width
        if shape != (width,) or len(out) != 4 * width:
            raise InferenceError(
                f"{self._call.title} answered {len(out) // 4} values of shape {shape}, "
                f"expected ({width},)"
            )
        return np.frombuffer(out, np.float32)


class _ProfiledRunner(HostedRunner):
    """One that can report where its time goes."""

    def __init__(
        self, call: _Call, loaded: Record, closed: Callable[[HostProcess], object]
    ) -> None:
        super().__init__(call, loaded, closed)
        self._profile = False

    @property
    def profile(self) -> bool:
        """Whether times are taken."""
        return self._profile

    @profile.setter
    def profile(self, on: bool) -> None:
        self._call("profile", {"runner": self._number, "on": on})
        self._profile = on

    def timings(self) -> Any:
        """The last run's times; None where they are not known."""
        record, _ = self._call("profile", {"runner": self._number})
        times = record.get("times")
        return None if times is None else Times(**times)


@dataclass(frozen=True)
class Times:
    """Where a GPU's time went, in milliseconds; None where it does not report it."""

    upload_ms: float | None
    readback_ms: float | None
    compute_ms: float


def _parts(network: Network, engine_id: str) -> tuple[Any, ...]:
    """What a host needs of a network: no graph where the engine reads the file by itself."""
    onnx: Any = network.onnx
    if isinstance(onnx, bytes):
        onnx = np.frombuffer(onnx, np.uint8)
    making = network.source.making
    if making is not None and not network.source.made:
        # The file is read, and its graph made, where it is needed.
        return network.spec, None, network.path, None, making
    alone = engine_id == "vision" and onnx is not None
    graph = None if alone else network.graph
    return network.spec, graph, network.path, onnx if alone else None, None


__all__ = ["HostedRunner", "MessageError", "Stopped", "load_in"]
