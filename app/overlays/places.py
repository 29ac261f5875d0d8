"""Where things stand in a window of any size: the layout law, as pure numbers.

Six places hold one thing each: picture, label block, message, drawer, inset and foot. All sizes
are in units of 1 % of the window's shorter side, so that a projector and a telephone's shape look
alike. Where the window is wide enough the drawer stands beside the label block; else above it, at
the window's whole width.
"""

from __future__ import annotations

from dataclasses import dataclass

MARGIN = 3.0
DRAWER_UNITS = 61.7
GAP_UNITS = 3.3
SIDE_BY_SIDE = 131.0
"""From so many units of width on, label block and drawer stand side by side."""
TOP_UNITS, TOP_STACKED = 10.0, 15.0
"""Where what stands below the controls begins: one row of them, or two."""
LABEL_TOP, LABEL_BOTTOM = 22.2, 2.8
"""Of the label block, from the window's foot."""
_INSET_UNITS = 32.0
_DRAWER_FOOT = 9.4
_HAIR = 1e-6


@dataclass(frozen=True)
class Box:
    """A rectangle, in logical pixels from the window's top left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    def overlaps(self, other: Box) -> bool:
        """Whether they have more than an edge in common."""
        return (
            self.x < other.right - _HAIR
            and other.x < self.right - _HAIR
            and self.y < other.bottom - _HAIR
            and other.y < self.bottom - _HAIR
        )

    def contains(self, other: Box) -> bool:
        """Whether the other one lies inside."""
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.right <= self.right + _HAIR
            and other.bottom <= self.bottom + _HAIR
        )


@dataclass(frozen=True)
class Places:
    """The places of a window.

    Attributes:
        unit: 1 % of the shorter side, in pixels.
        stacked: the drawer stands above the label block rather than beside it.
        picture: what the picture may take; it is shown whole in it.
        clear: of that, what neither controls nor the label block cover.
        label: the label block; it grows upwards with the top list.
        message: the slot for a banner or progress; as high as its words.
        drawer: one sheet or view.
        inset: what the network sees.
        foot: in place of the status line.
    """

    unit: float
    stacked: bool
    picture: Box
    clear: Box
    label: Box
    message: Box
    drawer: Box
    inset: Box
    foot: Box

    def fitted(self, width: float, height: float) -> Box:
        """Where a picture of that shape stands: whole, and clear of words where that costs nothing.

        Args:
            width, height: of the picture; any unit, both positive.
        """
        room = self.picture
        scale = min(room.width / width, room.height / height)
        made_width, made_height = width * scale, height * scale
        # A picture that is lower than what is clear stands in the middle of that.
        within = self.clear if made_height <= self.clear.height else room
        return Box(
            room.x + (room.width - made_width) / 2,
            within.y + (within.height - made_height) / 2,
            made_width,
            made_height,
        )


def unit_of(width: float, height: float) -> float:
    """1 % of the shorter side of a window, at least one pixel."""
    return max(1.0, min(width, height) / 100)


def is_stacked(width: float, height: float) -> bool:
    """Whether a window is too narrow for label block and drawer side by side."""
    return width < SIDE_BY_SIDE * unit_of(width, height)


def places(width: float, height: float, *, drawer: bool = False) -> Places:
    """The places of a window.

    Args:
        width, height: of the window's inside, in logical pixels; positive.
        drawer: something stands in the drawer, and the picture makes room where it can.
    """
    u, stacked = unit_of(width, height), is_stacked(width, height)
    top = (TOP_STACKED if stacked else TOP_UNITS) * u
    left, right = MARGIN * u, width - MARGIN * u
    label_top = height - LABEL_TOP * u
    if stacked:
        shelf = Box(left, top, right - left, label_top - u - top)
        label_right = right
    else:
        shelf = Box(
            right - DRAWER_UNITS * u, top, DRAWER_UNITS * u, height - _DRAWER_FOOT * u - top
        )
        label_right = shelf.x - GAP_UNITS * u
    label = Box(left, label_top, label_right - left, (LABEL_TOP - LABEL_BOTTOM) * u)
    beside = drawer and not stacked
    room = Box(0, 0, shelf.x - MARGIN * u if beside else width, height)
    side = min(_INSET_UNITS * u, label.width)
    return Places(
        unit=u,
        stacked=stacked,
        picture=room,
        clear=Box(room.x, top, room.width, label_top - top),
        label=label,
        message=Box(left, top, label.width, label_top - top),
        drawer=shelf,
        inset=Box(left, top, side, side),
        foot=Box(left, label.bottom - 4.8 * u, label.width, 4.8 * u),
    )
