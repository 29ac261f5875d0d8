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


def orange() -> None:
    """Two oranges, one of them with its leaf."""
    peel = m.bumpy(m.speckled("peel", (0.9, 0.27, 0.01), (0.95, 0.36, 0.02), 2), 45, 0.35)
    for at, radius in (((-0.45, 0, 0), 0.75), ((0.75, 0.35, -0.1), 0.65)):
        s.ball(peel, radius, at)
    green = m.plain("stem", (0.06, 0.16, 0.03), 0.6)
    s.rod(green, 0.06, 0.05, (-0.45, -0.05, 0.745))


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


def lemon() -> None:
    """A lemon and half a lemon's worth of another behind it."""
    peel = m.bumpy(m.speckled("peel", (0.9, 0.68, 0.03), (0.95, 0.76, 0.06), 2), 40, 0.3)

    def point(p: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = p
        tip = 0.22 * (abs(x) / 0.72) ** 8
        return x * 1.25 + math.copysign(tip, x), y, z

    for at, turn in (((-0.2, 0, 0.1), 0.4), ((0.5, 0.7, -0.15), -0.9)):
        fruit = s.deform(s.ball(peel, 0.72), point)
        fruit.location, fruit.rotation_euler = at, (0.2, 0.2, turn)


def strawberry() -> None:
    """Strawberries with seeds and leaves."""
    flesh = m.plain("flesh", (0.62, 0.015, 0.015), 0.25, Coat_Weight=0.5)
    seed = m.plain("seed", (0.75, 0.5, 0.12), 0.4)
    leaf = m.plain("leaf", (0.07, 0.25, 0.03), 0.5)
    for at, size, turn in (((-0.5, 0, 0), 0.75, 0.3), ((0.6, 0.25, -0.1), 0.65, -0.5)):
        before = set(bpy.context.collection.objects)

        def taper(p: tuple[float, float, float]) -> tuple[float, float, float]:
            x, y, z = p
            wide = 0.55 + 0.5 * ((z + 1) / 2) ** 0.7 if z < 0.6 else 1.0
            return x * wide * 0.85, y * wide * 0.85, z * 1.05

        body = s.deform(s.ball(flesh, 1.0, detail=32), taper)
        corners = [v.co.copy() for v in body.data.vertices]
        for number, corner in enumerate(corners[7::29]):
            if -0.95 < corner.z < 0.85 and number % 1 == 0:
                grain = s.ball(seed, 0.04, tuple(corner * 1.0), 6)
                grain.scale = (0.7, 0.7, 1.3)
        for step in range(7):
            angle = 2 * math.pi * step / 7
            blade = s.ball(leaf, 0.3, (0.34 * math.cos(angle), 0.34 * math.sin(angle), 1.0), 12)
            blade.scale, blade.rotation_euler = (1.4, 0.5, 0.12), (0, 0.35, angle)
        group(set(bpy.context.collection.objects) - before, at, size, (0.25, 0.1, turn))


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


def soccer_ball() -> None:
    """Twelve black and twenty white panels."""
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=1, radius=1.0)
    item = bpy.context.object
    corners = [v.co.copy().normalized() for v in item.data.vertices]
    bpy.data.objects.remove(item)
    body = s.ball(m.plain("white", WHITE, 0.3), 0.98, detail=128)
    body.data.materials.append(m.plain("black", BLACK, 0.3))
    body.data.materials.append(m.plain("seam", (0.25, 0.25, 0.25), 0.6))
    for polygon in body.data.polygons:
        centre = polygon.center.normalized()
        near = sorted((centre.dot(c) for c in corners), reverse=True)
        if near[0] > math.cos(0.355):
            polygon.material_index = 1
        elif near[0] - near[1] < 0.012:
            polygon.material_index = 2


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


def computer_keyboard() -> None:
    """Rows of lettered keys on a dark plate."""
    plate = m.plain("plate", (0.02, 0.02, 0.022), 0.45)
    key = m.plain("key", (0.045, 0.045, 0.05), 0.5)
    ink = m.plain("ink", (0.8, 0.8, 0.8), 0.5)
    s.box(plate, (2.9, 1.02, 0.08), (0, 0, -0.06), 0.03)
    rows = ("`1234567890-=<", ">QWERTYUIOP[]\\", "^ASDFGHJKL;'#*", "^ZXCVBNM,./^<>")
    for row, text in enumerate(rows):
        for column, letter in enumerate(text):
            x, y = -1.33 + column * 0.2 + row * 0.012, 0.33 - row * 0.19
            s.box(key, (0.17, 0.16, 0.09), (x, y, 0.01), 0.02)
            s.letters(ink, letter, 0.085, (x - 0.03, y + 0.03, 0.057))
    for x, width in ((-1.33, 0.17), (-1.1, 0.22), (-0.84, 0.22), (0.9, 0.2), (1.15, 0.22)):
        s.box(key, (width, 0.16, 0.09), (x, -0.43, 0.01), 0.02)
    s.box(key, (1.35, 0.16, 0.09), (0.02, -0.43, 0.01), 0.02)


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


