"""Clearing what OpenCV sets for its own Qt."""

from __future__ import annotations

import pytest

from twinlens.app.qt.environment import prepare

NAMES = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")


def test_paths_into_opencv_are_cleared_and_the_rest_stays() -> None:
    environ = {
        "QT_QPA_PLATFORM_PLUGIN_PATH": "/env/lib/python3/site-packages/cv2/qt/plugins",
        "QT_QPA_FONTDIR": "/env/lib/python3/site-packages/cv2/qt/fonts",
        "QT_QPA_PLATFORM": "wayland",
        "DISPLAY": ":0",
    }
    prepare(environ)
    assert environ == {"QT_QPA_PLATFORM": "wayland", "DISPLAY": ":0"}


@pytest.mark.parametrize("path", ["/opt/qt6/plugins", "/home/me/cv2-notes/plugins", ""])
def test_somebody_elses_choice_stays(path: str) -> None:
    environ = dict.fromkeys(NAMES, path)
    prepare(environ)
    assert environ == dict.fromkeys(NAMES, path)


def test_nothing_set_is_nothing_to_do() -> None:
    environ: dict[str, str] = {}
    prepare(environ)
    assert environ == {}
