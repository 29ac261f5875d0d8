"""What a source of frames is; the sources themselves live in ``twinlens.app.sources``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twinlens.app.core.session.types import Frame


@dataclass(frozen=True)
class SourceInfo:
    """What a source really delivers, read from its first frame, not from what was asked for.

    Attributes:
        kind: ``"camera"``, ``"file"``, ``"image"``, ``"stream"``, ``"screen"``, ``"drawing"`` or
            ``"clip"``.
        title: name that is shown (``"Integrated Camera"``, ``"objects.mp4"``).
        width: frame width in pixels.
        height: frame height in pixels.
        fps: nominal frame rate, 0 when unknown.
        live: frames that are not read in time are lost (camera, stream, screen).
        frames: number of frames, None when unknown or endless.
    """

    kind: str
    title: str
    width: int
    height: int
    fps: float
    live: bool
    frames: int | None = None


class Source(Protocol):
    """Something that delivers frames; opened, read and closed by one thread, the capture thread.

    ``interrupt`` alone may be called from another thread: it makes a blocked ``open`` or
    ``read`` return or fail soon.
    """

    @property
    def title(self) -> str:
        """Name that is shown, known before the source is open."""
        ...

    def open(self) -> SourceInfo:
        """Open the source and make sure that it delivers.

        Raises:
            SourceError: it does not; says why and what to do.
        """
        ...

    def read(self) -> Frame | None:
        """Wait for the next frame; None when the source has come to its end or was interrupted.

        A real-time source paces itself: a file waits until the frame is due and skips frames
        that are late.

        Raises:
            SourceError: the source failed (camera unplugged, stream broken ...).
        """
        ...

    def interrupt(self) -> None:
        """Make a blocked ``open`` or ``read`` return soon; called from any thread."""
        ...

    def close(self) -> None:
        """Release the device or file; may be called twice."""
        ...
