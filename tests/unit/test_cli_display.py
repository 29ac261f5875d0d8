"""Whether a window can be shown is found out without starting Qt."""

from __future__ import annotations

import socket
from pathlib import Path

from twinlens.app.commands.display import no_window_reason


def refuse(name: str) -> object:
    raise OSError(name)


def test_no_display_is_named() -> None:
    reason = no_window_reason({}, "linux")
    assert reason is not None
    assert "DISPLAY" in reason


def test_display_that_does_not_answer_is_named() -> None:
    reason = no_window_reason({"DISPLAY": ":7345"}, "linux")
    assert reason is not None
    assert ":7345" in reason


def test_display_of_another_form_is_named() -> None:
    reason = no_window_reason({"DISPLAY": "nonsense"}, "linux")
    assert reason is not None
    assert "nonsense" in reason


def test_wayland_socket_that_answers_is_a_display(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "wayland-9"))
        server.listen()
        environ = {"WAYLAND_DISPLAY": "wayland-9", "XDG_RUNTIME_DIR": str(tmp_path)}
        assert no_window_reason(environ, "linux", load_library=refuse) is None


def test_system_packages_that_lack_are_named() -> None:
    with socket.socket(socket.AF_INET) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        number = server.getsockname()[1] - 6000
        environ = {"DISPLAY": f"127.0.0.1:{number}.0"}
        reason = no_window_reason(environ, "linux", load_library=refuse)
    assert reason is not None
    assert "libxcb-cursor0" in reason


def test_chosen_platform_needs_no_display() -> None:
    assert no_window_reason({"QT_QPA_PLATFORM": "offscreen"}, "linux") is None