def traffic_light() -> None:
    """Three lamps in a dark case; the red one is on."""
    case = m.plain("case", (0.012, 0.014, 0.012), 0.5)
    s.box(case, (0.72, 0.45, 1.95), (0, 0.1, 0.1), 0.06)
    lamps = (((1.0, 0.02, 0.01), 5.0), ((0.2, 0.1, 0.005), 0.05), ((0.01, 0.12, 0.04), 0.05))
    for number, (color, strength) in enumerate(lamps):
        z = 0.7 - number * 0.6
        s.rod(
            m.glowing(f"lamp{number}", color, strength),
            0.24,
            0.06,
            (0, -0.14, z),
            (math.pi / 2, 0, 0),
        )
        visor = s.lathe(case, [(0.27, 0.0), (0.27, 0.38)], 64)
        visor.rotation_euler, visor.location = (math.pi / 2, 0, 0), (0, -0.1, z)
        for polygon in reversed(list(visor.data.polygons)):
            pass
    s.rod(case, 0.09, 2.0, (0, 0.15, -1.6))


def wine_bottle() -> None:
    """A dark green bottle with a label."""
    green = m.plain("green", (0.012, 0.035, 0.012), 0.06, Coat_Weight=0.8)
    s.lathe(
        green,
        [
            (0, -1.3),
            (0.4, -1.3),
            (0.43, -1.25),
            (0.43, 0.2),
            (0.38, 0.42),
            (0.17, 0.68),
            (0.14, 0.8),
            (0.14, 1.1),
        ],
    )
    s.lathe(
        m.plain("foil", (0.3, 0.02, 0.03), 0.3, Metallic=0.6),
        [(0.15, 0.72), (0.155, 0.8), (0.155, 1.28), (0, 1.29)],
    )
    s.lathe(m.plain("paper", (0.8, 0.76, 0.65), 0.8), [(0.436, -0.95), (0.436, -0.15)])
    ink = m.plain("ink", (0.2, 0.02, 0.02), 0.7)
    s.letters(ink, "CHATEAU", 0.15, (0, -0.445, -0.4), (math.pi / 2, 0, 0))
    s.letters(ink, "2017", 0.13, (0, -0.445, -0.62), (math.pi / 2, 0, 0))


def basketball() -> None:
    """An orange ball with black lines."""
    hide = m.bumpy(m.plain("hide", (0.6, 0.18, 0.03), 0.6), 60, 0.5, cells=True)
    s.ball(hide, 0.95)
    line = m.plain("line", BLACK, 0.6)
    s.ring(line, 0.945, 0.02)
    s.ring(line, 0.945, 0.02, (0, 0, 0), (math.pi / 2, 0, 0))
    for side in (-1, 1):
        s.ring(line, 0.72, 0.02, (side * 0.62, 0, 0), (0, math.pi / 2, 0))


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


def candle() -> None:
    """A burning candle on a holder."""
    wax = m.plain("wax", (0.85, 0.78, 0.62), 0.5, Subsurface_Weight=0.4)
    s.rod(wax, 0.3, 1.5, (0, 0, -0.2))
    s.rod(m.plain("wick", BLACK, 0.9), 0.02, 0.2, (0, 0, 0.62))
    flame = s.ball(m.glowing("flame", (1.0, 0.45, 0.08), 14), 0.13, (0, 0, 0.86), 24)
    flame.scale = (0.75, 0.75, 2.0)
    s.lathe(
        m.plain("brass", (0.6, 0.42, 0.12), 0.25, Metallic=1.0),
        [(0, -1.0), (0.75, -1.0), (0.8, -0.92), (0.72, -0.94), (0.36, -0.94), (0.36, -0.7)],
    )
    bpy.ops.object.light_add(type="POINT", location=(0, -0.1, 0.95))
    bpy.context.object.data.energy, bpy.context.object.data.color = 60, (1, 0.6, 0.25)


