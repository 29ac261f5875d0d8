"""What the doctor says of precisions, compiler and cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinlens.app.commands.doctor import _compiler_lines, _precisions
from twinlens.engine.targets import cache
from twinlens.engine.targets.cpu import about as about_module
from twinlens.engine.targets.cpu.about import about

COMPILER = {
    "llvmlite": "0.50.0",
    "problem": None,
    "instructions": "AVX2",
    "processor": "haswell",
    "cache": {"folder": "/cache", "files": 3, "bytes": 2_340_000},
}


def test_an_instruction_set_that_is_forced_is_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLENS_CPU_ISA", "generic")
    found = about()
    assert (found.problem, found.instructions, found.processor) == (None, "generic", "")
    monkeypatch.setenv("TWINLENS_CPU_ISA", "abacus")
    found = about()
    assert found.instructions is None
    assert found.problem is not None
    assert "abacus" in found.problem


def test_without_a_compiler_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(about_module, "without_compiler", lambda: "llvmlite is not installed")
    assert about().problem == "llvmlite is not installed"
    told = _compiler_lines(COMPILER | {"problem": "llvmlite is not installed"})
    assert told[0] == "layers run in NumPy: llvmlite is not installed"


def test_the_cache_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / "plans"))
    assert (about().folder, about().files, about().size) == (tmp_path / "plans", 0, 0)
    cache.write(tmp_path / "plans", "one", b"x" * 1000)
    cache.write(tmp_path / "plans", "two", b"x" * 500)
    found = about()
    assert found.files == 2
    assert found.size == sum(p.stat().st_size for p in (tmp_path / "plans").iterdir())
    assert found.size > 1500
    monkeypatch.setenv("TWINLENS_CACHE", "")
    assert about().folder is None


def test_lines_say_what_is_compiled_for_and_where_it_is_kept() -> None:
    first, second = _compiler_lines(COMPILER)
    assert first == "layers are compiled by llvmlite 0.50.0 for AVX2 (haswell)"
    assert second == "compiled plans: /cache, 3 files, 2.3 MB"
    told = _compiler_lines(COMPILER | {"cache": {"folder": None, "files": 0, "bytes": 0}})
    assert "not kept" in told[1]


def test_precisions_that_are_missing_have_a_reason() -> None:
    row = {"precisions": ["fp32", "bf16"], "missing_precisions": {"int8": "needs VNNI"}}
    assert _precisions(row) == ["computes in fp32, bf16", "not in int8: needs VNNI"]
    assert _precisions({"available": True}) == []
