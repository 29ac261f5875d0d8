"""Draws the bundled clip: simple shaded objects on soft backgrounds, swaying as if hand-held.

Run ``python -m twinlens.assets.make_clip`` to make ``clip.mp4`` and ``clip.tsv`` again; needs
nothing but OpenCV and NumPy. Everything in it is drawn here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]  # OpenCV's stubs do not keep float32
WIDTH, HEIGHT, FPS, SECONDS_EACH = 1280, 720, 30, 3
_FOLDER = Path(__file__).parent


def noise(rng: np.random.Generator, coarse: int) -> Pixels:
    """Smooth noise in [-1, 1], about ``coarse`` pixels from hill to hill; (height, width)."""
    small = rng.uniform(-1, 1, (HEIGHT // coarse + 2, WIDTH // coarse + 2)).astype(np.float32)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def desk(rng: np.random.Generator, colour: tuple[int, int, int]) -> Pixels:
    """A table top with grain under a wall, lit from the upper left; float BGR 0–255."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    wall = np.full((HEIGHT, WIDTH, 3), (196, 204, 208), np.float32)
    grain = noise(rng, 9) * 5 + np.sin(y * 0.35 + noise(rng, 60) * 5) * 6
    table = np.array(colour, np.float32) + grain[..., None]
    edge = HEIGHT * 0.42
    picture = np.where((y > edge)[..., None], table, wall + noise(rng, 90)[..., None] * 8)
    light = 1.12 - 0.42 * np.hypot(x / WIDTH - 0.3, y / HEIGHT - 0.25)
    picture = picture * light[..., None]
    blurred: Pixels = cv2.GaussianBlur(picture, (0, 0), 5)
    return blurred


def shadow(picture: Pixels, centre: tuple[float, float], size: tuple[float, float]) -> None:
    """A soft shadow on the table."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    distance = ((x - centre[0]) / size[0]) ** 2 + ((y - centre[1]) / size[1]) ** 2
    picture *= (1 - 0.62 * np.exp(-1.6 * distance))[..., None]


def ball(picture: Pixels, centre: tuple[float, float], radius: float, skin: Pixels) -> None:
    """A lit ball; ``skin`` is its colour, (height, width, 3), bumps included."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    nx, ny = (x - centre[0]) / radius, (y - centre[1]) / radius
    inside = 1 - nx * nx - ny * ny
    nz = np.sqrt(np.maximum(inside, 0))
    lit = np.clip(-0.45 * nx - 0.6 * ny + 0.66 * nz, 0, 1)
    shine = np.clip(-0.28 * nx - 0.42 * ny + 0.86 * nz, 0, 1) ** 40
    colour = skin * (0.34 + 0.78 * lit)[..., None] + (shine * 70)[..., None]
    alpha = np.clip(inside * radius * 0.5, 0, 1)[..., None]
    picture[...] = picture * (1 - alpha) + colour * alpha


def orange(picture: Pixels, rng: np.random.Generator) -> None:
    """An orange with its pores, a second one behind it."""
    for centre, radius in (((470.0, 380.0), 150.0), ((690.0, 430.0), 210.0)):
        pores = cv2.GaussianBlur(noise(rng, 4), (0, 0), 1.6) * 26
        skin = np.array((18, 128, 250), np.float32) + pores[..., None] * np.array(
            (0.3, 1, 0.6), np.float32
        )
        shadow(picture, (centre[0] + 70, centre[1] + radius), (radius * 1.15, radius * 0.3))
        ball(picture, centre, radius, skin)
        spot = (int(centre[0] - radius * 0.1), int(centre[1] - radius * 0.72))
        cv2.ellipse(picture, spot, (15, 8), 0, 0, 360, (40, 110, 90), -1, cv2.LINE_AA)


def tennis_ball(picture: Pixels, rng: np.random.Generator) -> None:
    """A tennis ball with its felt and seam."""
    centre, radius = (650.0, 400.0), 220.0
    felt = noise(rng, 3) * 20 + noise(rng, 6) * 12
    skin = np.array((60, 228, 208), np.float32) + felt[..., None]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    nx, ny = (x - centre[0]) / radius, (y - centre[1]) / radius
    for side in (-1, 1):
        bend = np.abs(nx * 0.9 + side * (0.62 - 0.55 * ny * ny) + 0.12 * ny)
        seam = np.clip(1 - bend / 0.045, 0, 1)[..., None]
        skin = skin * (1 - seam) + np.array((225, 238, 240), np.float32) * seam
    shadow(picture, (720, 620), (250, 60))
    ball(picture, centre, radius, cv2.GaussianBlur(skin, (0, 0), 1.1))