def vase() -> None:
    """A painted vase."""
    glaze = m.plain("glaze", (0.75, 0.77, 0.8), 0.12, Coat_Weight=0.7)
    blue = m.plain("blue", (0.02, 0.05, 0.35), 0.12, Coat_Weight=0.7)
    profile = [
        (0, -1.2),
        (0.4, -1.2),
        (0.42, -1.12),
        (0.66, -0.6),
        (0.75, -0.1),
        (0.66, 0.4),
        (0.34, 0.8),
        (0.28, 1.0),
        (0.42, 1.25),
        (0.38, 1.25),
    ]
    body = s.lathe(glaze, profile, 96)
    body.data.materials.append(blue)
    for polygon in body.data.polygons:
        z = polygon.center.z
        angle = math.atan2(polygon.center.y, polygon.center.x)
        if z > 0.8 or z < -1.1 or (-0.6 < z < 0.4 and math.sin(8 * angle) > 0.6):
            polygon.material_index = 1


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


def dumbbell() -> None:
    """Two weights on a bar."""
    iron = m.plain("iron", (0.02, 0.02, 0.022), 0.4)
    steel = m.plain("steel", (0.6, 0.6, 0.62), 0.2, Metallic=1.0)
    along = (0, math.pi / 2, 0)
    s.rod(steel, 0.11, 2.0, (0, 0, 0), along)
    for x, radius in ((-0.95, 0.42), (-0.72, 0.52), (0.72, 0.52), (0.95, 0.42)):
        s.rod(iron, radius, 0.22, (x, 0, 0), along)


def table_lamp() -> None:
    """A lit shade on a foot."""
    s.lathe(m.glowing("shade", (1.0, 0.75, 0.42), 2.2), [(0.9, -0.05), (0.5, 0.95)])
    brass = m.plain("brass", (0.5, 0.34, 0.1), 0.25, Metallic=1.0)
    s.lathe(
        brass,
        [(0, -1.4), (0.5, -1.4), (0.5, -1.3), (0.12, -1.2), (0.2, -0.8), (0.07, -0.4), (0.07, 0.2)],
    )


def balloon() -> None:
    """Three balloons on strings."""
    colors = ((0.7, 0.02, 0.03), (0.03, 0.15, 0.65), (0.85, 0.6, 0.03))
    string = m.plain("string", (0.8, 0.8, 0.8), 0.8)
    for number, color in enumerate(colors):
        x, z = (-0.6, 0.55, 0.0)[number], (0.4, 0.5, 1.05)[number]
        y = (0.0, 0.1, 0.4)[number]
        skin = m.plain(f"skin{number}", color, 0.08, Coat_Weight=0.7, Transmission_Weight=0.15)

        def drop(p: tuple[float, float, float]) -> tuple[float, float, float]:
            return p[0] * (1 + 0.12 * p[2]), p[1] * (1 + 0.12 * p[2]), p[2] * 1.2

        s.deform(s.ball(skin, 0.6), drop).location = (x, y, z)
        s.tube(
            string,
            lambda t, x=x, z=z: (x * (1 - t), 0, z - 0.75 - t * (z + 1.2)),
            lambda t: 0.008,
        )


def bell_pepper() -> None:
    """A red pepper with its stalk."""
    skin = m.plain("skin", (0.6, 0.015, 0.01), 0.1, Coat_Weight=0.6)

    def lobes(p: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = p
        angle, out = math.atan2(y, x), math.hypot(x, y)
        wide = 1 + 0.09 * math.cos(4 * angle) * min(1.0, out * 1.4) - 0.12 * max(0.0, -z)
        dent = 0.3 * math.exp(-((out / 0.35) ** 2))
        return x * wide, y * wide, z * 1.08 - (dent if z > 0 else -dent * 0.6)

    s.deform(s.ball(skin, 0.9, detail=64), lobes)
    green = m.plain("green", (0.1, 0.28, 0.04), 0.5)
    s.lathe(green, [(0.3, 0.76), (0.24, 0.8), (0.1, 0.8), (0.08, 1.2), (0, 1.22)])


OBJECTS: dict[str, tuple[int, Callable[[], None]]] = {
    "coffee mug": (504, coffee_mug),
    "orange": (950, orange),
    "Granny Smith": (948, granny_smith),
    "lemon": (951, lemon),
    "strawberry": (949, strawberry),
    "analog clock": (409, analog_clock),
    "tennis ball": (852, tennis_ball),
    "soccer ball": (805, soccer_ball),
    "umbrella": (879, umbrella),
    "computer keyboard": (508, computer_keyboard),
    "banana": (954, banana),
    "traffic light": (920, traffic_light),
    "wine bottle": (907, wine_bottle),
    "basketball": (430, basketball),
    "golf ball": (574, golf_ball),
    "teapot": (849, teapot),
    "candle": (470, candle),
    "vase": (883, vase),
    "hourglass": (604, hourglass),
    "dumbbell": (543, dumbbell),
    "table lamp": (846, table_lamp),
    "balloon": (417, balloon),
    "bell pepper": (945, bell_pepper),
}
"""ImageNet's class of each object and what builds it."""
