"""What a model file says about itself, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


PACKED = "packed"
"""Key in ``metadata`` of a mapping that is packed behind a network, as text of JSON or Python."""

# Channels of a picture: grey, colours, colours with alpha.
_CHANNELS = (1, 3, 4)
_LEAST_SIDE = 8
_NARROW = 16  # and a grey one with a side below that is one of sound, where the other is long
_FEW = 4
_LONGEST = 4  # of the sides of a picture, the longer is not longer than so many shorter ones


def is_channels_first(shape: tuple[int | None, ...]) -> bool:
    """Whether an input of three or four axes is (channels, height, width) behind its batch."""
    first, last = shape[-3] in _CHANNELS, shape[-1] in _CHANNELS
    return first or not last


def picture_shape(shape: tuple[int | None, ...]) -> tuple[int | None, ...] | None:
    """The shape of an input that can be a picture, as it is meant; None where it can be none.

    That is one of four axes, sides longer than one and 1, 3 or 4 colours, or of three without a
    batch. An open batch of squares is one of grey pictures; of other sizes it is one of sequences.
    """
    if len(shape) not in (3, 4):
        return None
    square = shape[-1] is not None and shape[-1] == shape[-2]
    if len(shape) == 3 and shape[0] is None and square and shape[-1] not in _CHANNELS:
        shape = (1, *shape[1:])
    first = is_channels_first(shape)
    picture = shape[-3:]
    channels, sides = (picture[0], picture[1:]) if first else (picture[2], picture[:2])
    known = [n for n in sides if n is not None]
    long = channels == 1 and known and max(known) > _LONGEST * min(known)
    if len(shape) == 4:
        sound = long and min(known) < _NARROW
        return None if sound or 1 in known or channels not in (None, *_CHANNELS) else shape
    # What has three axes is more often a sequence, so sizes have to speak for a picture.
    if long:
        return None  # a batch of one sequence
    fits = channels in _CHANNELS and all(n >= _LEAST_SIDE for n in known)
    return shape if fits else None


def no_picture(name: str, shape: Sequence[int | None]) -> str:
    """What an error says of an input that is no picture, behind the file's name."""
    sizes = "×".join("?" if n is None else str(n) for n in shape) or "no axes"
    return f"input {name!r} of {sizes} is no picture (expected height, width and 1, 3 or 4 colours)"


def counted(names: Sequence[str], what: str) -> str:
    """How many inputs or outputs there are, and the first of their names."""
    few = ", ".join(repr(name) for name in names[:_FEW]) + (" ..." if len(names) > _FEW else "")
    plural = "" if len(names) == 1 else "s"
    return f"{len(names)} {what}{plural}" + (f" ({few})" if len(names) > 1 else "")
