"""Cards of one's own in a folder of fetched models, for files of a server of one's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from helpers.tiny_nets import tiny_classifier


def own_card(name: str, data: bytes, *urls: str, **values: Any) -> dict[str, Any]:
    """Plain values of a card for ``data``; ``values`` go over what is usual."""
    return {
        "id": name,
        "title": f"Net {name}",
        "description": "Random weights.",
        "task": "three kinds of noise",
        "format": "onnx",
        "parameters": 9,
        "accuracy": "none",
        "licence": "MIT",
        "source": "made by a test",
        "labels": "labels/digits.txt",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "urls": list(urls),
        "verified": True,
        "recipe": {"width": 16, "height": 16},
    } | values


def write_catalog(root: Path, *cards: dict[str, Any]) -> None:
    """Write the ``catalog.toml`` of a folder of fetched models."""
    root.mkdir(parents=True, exist_ok=True)
    text = "".join(f"[[model]]\n{_lines(card)}\n" for card in cards)
    (root / "catalog.toml").write_text(text, encoding="utf-8")


def digits_model(folder: Path) -> bytes:
    """An ONNX file with ten classes and random weights."""
    return tiny_classifier(folder / "digits.onnx", 10).read_bytes()


def _lines(values: dict[str, Any]) -> str:
    plain = [f"{key} = {_text(v)}\n" for key, v in values.items() if v is not None]
    return "".join(plain)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_text(v)}" for key, v in value.items()) + " }"
    return json.dumps(value)
