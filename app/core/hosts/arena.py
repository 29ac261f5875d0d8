"""Memory that this process and a host both see, and that has no name that could be left behind.

On Linux it is a ``memfd``, which does not need ``/dev/shm``; elsewhere a file without a name; on
Windows a mapping that goes with its last handle. Its pages are reserved when it grows, so that a
machine without memory is an error here, not a signal somewhere later. Where none of it can be had,
there is no arena, and arrays go through the pipe.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)
_PAGE = mmap.ALLOCATIONGRANULARITY
ALIGN = 64
"""Arrays begin at multiples of this."""


class ArenaClosedError(ValueError):
    """It was closed, since the process that shared it has ended."""


class Arena:
    """Shared memory that grows; what was put into it stays where it is.

    The process that makes it reserves; the other one follows when it is told the new size.

    Args:
        fd: the memory's file descriptor; -1 on Windows.
        name: the mapping's name on Windows; empty elsewhere.
    """

    def __init__(self, fd: int, name: str = "") -> None:
        self._fd, self._name = fd, name
        self._closed = False
        # Who closes it may be another thread than who uses it, and its descriptor be taken again.
        self._using = threading.RLock()
        self._map: mmap.mmap | None = None
        self.size = 0

    @classmethod
    def make(cls) -> Arena | None:
        """A new, empty one; None where this machine has no memory to share."""
        if sys.platform == "win32":
            return cls(-1, f"twinlens-{secrets.token_hex(16)}")
        try:
            return cls(_unnamed())
        except OSError as why:
            _log.warning("no shared memory (%s): pictures go through pipes, which is slower", why)
            return None

    @property
    def handle(self) -> str:
        """What the other process finds it by."""
        return self._name or str(self._fd)

    @property
    def inherited(self) -> tuple[int, ...]:
        """File descriptors that the other process has to inherit."""
        return () if self._name else (self._fd,)

    @classmethod
    def join(cls, handle: str) -> Arena:
        """The one that another process has made."""
        return cls(int(handle)) if handle.isdigit() else cls(-1, handle)

    def reserve(self, size: int) -> None:
        """Let it have at least so many bytes.

        Raises:
            MemoryError: there is no room for them.
            ArenaClosedError: it was closed.
        """
        with self._using:
            self._check_open()
            self._reserve(size)

    def _reserve(self, size: int) -> None:
        if size <= self.size:
            return
        size = -(-size // _PAGE) * _PAGE
        free = available_memory()
        if free and size - self.size > free // 2:
            # Linux would go on handing out pages until it has to end a process.
            raise MemoryError(f"no room for {size:,} bytes of shared memory: {free:,} are free")
        try:
            if not self._name:
                _grow(self._fd, self.size, size)
            self._follow(size)
        except OSError as why:
            raise MemoryError(f"no room for {size:,} bytes of shared memory: {why}") from why

    def follow(self, size: int) -> None:
        """Map as many bytes as the other process says that there are.

        Raises:
            ArenaClosedError: it was closed.
        """
        with self._using:
            self._check_open()
            self._follow(size)

    def _check_open(self) -> None:
        if self._closed:
            raise ArenaClosedError("the shared memory was closed")

    def _follow(self, size: int) -> None:
        if size <= self.size:
            return
        # Arrays in the mapping so far keep it; both show the same memory.
        if self._name:
            # On Windows each size is a mapping of its own, so what lay in the last one is left.
            tag = f"{self._name}-{size}"
            self._map = mmap.mmap(-1, size, tagname=tag)  # type: ignore[call-arg,unused-ignore]
        else:
            self._map = mmap.mmap(self._fd, size)
        self.size = size

    def array(self, offset: int, shape: Sequence[int], dtype: str) -> NDArray[Any]:
        """An array that lies in it.

        Raises:
            ValueError: it does not fit.
            ArenaClosedError: it was closed.
        """
        self._check_open()
        import numpy as np  # late: the first host is started before anything large is imported

        kind = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        if self._map is None or offset < 0 or offset + count * kind.itemsize > self.size:
            raise ValueError(f"{shape} of {dtype} at {offset} is beyond {self.size:,} bytes")
        return np.frombuffer(self._map, kind, count, offset).reshape(tuple(shape))

    def bytes_at(self, offset: int, size: int) -> NDArray[np.uint8]:
        """Bytes that lie in it; every view of them refers to the array that this gives.

        Raises:
            ValueError: they do not fit.
            ArenaClosedError: it was closed.
        """
        self._check_open()
        import numpy as np  # late: see above

        if self._map is None or offset < 0 or offset + size > self.size:
            raise ValueError(f"{size} bytes at {offset} are beyond {self.size:,} bytes")
        return np.frombuffer(self._map, np.uint8, size, offset)

    def put(self, array: NDArray[Any], offset: int = 0) -> None:
        """Copy an array to a place, reserving what is missing; raises as ``reserve``."""
        with self._using:
            self.reserve(offset + array.nbytes)
            place = self.array(offset, array.shape, array.dtype.str)
        place[...] = array

    def forget(self, start: int) -> None:
        """Give back the pages from there on; they read as zeros from then on."""
        start = -(-start // _PAGE) * _PAGE
        if self._map is not None and start < self.size and hasattr(mmap, "MADV_REMOVE"):
            with contextlib.suppress(OSError):  # a file system that cannot
                self._map.madvise(mmap.MADV_REMOVE, start, self.size - start)

    def close(self) -> None:
        """Let go of it; arrays in it stay valid."""
        with self._using:
            self._closed = True
            self._map = None
            self.size = 0
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


def available_memory() -> int:
    """Bytes that programs may still take; 0 where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0


def _unnamed() -> int:
    if hasattr(os, "memfd_create"):
        try:
            return os.memfd_create("twinlens", os.MFD_CLOEXEC)
        except OSError as why:
            _log.info("no memfd (%s): a file takes its place", why)
    with tempfile.TemporaryFile(prefix="twinlens-") as file:
        return os.dup(file.fileno())


def _grow(fd: int, before: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, before, size - before)
    else:
        os.ftruncate(fd, size)
