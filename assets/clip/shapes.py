"""Shapes the objects are built of, each placed in the scene and answered."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import bmesh
import bpy

Point = tuple[float, float, float]


def _finish(item: Any, material: Any, smooth: bool = True) -> Any:
    item.data.materials.append(material)
    if smooth and hasattr(item.data, "polygons"):
        for polygon in item.data.polygons:
            polygon.use_smooth = True
    return item


def ball(material: Any, radius: float = 1.0, at: Point = (0, 0, 0), detail: int = 48) -> Any:
    """Sphere."""
    bpy.ops.mesh.primitive_uv_sphere_add(
        radius=radius, location=at, segments=detail * 2, ring_count=detail
    )
    return _finish(bpy.context.object, material)


def box(material: Any, size: Point, at: Point = (0, 0, 0), round_off: float = 0.0) -> Any:
    """Box with bevelled edges."""
    bpy.ops.mesh.primitive_cube_add(size=1, location=at)
    item = bpy.context.object
    item.scale = size
    bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
    if round_off:
        bevel = item.modifiers.new("bevel", "BEVEL")
        bevel.width, bevel.segments = round_off, 3
    return _finish(item, material, smooth=False)


def rod(
    material: Any, radius: float, length: float, at: Point = (0, 0, 0), turn: Point = (0, 0, 0)
) -> Any:
    """Cylinder along z."""
    bpy.ops.mesh.primitive_cylinder_add(
        radius=radius, depth=length, location=at, rotation=turn, vertices=64
    )
    item = _finish(bpy.context.object, material)
    bevel = item.modifiers.new("bevel", "BEVEL")
    bevel.width, bevel.segments = min(radius, length) * 0.06, 3
    return item


def ring(
    material: Any, radius: float, thickness: float, at: Point = (0, 0, 0), turn: Point = (0, 0, 0)
) -> Any:
    """Torus around z."""
    bpy.ops.mesh.primitive_torus_add(
        major_radius=radius,
        minor_radius=thickness,
        location=at,
        rotation=turn,
        major_segments=96,
        minor_segments=24,
    )
    return _finish(bpy.context.object, material)


def lathe(material: Any, profile: Sequence[tuple[float, float]], steps: int = 96) -> Any:
    """Surface of revolution of (radius, height) points around z."""
    mesh = bpy.data.meshes.new("lathe")
    rows: list[list[Point]] = []
    for radius, height in profile:
        angles = (2 * math.pi * step / steps for step in range(steps))
        rows.append([(radius * math.cos(a), radius * math.sin(a), height) for a in angles])
    points = [point for row in rows for point in row]
    faces = [
        (
            row * steps + step,
            row * steps + (step + 1) % steps,
            (row + 1) * steps + (step + 1) % steps,
            (row + 1) * steps + step,
        )
        for row in range(len(rows) - 1)
        for step in range(steps)
    ]
    mesh.from_pydata(points, [], faces)
    return _placed(mesh, material, weld=True)


def tube(
    material: Any,
    path: Callable[[float], Point],
    radius: Callable[[float], float],
    steps: int = 48,
    around: int = 24,
) -> Any:
    """Tube along path(0..1), bent in the x-z plane, of radius(0..1)."""
    mesh = bpy.data.meshes.new("tube")
    points: list[Point] = []
    for step in range(steps + 1):
        t = step / steps
        here, ahead, behind = path(t), path(min(1, t + 1e-3)), path(max(0, t - 1e-3))
        dx, dz = ahead[0] - behind[0], ahead[2] - behind[2]
        norm = math.hypot(dx, dz) or 1.0
        across = (-dz / norm, dx / norm)
        for turn in range(around):
            angle = 2 * math.pi * turn / around
            side, depth = math.cos(angle) * radius(t), math.sin(angle) * radius(t)
            points.append((here[0] + across[0] * side, here[1] + depth, here[2] + across[1] * side))
    faces = [
        (
            s * around + a,
            s * around + (a + 1) % around,
            (s + 1) * around + (a + 1) % around,
            (s + 1) * around + a,
        )
        for s in range(steps)
        for a in range(around)
    ]
    faces_closed = [*faces, tuple(range(around)), tuple(steps * around + a for a in range(around))]
    mesh.from_pydata(points, [], faces_closed)
    return _placed(mesh, material)


def _placed(mesh: Any, material: Any, weld: bool = False) -> Any:
    shape = bmesh.new()
    shape.from_mesh(mesh)
    if weld:
        bmesh.ops.remove_doubles(shape, verts=shape.verts, dist=1e-5)
    bmesh.ops.recalc_face_normals(shape, faces=shape.faces)
    shape.to_mesh(mesh)
    shape.free()
    item = bpy.data.objects.new(mesh.name, mesh)
    bpy.context.collection.objects.link(item)
    return _finish(item, material)


def letters(material: Any, text: str, size: float, at: Point, turn: Point = (0, 0, 0)) -> Any:
    """Flat text, centred."""
    bpy.ops.object.text_add(location=at, rotation=turn)
    item = bpy.context.object
    item.data.body, item.data.size = text, size
    item.data.align_x = item.data.align_y = "CENTER"
    item.data.extrude = size * 0.01
    return _finish(item, material, smooth=False)


def deform(item: Any, change: Callable[[Point], Point]) -> Any:
    """Move every vertex."""
    for vertex in item.data.vertices:
        vertex.co = change(tuple(vertex.co))
    return item
