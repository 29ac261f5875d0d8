"""The stage: an object in front of a background, light, a camera, and frames of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy

from . import materials as m
from . import shapes as s
from .objects import OBJECTS
from .script import Shot


def clear(size: tuple[int, int], samples: int) -> Any:
    """An empty scene for Cycles on the CPU."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = True
    scene.cycles.max_bounces = 6
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.image_settings.file_format = "PNG"
    scene.render.use_persistent_data = True
    scene.view_settings.view_transform = "Standard"
    return scene


def set_up(shot: Shot, size: tuple[int, int], samples: int = 24) -> dict[str, Any]:
    """Build object, background, lamp and camera; answers what moves."""
    scene = clear(size, samples)
    OBJECTS[shot.name]()
    handle = bpy.data.objects.new("handle", None)
    scene.collection.objects.link(handle)
    for item in list(scene.collection.objects):
        if item.parent is None and item is not handle:
            item.parent = handle
    bpy.context.view_layer.update()
    lowest = min(
        (item.matrix_world @ corner).z
        for item in scene.collection.objects
        if item.type in {"MESH", "CURVE", "FONT"}
        for corner in map(_vector, item.bound_box)
    )
    _background(shot.background, lowest)
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    scene.world = world
    color = (0.55, 0.7, 0.95) if shot.background in {"sky", "grass", "street"} else (0.8, 0.8, 0.8)
    world.node_tree.nodes["Background"].inputs[0].default_value = (*color, 1)
    strength = 1.0 if shot.background == "sky" else 0.35
    world.node_tree.nodes["Background"].inputs[1].default_value = strength * shot.brightness
    bpy.ops.object.light_add(type="AREA")
    lamp = bpy.context.object
    lamp.data.size, lamp.data.energy = 3.0, 420 * shot.brightness
    bpy.ops.object.camera_add()
    camera = bpy.context.object
    camera.data.lens = 60
    # The height sets the view, so that a wide picture shows what a square one does, and more.
    camera.data.sensor_fit, camera.data.sensor_height = "VERTICAL", 36
    scene.camera = camera
    target = bpy.data.objects.new("target", None)
    scene.collection.objects.link(target)
    for item in (camera, lamp):
        aim = item.constraints.new("TRACK_TO")
        aim.target, aim.track_axis, aim.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"
    return {"handle": handle, "lamp": lamp, "camera": camera, "scene": scene, "target": target}


def _vector(corner: Any) -> Any:
    from mathutils import Vector

    return Vector(corner)


def _background(kind: str, lowest: float) -> None:
    floors = {
        "wood": m.wooden("floor", (0.28, 0.14, 0.06), (0.42, 0.24, 0.11), 1.0),
        "wall": m.speckled("floor", (0.5, 0.47, 0.42), (0.55, 0.52, 0.47), 3, 0.7),
        "grass": m.bumpy(
            m.speckled("floor", (0.06, 0.17, 0.02), (0.16, 0.33, 0.05), 30, 0.9), 90, 1.0
        ),
        "cloth": m.bumpy(m.plain("floor", (0.12, 0.16, 0.28), 0.9), 120, 0.6),
        "white": m.plain("floor", (0.8, 0.8, 0.8), 0.6),
        "street": m.bumpy(m.speckled("floor", (0.12, 0.12, 0.12), (0.2, 0.2, 0.2), 40, 0.9), 90, 1),
    }
    if kind == "sky":
        return
    floor = s.box(floors[kind], (60, 60, 0.1), (0, 0, lowest - 0.05))
    floor.name = "floor"
    if kind in {"wood", "cloth", "wall"}:
        wall = m.speckled("wall", (0.52, 0.5, 0.46), (0.58, 0.55, 0.5), 1.5, 0.8)
        s.box(wall, (60, 0.1, 30), (0, 9, lowest + 15))
    if kind == "white":
        s.box(floors["white"], (60, 0.1, 30), (0, 9, lowest + 15))
    if kind == "grass":
        hedge = m.speckled("hedge", (0.02, 0.08, 0.015), (0.08, 0.2, 0.04), 2.5, 0.9)
        s.box(hedge, (60, 0.1, 4.5), (0, 16, lowest + 2))


def pose(parts: dict[str, Any], shot: Shot, t: float) -> None:
    """Move object, lamp and camera to time `t` in 0..1 of the shot."""
    ease = 0.5 - 0.5 * math.cos(2 * math.pi * t)
    turn = shot.turn[0] + (shot.turn[1] - shot.turn[0]) * ease
    parts["handle"].rotation_euler = (math.radians(shot.lie), 0, math.radians(turn))
    tilt = math.radians(shot.tilt + 4 * math.sin(2 * math.pi * t))
    side = math.radians(6 * math.sin(2 * math.pi * t + 1))
    far = shot.distance * (1 + 0.06 * math.sin(2 * math.pi * t + 2))
    parts["camera"].location = (
        far * math.cos(tilt) * math.sin(side),
        -far * math.cos(tilt) * math.cos(side),
        far * math.sin(tilt),
    )
    lamp = math.radians(shot.lamp[0] + (shot.lamp[1] - shot.lamp[0]) * t)
    parts["lamp"].location = (5 * math.sin(lamp), -5 * math.cos(lamp) * 0.8, 4.5)


def render(parts: dict[str, Any], path: Path) -> None:
    """Write one frame."""
    parts["scene"].render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
