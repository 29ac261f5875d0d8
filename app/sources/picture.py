"""Still pictures, and folders of them as a slide show."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path

from twinlens.app.core.session.source import SourceInfo
from twinlens.app.core.session.types import Frame
from twinlens.app.sources.pacing import Pacer
from twinlens.engine.errors import ImageError, SourceError
from twinlens.engine.image import PixelBuffer, read_image
from twinlens.models.identify.kinds import PICTURE_SUFFIXES

_FPS = 10.0
_SECONDS_A_PICTURE = 3.0
_log = logging.getLogger(__name__)


class Pictures:
    """One or more pictures.

    In real time each one stays for three seconds, ten frames a second, and the show goes round
    for ever; otherwise each one comes once.

    Args:
        paths: the pictures, in order.
        title: name that is shown.
        realtime: see above.
        pacer: clock and sleep.
    """

    goes_back = True

    def __init__(
        self,
        paths: Sequence[Path],
        title: str,
        *,
        realtime: bool = True,
        pacer: Pacer | None = None,
    ) -> None:
        self.title = title
        self._paths = list(paths)
        self._realtime = realtime
        self._pacer = pacer or Pacer()
        self._shown: PixelBuffer | None = None
        self._at = 0
        self._index = 0
        self._frames = 0  # of the picture that is shown, so far
        self._scene = 0

    def open(self) -> SourceInfo:
        """Read the first picture that can be read.

        Raises:
            SourceError: none can be read; says why for the first.
        """
        self._shown = self._load_from(0)
        width, height = self._shown.upright_size
        return SourceInfo(
            kind="image",
            title=self.title,
            width=width,
            height=height,
            fps=_FPS if self._realtime else 0.0,
            live=False,
            frames=None if self._realtime else len(self._paths),
        )

    def read(self) -> Frame | None:
        """Next frame; None at the end or when interrupted."""
        if self._shown is None or self._pacer.interrupted():
            return None
        if self._realtime:
            return self._read_show()
        if self._index and not self._advance():
            return None
        return self._frame(0.0)

    def _read_show(self) -> Frame | None:
        position_s = self._index / _FPS
        if self._pacer.late_s(position_s) > 1 / _FPS:
            # After a pause the show goes on where it was, instead of being rushed through.
            self._pacer.restart()
        self._pacer.wait_for(position_s)
        if self._pacer.interrupted():
            return None
        turn = round(_SECONDS_A_PICTURE * _FPS)
        if len(self._paths) > 1 and self._frames >= turn:
            self._show(self._load_from(self._at + 1))
        return self._frame(position_s)

    def turn(self, by: int) -> bool:
        """Go to another picture: a still is one step. False where there is but one."""
        if len(self._paths) < 2 or not by:
            return False
        self._show(self._load_from(self._at + by, -1 if by < 0 else 1))
        return True

    def _show(self, picture: PixelBuffer) -> None:
        self._shown, self._frames = picture, 0
        self._scene += 1

    def _advance(self) -> bool:
        if self._at + 1 >= len(self._paths):
            return False
        before = self._at
        self._show(self._load_from(before + 1))
        return self._at > before

    def _frame(self, position_s: float) -> Frame | None:
        if self._shown is None:
            return None
        now_s = time.perf_counter()
        frame = Frame(self._shown, self._index, now_s, position_s, scene=self._scene)
        self._index += 1
        self._frames += 1
        return frame

    def _load_from(self, start: int, way: int = 1) -> PixelBuffer:
        """Read the first readable picture from ``start`` on (``way`` -1: back), going round."""
        first_error: ImageError | None = None
        for offset in range(len(self._paths)):
            at = (start + way * offset) % len(self._paths)
            try:
                buffer = read_image(self._paths[at])
            except ImageError as error:
                _log.warning("left out: %s", error.message)
                first_error = first_error or error
                continue
            self._at = at
            return buffer
        message = first_error.message if first_error else f"{self.title}: has no pictures"
        raise SourceError(message, hint="Choose another picture or folder.")

    def interrupt(self) -> None:
        """Make a waiting ``read`` return."""
        self._pacer.interrupt()

    def close(self) -> None:
        """Let go of the picture."""
        self._shown = None


def pictures_in(folder: Path) -> list[Path]:
    """Pictures directly in a folder, ``2.jpg`` before ``10.jpg``."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file()]
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
