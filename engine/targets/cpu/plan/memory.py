"""Where buffers lie in the arena: those that never live at the same time share memory."""

from __future__ import annotations

from collections.abc import Mapping

from twinlens.engine.targets.cpu.codegen.tensor import Buffer, aligned
from twinlens.engine.targets.liveness import Life, lives

__all__ = ["Life", "lives", "place"]


def place(buffers: Mapping[Buffer, Life], *, share: bool = True, gap: int = 0) -> int:
    """Set the offset of each buffer; the largest are placed first, as low as they fit.

    Args:
        buffers: what must be placed, and when each is needed.
        share: whether buffers may share memory at all; off, to look at every value afterwards.
        gap: bytes to leave free behind each buffer, for tests that watch them.

    Returns:
        Bytes that the arena needs.
    """
    placed: list[tuple[Buffer, Life]] = []
    end = 0
    for buffer in sorted(buffers, key=lambda b: -b.size):
        life = buffers[buffer]
        size = aligned(buffer.size) + gap
        offset = 0
        others = [b for b, other in placed if not share or life.meets(other)]
        for other in sorted(others, key=lambda b: b.offset):
            if offset + size <= other.offset:
                break
            offset = max(offset, other.offset + aligned(other.size) + gap)
        buffer.offset = offset
        end = max(end, offset + size)
        placed.append((buffer, life))
    return end
