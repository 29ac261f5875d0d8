"""What the clip shows, in order: the one place that the renderer, the encoder and tests read."""

from __future__ import annotations

from dataclasses import dataclass

SIZE = (640, 360)
FPS = 15
SECONDS_EACH = 3


@dataclass(frozen=True)
class Shot:
    """How one object is shown.

    Angles are in degrees and distances in the object's half widths. `turn` is from where to where
    the object turns, and back; `lamp` where the light starts and ends, `lie` how far the object
    leans over.
    """

    name: str
    class_index: int
    background: str = "wood"
    tilt: float = 15.0
    turn: tuple[float, float] = (-20.0, 20.0)
    distance: float = 6.0
    lamp: tuple[float, float] = (-50.0, 20.0)
    brightness: float = 1.0
    lie: float = 0.0


SHOTS = (
    Shot("coffee mug", 504),
    Shot("banana", 954, tilt=35),
    Shot("analog clock", 409, background="wall", tilt=3, turn=(-12, 12), distance=5.6),
    Shot("Granny Smith", 948, lamp=(40, -40)),
    Shot("umbrella", 879, background="grass", lie=-25),
    Shot("teapot", 849, lamp=(30, -50)),
    Shot("tennis ball", 852, background="street"),
    Shot("hourglass", 604, distance=7),
    Shot("golf ball", 574, background="grass", lamp=(40, -30)),
    Shot("table lamp", 846, distance=7.5, brightness=0.6),
)
