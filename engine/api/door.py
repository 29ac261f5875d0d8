"""The door of a network: a converted picture goes in as the network takes it.

Recipes make one picture: four axes, float32 or uint8. Networks may take another type, no batch, or
a fixed number of pictures at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinlens.engine.errors import ShapeError


@dataclass(frozen=True)
class Door:
    """What a network takes, and how one picture becomes that.

    Attributes:
        shape: shape that the network takes: (n, ...) of four axes, or three without a batch.
        dtype: type that it takes; integers get the nearest whole number.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(
        cls,
        given: tuple[int | str | None, ...],
        picture: tuple[int, ...],
        *,
        dtype: str = "float32",
        name: str,
    ) -> Door:
        """The door for a picture.

        Args:
            given: shape that the network declares; anything but a number leaves an axis open.
            picture: (1, ...) shape that the recipe makes.
            dtype: type that the network declares.
            name: of the network, for errors.

        Raises:
            ShapeError: the picture does not go in.
        """
        wanted = picture[1:] if len(given) == 3 else picture
        pairs = list(zip(given, wanted, strict=False))
        shape = tuple(s if isinstance(s, int) and s > 0 else own for s, own in pairs)
        batch = len(shape) - 3
        if len(given) not in (3, 4) or shape[batch:] != wanted[batch:]:
            raise ShapeError(f"{name} takes {_shown(given)}, but its recipe makes {picture}")
        return cls(shape, np.dtype(dtype))

    @property
    def pictures(self) -> int:
        """How many pictures the network takes at once."""
        return self.shape[0] if len(self.shape) == 4 else 1

    def enter(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """A converted picture as the network takes it: the same array where that is the same."""
        if tensor.dtype != self.dtype:
            if self.dtype.kind in "iu" and tensor.dtype.kind == "f":
                info = np.iinfo(self.dtype)
                tensor = np.clip(np.rint(tensor), info.min, info.max)
            tensor = tensor.astype(self.dtype)
        if tensor.shape == self.shape:
            return tensor
        if len(self.shape) == 3:
            return tensor.reshape(self.shape)
        return np.ascontiguousarray(np.broadcast_to(tensor, self.shape))

    def answer(self, output: NDArray[Any]) -> NDArray[np.float32]:
        """The first picture's row of an output, float32; a fresh array."""
        rows = output.reshape(self.pictures, -1) if self.pictures > 1 else output.reshape(1, -1)
        return np.array(rows[0], np.float32)

    def width(self, shape: tuple[int, ...]) -> int:
        """How many values of an output of that shape are one picture's."""
        return int(np.prod(shape)) // self.pictures


def _shown(shape: tuple[int | str | None, ...]) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in shape)})"
