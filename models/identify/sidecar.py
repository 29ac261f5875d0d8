"""What stands beside a model: ``NAME.toml``, read strictly and written so that it is read back.

::

    title = "Pets"
    background_outputs = 0
    output = "probabilities"      # or "logits", "independent" ...: one of OUTPUT_KINDS
    output_name = "probs"         # the output that classifies, where there are several
    labels = ["cat", "dog"]       # class 0 first

    [recipe]                      # any of Recipe's fields
    scale = 0.00784313725490196
    mean = [1.0, 1.0, 1.0]
    std = [1.0, 1.0, 1.0]
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinlens.engine.api.protocol import OUTPUT_KINDS
from twinlens.engine.errors import LabelError, ModelError
from twinlens.engine.files import write_whole
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.layouts import text_of

_MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class Sidecar:
    """What stands beside a model.

    Attributes:
        values: plain values, checked; empty where there is no such file.
        origin: beside the model, or kept elsewhere for it.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin = Origin.BESIDE


# What may stand beside a model, and what it may be.
KNOWN: dict[str, Callable[[Any], bool]] = {
    "title": lambda value: isinstance(value, str),
    "background_outputs": lambda value: type(value) is int and 0 <= value <= 1,
    "output": lambda value: value in OUTPUT_KINDS,
    "output_name": lambda value: isinstance(value, str),
    "labels": lambda value: (
        isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)
    ),
    "recipe": lambda value: isinstance(value, dict),
}


def sidecar_path(path: Path) -> Path:
    """Where the file beside a model is."""
    return path.with_suffix(".toml")


INSIDE = "model.toml"
"""What stands in for ``NAME.toml`` inside a folder."""


def read_sidecar(path: Path, kept: Path | None = None) -> Sidecar:
    """Read what stands beside a model, or in the folder that it is.

    Args:
        path: the model.
        kept: a file of the same kind that is kept elsewhere; read where none is beside.

    Raises:
        ModelError: it cannot be read, or says what is not known or not allowed; names it.
    """
    beside = sidecar_path(path)
    if beside.is_file():
        return Sidecar(read_values(beside))
    inside = path / INSIDE
    if inside.is_file():
        return Sidecar(read_values(inside))
    if kept is not None and kept.is_file():
        return Sidecar(read_values(kept), Origin.KEPT)
    return Sidecar()


def read_values(path: Path) -> dict[str, Any]:
    """Read such a file; raises as ``read_sidecar``."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path}: too large for a recipe")
        values = tomllib.loads(text_of(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as a recipe ({error})") from error
    for key, fits in KNOWN.items():
        if key in values and not fits(values[key]):
            raise ModelError(f"{path}: {key} is {values[key]!r}, which is not allowed there")
    if unknown := sorted(set(values) - set(KNOWN)):
        raise ModelError(f"{path}: unknown {', '.join(unknown)}; known are {', '.join(KNOWN)}")
    return values


def write_values(path: Path, values: Mapping[str, Any]) -> None:
    """Write such a file atomically: a crash leaves the old one or the new one.

    Args:
        path: the file; its folder exists.
        values: as ``read_values`` gives them.

    Raises:
        ModelError: a value is not one that may stand there; names it.
        OSError: the folder cannot be written.
    """
    for key, value in values.items():
        if key not in KNOWN or not KNOWN[key](value):
            raise ModelError(f"{path}: {key} is {value!r}, which is not allowed there")
    text = _as_toml(values)
    write_whole(path, text.encode())


def labels_beside(path: Path) -> tuple[str, ...]:
    """Names of the classes in ``NAME.toml`` beside a file.

    Raises:
        LabelError: there are none.
        ModelError: the file cannot be read; says why.
    """
    beside = sidecar_path(path)
    if not beside.is_file():
        raise LabelError(f"{beside}: does not exist; it should have the labels of {path.name}")
    labels = read_values(beside).get("labels")
    if not labels:
        raise LabelError(f"{beside}: has no labels, which should be there for {path.name}")
    return tuple(labels)


def _as_toml(values: Mapping[str, Any]) -> str:
    plain = [_line(k, v) for k, v in values.items() if not isinstance(v, Mapping)]
    tables = [
        "\n".join((f"\n[{key}]", *(_line(k, v) for k, v in table.items())))
        for key, table in values.items()
        if isinstance(table, Mapping)
    ]
    return "\n".join((*plain, *tables)).lstrip("\n") + "\n"


_BARE = re.compile(r"[A-Za-z0-9_-]+")


def _line(key: str, value: Any) -> str:
    return f"{key if _BARE.fullmatch(key) else _value(key)} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ModelError(f"{value} cannot be kept in a recipe")
        return repr(value)
    if not isinstance(value, str | bool | int):  # a date, a table: nothing that a recipe has
        raise ModelError(f"{value!r:.60} cannot be kept in a recipe")
    # TOML's basic strings take JSON's escapes; the last of the control characters JSON lets by.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
