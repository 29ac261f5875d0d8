"""Puts a report together, and keeps those of faults in the user's state folder."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from twinlens.app.core.addresses import scheme_of
from twinlens.app.core.diagnostics.cleaning import Cleaner, of_this_machine
from twinlens.app.core.diagnostics.record import RECORD, Entry, Record
from twinlens.app.core.diagnostics.stacks import reduced, thread_stacks
from twinlens.app.core.hosts.process import HostProcess
from twinlens.app.core.hosts.stacks import ask_stacks
from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.session.events import SessionState, Stats
from twinlens.app.core.settings import Settings
from twinlens.models.catalog.cards import cards

_log = logging.getLogger(__name__)

MOST_KEPT = 5
PACKAGES = (
    "twinlens",
    "numpy",
    "onnxruntime",
    "PySide6",
    "av",
    "llvmlite",
    "wgpu",
    "opencv-python",
    "onnx",
)
_PLAIN_SETTINGS = (
    "engine",
    "auto_engine",
    "camera_width",
    "camera_height",
    "camera_fps",
    "smoothing",
    "threshold",
    "mirror",
    "crop",
    "theme",
    "board",
    "top5",
    "threads",
)
_KINDS = ("camera", "screen", "drawing", "clip")
_PREFIX = "report-"


@dataclass(frozen=True)
class Live:
    """What runs, as far as there is something.

    Attributes:
        settings: what a person chose.
        engines: all engines, usable or not.
        state: of the session.
        stats: of the session.
        hosts: processes that engines and sources run in.
    """

    settings: Settings | None = None
    engines: Sequence[EngineChoice] = ()
    state: SessionState | None = None
    stats: Stats | None = None
    hosts: Sequence[HostProcess] = ()


def compose(live: Live, record: Record = RECORD) -> str:
    """The whole report, cleaned. Waits up to half a second for hosts; not for the window's thread.

    What cannot be told is said so, and takes nothing else with it.
    """
    public = {word for card in cards() for word in (card.id, card.title)}
    private = {word for word in (*record.names(), *_private(live)) if word not in public}
    clean = of_this_machine(private)
    parts: tuple[tuple[str, Callable[[], list[str]]], ...] = (
        ("Versions", _versions),
        ("Engines", lambda: [clean(line) for line in _engines(live)]),
        ("Settings", lambda: [clean(line) for line in _settings(live.settings)]),
        ("Figures", lambda: [clean(line) for line in _figures(live)]),
        ("Last events", lambda: _events(record, clean)),
        ("Stacks of this process", lambda: _stacks(clean)),
        ("Stacks of hosts", lambda: _host_stacks(live.hosts, clean)),
    )
    lines = ["Twinlens diagnostics. Paths, names, addresses and passwords are left out."]
    for title, part in parts:
        try:
            told = part()
        except Exception as why:  # noqa: BLE001 - told while something is broken
            told = [f"cannot be told: {type(why).__name__}"]
        lines += ["", f"## {title}", *(told or ["none"])]
    return "\n".join(lines) + "\n"


# --- parts -------------------------------------------------------------------------------------


def _versions() -> list[str]:
    release = re.match(r"\d+(?:\.\d+)*", platform.release())
    system = f"{platform.system()} {release[0] if release else ''}".strip()
    return [
        f"{platform.python_implementation()} {platform.python_version()}",
        f"{system}, {platform.machine()}, {os.cpu_count()} processors",
        *(f"{name} {_version(name)}" for name in PACKAGES),
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _engines(live: Live) -> list[str]:
    lines = [
        f"{engine.id}: " + (engine.reason or f"computes in {', '.join(engine.precisions)}")
        for engine in live.engines
    ]
    info = live.state.info if live.state is not None else None
    if info is not None:
        shape = "×".join(map(str, info.input_shape))
        lines += [
            f"in use: {info.engine_id} in {info.precision}, {info.threads} threads, "
            f"tensor {shape}, {info.output_width} outputs, "
            f"{len(info.fallbacks)} layers without a kernel",
            f"runs on {info.detail}",
        ]
    return lines


def _settings(settings: Settings | None) -> list[str]:
    if settings is None:
        return []
    lines = [f"{name}: {getattr(settings, name)}" for name in _PLAIN_SETTINGS]
    lines += [f"precision of {engine}: {asked}" for engine, asked in settings.precisions.items()]
    return [
        *lines,
        f"adapter: {'chosen' if settings.adapter else 'the best'}",
        f"calibration: {source_kind(settings.calibration) if settings.calibration else 'clip'}",
        f"model: {_model_kind(settings.model)}",
        f"source: {source_kind(settings.source)}",
        f"meanwhile: {source_kind(settings.meanwhile or 'clip')}",
    ]


def source_kind(text: str) -> str:
    """A source in its text form, without what is a person's in it."""
    front = text.partition(":")[0]
    if front in _KINDS:
        return front
    scheme = scheme_of(text)
    if scheme:
        return f"address {scheme}" if len(scheme) < 6 else "address"
    return "file or folder"


