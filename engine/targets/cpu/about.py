"""What the layers-cpu engine finds on this machine, for those who ask why it does what it does."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from twinlens.engine.errors import EngineError
from twinlens.engine.targets import cache
from twinlens.engine.targets.cpu.engine import without_compiler


@dataclass(frozen=True)
class About:
    """What is here.

    Attributes:
        compiler: llvmlite's version; None where it is not installed.
        problem: why networks are not compiled here; None when they are.
        instructions: the instruction set that is compiled for, as people write it.
        processor: LLVM's name of the processor; empty for the architecture's baseline.
        folder: where compiled plans are kept; None where nothing is kept.
        files: how many there are.
        size: their bytes.
    """

    compiler: str | None
    problem: str | None
    instructions: str | None
    processor: str | None
    folder: Path | None
    files: int
    size: int


def about() -> About:
    """Look at compiler, processor and cache; never raises."""
    problem = without_compiler()
    instructions = processor = None
    if problem is None:
        from twinlens.engine.targets.cpu.codegen.isa import detect

        try:
            isa = detect()
            instructions, processor = isa.title, isa.cpu
        except EngineError as error:
            problem = error.message
    folder = cache.folder()
    files, size = cache.usage(folder) if folder is not None else (0, 0)
    return About(_version("llvmlite"), problem, instructions, processor, folder, files, size)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
