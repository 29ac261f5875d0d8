"""A Python module for a model: the network layer by layer, and a typed class that classifies."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twinlens.engine import layers as kinds
from twinlens.engine.api.labels import classes_of
from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.errors import ModelError
from twinlens.engine.formats.python.layout import Argument, Call, lines, literal
from twinlens.engine.formats.python.names import class_name, is_module_name, module_name, plain_text
from twinlens.engine.formats.python.network import Source, write_network
from twinlens.engine.formats.python.template import BODY, HEAD, IMPORTED
from twinlens.engine.graph import Graph
from twinlens.engine.graph.passes import (
    fold_constants,
    fuse_activations,
    name_activations,
    remove_identities,
    remove_unused,
)
from twinlens.engine.image import Recipe
from twinlens.engine.layers import Array

_TIDY = (
    remove_identities,
    fold_constants,
    remove_unused,
    name_activations,
    fuse_activations,
)


_LABELS_IMPORT = "from twinlens.models.identify.sidecar import labels_beside\n"


@dataclass(frozen=True)
class PythonModule:
    """A generated module and what has to lie beside it.

    Attributes:
        text: the source.
        class_name: the class that classifies.
        arrays: trained numbers by name, for ``NAME.safetensors``.
        labels: for ``NAME.toml``; empty where the model has none.
    """

    text: str
    class_name: str
    arrays: Mapping[str, Array]
    labels: tuple[str, ...]


def python_module(graph: Graph, spec: ModelSpec, stem: str) -> PythonModule:
    """Write a model as Python.

    Identities are left out, activations stand with the layer that they follow, and layers whose
    names could not stand in the source are renamed; the answers are the graph's.

    Args:
        graph: the network, as it is stored or optimised.
        spec: what it is called, how it is fed and read.
        stem: name of the file that the text goes to, without ``.py``.

    Raises:
        ModelError: a file of that name cannot be imported.
        UnsupportedOperatorError: layers that have no Python form; names all.
    """
    if not is_module_name(stem):
        raise ModelError(
            f"{stem}.py: cannot be imported under this name",
            hint=f"Try {module_name(stem)}.py.",
        )
    for tidy in _TIDY:
        graph = tidy(graph)
    title = plain_text(spec.title)
    docstring = _docstring(
        f"Assemble {title} from its layers.",
        f"Args:\n    parameters: trained numbers by name, as {stem}.safetensors has them.",
        f"Returns:\n    {_signature(graph)}.",
        "Raises:\n    ParameterError: names all that are missing, not expected or of wrong shape.",
    )
    source = write_network(graph, title, docstring)
    name = class_name(spec.title, _taken(stem))
    text = _module(graph, spec, source, stem, title, name)
    return PythonModule(text, name, source.arrays, spec.labels)


def _taken(stem: str) -> set[str]:
    return {*kinds.__all__, *IMPORTED, stem}


def _module(graph: Graph, spec: ModelSpec, source: Source, stem: str, title: str, name: str) -> str:
    size = f"{len(graph.nodes)} layers, {graph.parameter_count:,} parameters, {graph.macs:,} MACs"
    about = (
        f"{title}, assembled from layers.",
        f"The class {name} classifies pictures with it.",
        f"{size}. Trained numbers are read from {stem}.safetensors beside this file. Written by "
        "`twinlens convert`; the layers are Twinlens's, see twinlens.engine.layers.",
        f'::\n\n    print({name}().prediction("picture.jpg").class_label)',
    )
    functions = "\n\n\n".join("\n".join(text) for text in source.functions)
    values = {
        "about": "\n".join(_docstring(*about, indent=0)),
        "layers": _import_line("twinlens.engine.layers", ("Array", *source.layers)),
        "recipe_names": _recipe_names(spec.recipe),
        "labels_import": _LABELS_IMPORT if spec.labels else "",
        "recipe": "\n".join(_recipe(spec.recipe)),
        "functions": functions,
        "stem": stem,
        "title": title,
        "background": str(spec.background_outputs),
        "output": ",\n        ".join(_output(spec)),
        "labels": "labels_beside(PARAMETERS)" if spec.labels else _numbers(graph, spec),
        "class": name,
    }
    return (HEAD + BODY).format(**values)


def _numbers(graph: Graph, spec: ModelSpec) -> str:
    """Labels of a model without any: the number of each class."""
    width = max(graph.output_shapes[graph.outputs[0]], default=1)
    return f"tuple(map(str, range({classes_of(width, spec.background_outputs)})))"


def _output(spec: ModelSpec) -> list[str]:
    """How the outputs are read, as arguments of ``ModelSpec``."""
    usual = ModelSpec(spec.id, spec.title, spec.recipe, ())
    names = ("output_factor", "output_shift", "output_part")
    others = [name for name in names if getattr(spec, name) != getattr(usual, name)]
    return [f'output="{spec.output}"', *(f"{n}={getattr(spec, n)!r}" for n in others)]


def _signature(graph: Graph) -> str:
    """``a graph from "input", (1, 3, 8, 8), to (1, 10)``."""
    taken = ", ".join(literal(shape) for shape in graph.inputs.values())
    given = ", ".join(literal(graph.shapes[name]) for name in graph.outputs)
    return f"A graph from {taken} to {given}"


def _recipe_names(recipe: Recipe) -> str:
    usual = Recipe(1, 1).crop_and_scale
    return "Recipe" if recipe.crop_and_scale is usual else "CropAndScale, Recipe"


def _recipe(recipe: Recipe) -> list[str]:
    """The constant RECIPE: settings that are not the usual ones."""
    usual = Recipe(1, 1).to_dict()
    parts = []
    for key, value in recipe.to_dict().items():
        if key in ("width", "height") or value != usual[key]:
            plain = tuple(value) if isinstance(value, list) else value
            text = literal(plain)
            if key == "crop_and_scale":
                text = f"CropAndScale({text})"
            parts.append(Argument(text, key))
    return lines("RECIPE = ", Call("Recipe", tuple(parts)))


def _import_line(module: str, names: Sequence[str]) -> str:
    """``from module import names`` with its line break."""
    # As isort orders them: constants, classes, the rest.
    ordered = sorted(names, key=lambda n: (not (n.isupper() and len(n) > 1), n.lower(), n))
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) > 100:
        inner = "".join(f"    {name},\n" for name in ordered)
        line = f"from {module} import (\n{inner})"
    return f"{line}\n"


def _docstring(first: str, *paragraphs: str, indent: int = 4) -> list[str]:
    """A docstring: a line, then paragraphs; lines with spaces in front stay as they are."""
    space = " " * indent
    text = [f'{space}"""{_wrap(first, 97 - indent)}']
    for paragraph in paragraphs:
        text.append("")
        for part in paragraph.split("\n"):
            if part.startswith(" ") or not part:
                text += [f"{space}{part}".rstrip()]
            else:
                text += [f"{space}{row}" for row in textwrap.wrap(part, 100 - indent)]
    return [*text, f'{space}"""']


def _wrap(text: str, width: int) -> str:
    return text if len(text) <= width else textwrap.shorten(text, width, placeholder=" …")
