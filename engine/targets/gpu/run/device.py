"""A device for one network: its buffers, shaders and pipelines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from twinlens.engine.cancel import checkpoint
from twinlens.engine.errors import EngineError
from twinlens.engine.layers.base import Array
from twinlens.engine.native import native_work
from twinlens.engine.targets.gpu.codegen.tensor import Buffer
from twinlens.engine.targets.gpu.kernels.base import Grid, Op, Target, bound_buffers
from twinlens.engine.targets.gpu.run import native
from twinlens.engine.targets.gpu.run.adapters import TITLE, Adapter, one_line, open_device
from twinlens.engine.targets.gpu.run.native import PATIENCE_S

#: What ``native.Calls`` records: a pipeline, its bind group, a grid.
Call = tuple[Any, Any, Grid]
# Drivers compile one shader per thread; more of them only wait for each other.
_MOST_COMPILERS = 12


class Device:
    """A wgpu device and what was made on it.

    Args:
        adapter: describes it.
        raw: wgpu's object.

    Raises:
        EngineError: the driver gives no device.
    """

    def __init__(self, adapter: Adapter, raw: Any) -> None:
        self.adapter = adapter
        self.raw = open_device(raw)
        self.features = frozenset(self.raw.features)
        self._pipelines: dict[str, Any] = {}
        self._memory: dict[Buffer, Any] = {}
        self._pulse = native.Pulse(self.raw)

    @property
    def largest(self) -> int:
        """Bytes that one buffer may have."""
        limits = self.raw.limits
        return min(int(limits[f"max-{name}-size"]) for name in ("buffer", "storage-buffer-binding"))

    @property
    def stamps(self) -> bool:
        """Whether kernels can be timed one by one."""
        return {"timestamp-query", "timestamp-query-inside-passes"} <= self.features

    def place(self, groups: Sequence[Sequence[Buffer]]) -> int:
        """Allocate a piece of memory for each group of buffers, which share it; gives bytes."""
        total = 0
        for group in groups:
            size = max(buffer.size for buffer in group)
            memory = self.buffer(size)
            total += size
            for buffer in group:
                self._memory[buffer] = memory
        return total

    def memory(self, buffer: Buffer) -> Any:
        """The wgpu buffer of a planned one."""
        return self._memory[buffer]

    def buffer(self, size: int) -> Any:
        """Memory on the GPU that shaders use and that is copied to and from.

        Raises:
            EngineError: there is not so much, or not in one piece.
        """
        import wgpu

        use = wgpu.BufferUsage
        usage = use.STORAGE | use.COPY_SRC | use.COPY_DST
        filled = -(-size // 16) * 16
        if filled > self.largest:
            raise EngineError(
                f"{TITLE}: {self.adapter.title} takes at most {self.largest / 1e6:.1f} MB in one "
                f"buffer; {filled / 1e6:.1f} MB are needed",
                hint="Another engine, a smaller picture or a smaller batch may do.",
            )
        try:
            return self.raw.create_buffer(size=filled, usage=usage)
        except native.FAILURES as why:
            raise EngineError(
                f"{TITLE}: {self.adapter.name} gives no {size / 1e6:.1f} MB of memory: "
                f"{one_line(why)}"
            ) from why

    def upload(self, array: Array) -> Any:
        """A buffer with an array in it."""
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        filled = np.zeros(-(-data.size // 16) * 16, np.uint8)
        filled[: data.size] = data
        buffer = self.buffer(filled.size)
        self.raw.queue.write_buffer(buffer, 0, filled)
        return buffer

    def compile(self, codes: Iterable[str]) -> None:
        """Make the pipelines of several shaders at once, each on a processor of its own.

        Raises:
            EngineError: the driver refuses a shader.
        """
        missing = [code for code in dict.fromkeys(codes) if code not in self._pipelines]
        threads = min(len(missing), os.cpu_count() or 1, _MOST_COMPILERS)
        if threads < 2:
            return
        with ThreadPoolExecutor(threads, "twinlens-wgsl") as pool:
            waiting = {code: pool.submit(self._made, code) for code in missing}
            try:
                for code, made in waiting.items():
                    checkpoint()
                    self._pipelines[code] = made.result()
            except BaseException:
                # What has not begun is not worth waiting for.
                pool.shutdown(cancel_futures=True)
                raise

    def pipeline(self, code: str) -> Any:
        """A compute pipeline; one that was made is used again.

        Raises:
            EngineError: the driver refuses the shader.
        """
        known = self._pipelines.get(code)
        if known is None:
            checkpoint()
            known = self._pipelines[code] = self._made(code)
        return known

    def _made(self, code: str) -> Any:
        try:
            with native_work("layers-gpu compiles a shader"):
                module = native.trusted_module(self.raw, code)
                return self.raw.create_compute_pipeline(
                    layout="auto", compute={"module": module, "entry_point": "main"}
                )
        except native.FAILURES as why:
            raise EngineError(
                f"{TITLE}: {self.adapter.title} refuses a shader: {one_line(why)}"
            ) from why

    def call(self, op: Op, target: Target, given: Sequence[Any] = ()) -> Call:
        """What records an op: its pipeline, and a bind group of its buffers and constants.

        Args:
            op: a kernel whose tensors are placed.
            target: what it is written for.
            given: wgpu buffers that it reads in addition to its own constants.
        """
        pipeline = self.pipeline(op.shader(target))
        buffers = [self.memory(buffer) for buffer in bound_buffers(op)]
        buffers += [self.upload(array) for array in op.constants(target)]
        return pipeline, self.bind(pipeline, [*buffers, *given]), op.grid(target)

    def bind(self, pipeline: Any, buffers: Sequence[Any]) -> Any:
        """A bind group of whole buffers, in the order of their bindings.

        Raises:
            wgpu.GPUError: the device was lost.
        """
        entries = [
            {"binding": place, "resource": {"buffer": buffer}}
            for place, buffer in enumerate(buffers)
        ]
        layout = pipeline.get_bind_group_layout(0)
        return self.raw.create_bind_group(layout=layout, entries=entries)

    def read(self, buffer: Any, size: int) -> Array:
        """What lies in a buffer, once all work before is done.

        Raises:
            RuntimeError, wgpu.GPUError: the GPU failed, or does not answer.
        """
        staging = native.Staging(self.raw, size, write=False)
        encoder = self.raw.create_command_encoder()
        encoder.copy_buffer_to_buffer(buffer, 0, staging.buffer, 0, -(-size // 4) * 4)
        self.submit(encoder.finish())
        staging.request()
        native.wait(self.raw, PATIENCE_S, staging)
        try:
            return staging.bytes()[:size].copy()
        finally:
            staging.give()

    def settle(self) -> None:
        """Wait until all that was submitted is done.

        Raises:
            RuntimeError: the GPU does not answer.
        """
        native.wait(self.raw, PATIENCE_S)

    def write(self, buffer: Any, array: Array) -> None:
        """Put an array into a buffer."""
        self.raw.queue.write_buffer(buffer, 0, np.ascontiguousarray(array))

    def submit(self, commands: Any) -> Any:
        """Submit one command buffer; gives its number.

        Raises:
            wgpu.GPUError: the device was lost.
        """
        self._pulse.check()
        return native.submit(self.raw, commands)

    def close(self) -> None:
        """Give everything back; may be called twice."""
        self._pipelines.clear()
        self._memory.clear()
        self.raw.destroy()
