"""Names of the generated code: valid, safe, and as near to the model's own as can be."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Collection

_UNSAFE = re.compile(r"[^A-Za-z0-9_./:\-]+")
_WORD = re.compile(r"[A-Za-z0-9]+")
_LONGEST_LAYER, _LONGEST_CLASS, _WIDEST_TEXT = 60, 36, 60
_LONGEST_READ = 400


def layer_name(text: str) -> str:
    """A layer's name that stands between quotes as it is: ASCII letters, digits and ``_./:-``."""
    plain = _UNSAFE.sub("_", _ascii(text)) or "layer"
    while len(plain) > _LONGEST_LAYER and "/" in plain:
        plain = plain.partition("/")[2] or plain[-_LONGEST_LAYER:]
    return plain[-_LONGEST_LAYER:]


def class_name(title: str, taken: Collection[str]) -> str:
    """A class's name of a model's title: ``MobileNet-v2`` is ``MobileNetV2``.

    Args:
        title: any text.
        taken: names that mean something else already; those of builtins and keywords are avoided
            as well.
    """
    words = _WORD.findall(_ascii(title))
    name = "".join(word[0].upper() + word[1:] for word in words)[:_LONGEST_CLASS]
    if not name or name[0].isdigit():
        name = f"Model{name}"
    # An all-capital name would be a constant's.
    if name.isupper() and len(name) > 1 and name.isalpha():
        name = name.capitalize()
    reserved = {*taken, *keyword.kwlist, *dir(builtins)}
    while name in reserved or f"{name}Prediction" in reserved:
        name += "Model"
    return name


def is_module_name(stem: str) -> bool:
    """Whether a file of this name, without ``.py``, can be imported."""
    return stem.isidentifier() and not keyword.iskeyword(stem)


def module_name(stem: str) -> str:
    """An importable name that is near to a file's."""
    name = "_".join(_WORD.findall(_ascii(stem))).lower() or "model"
    if name[0].isdigit() or keyword.iskeyword(name):
        name = f"model_{name}"
    return name


def plain_text(text: str) -> str:
    """Text that can stand in a docstring or between quotes: one line, nothing to escape."""
    shown = "".join(c if c.isprintable() else " " for c in text[:_LONGEST_READ])
    shown = " ".join(shown.replace("\\", "/").replace('"', "'").split()) or "Model"
    if _width(shown) <= _WIDEST_TEXT:
        return shown
    while _width(shown) > _WIDEST_TEXT - 1:
        shown = shown[:-1]
    return f"{shown.rstrip()}…"


def _width(text: str) -> int:
    """Columns; letters of East Asia and pictures take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _ascii(text: str) -> str:
    """Letters without their accents; what has no such form goes."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
