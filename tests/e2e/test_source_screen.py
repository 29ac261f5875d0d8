"""The screen as a source, on an X11 display of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from helpers.displays import xvfb
from twinlens.app.sources import open_source
from twinlens.engine.errors import SourceError
from twinlens.engine.image import PixelFormat


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with xvfb("320x200x24", "-wr") as environ:
        monkeypatch.setenv("DISPLAY", environ["DISPLAY"])
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        yield


@pytest.mark.usefixtures("display")
def test_a_region_of_the_screen_comes_as_it_is() -> None:
    source = open_source("screen:10,20,64,48")
    info = source.open()
    frames = [source.read() for _ in range(2)]
    source.close()
    assert (info.kind, info.width, info.height, info.live) == ("screen", 64, 48, True)
    for index, frame in enumerate(frames):
        assert frame is not None
        assert frame.index == index
        assert frame.buffer.format is PixelFormat.BGRA8
        np.testing.assert_array_equal(frame.buffer.to_bgr(), 255)  # -wr: a white root window


@pytest.mark.usefixtures("display")
def test_the_whole_screen_is_the_default() -> None:
    source = open_source("screen")
    info = source.open()
    source.interrupt()
    assert source.read() is None
    source.close()
    source.close()
    assert (info.width, info.height) == (320, 200)


@pytest.mark.usefixtures("display")
def test_a_region_beyond_the_screen_is_told() -> None:
    with pytest.raises(SourceError, match="screen cannot be read"):
        open_source("screen:5000,0,64,48").open()


def test_wayland_is_told_instead_of_showing_black(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(SourceError, match="Wayland") as caught:
        open_source("screen").open()
    assert caught.value.hint
