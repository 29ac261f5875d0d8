"""Which engines can be chosen, and when they are asked."""

from __future__ import annotations

import subprocess
import sys

from twinlens.app.core.session.engines import SLOW_TO_ASK, engine_choices
from twinlens.engine.api.registry import engine_ids


def test_engines_that_are_asked_later_cannot_be_used_yet() -> None:
    asked = {choice.id: choice for choice in engine_choices()}
    first = {choice.id: choice for choice in engine_choices(SLOW_TO_ASK)}
    assert tuple(first) == tuple(asked) == engine_ids()
    for engine_id, choice in first.items():
        if engine_id in SLOW_TO_ASK:
            assert choice.reason == "its adapters are being looked for"
            assert choice.title == asked[engine_id].title
        else:
            assert choice == asked[engine_id]


def test_nothing_of_wgpu_is_loaded_until_the_gpu_is_asked() -> None:
    code = """
import sys
import twinlens.app.qt.main
from twinlens.app.core.session.engines import SLOW_TO_ASK, engine_choices
engine_choices(SLOW_TO_ASK)
print([name for name in sys.modules if name.startswith("wgpu")])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
