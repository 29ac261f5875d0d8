"""What Twinlens writes into model files about themselves, and reads back."""

from __future__ import annotations

import json
from typing import Any

from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.errors import ModelError
from twinlens.engine.formats.described import ModelFile
from twinlens.models.identify.sidecar import KNOWN

_SETTINGS = "twinlens.model"


def metadata_of(model: ModelSpec) -> dict[str, str]:
    """What is known of a model, as text that a file can carry; ``identify`` reads it back."""
    settings = {
        "title": model.title,
        "background_outputs": model.background_outputs,
        "output": model.output,
    }
    return {
        "twinlens.recipe": json.dumps(model.recipe.to_dict()),
        _SETTINGS: json.dumps(settings),
        "labels": json.dumps(list(model.labels), ensure_ascii=False),
    }


def settings_in(file: ModelFile) -> dict[str, Any]:
    """Title, background and kind of output that ``metadata_of`` wrote into a file.

    Raises:
        ModelError: they are damaged, or a value is not allowed; names it.
    """
    text = file.metadata.get(_SETTINGS)
    if not text:
        return {}
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file.path}: its settings cannot be read ({error})") from error
    for key in ("title", "background_outputs", "output"):
        if isinstance(values, dict) and key in values and not KNOWN[key](values[key]):
            raise ModelError(f"{file.path}: its {key} is {values[key]!r}, which is not allowed")
    return values if isinstance(values, dict) else {}
