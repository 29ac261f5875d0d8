"""Diagnostics: what is in them, what is not, and where those of faults are kept."""

from __future__ import annotations

import getpass
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.hosted import hosts, picture, small, until
from twinlens.app.core.diagnostics.record import MOST_EVENTS, MOST_REPORTS, Record
from twinlens.app.core.diagnostics.report import (
    MOST_KEPT,
    PACKAGES,
    Live,
    compose,
    keep,
    kept_reports,
    source_kind,
)
from twinlens.app.core.diagnostics.stacks import module_path, reduced
from twinlens.app.core.hosts.process import HostProcess, Overdue
from twinlens.app.core.hosts.stacks import ask_stacks
from twinlens.app.core.session.engines import EngineChoice
from twinlens.app.core.settings import Settings
from twinlens.engine.api.protocol import EngineOptions

posix = pytest.mark.skipif(sys.platform == "win32", reason="hosts are asked by a signal of POSIX")
log = logging.getLogger("twinlens.test")


@pytest.fixture
def record() -> Iterator[Record]:
    """One that hears, and does nothing about faults."""
    made = Record()
    made.begin(lambda: None)
    yield made
    made.end()


def part_of(report: str, title: str) -> list[str]:
    lines = report.splitlines()
    start = lines.index(f"## {title}") + 1
    return lines[start : lines.index("", start) if "" in lines[start:] else None]


# --- what is in it -----------------------------------------------------------------------------


def test_versions_are_told_without_importing_what_has_them() -> None:
    code = (
        "import sys\n"
        "from twinlens.app.core.diagnostics.report import Live, compose\n"
        "print(compose(Live()))\n"
        "print([n for n in ('onnxruntime', 'PySide6', 'av', 'llvmlite', 'wgpu', 'cv2')"
        " if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = part_of(done.stdout, "Versions")
    assert [line.split()[0] for line in told[2:]] == list(PACKAGES)
    assert f"numpy {np.__version__}" in told
    assert done.stdout.splitlines()[-1] == "[]"


def test_settings_are_told_without_what_is_a_persons() -> None:
    settings = Settings(
        engine="vision",
        model="/srv/zq models/zq-secret.onnx",
        source="rtsp://zquser:zqpass@zqcam.lan/1",
        meanwhile="/srv/zq holiday.mp4",
        calibration="C:\\zq\\clip.mp4",
        adapter="zq card",
        recent_models=("/srv/zq old.onnx",),
        precisions={"layers-cpu": "int8"},
        window_geometry="zq",
    )
    report = compose(Live(settings, [EngineChoice("vision", "Vision", None)]), Record())
    assert "zq" not in report
    told = part_of(report, "Settings")
    assert {"engine: vision", "model: own, .onnx", "source: address rtsp"} <= set(told)
    assert {"precision of layers-cpu: int8", "adapter: chosen"} <= set(told)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("camera:zq", "camera"),
        ("screen:1,2,3,4", "screen"),
        ("https://zq/zq", "address https"),
        ("secretscheme://zq", "address"),
        ("zq.mp4", "file or folder"),
        ("clip", "clip"),
    ],
)
def test_a_source_is_told_by_its_kind(text: str, kind: str) -> None:
    assert source_kind(text) == kind


def test_who_uses_the_machine_and_what_it_is_called_is_not_told(record: Record) -> None:
    for word in (getpass.getuser(), socket.gethostname(), str(Path.home()), str(Path.cwd())):
        if len(word) > 4 or "/" in word:
            log.warning("seen: %s there", word)
    report = compose(Live(), record)
    events = part_of(report, "Last events")
    assert len(events) >= 2
    assert all("seen: <" in line for line in events), events


def test_words_that_the_session_has_told_are_left_out(record: Record) -> None:
    record.add("session", "LoadFailed vision: Zaphod is too large", names=["Zaphod"])
    log.info("ZAPHOD on vision: its host was killed")
    report = compose(Live(), record)
    assert "zaphod" not in report.lower()
    assert "<name> is too large" in report


def test_what_cannot_be_told_takes_nothing_else_with_it() -> None:
    report = compose(Live(stats=object()), Record())  # type: ignore[arg-type]
    assert part_of(report, "Figures") == ["cannot be told: TypeError"]
    assert part_of(report, "Versions")
    assert part_of(report, "Stacks of hosts") == ["none"]


# --- events ------------------------------------------------------------------------------------


def test_events_have_ages_and_are_bounded() -> None:
    now_s = [100.0]
    record = Record(lambda: now_s[0])
    for number in range(MOST_EVENTS + 5):
        record.add("session", f"event {number}")
    now_s[0] = 112.5
    entries = record.entries()
    assert len(entries) == MOST_EVENTS
    assert entries[0][1].text == "event 5"
    assert {age_s for age_s, _ in entries} == {12.5}
    assert "12.5 s ago  session  event 204" in compose(Live(), record)


