"""Kernels touch nothing but what is theirs (see helpers.guarded)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.cpu_check import can, isas

SCRIPT = Path(__file__).parents[1] / "helpers" / "guarded.py"


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect is what POSIX systems have")
@pytest.mark.parametrize("side", ["end", "start"])
def test_nothing_is_touched_beside_any_buffer(side):
    # AVX-512 without bf16 and VNNI has the same name, and the same code for fp32.
    chosen = dict.fromkeys(
        (isa.name, precision)
        for isa in isas()
        for precision in ("fp32", "bf16", "int8")
        if can(isa, precision)
    )
    done = subprocess.run(
        [sys.executable, str(SCRIPT), side, *(word for mode in chosen for word in mode)],
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1:]
    assert done.returncode == 0, f"ended at {last} with {done.returncode}: {done.stderr[-2000:]}"
    assert last == ["done"]
    assert len(done.stdout.splitlines()) == len(chosen) + 1


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect is what POSIX systems have")
@pytest.mark.parametrize("side", ["end", "start"])
def test_the_guard_itself_ends_a_process_that_reaches_too_far(side):
    code = (
        "import ctypes, sys; from helpers.guarded import Guarded\n"
        f"array = Guarded({side!r}).allocate(100)\n"
        "array[...] = 1; print('inside', flush=True)\n"
        f"ctypes.memset(array.ctypes.data + {100 if side == 'end' else -1}, 0, 1); print('outside')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPT.parents[1],
    )
    assert done.stdout == "inside\n"
    assert done.returncode < 0
