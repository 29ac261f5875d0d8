"""The objects of the clip, each about two units across and centred, with its front towards -y."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import bpy

from . import materials as m
from . import shapes as s

BLACK, WHITE = (0.01, 0.01, 0.01), (0.85, 0.85, 0.83)


def coffee_mug() -> None:
    """A glazed mug with coffee in it."""
    glaze = m.plain("glaze", (0.03, 0.12, 0.35), 0.12, Coat_Weight=0.6)
    inside = m.plain("inside", (0.85, 0.83, 0.78), 0.2)
    s.lathe(glaze, [(0, -0.95), (0.7, -0.95), (0.78, -0.9), (0.8, 0.9), (0.79, 0.95), (0.74, 0.95)])
    s.lathe(inside, [(0.74, 0.95), (0.72, 0.9), (0.71, -0.8), (0, -0.82)])
    s.lathe(m.plain("coffee", (0.05, 0.02, 0.008), 0.06), [(0, 0.66), (0.72, 0.66)])
    handle = s.ring(glaze, 0.46, 0.11, (0.84, 0, 0), (math.pi / 2, 0, 0))
    handle.scale = (0.9, 1.15, 1)


def granny_smith() -> None:
    """A green apple."""
    skin = m.speckled("skin", (0.28, 0.5, 0.05), (0.42, 0.62, 0.1), 5, 0.22)

    def dent(p: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = p
        out = math.hypot(x, y)
        top = math.exp(-((out / 0.32) ** 2)) * 0.34
        low = math.exp(-((out / 0.25) ** 2)) * 0.2
        wide = 1.0 - 0.14 * max(0.0, -z)
        return x * wide, y * wide, z * 0.92 - (top if z > 0 else -low)

    s.deform(s.ball(skin, 0.95), dent)
    s.tube(
        m.plain("stalk", (0.12, 0.07, 0.03), 0.7),
        lambda t: (0.14 * t * t, 0, 0.5 + 0.55 * t),
        lambda t: 0.035 + 0.02 * t,
    )


def group(
    items: set[Any], at: tuple[float, float, float], size: float, turn: tuple[float, float, float]
) -> None:
    """Put some objects under one handle, placed, scaled and turned together."""
    handle = bpy.data.objects.new("group", None)
    bpy.context.collection.objects.link(handle)
    for item in items:
        item.parent = handle
    handle.location, handle.scale, handle.rotation_euler = at, (size,) * 3, turn


def analog_clock() -> None:
    """A round clock with numerals."""
    face = m.plain("face", (0.88, 0.87, 0.82), 0.5)
    rim = m.plain("rim", (0.5, 0.36, 0.1), 0.25, Metallic=1.0)
    dark = m.plain("dark", BLACK, 0.5)
    up = (math.pi / 2, 0, 0)
    s.rod(face, 0.98, 0.1, (0, 0.05, 0), up)
    s.ring(rim, 1.02, 0.09, (0, 0, 0), up)
    for hour in range(1, 13):
        angle = math.pi / 2 - hour * math.pi / 6
        at = (0.76 * math.cos(angle), -0.01, 0.76 * math.sin(angle))
        s.letters(dark, str(hour), 0.27, at, up)
    for minute in range(60):
        angle = minute * math.pi / 30
        tick = s.box(
            dark, (0.05, 0.01, 0.012), (0.92 * math.cos(angle), -0.01, 0.92 * math.sin(angle))
        )
        tick.rotation_euler = (0, -angle, 0)
    for angle, length, width in ((2.55, 0.48, 0.07), (0.52, 0.7, 0.045), (4.3, 0.72, 0.015)):
        at = (math.cos(angle) * length * 0.42, -0.05, math.sin(angle) * length * 0.42)
        hand = s.box(dark, (length, 0.02, width), at)
        hand.rotation_euler = (0, -angle, 0)
    s.rod(dark, 0.06, 0.06, (0, -0.06, 0), up)


def tennis_ball() -> None:
    """A felt ball with its seam."""
    felt = m.bumpy(m.speckled("felt", (0.55, 0.72, 0.06), (0.68, 0.82, 0.14), 18, 0.95), 70, 0.9)
    s.ball(felt, 0.95)
    seam = bpy.data.curves.new("seam", "CURVE")
    seam.dimensions, seam.bevel_depth = "3D", 0.035
    line = seam.splines.new("POLY")
    line.points.add(199)
    for step in range(200):
        t = 2 * math.pi * step / 200
        a, b = 0.75, 0.25
        x, y = a * math.cos(t) + b * math.cos(3 * t), a * math.sin(t) - b * math.sin(3 * t)
        z = 2 * math.sqrt(a * b) * math.sin(2 * t)
        norm = 0.955 / math.sqrt(x * x + y * y + z * z)
        line.points[step].co = (x * norm, y * norm, z * norm, 1)
    line.use_cyclic_u = True
    item = bpy.data.objects.new("seam", seam)
    item.data.materials.append(m.plain("white", (0.8, 0.8, 0.75), 0.8))
    item.rotation_euler = (0.5, 0.4, 0.3)
    bpy.context.collection.objects.link(item)


def umbrella() -> None:
    """An open umbrella, eight panels in two colours."""
    colors = (m.plain("red", (0.6, 0.02, 0.03), 0.6), m.plain("light", (0.8, 0.78, 0.72), 0.6))
    dome = s.lathe(
        colors[0],
        [(0.001, 0.62), (0.3, 0.58), (0.6, 0.47), (0.85, 0.28), (1.05, 0.02)],
        steps=96,
    )
    dome.data.materials.append(colors[1])
    for polygon in dome.data.polygons:
        angle = math.atan2(polygon.center.y, polygon.center.x) % (2 * math.pi)
        polygon.material_index = int(angle / (math.pi / 4)) % 2

    def sag(p: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = p
        angle = math.atan2(y, x) % (math.pi / 4)
        out = math.hypot(x, y)
        pull = 1 - 0.07 * out * math.sin(angle * 4)
        return x * pull, y * pull, z + 0.08 * out * out * math.sin(angle * 4)

    s.deform(dome, sag)
    metal = m.plain("metal", (0.25, 0.25, 0.27), 0.3, Metallic=1.0)
    s.rod(metal, 0.025, 1.75, (0, 0, -0.15))
    wood = m.wooden("handle", (0.18, 0.08, 0.03), (0.3, 0.15, 0.06))
    s.tube(
        wood,
        lambda t: (0.16 - 0.16 * math.cos(math.pi * t), 0, -1.0 - 0.18 * math.sin(math.pi * t)),
        lambda t: 0.05,
    )


def banana() -> None:
    """Three bananas that hang together."""
    skin = m.speckled("skin", (0.86, 0.58, 0.03), (0.8, 0.5, 0.03), 3, 0.45, (0.45, 0.75))
    tip = m.plain("tip", (0.12, 0.08, 0.03), 0.7)
    for number in range(3):
        spread = (number - 1) * 0.33
        before = set(bpy.context.collection.objects)

        def path(t: float) -> tuple[float, float, float]:
            angle = math.pi * (1.12 + 0.76 * t)
            return 1.1 * math.cos(angle), 0, 0.95 + 1.1 * math.sin(angle)

        def radius(t: float) -> float:
            swell = min(1.0, t / 0.16, (1 - t) / 0.22)
            return 0.05 + 0.19 * math.sin(math.pi / 2 * max(0.0, swell))

        s.tube(skin, path, radius, 64, 7)
        s.ball(tip, 0.06, path(1.0), 8)
        s.ball(tip, 0.07, path(0.0), 8)
        items = set(bpy.context.collection.objects) - before
        group(items, (0, spread * 0.6, 0), 1.0, (spread * 1.1, 0, spread * 0.3))


def golf_ball() -> None:
    """A dimpled white ball on its tee."""
    s.ball(
        m.bumpy(m.plain("cover", (0.88, 0.88, 0.86), 0.25), 11, 1.0, cells=True), 0.85, (0, 0, 0.3)
    )
    s.lathe(
        m.plain("tee", (0.8, 0.2, 0.1), 0.5), [(0.4, -0.42), (0.1, -0.62), (0.08, -1.4), (0, -1.5)]
    )


def teapot() -> None:
    """A round pot with spout and handle."""
    glaze = m.plain("glaze", (0.75, 0.72, 0.66), 0.15, Coat_Weight=0.6)
    s.lathe(
        glaze,
        [
            (0, -0.7),
            (0.45, -0.7),
            (0.5, -0.65),
            (0.78, -0.35),
            (0.86, 0.0),
            (0.78, 0.32),
            (0.5, 0.52),
            (0.46, 0.55),
        ],
    )
    s.lathe(glaze, [(0.5, 0.54), (0.4, 0.64), (0.12, 0.7), (0.08, 0.75)])
    s.ball(glaze, 0.12, (0, 0, 0.84), 24)
    s.tube(
        glaze,
        lambda t: (-0.7 - 0.62 * t, 0, -0.2 + 0.7 * t * t + 0.1 * t),
        lambda t: 0.2 - 0.12 * t,
    )
    handle = s.ring(glaze, 0.42, 0.075, (0.9, 0, 0.02), (math.pi / 2, 0, 0))
    handle.scale = (0.85, 1.05, 1)


def hourglass() -> None:
    """Sand in two bulbs between wooden plates."""
    wood = m.wooden("wood", (0.2, 0.08, 0.03), (0.36, 0.18, 0.07))
    for z in (-1.15, 1.15):
        s.rod(wood, 0.8, 0.14, (0, 0, z))
    for step in range(3):
        angle = 2 * math.pi * step / 3 + 0.5
        s.rod(wood, 0.07, 2.2, (0.66 * math.cos(angle), 0.66 * math.sin(angle), 0))
    bulb = [
        (0.5, -1.08),
        (0.52, -0.8),
        (0.42, -0.4),
        (0.06, -0.04),
        (0.06, 0.04),
        (0.42, 0.4),
        (0.52, 0.8),
        (0.5, 1.08),
    ]
    s.lathe(m.glass("glass", (0.95, 0.97, 1.0)), bulb)
    sand = m.plain("sand", (0.75, 0.5, 0.22), 0.9)
    s.lathe(sand, [(0, -1.07), (0.47, -1.07), (0.49, -0.8), (0, -0.5)])
    s.lathe(sand, [(0, 0.1), (0.05, 0.08), (0.37, 0.4), (0.38, 0.45), (0, 0.42)])


def table_lamp() -> None:
    """A lit shade on a foot."""
    s.lathe(m.glowing("shade", (1.0, 0.75, 0.42), 2.2), [(0.9, -0.05), (0.5, 0.95)])
    brass = m.plain("brass", (0.5, 0.34, 0.1), 0.25, Metallic=1.0)
    s.lathe(
        brass,
        [(0, -1.4), (0.5, -1.4), (0.5, -1.3), (0.12, -1.2), (0.2, -0.8), (0.07, -0.4), (0.07, 0.2)],
    )


OBJECTS: dict[str, Callable[[], None]] = {
    "coffee mug": coffee_mug,
    "Granny Smith": granny_smith,
    "analog clock": analog_clock,
    "tennis ball": tennis_ball,
    "umbrella": umbrella,
    "banana": banana,
    "golf ball": golf_ball,
    "teapot": teapot,
    "hourglass": hourglass,
    "table lamp": table_lamp,
}
"""What builds each object."""
