"""The calls of wgpu-native that every frame makes, without wgpu-py's checks around each.

wgpu-py wraps each call in Python that costs some ten times what the call does; a network is some
hundred and fifty calls a frame. What is called here is declared in wgpu-native's ``webgpu.h`` and
``wgpu.h``, which wgpu-py ships.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import wgpu
from numpy.typing import NDArray
from wgpu.backends.wgpu_native import GPUShaderModule, ffi, lib
from wgpu.backends.wgpu_native._api import libf

from twinlens.engine.native import native_work

Bytes = NDArray[np.uint8]
#: After this long without an answer a GPU counts as hung.
PATIENCE_S = 20.0
# How long to look without pauses; the pauses' share of what was waited, and the longest of them.
_SPIN_S, _PAUSE, _LONGEST_S = 0.001, 0.03, 0.002
#: What wgpu-py raises when a call fails.
FAILURES = (RuntimeError, wgpu.GPUError)


def trusted_module(device: Any, code: str) -> Any:
    """A shader module without checks at run time.

    WGSL is made safe for the web by clamped indices and counted loops; the code here is our own
    and stays inside its bounds, and without those it runs faster.

    Raises:
        wgpu.GPUError: the code is not valid WGSL; says where.
    """
    text = code.encode()
    held = ffi.new("char[]", text)
    source = ffi.new("WGPUShaderSourceWGSL *")
    source.chain.sType = lib.WGPUSType_ShaderSourceWGSL
    source.code.data, source.code.length = held, len(text)
    descriptor = ffi.new("WGPUShaderModuleDescriptor *")
    descriptor.nextInChain = ffi.cast("WGPUChainedStruct *", source)
    number = libf.wgpuDeviceCreateShaderModuleTrusted(device._internal, descriptor, 0)
    return GPUShaderModule("", number, device)


class Calls:
    """Dispatches that are recorded again for each frame, since command buffers serve once.

    Args:
        steps: pipeline, bind group and grid of each.
    """

    def __init__(self, steps: Sequence[tuple[Any, Any, tuple[int, int, int]]]) -> None:
        self._kept = tuple(steps)
        self._steps = [(p._internal, g._internal, *grid) for p, g, grid in steps]

    def record(self, encoder: Any) -> None:
        """Record all of them in a compute pass."""
        number, none = encoder._internal, ffi.NULL
        pipeline, group, dispatch = (
            lib.wgpuComputePassEncoderSetPipeline,
            lib.wgpuComputePassEncoderSetBindGroup,
            lib.wgpuComputePassEncoderDispatchWorkgroups,
        )
        for p, g, x, y, z in self._steps:
            pipeline(number, p)
            group(number, 0, g, 0, none)
            dispatch(number, x, y, z)

    def record_timed(self, encoder: Any, queries: Any, first: int) -> None:
        """The same, with the time before each and after the last."""
        number, none, stamps = encoder._internal, ffi.NULL, queries._internal
        stamp = lib.wgpuComputePassEncoderWriteTimestamp
        for place, (p, g, x, y, z) in enumerate(self._steps):
            stamp(number, stamps, first + place)
            lib.wgpuComputePassEncoderSetPipeline(number, p)
            lib.wgpuComputePassEncoderSetBindGroup(number, 0, g, 0, none)
            lib.wgpuComputePassEncoderDispatchWorkgroups(number, x, y, z)
        stamp(number, stamps, first + len(self._steps))


def stamp(encoder: Any, queries: Any, place: int) -> None:
    """Record the time between two commands."""
    lib.wgpuCommandEncoderWriteTimestamp(encoder._internal, queries._internal, place)


def submit(device: Any, commands: Any) -> Any:
    """Submit one command buffer; gives its number."""
    buffers = ffi.new("WGPUCommandBuffer[]", [commands._internal])
    number = lib.wgpuQueueSubmitForIndex(device.queue._internal, 1, buffers)
    return ffi.new("WGPUSubmissionIndex *", number)


class Pulse:
    """Notices that a device was lost before something is asked of it that would end the process.

    wgpu-native 29 does so when work is submitted to a lost device, and when memory is asked for
    that was mapped before; what makes objects only reports the loss. The cheapest of these is
    asked: an empty layout, which exists already (1.2 µs). What is lost between the two calls, or is
    first reported by the driver while it takes the work, still ends the process: a panic of Rust
    does not cross into C.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self._empty = ffi.new("WGPUBindGroupLayoutDescriptor *")

    def check(self) -> None:
        """Raise what wgpu-py raises where the device was lost."""
        layout = libf.wgpuDeviceCreateBindGroupLayout(self._device._internal, self._empty)
        lib.wgpuBindGroupLayoutRelease(layout)


