"""What a model file says about itself, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
        input_dtype: type of the input: ``"float32"``, ``"float16"``, ``"uint8"`` ...
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
    input_dtype: str = "float32"
    labels: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    usual: Mapping[str, Any] = field(default_factory=dict)
    usual_values: str = ""
    format: str = "ONNX"


# Channels of a picture: grey, colours, colours with alpha.
_CHANNELS = (1, 3, 4)
_LEAST_SIDE = 8
_LONGEST = 4  # of the sides of a picture, the longer is not longer than so many shorter ones


def is_channels_first(shape: tuple[int | None, ...]) -> bool:
    """Whether an input of three or four axes is (channels, height, width) behind its batch."""
    first, last = shape[-3] in _CHANNELS, shape[-1] in _CHANNELS
    return first or not last


def is_picture(shape: tuple[int | None, ...]) -> bool:
    """Whether an input can be a picture: four axes, or three without a batch."""
    if len(shape) == 4:
        return True
    if len(shape) != 3:
        return False
    # What has three axes is more often a sequence, so sizes have to speak for a picture.
    first = is_channels_first(shape)
    channels, sides = (shape[0], shape[1:]) if first else (shape[2], shape[:2])
    known = [n for n in sides if n is not None]
    if channels == 1 and known and max(known) > _LONGEST * min(known):
        return False  # a batch of one sequence
    return channels in _CHANNELS and all(n >= _LEAST_SIDE for n in known)