def test_an_error_is_told_with_its_stack_and_its_cause(record: Record) -> None:
    try:
        try:
            raise OSError(2, "No such file", "/srv/zq/zq cat.onnx")
        except OSError as why:
            raise ValueError("not read") from why
    except ValueError:
        log.exception("it failed")
    report = compose(Live(), record)
    assert "it failed: ValueError: not read" in report
    assert "from FileNotFoundError" in report
    assert "zq" not in report
    assert "    at <other>" in report, "a test's file is none of Twinlens"


def test_what_the_interpreter_would_print_is_still_printed() -> None:
    code = (
        "import logging\n"
        "from twinlens.app.core.diagnostics.record import Record\n"
        "record = Record(); record.begin(lambda: None)\n"
        "log = logging.getLogger('twinlens.x')\n"
        "log.info('quiet'); log.warning('loud')\n"
        "record.end(); log.info('quiet'); log.warning('again')\n"
        "assert [e.text for _, e in record.entries()] == ['quiet', 'loud']\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["loud", "again"]


# --- faults ------------------------------------------------------------------------------------


def fail(text: str, error: Exception) -> None:
    try:
        raise error
    except type(error):
        log.exception(text)


def test_each_kind_of_fault_is_written_once(tmp_path: Path) -> None:
    record = Record()
    written: list[str] = []
    record.begin(lambda: written.append(keep(compose(Live(), record), tmp_path).name))
    try:
        fail("one", KeyError("surprise"))
        until(lambda: len(written) == 1)
        fail("one", KeyError("again"))
        log.error("no error goes with it")
        fail("two", ValueError("other"))
        until(lambda: len(written) == 2)
    finally:
        record.end()
    fail("three", RuntimeError("nobody hears it"))
    assert [path.name for path in kept_reports(tmp_path)] == written
    assert "KeyError: 'surprise'" in kept_reports(tmp_path)[0].read_text(encoding="utf-8")


def test_a_flood_of_faults_writes_few(tmp_path: Path) -> None:
    record = Record()
    asked: list[int] = []
    record.begin(lambda: asked.append(1))
    try:
        for number in range(3 * MOST_REPORTS):
            kind = type(f"Error{number}", (Exception,), {})
            fail("flood", kind())
        until(lambda: len(asked) == MOST_REPORTS)
    finally:
        record.end()
    assert len(asked) == MOST_REPORTS


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_no_worker_is_reported_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    record = Record()
    asked: list[int] = []
    record.begin(lambda: asked.append(1))

    def end() -> None:
        raise KeyError("surprise")

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    until(lambda: bool(asked))
    record.end()
    assert len(shown) == 1, "what printed it before still does"
    assert threading.excepthook == shown.append
    assert record.entries()[-1][1].text.startswith("a thread ended by an error: KeyError")


def test_a_report_that_cannot_be_written_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    record = Record()
    record.begin(lambda: keep("text", blocked))
    try:
        fail("one", KeyError("surprise"))
        until(lambda: any("no report was written" in r.message for r in caplog.records))
    finally:
        record.end()


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    other = tmp_path / "reports" / "notes.txt"
    paths = [keep(f"{number}", tmp_path / "reports") for number in range(MOST_KEPT + 3)]
    other.write_text("mine")
    keep("last", tmp_path / "reports")
    kept = kept_reports(tmp_path / "reports")
    assert [path.read_text() for path in kept] == ["4", "5", "6", "7", "last"]
    assert not paths[0].exists()
    assert other.exists()


def test_a_command_that_fails_by_our_fault_leaves_a_report(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from twinlens.app import cli\n"
        "def main(argv=None):\n"
        "    raise KeyError('surprise')\n"
        "cli.main = main\n"
        "sys.argv = ['twinlens', 'doctor']\n"
        "cli.entry()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TWINLENS_REPORTS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "KeyError: 'surprise'" in done.stderr
    (path,) = kept_reports(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "the command ended by an error: KeyError: 'surprise'" in text
    assert "at twinlens/app/cli.py:" in text


# --- stacks ------------------------------------------------------------------------------------


def test_files_are_named_by_module() -> None:
    assert module_path(threading.__file__) == "threading.py"
    assert module_path(str(Path(np.__file__))).startswith("numpy/")
    assert module_path(module_path.__code__.co_filename) == (
        "twinlens/app/core/diagnostics/stacks.py"
    )
    assert module_path("/home/zq/twinlens/app/x.py") == "<other>"
    assert module_path("C:\\zq\\Lib\\site-packages\\av\\x.py") == "av/x.py"
    assert reduced(["zq", '  File "/home/zq/x.py", line 3 in act', "Thread 0x00 is zq"]) == [
        "  <other>"
    ]


def test_every_thread_is_told() -> None:
    go = threading.Event()
    thread = threading.Thread(target=go.wait, name="twinlens-waits")
    thread.start()
    try:
        told = part_of(compose(Live(), Record()), "Stacks of this process")
    finally:
        go.set()
        thread.join()
    at = told.index("twinlens-waits")
    assert told[at + 1].startswith("  threading.py:")


@posix
def test_a_live_host_tells_its_stacks_and_answers_on() -> None:
    with hosts() as owner:
        runner = owner.load(small(), "layers-cpu", EngineOptions())
        before = runner.run(picture())
        (host,) = owner.keeper.hosts
        told = part_of(compose(Live(hosts=owner.keeper.hosts), Record()), "Stacks of hosts")
        assert told[0] == "host of engines"
        assert any("twinlens/app/core/hosts/child.py" in line for line in told)
        assert any("twinlens/app/core/hosts/messages.py" in line for line in told)
        assert any(line.strip().startswith("thread") for line in told)
        for _ in range(3):  # what it wrote before is not told again
            (again,) = ask_stacks([host])
            assert isinstance(again, list)
            assert len([line for line in again if line.startswith("Current thread")]) == 1
        np.testing.assert_array_equal(runner.run(picture()), before)
        figures = part_of(compose(Live(hosts=[host]), Record()), "Figures")
        assert figures[1].startswith("host of engines: memory ")
        runner.close()


@posix
def test_a_host_that_stands_still_is_said_to_and_others_are_told() -> None:
    with hosts() as owner:
        first = owner.load(small(), "layers-cpu", EngineOptions())
        second = owner.load(small(), "layers-cpu", EngineOptions())
        one, two = owner.keeper.hosts
        os.kill(one.pid, signal.SIGSTOP)
        told = ask_stacks([one, two], 0.4)
        assert told[0] == "did not answer within 0.4 s"
        assert isinstance(told[1], list)
        os.kill(one.pid, signal.SIGCONT)
        assert first.run(picture()) is not None
        first.close()
        second.close()
        until(lambda: not one.running)
        assert ask_stacks([one]) == ["has ended"]


@posix
def test_a_host_that_has_not_begun_is_not_ended_by_being_asked() -> None:
    host = HostProcess("engines", command=[sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert ask_stacks([host], 0.1) == ["has not begun to listen"]
        assert host.alive
    finally:
        host.end(on_purpose=True)
        assert host.bury(5.0)


@posix
def test_stacks_that_were_asked_for_are_not_a_hosts_last_words() -> None:
    with hosts() as owner:
        runner = owner.load(small(), "layers-cpu", EngineOptions())
        (host,) = owner.keeper.hosts
        assert isinstance(ask_stacks([host])[0], list)
        os.kill(host.pid, signal.SIGSEGV)
        with pytest.raises(Exception, match="SIGSEGV") as caught:
            runner.run(picture())
        assert "File" not in str(caught.value)
        assert "/" not in str(caught.value)
        runner.close()


@posix
def test_the_end_of_a_host_leaves_a_report(tmp_path: Path) -> None:
    record = Record()
    with hosts() as owner:
        runner = owner.load(small(), "layers-cpu", EngineOptions())
        (host,) = owner.keeper.hosts
        record.begin(lambda: keep(compose(Live(hosts=owner.keeper.hosts), record), tmp_path))
        try:
            os.kill(host.pid, signal.SIGSEGV)
            with pytest.raises(Exception, match="SIGSEGV"):
                runner.run(picture())
            until(lambda: bool(kept_reports(tmp_path)))
        finally:
            record.end()
        runner.close()
    text = kept_reports(tmp_path)[0].read_text(encoding="utf-8")
    assert "host of engines ended with status -11" in text
    assert "Fatal Python error: Segmentation fault" in text
    assert "twinlens/app/core/hosts/messages.py" in text
    assert str(Path.home()) not in text


@posix
def test_a_host_that_hangs_tells_where_before_it_is_ended() -> None:
    record = Record()
    record.begin(lambda: None)
    try:
        with hosts() as owner:
            runner = owner.load(small(), "layers-cpu", EngineOptions())
            (host,) = owner.keeper.hosts
            host.waiting = Overdue(0.01)
            until(lambda: not host.alive)
            host.waiting = None
            runner.close()
    finally:
        record.end()
    report = compose(Live(), record)
    assert "host of engines did not answer within" in report
    assert "twinlens/app/core/hosts/messages.py" in report


def test_models_of_the_catalog_are_named_and_others_are_not(record: Record) -> None:
    record.add("session", "a", names=["twinlens-208", "Zaphod"])
    log.info("twinlens-208 and zaphod on vision")
    assert "twinlens-208 and <name> on vision" in compose(Live(), record)
