"""The real window on a real screen: engines flip, broken input is told, the stream goes on."""

from __future__ import annotations

import shutil
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.live_window import LiveWindow, live_window
from twinlens.app.core.measure.bench import ROUNDS
from twinlens.engine.targets.cpu import LayersCpuEngine

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed"),
]

FLIPS = 20
MOST_UNSEEN = 30
"""Frames that may be captured between two that are painted.

A machine that stands still captures none either (the clip skips what is late), so this counts how
long the window itself stands still. Measured: 0, and 5 with six busy programs on two cores. That
not one is lost to a load is shown, with nothing left to the clock, in ``tests/gui``.
"""
MAX_GROWTH = 64 << 20
MODEL = Path(__file__).parents[2] / "models" / "weights" / "twinlens_208.onnx"


def test_engine_flips_twenty_times_while_the_picture_keeps_moving(
    test_data: Path, tmp_path: Path
) -> None:
    model = test_data / "models" / "mobilenet_v2_1.0_224.onnx"
    clip = test_data / "clips" / "objects.mp4"
    with live_window(tmp_path, source=clip, model=model, engine="vision") as window:
        window.wait_for("engine")
        for _ in range(4):  # both engines are loaded once before memory is measured
            flip(window)
        before = window.report()
        for _ in range(FLIPS):
            flip(window)
        after = window.report()
        assert window.close() == 0
    assert len(after["engines"]) - len(before["engines"]) == FLIPS
    assert set(after["engines"]) == {"vision", "layers-cpu"}
    assert after["most_unseen"] <= MOST_UNSEEN
    assert len(after["sources"]) == 1, "the source was restarted"
    assert after["in_order"]
    assert after["rss"] - before["rss"] < MAX_GROWTH
    assert not after["banners"]


def flip(window: LiveWindow) -> None:
    """Press the key and wait until the other engine's answer stands on the picture."""
    window.press("e")
    window.wait_for("engine")
    time.sleep(0.2)


def png_with_a_lying_header(path: Path) -> Path:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk
    path.write_bytes(data + struct.pack(">I", zlib.crc32(chunk)) + b"\0" * 64)
    return path


def model_with_wrong_labels(path: Path) -> Path:
    path.write_bytes(MODEL.read_bytes())
    path.with_suffix(".labels.txt").write_text("cat\ndog\n", encoding="utf-8")
    return path


def test_each_broken_input_is_one_clear_error_and_the_stream_goes_on(tmp_path: Path) -> None:
    truncated = tmp_path / "truncated.onnx"
    truncated.write_bytes(MODEL.read_bytes()[: 1 << 20])
    text = tmp_path / "text.onnx"
    text.write_text("this is a letter, not a network\n", encoding="utf-8")
    labels = model_with_wrong_labels(tmp_path / "labels.onnx")
    picture = png_with_a_lying_header(tmp_path / "lying.png")
    with live_window(tmp_path, source="clip", engine="vision") as window:
        assert "truncated.onnx" in told(window, f"drop {truncated}")
        assert "text.onnx" in told(window, f"drop {text}")
        assert "2 labels" in told(window, f"drop {labels}")
        assert "lying.png" in told(window, f"drop {picture}")
        assert "127.0.0.1" in told(window, "source http://127.0.0.1:9/none.mjpg")
        before = window.report()["painted"]
        time.sleep(1.0)
        after = window.report()
        assert after["painted"] > before + 10
        assert after["engines"] == ["vision"]
        assert len(after["sources"]) == 1
        assert len(after["banners"]) == 5
        assert window.close() == 0


def told(window: LiveWindow, command: str) -> str:
    window.send(command)
    return str(window.wait_for("banner", 30)["text"])


def test_no_camera_plays_the_clip_and_says_so(tmp_path: Path) -> None:
    with live_window(tmp_path, source="camera:77", engine="vision") as window:
        report = window.report()
        assert len(report["banners"]) == 1
        assert "clip plays" in report["banners"][0]
        assert window.close() == 0


@pytest.mark.skipif("bf16" not in LayersCpuEngine().precisions(), reason="no bf16 here")
def test_precision_and_bench_work_on_real_engines_while_the_picture_moves(tmp_path: Path) -> None:
    with live_window(tmp_path, source="clip", engine="layers-cpu") as window:
        window.press("p")
        until(window, lambda report: report["who"].endswith("bf16"))
        before = window.report()["painted"]
        window.press("ctrl+b")
        report = until(window, lambda r: r["bench"]["rows"] and not r["bench"]["running"])
        assert report["painted"] > before
        measured = {(engine, precision) for engine, precision, _ in report["bench"]["rows"]}
        assert {("layers-cpu", "fp32"), ("layers-cpu", "bf16"), ("vision", "fp32")} <= measured
        assert {runs for _, _, runs in report["bench"]["rows"]} == {ROUNDS}
        assert not report["banners"]
        # Answers go on, in the precision that was chosen.
        until(window, lambda report: report["who"].endswith("bf16"))
        assert window.close() == 0


def until(window: LiveWindow, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Ask for reports until one is such."""
    deadline = time.monotonic() + 90
    while not holds(report := window.report()):
        assert time.monotonic() < deadline, report
        time.sleep(0.2)
    return report
