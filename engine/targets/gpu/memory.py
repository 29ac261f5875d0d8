"""Which buffers share memory on the GPU.

WebGPU refuses a buffer that one dispatch both reads and writes through two bindings, so that
values do not lie side by side in one arena, as they do on the processor: each piece of memory
holds one value at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinlens.engine.targets.gpu.kernels.base import Op
from twinlens.engine.targets.gpu.lower import Lowered, Reference
from twinlens.engine.targets.gpu.tensor import Buffer
from twinlens.engine.targets.liveness import Life, lives


def needed(lowered: Lowered) -> dict[Buffer, Life]:
    """When each buffer is needed; a step is a position in the plan."""
    writes: list[tuple[int, Buffer]] = []
    reads: list[tuple[int, Buffer]] = []
    for position, step in enumerate(lowered.steps):
        if isinstance(step, Op):
            reads += [(position, tensor.buffer) for tensor in step.inputs]
            writes.append((position, step.output.buffer))
            continue
        reads += [(position, stored.tensor.buffer) for stored in step.stored.values()]
        if step.result is not None:
            writes.append((position, step.result.tensor.buffer))
    end = len(lowered.steps)
    reads += [(end, stored.tensor.buffer) for stored in lowered.outputs.values()]
    return lives(writes, reads)


def pieces(buffers: Mapping[Buffer, Life], *, share: bool = True) -> list[list[Buffer]]:
    """Group buffers that are never needed at the same time; the largest of a group is first.

    Args:
        buffers: when each is needed.
        share: whether they may share memory at all; off, to look at every value afterwards.
    """
    groups: list[list[Buffer]] = []
    for buffer in sorted(buffers, key=lambda b: -b.size):
        free = (
            group
            for group in groups
            if share and not any(buffers[buffer].meets(buffers[other]) for other in group)
        )
        group = next(free, None)
        if group is None:
            groups.append([buffer])
        else:
            group.append(buffer)
    return groups


def segments(steps: Sequence[Op | Reference]) -> list[list[Op] | Reference]:
    """Runs of kernels, with the reference nodes between them."""
    result: list[list[Op] | Reference] = []
    for step in steps:
        if isinstance(step, Reference):
            result.append(step)
        elif result and isinstance(result[-1], list):
            result[-1].append(step)
        else:
            result.append([step])
    return result