def clock(picture: Pixels, rng: np.random.Generator) -> None:
    """A wall clock with twelve numbers and two hands."""
    del rng
    middle, radius = (640, 350), 270
    shadow(picture, (680, 400), (330, 320))
    cv2.circle(picture, middle, radius + 26, (42, 38, 40), -1, cv2.LINE_AA)
    cv2.circle(picture, middle, radius + 12, (96, 92, 92), 4, cv2.LINE_AA)
    cv2.circle(picture, middle, radius, (238, 244, 246), -1, cv2.LINE_AA)
    for tick in range(60):
        angle = tick * math.pi / 30
        long = tick % 5 == 0
        ends = [
            (round(640 + r * math.sin(angle)), round(350 - r * math.cos(angle)))
            for r in (radius - (30 if long else 18), radius - 8)
        ]
        cv2.line(picture, ends[0], ends[1], (30, 30, 30), 6 if long else 2, cv2.LINE_AA)
    # OpenCV writes text on 8-bit pictures only.
    face = np.clip(picture, 0, 255).astype(np.uint8)
    for hour in range(1, 13):
        angle = hour * math.pi / 6
        text, at = str(hour), radius - 66
        (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.5, 3)
        x, y = 640 + at * math.sin(angle) - w / 2, 350 - at * math.cos(angle) + h / 2
        where = (round(x), round(y))
        cv2.putText(face, text, where, cv2.FONT_HERSHEY_DUPLEX, 1.5, (25, 25, 25), 3, cv2.LINE_AA)
    picture[...] = face
    for angle, length, width in ((-0.98, 140, 14), (0.95, 205, 9)):
        tip = (round(640 + length * math.sin(angle)), round(350 - length * math.cos(angle)))
        cv2.line(picture, middle, tip, (20, 20, 20), width, cv2.LINE_AA)
    cv2.circle(picture, middle, 14, (20, 20, 20), -1, cv2.LINE_AA)


def traffic_light(picture: Pixels, rng: np.random.Generator) -> None:
    """A traffic light against the sky; red is lit."""
    y = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    picture[...] = (
        np.array((235, 190, 140), np.float32) * (1 - y) + np.array((240, 228, 215), np.float32) * y
    )
    picture += noise(rng, 120)[..., None] * 9
    cv2.rectangle(picture, (622, 520), (658, 720), (60, 62, 62), -1, cv2.LINE_AA)
    cv2.rectangle(picture, (520, 70), (760, 620), (28, 30, 30), -1, cv2.LINE_AA)
    cv2.rectangle(picture, (530, 80), (750, 610), (48, 50, 50), -1, cv2.LINE_AA)
    lamps = ((160, (40, 40, 250), True), (345, (20, 90, 110), False), (530, (30, 80, 20), False))
    for at, colour, lit in lamps:
        cv2.ellipse(picture, (640, at - 6), (92, 92), 0, 180, 360, (18, 18, 18), -1, cv2.LINE_AA)
        cv2.circle(picture, (640, at), 78, (22, 24, 24), -1, cv2.LINE_AA)
        shade = np.full_like(picture, colour)
        shade += noise(rng, 6)[..., None] * 14
        ball(picture, (640.0, float(at)), 72.0, shade * (1.25 if lit else 0.7))


SCENES: tuple[tuple[int, str, tuple[int, int, int], Callable[..., None]], ...] = (
    (409, "analog clock", (120, 140, 160), clock),
    (852, "tennis ball", (110, 96, 78), tennis_ball),
    (950, "orange", (86, 120, 150), orange),
    (920, "traffic light", (120, 120, 120), traffic_light),
)


def draw(scene: int) -> Pixels:
    """Draw a scene, float BGR 0–255, (height, width, 3)."""
    rng = np.random.default_rng(scene)
    _, _, colour, paint = SCENES[scene]
    picture = desk(rng, colour)
    paint(picture, rng)
    return picture


def filmed(picture: Pixels, t: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A frame at ``t`` seconds: sway, zoom, changing light, sensor noise."""
    angle = 1.6 * math.sin(t * 1.3) + 0.6 * math.sin(t * 2.9)
    zoom = 1.1 + 0.05 * math.sin(t * 0.9)
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), angle, zoom)
    turn[0, 2] += 26 * math.sin(t * 1.1 + 1)
    turn[1, 2] += 14 * math.sin(t * 1.7)
    frame = cv2.warpAffine(picture, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    frame = frame * (1 + 0.06 * math.sin(t * 0.8))
    grain = rng.normal(0, 1.5, (HEIGHT // 8, WIDTH // 8, 1)).astype(np.float32)
    frame = frame + cv2.resize(grain, (WIDTH, HEIGHT))[..., None]
    bytes_: NDArray[np.uint8] = np.clip(frame, 0, 255).astype(np.uint8)
    return bytes_


def main() -> None:
    """Write the clip and its timeline."""
    rng = np.random.default_rng(7)
    writer = cv2.VideoWriter(
        str(_FOLDER / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT)
    )
    rows = ["start_s\tend_s\tclass_index\tlabel"]
    for scene, (index, label, _, _) in enumerate(SCENES):
        picture = draw(scene)
        start = scene * SECONDS_EACH
        rows.append(f"{start}\t{start + SECONDS_EACH}\t{index}\t{label}")
        for frame in range(SECONDS_EACH * FPS):
            writer.write(filmed(picture, start + frame / FPS, rng))
    writer.release()
    (_FOLDER / "clip.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
