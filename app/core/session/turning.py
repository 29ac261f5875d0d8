"""What a source may offer beside reading on: to go by steps, forward and back."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Turns(Protocol):
    """A source that does not wait for its next frame: a folder of pictures, a file.

    Attributes:
        goes_back: it takes steps back as well.
    """

    goes_back: bool

    def turn(self, by: int) -> bool:
        """Go so many stills or frames on from the one that is shown, for the next ``read``.

        Called by the thread that reads.

        Args:
            by: number of steps; negative goes back.

        Returns:
            False where what was read last is the next one anyway: it is shown, not read again.
        """
        ...
