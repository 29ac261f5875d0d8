"""The GPUs of this machine, and how one is chosen."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from twinlens.engine.errors import EngineError, EngineUnavailableError
from twinlens.engine.native import native_work

TITLE = "Layers GPU"

# Best first; by wgpu's two names for them.
_BACKENDS = {"Metal": "Metal", "Vulkan": "Vulkan", "D3D12": "DX12"}
_KINDS = {
    "DiscreteGPU": "discrete",
    "IntegratedGPU": "integrated",
    "Unknown": "other",
    "CPU": "software",
}
#: After this long without an answer a driver counts as hung.
PATIENCE_S = 20.0
_lock = threading.Lock()


@dataclass(frozen=True)
class Adapter:
    """A GPU as one backend shows it.

    Attributes:
        name: the maker's name for it, e.g. ``"NVIDIA H200"``.
        backend: ``"Metal"``, ``"Vulkan"`` or ``"D3D12"``.
        kind: ``"discrete"``, ``"integrated"``, ``"software"`` (a processor that plays a GPU) or
            ``"other"``.
        driver: its driver, as far as it is reported.
        features: optional features of WebGPU and wgpu, by name.
        shared_bytes: workgroup memory.
    """

    name: str
    backend: str
    kind: str
    driver: str
    features: frozenset[str]
    shared_bytes: int

    @property
    def title(self) -> str:
        """For display: ``"NVIDIA H200, Vulkan, discrete"``."""
        return f"{self.name}, {self.backend}, {self.kind}"

    @property
    def software(self) -> bool:
        """Whether a processor plays this GPU."""
        return self.kind == "software"

    @property
    def half(self) -> bool:
        """Whether shaders compute in f16."""
        return "shader-f16" in self.features


@cache
def without_wgpu() -> str | None:
    """None where wgpu is installed and loads, otherwise why not."""
    try:
        import wgpu.backends.wgpu_native  # noqa: F401
    except ImportError:
        return "wgpu is not installed (pip install 'twinlens[gpu]')"
    except (OSError, RuntimeError) as why:
        return f"wgpu does not load: {why}"
    return None


@cache
def _found() -> tuple[tuple[Adapter, Any], ...]:
    """All adapters with wgpu's objects, best first; looked for once, since it takes a while."""
    import wgpu

    with _without_device_select():
        _choose_backends()
        known = _within(PATIENCE_S, wgpu.gpu.enumerate_adapters_sync)
        pairs = [(_described(raw), raw) for raw in known]
    return tuple(sorted(pairs, key=lambda pair: _rank(pair[0])))


@cache
def _choose_backends() -> None:
    """Leave OpenGL out; wgpu takes that once, before it looks for adapters.

    OpenGL opens the display, and writes on the error stream where there is none; what it reaches
    lacks f16, and mostly timestamps.
    """
    from wgpu.backends.wgpu_native.extras import set_instance_extras

    set_instance_extras(backends=[*_BACKENDS.values()])


@contextmanager
def _without_device_select() -> Iterator[None]:
    """Keep Mesa's Vulkan layer of that name out, which asks the display for its favourite.

    The choice is ours, and without a display the layer writes on the error stream.
    """
    name = "NODEVICE_SELECT"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _described(raw: Any) -> Adapter:
    info = raw.info
    return Adapter(
        name=info["device"] or "unnamed GPU",
        backend=info["backend_type"],
        kind=_KINDS.get(info["adapter_type"], "other"),
        driver=info["description"],
        features=frozenset(raw.features),
        shared_bytes=int(raw.limits["max-compute-workgroup-storage-size"]),
    )


def _rank(adapter: Adapter) -> tuple[int, int]:
    kinds, backends = list(_KINDS.values()), list(_BACKENDS)
    place = backends.index(adapter.backend) if adapter.backend in backends else len(backends)
    return kinds.index(adapter.kind), place


def list_adapters() -> tuple[Adapter, ...]:
    """All GPUs, best first: discrete, integrated, then software.

    Raises:
        EngineUnavailableError: wgpu is not installed, does not load, or cannot look for GPUs.
    """
    reason = without_wgpu()
    if reason:
        raise EngineUnavailableError(f"{TITLE} is not available: {reason}")
    try:
        with _lock:
            return tuple(adapter for adapter, _ in _found())
    except _failures() as why:
        raise EngineUnavailableError(f"GPUs cannot be listed: {one_line(why)}") from why


def choose(wanted: str | None) -> tuple[Adapter, Any]:
    """The adapter that is asked for, or the best; with wgpu's own object.

    Args:
        wanted: words of the adapter's title, in any order and case (``"vulkan software"``); None
            or an empty text means the best.

    Raises:
        EngineError: no adapter has all these words; lists those that there are.
        EngineUnavailableError: there is none at all.
    """
    adapters = list_adapters()
    if not adapters:
        raise EngineUnavailableError(f"{TITLE} is not available: no GPU adapter was found")
    words = (wanted or "").lower().replace(",", " ").split()
    with _lock:
        for adapter, raw in _found():
            if all(word in adapter.title.lower() for word in words):
                return adapter, raw
    known = "; ".join(adapter.title for adapter in adapters)
    raise EngineError(
        f"{TITLE}: no adapter is called {wanted!r}", hint=f"Adapters here are: {known}."
    )


def open_device(raw: Any) -> Any:
    """A device of its own for one network: what one loses, another keeps.

    Cooperative matrices are not asked for, though an H100's adapter lists them: wgpu-native 29
    refuses the device then ("Some experimental features, EXPERIMENTAL_COOPERATIVE_MATRIX, were
    requested, but experimental features are not enabled"), and its C interface has no switch that
    enables them.

    Raises:
        EngineError: the driver gives none; says why.
    """
    wanted = (
        "shader-f16",
        "subgroup",
        "timestamp-query",
        "timestamp-query-inside-encoders",
        "timestamp-query-inside-passes",
    )
    features = [name for name in wanted if name in raw.features]
    failure: Exception = RuntimeError()
    for attempt in (features, []):
        try:
            return _within(PATIENCE_S, raw.request_device_sync, required_features=attempt)
        except TimeoutError as why:
            failure = why
            break
        except _failures() as why:
            failure = why
    # It may have been unplugged: who looks next sees what there is then.
    _found.cache_clear()
    raise EngineError(
        f"{TITLE}: the driver opens no device: {one_line(failure)}",
        hint="Where the GPU was taken away, another adapter can be chosen.",
    ) from failure


def _within(patience_s: float, call: Callable[..., Any], **given: Any) -> Any:
    """What a call of the driver gives, or raises, if it comes back in time.

    Raises:
        TimeoutError: it does not; a thread is left in it.
    """
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            with native_work("layers-gpu asks the driver"):
                answer.set_result(call(**given))
        except BaseException as why:  # noqa: BLE001  # it is raised where the answer is awaited
            answer.set_exception(why)

    threading.Thread(target=run, name="twinlens-driver", daemon=True).start()
    try:
        return answer.result(patience_s)
    except FutureTimeout:
        if answer.done():  # the driver's own
            raise
        raise TimeoutError(f"no answer within {patience_s:g} s") from None


def _failures() -> tuple[type[Exception], ...]:
    """What is raised when a call fails or hangs; asked for late, since wgpu loads slowly."""
    from twinlens.engine.targets.gpu.run.native import FAILURES

    return (*FAILURES, TimeoutError)


def one_line(why: object) -> str:
    """What wgpu says, which comes in several lines, as one."""
    return " ".join(str(why).split())