def look(device: Any) -> bool:
    """Run the callbacks that are due; gives whether all that was submitted is done."""
    return bool(lib.wgpuDevicePoll(device._internal, False, ffi.NULL))


def wait(device: Any, patience_s: float, staging: Staging | None = None) -> None:
    """Wait until the processor has a staging buffer, or else until all submitted work is done.

    wgpu's own way to wait has no time limit. So it is looked at again and again: at once for as
    long as a frame takes on a fast GPU, then after pauses that grow with what was waited already.

    Raises:
        RuntimeError: the GPU failed, or does not answer for that long.
    """
    if staging is not None and staging.mapped:
        return
    with native_work("layers-gpu waits for the GPU"):
        started_s = time.perf_counter()
        while True:
            done = look(device)
            if staging is not None and staging.failed:
                raise RuntimeError(staging.failed)
            if staging.mapped if staging is not None else done:
                return
            waited_s = time.perf_counter() - started_s
            if waited_s > patience_s:
                raise RuntimeError(f"no answer within {patience_s:g} s")
            if waited_s > _SPIN_S:
                time.sleep(min(waited_s * _PAUSE, _LONGEST_S))


def timestamp_period_ns(device: Any) -> float:
    """Nanoseconds of one step of a timestamp."""
    return float(lib.wgpuQueueGetTimestampPeriod(device.queue._internal))


class Staging:
    """A buffer that the processor and the GPU take turns with.

    Args:
        device: a wgpu device.
        size: bytes; rounded up to a multiple of 8.
        write: the processor writes and the GPU reads, otherwise the other way round.
    """

    def __init__(self, device: Any, size: int, *, write: bool) -> None:
        self.size = -(-size // 8) * 8
        use = wgpu.BufferUsage
        usage = use.MAP_WRITE | use.COPY_SRC if write else use.MAP_READ | use.COPY_DST
        self.buffer = device.create_buffer(size=self.size, usage=usage, mapped_at_creation=write)
        self._pulse = Pulse(device)
        self._mode = lib.WGPUMapMode_Write if write else lib.WGPUMapMode_Read
        self.mapped = write
        self.failed = ""

        @ffi.callback("void(WGPUMapAsyncStatus, WGPUStringView, void *, void *)")  # type: ignore[untyped-decorator]
        def on_mapped(status: int, message: Any, first: Any, second: Any) -> None:
            del first, second
            if status == lib.WGPUMapAsyncStatus_Success:
                self.mapped = True
            else:
                self.failed = _text(message) or f"status {status}"

        self._on_mapped = on_mapped
        self._info = ffi.new("WGPUBufferMapCallbackInfo *")
        self._info.mode = lib.WGPUCallbackMode_AllowProcessEvents
        self._info.callback = on_mapped

    def request(self) -> None:
        """Ask for the buffer; ``mapped`` or ``failed`` has the outcome once the GPU is done."""
        self.failed = ""
        number = self.buffer._internal
        lib.wgpuBufferMapAsync(number, self._mode, 0, self.size, self._info[0])

    def bytes(self) -> Bytes:
        """The memory, while it is mapped.

        Raises:
            RuntimeError: it is not mapped.
            wgpu.GPUError: the device was lost.
        """
        self._pulse.check()
        pointer = lib.wgpuBufferGetMappedRange(self.buffer._internal, 0, self.size)
        if pointer == ffi.NULL:
            raise RuntimeError("the buffer is not mapped")
        return np.frombuffer(ffi.buffer(pointer, self.size), np.uint8)

    def give(self) -> None:
        """Hand the buffer to the GPU."""
        if self.mapped:
            lib.wgpuBufferUnmap(self.buffer._internal)
            self.mapped = False


def _text(view: Any) -> str:
    if view.data == ffi.NULL:
        return ""
    return bytes(ffi.buffer(view.data, view.length)).decode("utf-8", "replace")
