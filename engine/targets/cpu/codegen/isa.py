"""Which instructions the kernels use: found when the program runs, or forced for tests.

A kernel asks an ``Isa`` for its vector width, how many registers hold accumulators, and which
special products exist; everything else is the same on every processor.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace

from twinlens.engine.errors import EngineError

#: Environment variable that forces an instruction set by name, for tests and comparisons.
FORCE = "TWINLENS_CPU_ISA"


@dataclass(frozen=True)
class Isa:
    """A target of the code generator.

    Attributes:
        name: ``"avx512"``, ``"avx2"``, ``"neon"`` or ``"generic"``.
        lanes: float32 values per vector register.
        registers: vector registers.
        cpu: LLVM's name of the processor to schedule for.
        features: LLVM's feature string.
        bf16: has ``vdpbf16ps``.
        vnni: has ``vpdpbusd`` and ``vpdpwssd`` on 512-bit registers.
        halves: multiplies in halves of a register: one full product a cycle, where others start
            two, but a product of half the length takes half the time (Zen 4).
    """

    name: str
    lanes: int
    registers: int
    cpu: str
    features: str
    bf16: bool = False
    vnni: bool = False
    halves: bool = False

    @property
    def title(self) -> str:
        """The instruction set as people write it."""
        return {"avx512": "AVX-512", "avx2": "AVX2", "neon": "NEON"}.get(self.name, "generic")


def choose(machine: str, cpu: str, features: Mapping[str, bool], features_text: str) -> Isa:
    """The best instruction set of a processor.

    Args:
        machine: as ``platform.machine()`` says.
        cpu: LLVM's name of the host's processor.
        features: LLVM's features of the host.
        features_text: the same as one string.
    """

    def has(*names: str) -> bool:
        return all(features.get(name, False) for name in names)

    if has("avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"):
        return Isa(
            "avx512",
            lanes=16,
            registers=32,
            cpu=cpu,
            features=features_text,
            bf16=has("avx512bf16"),
            vnni=has("avx512vnni"),
            halves=cpu == "znver4",
        )
    if has("avx2", "fma"):
        return Isa("avx2", lanes=8, registers=16, cpu=cpu, features=features_text)
    if machine.lower() in {"arm64", "aarch64"}:
        return Isa("neon", lanes=4, registers=32, cpu=cpu, features=features_text)
    return Isa("generic", lanes=4, registers=16, cpu=cpu, features=features_text)


def limited(best: Isa, name: str) -> Isa:
    """The host's instruction set, held to a smaller one.

    Args:
        best: what the host has.
        name: ``"avx512"``, ``"avx512-plain"`` (without bf16 and VNNI), ``"avx2"``, ``"neon"`` or
            ``"generic"``.

    Raises:
        EngineError: the host does not have it, or there is no such name.
    """
    if name == "generic":
        # An empty processor name and no features are the architecture's baseline: SSE2, NEON.
        return Isa("generic", lanes=4, registers=16, cpu="", features="")
    if name == best.name:
        return best
    if name == "avx512-plain" and best.name == "avx512":
        # Features take effect in order: those at the end take away what the host's text gave.
        features = f"{best.features},-avx512bf16,-avx512vnni"
        return replace(best, features=features, bf16=False, vnni=False)
    if name == "avx2" and best.name == "avx512":
        return Isa("avx2", lanes=8, registers=16, cpu="haswell", features="")
    raise EngineError(
        f"{FORCE} asks for {name!r}; this machine has {best.name}",
        hint="avx512, avx512-plain, avx2, neon and generic are names; generic runs everywhere.",
    )


def detect() -> Isa:
    """What to compile for here: the host's best, or what the environment variable forces.

    Raises:
        EngineError: the environment variable names what this machine does not have.
    """
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    best = choose(
        platform.machine(), binding.get_host_cpu_name(), features, str(features.flatten())
    )
    forced = os.environ.get(FORCE, "").strip().lower()
    return limited(best, forced) if forced else best
