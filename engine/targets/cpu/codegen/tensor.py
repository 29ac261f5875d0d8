"""Where values live: pictures in NHWC, with a border where a kernel wants one.

A ``Buffer`` is a stretch of the arena; a ``Tensor`` is some or all of its channels. Concatenation
costs nothing because the inputs are written as channels of one buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from twinlens.engine.targets.cpu.codegen.emit import SIZES, Emitter, Value

#: Offsets of buffers and packed arrays are multiples of this; a cache line.
ALIGNMENT = 64


def aligned(size: int) -> int:
    """Round up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(eq=False)
class Buffer:
    """Memory of one picture: rows of pixels, a pixel's channels side by side.

    Attributes:
        height, width: without the border.
        channels: of all tensors in it.
        dtype: ``"f32"``, ``"bf16"`` or ``"u8"``.
        halo: border (top, left, bottom, right), filled with zeros by whoever writes the inside.
        flat: somebody reads it as one row of numbers, so that it may have no border.
        tensors: the views of it.
        offset: bytes from the arena's start; set by the memory plan.
    """

    height: int
    width: int
    channels: int
    dtype: str = "f32"
    halo: tuple[int, int, int, int] = (0, 0, 0, 0)
    flat: bool = False
    tensors: list[Tensor] = field(default_factory=list)
    offset: int = 0

    @property
    def pixel_bytes(self) -> int:
        """From one pixel to the next."""
        return self.channels * SIZES[self.dtype]

    @property
    def row_bytes(self) -> int:
        """From one row to the next."""
        return (self.width + self.halo[1] + self.halo[3]) * self.pixel_bytes

    @property
    def size(self) -> int:
        """Bytes, border included.

        Products read whole numbers of four bytes, so up to three behind the last sample; they
        meet weights of zero there.
        """
        read_beyond = 3 if self.dtype == "u8" else 0
        return (self.height + self.halo[0] + self.halo[2]) * self.row_bytes + read_beyond

    def add_halo(self, wanted: Sequence[int]) -> None:
        """Grow the border where it is smaller than wanted (top, left, bottom, right)."""
        top, left, bottom, right = (max(a, b) for a, b in zip(self.halo, wanted, strict=True))
        self.halo = (top, left, bottom, right)


@dataclass(eq=False)
class Tensor:
    """Channels of a buffer.

    Attributes:
        buffer: where it lives.
        height, width, channels: its size; a flat view has height and width 1.
        first: its first channel in the buffer.
        scale: what one step of a stored u8 is worth.
        zero_point: the stored u8 that stands for 0.
    """

    buffer: Buffer
    height: int
    width: int
    channels: int
    first: int = 0
    scale: float = 1.0
    zero_point: int = 0

    def __post_init__(self) -> None:
        self.buffer.tensors.append(self)

    @classmethod
    def new(cls, height: int, width: int, channels: int, dtype: str = "f32") -> Tensor:
        """A tensor in a buffer of its own."""
        return cls(Buffer(height, width, channels, dtype), height, width, channels)

    @property
    def dtype(self) -> str:
        """How values are stored."""
        return self.buffer.dtype

    @property
    def item(self) -> int:
        """Bytes of a stored value."""
        return SIZES[self.dtype]

    @property
    def pixel_bytes(self) -> int:
        """From one pixel to the next."""
        return self.buffer.pixel_bytes

    @property
    def row_bytes(self) -> int:
        """From one row to the next."""
        return self.buffer.row_bytes

    @property
    def whole(self) -> bool:
        """Whether it is all channels of its buffer."""
        return self.channels == self.buffer.channels

    @property
    def one_run(self) -> bool:
        """Whether its pixels follow each other at one distance over row ends."""
        return not (self.buffer.halo[1] or self.buffer.halo[3]) or self.height == 1

    def start(self, y: int = 0, x: int = 0) -> int:
        """Bytes from the arena's start to pixel (y, x); coordinates may lie in the border."""
        top, left = self.buffer.halo[:2]
        inside = (y + top) * self.row_bytes + (x + left) * self.pixel_bytes
        return self.buffer.offset + inside + self.first * self.item

    def read(self, e: Emitter, pointer: Value, count: int) -> Value:
        """Load ``count`` values as float32."""
        value = e.load_floats(pointer, count, self.dtype)
        if self.dtype != "u8":
            return value
        centred = e.b.fsub(value, e.splat(float(self.zero_point), count))
        return e.b.fmul(centred, e.splat(self.scale, count))

    def write(self, e: Emitter, value: Value, pointer: Value, count: int) -> None:
        """Store the first ``count`` lanes of a float32 vector; as u8, 0 for what is no number."""
        if self.dtype == "u8":
            lanes = value.type.count
            if self.zero_point:
                value = e.or_else(value, 0.0)
            value = e.fma(
                value, e.splat(1.0 / self.scale, lanes), e.splat(float(self.zero_point), lanes)
            )
        e.store_floats(value, pointer, count, self.dtype)


def clear_halo(
    e: Emitter,
    tensor: Tensor,
    arena: Value,
    y: Value,
    first: int | Value = 0,
    channels: int | None = None,
) -> None:
    """Fill the border left and right of row ``y``, and above the first and below the last row.

    Args:
        e: writes the code.
        tensor: what is being written.
        arena: the arena's address.
        y: row that is being written.
        first: first channel to clear, from the tensor's first.
        channels: how many; None means all of the tensor's.
    """
    top, left, bottom, right = tensor.buffer.halo
    if not any(tensor.buffer.halo):
        return
    count = tensor.channels if channels is None else channels
    width = tensor.width
    shift = first * tensor.item if isinstance(first, int) else e.mul(first, tensor.item)

    def run(pointer: Value, pixels: int) -> None:
        if count == tensor.buffer.channels:
            e.zero(pointer, pixels * count, tensor.dtype, tensor.zero_point)
        elif pixels:
            with e.loop(0, pixels) as pixel:
                here = e.at(pointer, e.mul(pixel.index, tensor.pixel_bytes))
                e.zero(here, count, tensor.dtype, tensor.zero_point)

    row = e.at(e.at(arena, tensor.start(0, -left)), e.mul(y, tensor.row_bytes))
    row = e.at(row, shift)
    if left:
        run(row, left)
    if right:
        run(e.at(row, (left + width) * tensor.pixel_bytes), right)
    for lines, at_row, start in (
        (top, 0, tensor.start(-top, -left)),
        (bottom, tensor.height - 1, tensor.start(tensor.height, -left)),
    ):
        if lines:
            with e.when(e.b.icmp_signed("==", y, e.i64(at_row))):
                run(e.at(e.at(arena, start), shift), lines * (left + width + right))
