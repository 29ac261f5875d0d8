"""The overlays: frozen records, equal when they look alike, so that nothing is drawn twice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from twinlens.app.views.top5 import TopOverlay


class BannerKind(Enum):
    """How loud a banner is."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True)
class LabelOverlay:
    """The best label, its bar and its confidence.

    Attributes:
        label: text that is shown large; the cleaned class name, or ``not sure`` wording; of
            independent classes those that hold, or ``none of these``.
        confidence: the best class's confidence in [0, 1]; the bar's length.
        confidence_text: fixed width, e.g. ``"97 %"``.
        engine_id: the engine that answered; gives the bar its colour and shape.
        sure: the confidence reaches the threshold; the label is drawn dimmed when not.
        guess: what it would be, shown small, when not sure; empty otherwise.
        resting: something else is measured, and this is the answer from before: drawn dimmed.
    """

    label: str
    confidence: float
    confidence_text: str
    engine_id: str
    sure: bool = True
    guess: str = ""
    resting: bool = False


@dataclass(frozen=True)
class StatusOverlay:
    """Who answered, and how fast.

    Attributes:
        who: ``"Layers CPU · MobileNet-v2 · fp32"``, for a screen reader.
        detail: kernels or provider that really run (``"NumPy reference"``).
        fps_text: answers per second, fixed width (``" 58 fps"``); a dash until it is measured.
        latency_text: median capture → label, fixed width (``"  6.4 ms"``); likewise.
        engine: ``"Layers CPU"``.
        model: ``"MobileNet-v2 · fp32"``.
        measured: both figures are this engine's own.
    """

    who: str
    detail: str
    fps_text: str
    latency_text: str
    engine: str = ""
    model: str = ""
    measured: bool = True


@dataclass(frozen=True)
class LiveDot:
    """The dot next to the camera's frame rate.

    Attributes:
        live: frames are arriving (not paused, not ended).
        fps_text: camera frames per second, fixed width (``"29.9"``).
    """

    live: bool
    fps_text: str


@dataclass(frozen=True)
class Banner:
    """Two calm lines: what happened, and what to do.

    Attributes:
        title: what happened.
        hint: what to do; may be empty.
        kind: how loud.
        action: text of a button (``"Try again"``); empty means none.
    """

    title: str
    hint: str = ""
    kind: BannerKind = BannerKind.INFO
    action: str = ""


@dataclass(frozen=True)
class Notice:
    """One quiet line about the state (starting, loading, paused).

    Attributes:
        text: the line.
        progress: 0 to 1; None while it is not known how long it takes, or nothing is loading.
        busy: something is being loaded (thin progress line on top).
        dim: the picture is dimmed behind it (starting).
    """

    text: str
    progress: float | None = None
    busy: bool = False
    dim: bool = False


@dataclass(frozen=True)
class KeyGroup:
    """Keys that belong together: a title and (key, what it does) pairs."""

    title: str
    keys: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CheatSheet:
    """All keys, grouped by what they do."""

    groups: tuple[KeyGroup, ...]


@dataclass(frozen=True)
class Overlays:
    """Everything over the picture at one moment; None is not drawn."""

    label: LabelOverlay | None = None
    top: TopOverlay | None = None
    status: StatusOverlay | None = None
    dot: LiveDot | None = None
    notice: Notice | None = None
