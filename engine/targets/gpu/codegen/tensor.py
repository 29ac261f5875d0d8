"""Where values live on the GPU: pictures in NHWC, channels in groups of four.

A ``Buffer`` is memory of a batch of pictures; a ``Tensor`` is some or all of its channels.
Concatenation costs nothing because the inputs are written as channels of one buffer. Channels
that fill up the last group of four hold zeros or other finite numbers; kernels that would be
misled by them leave them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Bytes of a stored value, by WGSL's name.
SIZES = {"f32": 4, "f16": 2}


def quads(channels: int) -> int:
    """Groups of four that hold so many channels."""
    return -(-channels // 4)


@dataclass(eq=False)
class Buffer:
    """Memory of a batch of pictures, a pixel's channels side by side.

    Attributes:
        batch, height, width: of the pictures.
        quads: groups of four channels, of all tensors in it.
        dtype: ``"f32"`` or ``"f16"``.
        tensors: the views of it.
    """

    batch: int
    height: int
    width: int
    quads: int
    dtype: str = "f32"
    tensors: list[Tensor] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.batch * self.height * self.width * self.quads * 4 * SIZES[self.dtype]


@dataclass(eq=False)
class Tensor:
    """Channels of a buffer.

    Attributes:
        buffer: where it lives.
        height, width, channels: its size; a flat view has height and width 1.
        first: its first group of four channels in the buffer.
        flat: a row of all samples of a picture; then ``channels`` counts those that fill up too.
    """

    buffer: Buffer
    height: int
    width: int
    channels: int
    first: int = 0
    flat: bool = False

    def __post_init__(self) -> None:
        self.buffer.tensors.append(self)

    @classmethod
    def new(cls, batch: int, height: int, width: int, channels: int, dtype: str = "f32") -> Tensor:
        """A tensor in a buffer of its own."""
        buffer = Buffer(batch, height, width, quads(channels), dtype)
        return cls(buffer, height, width, channels)

    @property
    def batch(self) -> int:
        """Pictures."""
        return self.buffer.batch

    @property
    def dtype(self) -> str:
        """How values are stored."""
        return self.buffer.dtype

    @property
    def quads(self) -> int:
        """Groups of four channels."""
        return quads(self.channels)

    @property
    def pixel(self) -> int:
        """Groups of four from one pixel to the next."""
        return self.quads if self.flat else self.buffer.quads

    @property
    def pixels(self) -> int:
        """Pixels of all pictures."""
        return self.batch * self.height * self.width

    @property
    def whole(self) -> bool:
        """Whether it is all channels of its buffer."""
        return self.first == 0 and self.quads == self.buffer.quads
