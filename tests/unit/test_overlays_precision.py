"""What is said about precisions."""

from __future__ import annotations

import pytest

from twinlens.app.views.precision import (
    agreement_percent,
    agreement_text,
    fallbacks_text,
    precision_detail,
    runs_text,
)
from twinlens.engine.api.protocol import RunnerInfo


def info(precision: str = "bf16", threads: int = 2, fallbacks: tuple[str, ...] = ()) -> RunnerInfo:
    return RunnerInfo(
        "layers-cpu", "Layers CPU", "AVX2 kernels", precision, threads, (1, 3, 8, 8), 3, fallbacks
    )


@pytest.mark.parametrize(
    ("share", "told"), [(0.997, "99.7 %"), (0.9999, "99.9 %"), (0.57, "57.0 %"), (1.0, "100.0 %")]
)
def test_a_share_is_never_rounded_up(share: float, told: str) -> None:
    assert agreement_percent(share) == told


def test_all_is_said_only_of_all() -> None:
    assert "all calibration pictures" in agreement_text(1.0)
    assert "99.9 % of the calibration pictures" in agreement_text(0.9999)


def test_a_row_says_what_is_known() -> None:
    assert precision_detail("bf16") == "16-bit floats, summed in 32 bits."
    assert precision_detail("bf16", agreement=0.995).endswith("99.5 % of the calibration pictures.")
    assert precision_detail("int8", loading=True).endswith("Loading …")
    assert precision_detail("auto", runs=info("int8")).endswith("Here that is int8.")
    assert precision_detail("fp32", runs=info("int8")).endswith("Here that is int8.")
    assert precision_detail("bf16", runs=info("bf16")) == precision_detail("bf16")
    assert precision_detail("fp4") == ""


def test_what_runs_and_what_runs_in_numpy() -> None:
    assert runs_text(info()) == "AVX2 kernels, bf16, 2 threads."
    assert runs_text(info(threads=1)) == "AVX2 kernels, bf16, 1 thread."
    assert runs_text(info(threads=0)) == "AVX2 kernels, bf16."
    assert runs_text(info(fallbacks=("erf",))).endswith(
        "1 layer runs in NumPy, for want of a kernel: erf."
    )
    assert fallbacks_text(()) == ""
    many = fallbacks_text(tuple("abcdefgh"))
    assert many.startswith("8 layers run")
    assert many.endswith("a, b, c, d, e, f ….")
