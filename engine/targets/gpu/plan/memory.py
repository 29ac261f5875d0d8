"""Which buffers share memory on the GPU.

WebGPU refuses a buffer that one dispatch both reads and writes through two bindings, so that
values do not lie side by side in one arena, as they do on the processor: each piece of memory
holds one value at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinlens.engine.targets.gpu.codegen.tensor import Buffer, Tensor
from twinlens.engine.targets.gpu.kernels.base import Op
from twinlens.engine.targets.gpu.plan.lower import Step
from twinlens.engine.targets.liveness import Life
from twinlens.engine.targets.lowering import Reference


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


def segments(steps: Sequence[Step]) -> list[list[Op] | Reference[Tensor]]:
    """Runs of kernels, with the reference nodes between them."""
    result: list[list[Op] | Reference[Tensor]] = []
    for step in steps:
        if isinstance(step, Reference):
            result.append(step)
        elif result and isinstance(result[-1], list):
            result[-1].append(step)
        else:
            result.append([step])
    return result
