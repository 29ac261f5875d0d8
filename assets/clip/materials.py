"""Surfaces for the rendered objects: Principled BSDF materials, some with patterns from nodes."""

from __future__ import annotations

from typing import Any

import bpy

Color = tuple[float, float, float]


def plain(name: str, color: Color, rough: float = 0.4, **inputs: Any) -> Any:
    """One colour. `inputs` set further sockets of the shader by name with `_` for spaces."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = rough
    for key, value in inputs.items():
        shader.inputs[key.replace("_", " ")].default_value = value
    return material


def _nodes(material: Any) -> tuple[Any, Any, Any]:
    tree = material.node_tree
    return tree.nodes, tree.links, tree.nodes["Principled BSDF"]


def speckled(
    name: str,
    first: Color,
    second: Color,
    scale: float = 8.0,
    rough: float = 0.4,
    span: tuple[float, float] = (0.4, 0.6),
) -> Any:
    """Noise between two colours; `span` is where the change from one to the other lies."""
    material = plain(name, first, rough)
    nodes, links, shader = _nodes(material)
    place = nodes.new("ShaderNodeTexCoord")
    noise = nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = scale
    noise.inputs["Detail"].default_value = 6.0
    ramp = nodes.new("ShaderNodeValToRGB")
    for element, position, color in zip(
        ramp.color_ramp.elements, span, (first, second), strict=True
    ):
        element.position, element.color = position, (*color, 1.0)
    links.new(place.outputs["Object"], noise.inputs["Vector"])
    links.new(noise.outputs[0], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    return material


def bumpy(material: Any, scale: float, strength: float, cells: bool = False) -> Any:
    """Add fine bumps: noise, or the dimples of Voronoi cells."""
    nodes, links, shader = _nodes(material)
    place = nodes.new("ShaderNodeTexCoord")
    texture = nodes.new("ShaderNodeTexVoronoi" if cells else "ShaderNodeTexNoise")
    texture.inputs["Scale"].default_value = scale
    bump = nodes.new("ShaderNodeBump")
    bump.inputs["Strength"].default_value = strength
    bump.inputs["Distance"].default_value = 0.02
    links.new(place.outputs["Object"], texture.inputs["Vector"])
    links.new(texture.outputs[0], bump.inputs["Height"])
    links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    return material


def wooden(name: str, first: Color, second: Color, scale: float = 1.5) -> Any:
    """Grain along x."""
    material = plain(name, first, 0.45)
    nodes, links, shader = _nodes(material)
    place = nodes.new("ShaderNodeTexCoord")
    stretch = nodes.new("ShaderNodeMapping")
    stretch.inputs["Scale"].default_value = (0.25, 2.5, 2.5)
    wave = nodes.new("ShaderNodeTexNoise")
    wave.inputs["Scale"].default_value = scale
    wave.inputs["Detail"].default_value = 8.0
    wave.inputs["Distortion"].default_value = 1.2
    ramp = nodes.new("ShaderNodeValToRGB")
    for element, position, color in zip(
        ramp.color_ramp.elements, (0.35, 0.65), (first, second), strict=True
    ):
        element.position, element.color = position, (*color, 1.0)
    links.new(place.outputs["Object"], stretch.inputs["Vector"])
    links.new(stretch.outputs["Vector"], wave.inputs["Vector"])
    links.new(wave.outputs[0], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    return material


def glowing(name: str, color: Color, strength: float) -> Any:
    """A light source."""
    return plain(name, color, Emission_Color=(*color, 1.0), Emission_Strength=strength)


def glass(name: str, color: Color, rough: float = 0.02) -> Any:
    """Coloured glass."""
    return plain(name, color, rough, Transmission_Weight=1.0, IOR=1.45)