def _model_kind(text: str) -> str:
    if not text:
        return "the default"
    if any(text == card.id for card in cards()):
        return text
    ending = Path(text).suffix.lower()
    return f"own, {ending}" if re.fullmatch(r"\.[a-z0-9]{2,11}", ending) else "own"


def _figures(live: Live) -> list[str]:
    lines = [f"memory of this process: {_memory(os.getpid())}"]
    lines += [f"host of {host.role}: {_host_figures(host)}" for host in live.hosts]
    if live.stats is not None:
        for entry in fields(live.stats):
            value = getattr(live.stats, entry.name)
            lines.append(f"{entry.name}: {round(value, 2)}")
    state = live.state
    if state is not None:
        info = state.source_info
        if info is not None:
            lines.append(f"source: {info.kind}, {info.width}×{info.height}, {info.fps:.2f} fps")
        lines.append(
            f"paused: {state.paused}, loading: {state.loading is not None}, "
            f"source away: {state.away is not None}, picture: {state.remark or 'fine'}"
        )
    return lines


def _host_figures(host: HostProcess) -> str:
    if not host.running:
        return "has ended"
    return f"memory {_memory(host.pid)}" + (", is asked" if host.busy else "")


def _memory(pid: int) -> str:
    """Resident memory of a process; Linux alone tells that of another one."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        found = re.search(r"^VmRSS:\s+(\d+) kB", text, re.M)
        if found is not None:
            return f"{int(found[1]) / 1024:.0f} MiB"
    if pid == os.getpid() and sys.platform != "win32":
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        return f"at most {most:.0f} MiB so far"
    return "not known on this system"


def _events(record: Record, clean: Cleaner) -> list[str]:
    lines: list[str] = []
    for age_s, entry in record.entries():
        first, *more = _entry_lines(entry, clean)
        lines.append(f"{age_s:8.1f} s ago  {entry.kind.lower():8} {first}")
        lines += [f"    {line}" for line in (*more, *(f"at {frame}" for frame in entry.frames))]
    return lines


def _entry_lines(entry: Entry, clean: Cleaner) -> list[str]:
    """An event's text: stacks in it are reduced, the rest is cleaned."""
    lines: list[str] = []
    for line in entry.text.splitlines():
        stack = reduced([line])
        lines += stack or [clean(line)]
    return lines or [""]


def _stacks(clean: Cleaner) -> list[str]:
    lines: list[str] = []
    for name, frames in thread_stacks():
        lines += [clean(name), *(f"  {frame}" for frame in frames)]
    return lines


def _host_stacks(hosts: Sequence[HostProcess], clean: Cleaner) -> list[str]:
    del clean  # there is nothing in them but modules and functions
    lines: list[str] = []
    for host, told in zip(hosts, ask_stacks(hosts), strict=True):
        lines.append(f"host of {host.role}")
        if isinstance(told, str):
            lines.append(f"  {told}")
        else:
            lines += [f"  {line}" for line in reduced(told)]
    return lines


def _private(live: Live) -> list[str]:
    """What is known to be a person's: names of their files, addresses, titles."""
    words: list[str] = []
    settings, state = live.settings, live.state
    if settings is not None:
        chosen = (settings.model, settings.source, settings.meanwhile, settings.calibration)
        texts = (*chosen, *settings.recent_models, *settings.recent_sources)
        words += [text for text in texts if "/" in text or "\\" in text]
    if state is not None:
        words += _titles(state)
    return words


def _titles(state: SessionState) -> list[str]:
    """What model and source are called."""
    network, info = state.network, state.source_info
    words = [network.spec.title, network.spec.id]
    words += [] if network.path is None else [str(network.path)]
    if info is not None and info.kind not in ("clip", "screen", "drawing"):
        words.append(info.title)
    return words


# --- files -------------------------------------------------------------------------------------


def reports_folder() -> Path:
    """Where reports of faults are kept; ``TWINLENS_REPORTS`` names another folder."""
    named = os.environ.get("TWINLENS_REPORTS")
    if named:
        return Path(named)
    # late: only what failed needs it
    from platformdirs import user_state_path

    return user_state_path("twinlens", appauthor=False) / "reports"


def kept_reports(folder: Path | None = None) -> list[Path]:
    """The reports that are kept, oldest first."""
    return sorted((folder or reports_folder()).glob(f"{_PREFIX}*.txt"))


def keep(text: str, folder: Path | None = None) -> Path:
    """Keep a report in a file of its own, and the newest ``MOST_KEPT`` alone.

    Raises:
        OSError: the folder does not take it.
    """
    folder = folder or reports_folder()
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = folder / f"{_PREFIX}{stamp}-{time.time_ns() % 10**9:09d}.txt"
    path.write_text(text, encoding="utf-8")
    for old in kept_reports(folder)[:-MOST_KEPT]:
        with contextlib.suppress(OSError):  # another window has removed it
            old.unlink()
    return path


def keep_fault(live: Live | None = None) -> Path:
    """Write the report of a fault that has just been recorded; raises OSError."""
    path = keep(compose(live or Live()))
    _log.info("a report of it is kept")
    return path
