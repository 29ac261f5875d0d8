"""Starts the window."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from PySide6.QtCore import QLoggingCategory, Qt, QTimer
from PySide6.QtGui import QIcon, QImage
from PySide6.QtWidgets import QApplication

from twinlens.app.core.diagnostics.record import RECORD
from twinlens.app.core.hosts.hosts import Hosts
from twinlens.app.core.keys import taken_out
from twinlens.app.core.session.engines import SLOW_TO_ASK, engine_choices
from twinlens.app.core.session.session import Session
from twinlens.app.core.session.source import Source
from twinlens.app.core.settings import SettingsStore
from twinlens.app.core.way_out import WAY_OUT
from twinlens.app.overlays import Banner, BannerKind
from twinlens.app.qt.environment import prepare
from twinlens.app.qt.threads.bridge import Deliveries
from twinlens.app.qt.threads.surprises import Surprises
from twinlens.app.qt.window.cameras import ask_permission, camera_choices, watch_cameras
from twinlens.app.qt.window.window import MainWindow
from twinlens.app.sources import open_source
from twinlens.assets import icon_path, picture_path
from twinlens.engine.api import registry
from twinlens.engine.api.protocol import Network
from twinlens.models.identify.resolve import (
    EMBEDDED_MODEL,
    default_model,
    default_problem,
    resolve,
)

_log = logging.getLogger(__name__)
_HOSTS_WITHIN_S = 0.4
_ASK_AFTER_MS = 2500

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter, in seconds.

Each call into Qt gives the interpreter up and has to wait for it again. At Python's own 5 ms, a
thread that compiles or imports holds up one frame by ten such waits: 68 to 139 ms were measured
while the bench opens, and 69 to 80 ms at this interval.
"""


def run_window(
    source: str | None,
    model: str | None,
    engine: str | None,
    *,
    settings: SettingsStore,
    meanwhile: str | None = None,
    labels: Path | None = None,
    threads: int | None = None,
    precision: str | None = None,
    calibration: Path | None = None,
    adapter: str | None = None,
    output_name: str = "",
    output_kind: str = "",
    hosts: Hosts | None = None,
) -> int:
    """Show the window until it is closed; returns the exit status.

    Args:
        source: source text; None means the remembered one.
        model: catalog name or path; None means the remembered one.
        engine: engine id; None means the remembered one.
        settings: where settings are remembered.
        meanwhile: source text of what plays while the source is away; None is the remembered one.
        labels: label file for ``model``.
        threads: compute threads; None keeps the remembered number.
        precision: of the engine that starts; None means the remembered one.
        calibration: a video or folder of pictures; None means the remembered one.
        adapter: words of a GPU adapter; None means the remembered one.
        output_name: the output of ``model`` that classifies; empty for the one that is found.
        output_kind: what the outputs of ``model`` are; empty for what is found.
        hosts: where engines run; they end with the window. None runs them in this process.

    Raises:
        EngineError: there is no engine of that id, or it lacks that precision.
    """
    if engine is not None:
        registry.get_engine(engine)
    if precision is not None:
        registry.check_precision(engine or settings.load().engine, precision)
    application = make_application()
    # What is used at once is asked before; for the others the window does not wait.
    saved = settings.load()
    later = frozenset() if saved.auto_engine else SLOW_TO_ASK - {engine or saved.engine}
    asked = Asked(labels, output_name, output_kind) if model else Asked()
    window = make_window(settings, asked=asked, later=later, hosts=hosts)
    _listen(window, application)
    RECORD.begin(window.diagnose.keep)
    if threads is not None:
        window.remember(threads=threads)
    if meanwhile is not None:
        window.remember(meanwhile="" if meanwhile == "clip" else meanwhile)
    if calibration is not None:
        window.remember(calibration=str(calibration.absolute()))
    if adapter is not None:
        window.remember(adapter=adapter)
    if precision is not None:
        window.choose.start_precision(engine or window.settings.engine, precision)
    window.show()
    window.setProperty("cameras", watch_cameras(_offer_new_cameras(window), window))
    wanted = source or window.settings.source
    if wanted.startswith("camera"):
        # macOS asks the person first; refused, the camera fails to open and the clip plays.
        ask_permission(lambda _: window.start(source, model, engine), window)
    else:
        window.start(source, model, engine)
    _join(window, hosts, later)
    try:
        application.exec()
    finally:
        end(window, hosts)
        RECORD.end()
    return 0


def _join(window: MainWindow, hosts: Hosts | None, later: Collection[str]) -> None:
    """Let hosts end with the window, and ask which engines there are."""
    if hosts is None:
        if later:
            window.choose.ask_engines(engine_choices)
        return
    # What waits for one of them ends with it.
    window.leaving.connect(hosts.request_stop)
    if later:
        # A process more is no help to the first answer.
        ask = partial(window.choose.ask_engines, hosts.choices)
        QTimer.singleShot(_ASK_AFTER_MS, window, ask)


