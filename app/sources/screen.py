"""A part of the screen."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np

from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.app.sources.pacing import Pacer
from twinlens.engine.errors import SourceError
from twinlens.engine.image import PixelBuffer, PixelFormat

_FPS = 30.0


class ScreenRegion:
    """Screen pixels, BGRA.

    Args:
        region: (x, y, width, height) in screen pixels; None is the whole main screen.
        pacer: clock and sleep.
    """

    def __init__(
        self, region: tuple[int, int, int, int] | None = None, *, pacer: Pacer | None = None
    ) -> None:
        if region is not None and min(region[2:]) < 1:
            raise SourceError(f"screen region {region}: width and height must be at least 1")
        self.title = "Screen" if region is None else "Screen, {2}×{3} at {0}, {1}".format(*region)
        self._region = region
        self._pacer = pacer or Pacer()
        self._grabber: Any = None
        self._index = 0

    def open(self) -> SourceInfo:
        """Take a first picture.

        Raises:
            SourceError: the screen cannot be read here (no display, Wayland, no permission).
        """
        from mss import MSS
        from mss.exception import ScreenShotError

        if sys.platform.startswith("linux") and os.environ.get("WAYLAND_DISPLAY"):
            # Through XWayland the picture would be black, without an error.
            raise SourceError(
                "the screen cannot be read here: Wayland does not let programs see it",
                hint="Log in to an X11 session, or choose another source.",
            )
        try:
            # The grabber belongs to the thread that makes it, which is the capture thread.
            self._grabber = MSS()
            buffer = self._grab()
        except (ScreenShotError, OSError) as error:
            self.close()
            raise SourceError(
                f"the screen cannot be read here ({error})",
                hint="It needs X11, Windows, or macOS with screen recording allowed.",
            ) from error
        return SourceInfo(
            kind="screen",
            title=self.title,
            width=buffer.width,
            height=buffer.height,
            fps=_FPS,
            live=True,
        )

    def read(self) -> Frame | None:
        """Next picture of the screen, when it is due; None when interrupted.

        Raises:
            SourceError: the screen can no longer be read.
        """
        from mss.exception import ScreenShotError

        if self._grabber is None:
            return None
        position_s = self._index / _FPS
        if self._pacer.late_s(position_s) > 1 / _FPS:
            self._pacer.restart()
        self._pacer.wait_for(position_s)
        if self._pacer.interrupted():
            return None
        try:
            buffer = self._grab()
        except ScreenShotError as error:
            raise SourceError(f"the screen can no longer be read ({error})") from error
        frame = Frame(buffer, self._index, buffer.timestamp_s, position_s)
        self._index += 1
        return frame

    def _grab(self) -> PixelBuffer:
        if self._region is None:
            area = self._grabber.monitors[1]
        else:
            area = dict(zip(("left", "top", "width", "height"), self._region, strict=True))
        shot = self._grabber.grab(area)
        pixels = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
        return PixelBuffer.from_array(pixels, PixelFormat.BGRA8, timestamp_s=time.perf_counter())

    def interrupt(self) -> None:
        """Make a waiting ``read`` return."""
        self._pacer.interrupt()

    def close(self) -> None:
        """Let go of the screen."""
        if self._grabber is not None:
            self._grabber.close()
            self._grabber = None
