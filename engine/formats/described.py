"""What a model file says about itself, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinlens.engine.formats.answer.answers import Answers


@dataclass(frozen=True)
class ModelFile:
    """What a model file declares.

    Attributes:
        path: the file, or the folder of a package.
        input_shape: declared input shape, as the graph (or ONNX Runtime) takes it; None for an
            axis that is left open.
        output_width: declared number of outputs; None when it is left open.
        answers: which output classifies, and how it is read.
        metadata: the file's own key-value pairs.
        input_is_integer: whether the input is uint8.
        labels: names of the outputs that the file brings, outputs without a class included.
        recipe: what the file says of how it is fed, as for ``Recipe.from_dict``; size and layout
            may be missing.
        usual: what is mostly done with such a network, where the file does not say.
        usual_values: that in words, for display (``"−1 to 1, as Keras feeds MobileNet-v2"``).
        format: name of the format, for display.
    """

    path: Path
    input_shape: tuple[int | None, ...]
    output_width: int | None
    answers: Answers
    metadata: Mapping[str, str]
    input_is_integer: bool = False
    labels: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)
    usual_values: str = ""
    format: str = "ONNX"