def end(window: MainWindow, hosts: Hosts | None) -> None:
    """End all that runs; what waits for a host ends with it, so they go first."""
    if hosts is not None:
        hosts.request_stop()
    window.stop()
    if hosts is not None and not hosts.stop(_HOSTS_WITHIN_S):
        _log.info("a host did not end within %s s", _HOSTS_WITHIN_S)


def _listen(window: MainWindow, application: QApplication) -> None:
    """Let signals close the window, and the process end with it."""
    calls = Deliveries(window.surprises.report, window)
    WAY_OUT.closes_by(lambda: calls.post(window.close))
    window.leaving.connect(lambda: WAY_OUT.begin(0))
    # Also out of the loop of a dialog that is open.
    window.leaving.connect(lambda: application.exit(0))
    # Qt hands on what a callback raises; the interpreter would print it.
    sys.excepthook = _shown_by(window.surprises)


def _shown_by(
    surprises: Surprises,
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    real = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            surprises.report(error)
        else:
            real(kind, error, trace)

    return hook


def make_application() -> QApplication:
    """Make the QApplication, in a way that lives with OpenCV."""
    prepare()
    sys.setswitchinterval(SWITCH_S)
    # Qt greets on standard error when it first looks for cameras; QT_LOGGING_RULES still counts.
    QLoggingCategory.setFilterRules("qt.multimedia.ffmpeg.info=false")
    QApplication.setHighDpiScaleFactorRoundingPolicy(
        Qt.HighDpiScaleFactorRoundingPolicy.PassThrough
    )
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    application.setApplicationName("Twinlens")
    application.setDesktopFileName("twinlens")
    application.setWindowIcon(QIcon(str(icon_path("twinlens"))))
    return application


@dataclass(frozen=True)
class Asked:
    """What was asked of the model at the start.

    Attributes:
        labels: label file; None for the model's own.
        output_name: the output that classifies; empty for the one that is found.
        output_kind: what the outputs are; empty for what is found.
    """

    labels: Path | None = None
    output_name: str = ""
    output_kind: str = ""


def make_window(
    settings: SettingsStore,
    *,
    asked: Asked | None = None,
    later: Collection[str] = (),
    hosts: Hosts | None = None,
) -> MainWindow:
    """Make the window with the real engines, sources and models.

    Args:
        settings: where settings are remembered.
        asked: of the model that is given; None where nothing is.
        later: ids of engines that ``choose.ask_engines`` asks afterwards.
        hosts: where engines run; None runs them in this process.
    """

    def tell(banner: Banner) -> None:
        calls.post(lambda: window.show_banner(banner))

    window = MainWindow(
        settings,
        engine_choices(later) if hosts is None else hosts.choices(later),
        lambda text: _make_source(text, window, hosts),
        lambda name: _resolve(name, asked or Asked(), tell, hosts),
        **({} if hosts is None else _in_hosts(hosts)),
    )
    calls = Deliveries(window.surprises.report, window)
    still = QImage(str(picture_path("start.jpg")))
    if not still.isNull():
        window.stage.show_image(still)
    return window


def _in_hosts(hosts: Hosts) -> dict[str, Any]:
    """How a window is made whose engines run in hosts."""
    distrust = hosts.distrust
    return {
        "make_session": partial(Session, loader=hosts.load),
        "load": hosts.measure,
        "hosts": lambda: hosts.keeper.hosts,
        "forgive": distrust.forgive if distrust is not None else lambda network: None,
    }


def _offer_new_cameras(window: MainWindow) -> Callable[[], None]:
    """Make what is called when cameras change: one that is new is offered, never taken."""
    known = {choice.text for choice in camera_choices()}

    def changed() -> None:
        nonlocal known
        choices = camera_choices()
        new = [choice for choice in choices if choice.text not in known]
        known = {choice.text for choice in choices}
        if new:
            banner = Banner(f"{new[0].name} was plugged in", new[0].detail, action="Use it")
            window.show_banner(banner, lambda: window.choose.source(new[0].text))

    return changed


def _make_source(text: str, window: MainWindow, hosts: Hosts | None) -> Source:
    chosen = window.settings
    return open_source(
        taken_out(text),
        size=(chosen.camera_width, chosen.camera_height),
        fps=float(chosen.camera_fps),
        host=None if hosts is None else hosts.source,
    )


def _resolve(
    name: str, asked: Asked, tell: Callable[[Banner], object], hosts: Hosts | None
) -> Network:
    """A model by its name, the default without one; tells why that is not the usual one."""
    problem = None if name else default_problem()
    if problem is not None:
        title = f"{EMBEDDED_MODEL} runs instead. {problem.message}"
        tell(Banner(title, problem.hint, BannerKind.WARN))
    return (resolve if hosts is None else hosts.resolve)(
        name or default_model(),
        labels=asked.labels,
        output_name=asked.output_name,
        output_kind=asked.output_kind,
    )
