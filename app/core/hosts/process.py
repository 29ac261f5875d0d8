"""One host as its owner sees it: a process that is asked, watched and ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twinlens.app.core.hosts.arena import Arena
from twinlens.app.core.hosts.child import FROZEN_FLAG, HostSettings
from twinlens.app.core.hosts.messages import VERSION, MessageError, Record, Wire, field

_log = logging.getLogger(__name__)

START_S = 30.0
"""How long the interpreter of a host may take to start."""
SILENCE_S = 3.0
"""How long a host that works may be silent."""
CRASH = {"crash": True}
"""``extra`` of a log record that tells a host's end: whoever keeps reports writes one."""
_WORDS = 300
_MOST_WRITTEN = 1 << 20
_STACK = ("Thread 0x", "Current thread 0x", '  File "', "  ...")
_FROM_OUTSIDE = {getattr(signal, name, 0) for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT")}
_ENDED_WITHIN_S = 1.0


class HostGoneError(Exception):
    """The host ended before it answered.

    Args:
        why: in a few words, for a person (``"was killed"``).
        ended_by_us: it was ended on purpose: nobody waits for it any more.
        from_outside: somebody else ended it, by no fault of what it ran.
    """

    def __init__(self, why: str, *, ended_by_us: bool = False, from_outside: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.ended_by_us = ended_by_us
        self.from_outside = from_outside


class Overdue:
    """How long an answer has been waited for, in the watchdog's own time.

    Args:
        limit_s: when it is overdue; None goes by the host's signs of life.
    """

    def __init__(self, limit_s: float | None) -> None:
        self.limit_s = limit_s
        self.waited_s = 0.0
        self.worked_s: float | None = None
        """What ``worked_s`` of the host was when the watchdog saw this first."""
        self.allowed_s = SILENCE_S if limit_s is None else limit_s


class HostProcess:
    """A host; asked by one thread at a time.

    Args:
        role: what it does, see ``child.ROLES``.
        memory: bytes of its own that it may have; 0 is no limit.
        command: what starts it in place of this interpreter; tests bring their own.

    Attributes:
        notice: called when somebody begins to wait for it; must not block.
        ready: it has imported what it needs.
        left_s: seconds until it is ended on purpose; None where it is not to be.
        waiting: how long somebody has waited for it; None where nobody does.
    """

    def __init__(
        self,
        role: str,
        *,
        memory: int = 0,
        command: Sequence[str] | None = None,
    ) -> None:
        self.role = role
        self.ready = False
        self.waiting: Overdue | None = None
        self.left_s: float | None = None
        self.notice: Callable[[], object] = lambda: None
        self._memory = memory
        self._greeted = False
        self._count = 0
        self._why: str | None = None
        self._on_purpose = self._from_outside = False
        self._asking = threading.Lock()
        self._buried = False
        self.arena = Arena.make()
        self._errors = tempfile.TemporaryFile(prefix="twinlens-")  # noqa: SIM115
        handle = self.arena.handle if self.arena else ""
        settings = HostSettings(role, os.getpid(), handle, memory)
        own = {} if sys.platform == "win32" else {"process_group": 0}
        try:
            self._process = subprocess.Popen(
                [*(command or host_command()), settings.text()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                pass_fds=self.arena.inherited if self.arena else (),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                **own,  # type: ignore[call-overload]
            )
        except OSError:
            self._let_go()
            raise
        self._wire = Wire(*(_detached(p) for p in (self._process.stdout, self._process.stdin)))

    @property
    def pid(self) -> int:
        """Its process."""
        return int(self._process.pid)

    @property
    def alive(self) -> bool:
        """Whether it runs, and is to go on."""
        return self._why is None and self._process.poll() is None

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    @property
    def busy(self) -> bool:
        """Whether somebody waits for it."""
        return self._asking.locked()

    @property
    def greeted(self) -> bool:
        """Whether somebody has heard it begin."""
        return self._greeted

    def written(self) -> int:
        """How many bytes it has written on standard error; raises OSError, ValueError."""
        return os.fstat(self._errors.fileno()).st_size

    def wrote(self, since: int) -> str:
        """What it has written there after so many bytes; not on Windows.

        Its place in the file is the host's as well, and stays where it is.
        """
        try:
            return os.pread(self._errors.fileno(), _MOST_WRITTEN, since).decode(errors="replace")
        except (OSError, ValueError):  # it was buried
            return ""

    def ask(
        self,
        op: str,
        fields: Mapping[str, Any] | None = None,
        payload: bytes | memoryview = b"",
        *,
        limit_s: float | None = None,
    ) -> tuple[Record, bytearray]:
        """Ask, and wait for the answer.

        Args:
            op: what is asked.
            fields: more of the request.
            payload: bytes that go with it.
            limit_s: after how long the watchdog ends the host; None as long as it shows life.

        Raises:
            HostGoneError: it ended.
            TwinlensError: what it answered instead.
        """
        with self._asking:
            self._check_there()
            self._count += 1
            self.waiting = Overdue(limit_s)
            if not self._greeted:
                self.waiting.allowed_s = START_S
            self.notice()
            try:
                with contextlib.suppress(OSError):  # it has ended: the answer says so
                    self._wire.send({"n": self._count, "op": op, **(fields or {})}, payload)
                return self._answer(self._count)
            finally:
                self.waiting = None

    def wait_ready(self) -> None:
        """Wait until it has imported what it needs; raises HostGoneError."""
        with self._asking:
            self._check_there()
            self.waiting = Overdue(None)
            if not self._greeted:
                self.waiting.allowed_s = START_S
            self.notice()
            try:
                while not self.ready:
                    self._hear()
            finally:
                self.waiting = None

    def tell(self, op: str) -> None:
        """Say something that has no answer; from any thread, also while another one asks."""
        with contextlib.suppress(OSError, ValueError):  # it has ended
            self._wire.send({"op": op})

    def end_soon(self, within_s: float) -> None:
        """Have the watchdog end it by then; from any thread, returns at once."""
        if self.left_s is None:
            self.left_s = within_s
            self.notice()

    def end(self, why: str = "", *, on_purpose: bool = False) -> None:
        """End it; from any thread, returns at once. Whoever waits for it hears why."""
        if self._why is None:
            self._on_purpose = on_purpose
            self._why = why
        with contextlib.suppress(OSError):
            self._process.kill()

    def bury(self, within_s: float = 0.0) -> bool:
        """Take notice of its end, and free what it leaves; False where it has not ended yet."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        if not self._asking.acquire(blocking=False):
            return False
        try:
            if self._why is None:  # it ended while nobody asked: whoever asks next hears how
                self._why = self._words()
            self._buried = True
            self._wire.close()
            self._let_go()
        finally:
            self._asking.release()
        return True

    def _check_there(self) -> None:
        if self._buried:
            raise self._gone()

    def _gone(self) -> HostGoneError:
        return HostGoneError(
            self._words(), ended_by_us=self._on_purpose, from_outside=self._from_outside
        )

    def _answer(self, number: int) -> tuple[Record, bytearray]:
        while True:
            record, payload = self._hear()
            if record.get("n") != number:
                continue
            if "error" in record:
                # late: the first host is started before anything large is imported
                from twinlens.app.core.hosts.records import error_of

                raise error_of(field(record, "error", dict))
            return field(record, "done", dict), payload

    def _hear(self) -> tuple[Record, bytearray]:
        """The next message; what says that it lives is taken note of."""
        try:
            message = self._wire.receive()
            if message is None:
                raise self._gone()
            record = message[0]
            if "hello" in record:
                if record["hello"] != VERSION:
                    raise MessageError(f"version {record['hello']!r}, expected {VERSION}")
                self._greeted = True
            self.ready = self.ready or "ready" in record
        except MessageError as why:
            self.end(f"answered what nobody understands: {why}")
            raise HostGoneError(self._words()) from why
        waiting = self.waiting
        if waiting is not None and waiting.limit_s is None:
            waiting.waited_s, waiting.allowed_s, waiting.worked_s = 0.0, SILENCE_S, None
        elif waiting is not None and "hello" in record:
            waiting.waited_s, waiting.allowed_s = 0.0, waiting.limit_s or SILENCE_S
        return message

    def _words(self) -> str:
        """Why it ended, in words for a person."""
        if self._why is not None:
            return self._why
        try:
            code = self._process.wait(_ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.end("closed its answers")
            return "closed its answers"
        last = self._last_words()
        # It has gone by itself: whoever keeps reports writes one.
        _log.info("host of %s ended with status %d", self.role, code, extra=CRASH)
        if code >= 0:
            return f"ended with status {code}" + (f": {last}" if last else "")
        self._from_outside = -code in _FROM_OUTSIDE
        if -code == getattr(signal, "SIGKILL", 9):
            return "was killed, perhaps by the system for want of memory"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"was ended by {name}" + (f": {last}" if last else "")

    def _last_words(self) -> str:
        """What it wrote on standard error at last, without Python's stack."""
        try:
            size = self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, size - 8192))
            text = self._errors.read().decode(errors="replace")
        except (OSError, ValueError):
            return ""
        if text.strip():
            _log.info("last words of host %d:\n%s", self.pid, text.rstrip())
        # What faulthandler writes comes after what the fault itself said, if that said anything.
        lines = text.partition("Fatal Python error")[0].splitlines()
        # Somebody may have asked it for its stacks before.
        said = [line.strip() for line in lines if line.strip() and not line.startswith(_STACK)]
        return said[-1][:_WORDS] if said else ""

    def _let_go(self) -> None:
        self._errors.close()
        if self.arena is not None:
            self.arena.close()


def worked_s(pid: int) -> float | None:
    """Seconds that a process has computed or waited for a processor; None where nobody knows."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            ticks = file.read().rpartition(")")[2].split()[11:13]
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:  # noqa: PTH123
            waited_ns = int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") + waited_ns / 1e9


def host_command() -> list[str]:
    """What starts a host: this interpreter, or this program where it is frozen."""
    if getattr(sys, "frozen", False):
        return [sys.executable, FROZEN_FLAG]
    # -P: what lies in the folder that one happens to be in is not imported.
    return [sys.executable, "-P", "-m", "twinlens.app.core.hosts.child"]


def memory_limit() -> int:
    """Bytes that a host may have of its own: three quarters of what the machine has; 0 unknown."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
    with contextlib.suppress(OSError, ValueError), open("/sys/fs/cgroup/memory.max") as file:  # noqa: PTH123
        whole = min(whole, int(file.read()))
    return whole * 3 // 4


def _detached(pipe: Any) -> int:
    """A pipe's descriptor, which from now on is the caller's."""
    fd = os.dup(pipe.fileno())
    pipe.close()
    return fd
