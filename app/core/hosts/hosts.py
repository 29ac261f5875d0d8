"""The one owner of hosts: a loader of networks that runs each in a process of its own."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from twinlens.app.core.hosts.distrust import Distrust
from twinlens.app.core.hosts.engines import HostedRunner, Stopped, in_scope, load_in, resolved
from twinlens.app.core.hosts.keeper import Keeper
from twinlens.app.core.hosts.parcel import open_parcel
from twinlens.app.core.hosts.process import HostGoneError, HostProcess, memory_limit
from twinlens.app.core.hosts.records import choice_of
from twinlens.app.core.session.engines import SLOW_TO_ASK, EngineChoice
from twinlens.engine.api.protocol import EngineOptions, GraphSource, Network, Runner
from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import CancelledError, EngineError, EngineStoppedError

_log = logging.getLogger(__name__)

SPARE_AFTER_S = 1.0
"""How long after a load the next spare one is started: importing takes half a processor-second."""

MOST = 8
"""Hosts at a time; no spare one is kept beyond."""


class Hosts:
    """Engine hosts: one for each network that serves, and one that waits.

    Args:
        memory: bytes of its own that a host may have; None is what suits the machine.
        command: what starts a host; None is this interpreter.
        distrust: remembers models that ended their host; None forgets.
        spare: keep one that waits.
    """

    def __init__(
        self,
        *,
        memory: int | None = None,
        command: Sequence[str] | None = None,
        distrust: Distrust | None = None,
        spare: bool = True,
    ) -> None:
        self._memory = memory_limit() if memory is None else memory
        self._command = command
        self.distrust = distrust
        self._keep_spare = spare
        self._lock = threading.Lock()
        self._spare: HostProcess | None = None
        self._first_source: HostProcess | None = None
        self._read: weakref.WeakKeyDictionary[GraphSource, HostProcess] = (
            weakref.WeakKeyDictionary()
        )
        self._measuring: dict[HostProcess, int] = {}
        self._stopping = False
        self.keeper = Keeper()

    # --- life ----------------------------------------------------------------------------------

    def begin(
        self, first: HostProcess | None = None, first_source: HostProcess | None = None
    ) -> None:
        """Have a spare one from now on.

        Args:
            first: one that was started already; None starts one on this thread, which must be the
                process's main one.
            first_source: one for the first source that was started already.
        """
        if first_source is not None:
            self._first_source = self.keeper.adopt(first_source)
        if self._keep_spare:
            self._spare = self.keeper.adopt(first or self._make())

    def request_stop(self) -> None:
        """End all; returns at once. Whoever waits for one gets CancelledError."""
        self._stopping = True
        self.keeper.request_stop()

    def stop(self, within_s: float = 1.0) -> bool:
        """End all and wait for it; False where one has not ended by then."""
        self._stopping = True
        return self.keeper.stop(within_s)

    # --- engines -------------------------------------------------------------------------------

    def load(self, network: Network, engine_id: str, options: EngineOptions) -> Runner:
        """Load a network in a host of its own, which ends with the runner; a ``Loader``.

        Raises:
            DistrustedError: the model ended its host earlier today.
            EngineError: no host can be started, or it stopped.
            CancelledError, TwinlensError: as ``registry.load``.
        """
        self._check(network, engine_id)
        host = self._take(network)
        try:
            runner = load_in(host, network, engine_id, options, closed=_end, stopped=self._remember)
        except BaseException:
            _end(host)
            raise
        finally:
            self._replace()
        return runner

    def resolve(
        self,
        name: str,
        *,
        labels: Path | None = None,
        recipe: Mapping[str, Any] | None = None,
        output_name: str = "",
        output_kind: str = "",
    ) -> Network:
        """Tell in a host what a catalog name or path is; see ``models.identify.resolve``.

        The host waits for the network to be loaded, since it has read it; it ends with whoever
        keeps the network.

        Raises:
            EngineStoppedError: the host ended over it.
            CancelledError, TwinlensError: as ``resolve``.
        """
        host = self._take()
        try:
            record, payload = in_scope(
                host,
                "resolve",
                {
                    "name": name,
                    "labels": None if labels is None else str(labels),
                    "recipe": dict(recipe or {}),
                    "output_name": output_name,
                    "output_kind": output_kind,
                },
                f"{Path(name).name} stopped what read it",
            )
            network = resolved(open_parcel(record, payload, None))
        except BaseException:
            _end(host)
            raise
        finally:
            self._replace()
        with self._lock:
            self._read[network.source] = host
        weakref.finalize(network.source, host.end, on_purpose=True).atexit = False
        return network

    def measure(self, network: Network, engine_id: str, options: EngineOptions) -> Runner:
        """Load a network in a host that it shares with others that are measured; a ``Loader``.

        Raises:
            As ``load``.
        """
        self._check(network, engine_id)
        host = self._shared()
        try:
            runner = load_in(
                host,
                network,
                engine_id,
                options,
                closed=self._leave,
                stopped=self._remember,
                only=False,
            )
        except BaseException:
            self._leave(host)
            raise
        finally:
            self._replace()
        return runner

    def choices(self, later: Collection[str] = ()) -> list[EngineChoice]:
        """All engines with what they offer here, as a host finds them.

        Args:
            later: ids of those that are not asked yet, see ``engine_choices``. Where all that are
                slow to ask are among them, the host goes on to be the spare one.

        Raises:
            EngineError: the host stopped.
        """
        host = self._take()
        try:
            record, _ = host.ask("choices", {"later": sorted(later)})
        except HostGoneError as gone:
            if gone.ended_by_us:
                raise CancelledError("nobody waits for it any more") from gone
            raise EngineError(f"the engines cannot be asked: their process {gone.why}") from gone
        finally:
            if not (set(later) >= SLOW_TO_ASK and self._give_back(host)):
                _end(host)
            self._replace()
        return [choice_of(engine) for engine in record.get("engines", [])]

    # --- sources -------------------------------------------------------------------------------

    def source(self) -> HostProcess:
        """A host for a source.

        Raises:
            OSError: none can be started.
            CancelledError: no more are.
        """
        with self._lock:
            host, self._first_source = self._first_source, None
        if host is not None and host.alive:
            return host
        try:
            return self.keeper.start(lambda: HostProcess("source", memory=self._memory))
        except OSError as why:
            if self._stopping:
                raise CancelledError("the program ends") from why
            raise

    # --- hosts ---------------------------------------------------------------------------------

    def _check(self, network: Network, engine_id: str) -> None:
        if self.distrust is not None:
            self.distrust.check(network, engine_id)
        checkpoint()

    def _remember(self, stopped: Stopped) -> None:
        _log.info("%s on %s: its host %s", stopped.network.name, stopped.engine_id, stopped.why)
        if self.distrust is not None:
            self.distrust.add(stopped)

    def _make(self) -> HostProcess:
        return HostProcess("engines", memory=self._memory, command=self._command)

    def _start(self) -> HostProcess:
        if self._stopping:
            raise CancelledError("the program ends")
        try:
            return self.keeper.start(self._make)
        except OSError as why:
            if self._stopping:
                raise CancelledError("the program ends") from why
            raise EngineError(
                f"no process can be started for the engine: {why}",
                hint="The system is short of memory, processes or files.",
            ) from why

    def _take(self, network: Network | None = None) -> HostProcess:
        """One that nobody else has: that which has read the network, or the spare one."""
        with self._lock:
            read = None if network is None else self._read.pop(network.source, None)
        if read is not None and _answers(read):
            return read
        with self._lock:
            host, self._spare = self._spare, None
        return host if host is not None and _answers(host) else self._start()

    def _give_back(self, host: HostProcess) -> bool:
        """Let a host be the spare one, if it can be."""
        with self._lock:
            if self._spare is not None or not host.alive or not self._keep_spare:
                return False
            self._spare = host
            return True

    def _replace(self) -> None:
        """Have a spare one again soon; what was just loaded has its first answers before."""
        if self._keep_spare:
            self.keeper.later(SPARE_AFTER_S, self._spare_again)

    def _spare_again(self) -> None:
        """On the keeper's thread: start a spare one, unless there are many hosts already."""
        with self._lock:
            if (self._spare is not None and self._spare.alive) or self.keeper.alive >= MOST:
                return
            try:
                self._spare = self.keeper.adopt(self._make())
            except OSError as why:
                _log.info("no spare host: %s", why)

    def _shared(self) -> HostProcess:
        """A host for one more that is measured; it counts as used from now on."""
        with self._lock:
            free = [h for h in self._measuring if h.alive and not h.busy]
            if free:
                self._measuring[free[0]] += 1
                return free[0]
        host = self._take()
        with self._lock:
            self._measuring[host] = 1
        return host

    def _leave(self, host: HostProcess) -> None:
        with self._lock:
            left = self._measuring.get(host, 1) - 1
            if left > 0 and host.alive:
                self._measuring[host] = left
                return
            self._measuring.pop(host, None)
        host.end(on_purpose=True)


def window_hosts(
    first: HostProcess | None = None, first_source: HostProcess | None = None
) -> Hosts:
    """Hosts for a window; on its main thread.

    Args:
        first: one for engines that was started already.
        first_source: one for a source that was started already.
    """
    # late: the cache's folder, which only those ask for who keep something
    from twinlens.engine.targets.cache import folder

    kept = folder()
    hosts = Hosts(distrust=Distrust(None if kept is None else kept / "stopped.json"))
    hosts.begin(first, first_source)
    return hosts


def _answers(host: HostProcess) -> bool:
    """Whether one that has waited can still be used; ends it otherwise.

    It may have been stopped or have come to hang meanwhile, which is no fault of what would be
    loaded there.

    Raises:
        CancelledError: nobody waits for it any more.
    """
    try:
        in_scope(host, "live", {}, "what waited has stopped")
    except EngineStoppedError as gone:
        _log.info("another host is started: %s", gone)
        return False
    return True


def _end(host: HostProcess) -> None:
    host.end(on_purpose=True)


__all__ = ["MOST", "HostedRunner", "Hosts", "window_hosts"]
