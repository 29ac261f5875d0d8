"""Every command on the default model and clip, as a new user runs them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.command import json_lines, twinlens
from helpers.processes import running
from twinlens.engine.targets.cpu import LayersCpuEngine
from twinlens.engine.targets.cpu.codegen.isa import detect


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("bench", "--help")])
def test_help_ends_well_and_says_nothing_else(words: tuple[str, ...]) -> None:
    run = twinlens(*words)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: twinlens")


@pytest.mark.parametrize("words", [("--wrong",), ("run", "--frames", "many")])
def test_wrong_usage_is_code_2_and_a_line_that_names_it(words: tuple[str, ...]) -> None:
    run = twinlens(*words)
    assert run.returncode == 2
    assert words[-1] in run.stderr
    assert "Traceback" not in run.stderr


def test_run_headless_prints_a_line_a_frame_and_a_summary() -> None:
    *frames, last = json_lines(
        twinlens("run", "--headless", "--source", "clip", "--frames", 5, "--json")
    )
    assert [frame["frame"] for frame in frames] == [0, 1, 2, 3, 4]
    for frame in frames:
        assert set(frame) == {"frame", "t_s", "label", "index", "confidence", "top", "ms"}
        assert frame["label"] == frame["top"][0]["label"]
        confidences = [row["confidence"] for row in frame["top"]]
        assert confidences == sorted(confidences, reverse=True)
    assert set(last["summary"]) == {"frames", "dropped", "fps", "latency_ms"}
    assert last["summary"]["frames"] == 5


def test_run_in_real_time_drops_rather_than_waits() -> None:
    *frames, last = json_lines(
        twinlens(
            *("run", "--headless", "--source", "clip", "--frames", 8),
            *("--engine", "layers-cpu", "--realtime", "--json"),
        )
    )
    indices = [frame["frame"] for frame in frames]
    assert len(indices) == 8
    assert indices == sorted(set(indices))
    assert last["summary"]["latency_ms"]["p50"] <= last["summary"]["latency_ms"]["p95"]


def test_classify_gives_one_object_a_picture(picture: Path) -> None:
    answers = {}
    for engine in ("vision", "layers-cpu"):
        records = json_lines(
            twinlens("classify", picture, picture, "--engine", engine, "--top", 3, "--json")
        )
        assert len(records) == 2
        assert set(records[0]) == {"path", "engine", "model", "top", "ms"}
        assert records[0]["path"] == str(picture)
        assert len(records[0]["top"]) == 3
        answers[engine] = [row["index"] for row in records[0]["top"]]
    assert answers["vision"] == answers["layers-cpu"]


def test_classify_tells_what_it_cannot_read_and_answers_the_rest(
    picture: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"this is no picture")
    run = twinlens("classify", broken, picture, "--json")
    assert run.returncode == 1
    assert run.stdout.count("\n") == 1
    assert str(broken) in run.stderr
    assert "Traceback" not in run.stderr


def test_bench_compares_engines_in_one_run() -> None:
    words = ("bench", "--engines", "vision,layers-cpu", "--precisions", "fp32,fp4")
    (record,) = json_lines(twinlens(*words, "--threads", "1", "--rounds", 3, "--json"))
    rows = record["results"]
    assert [(row["engine"], row["precision"]) for row in rows] == [
        ("vision", "fp32"),
        ("layers-cpu", "fp32"),
    ]
    assert rows[0]["ratio"] == 1.0
    for row in rows:
        assert 0 < row["median_ms"] <= row["p95_ms"]
        assert row["threads"] == 1
        assert row["load_ms"] > 0
        assert {"detail", "agreement"} <= set(row)
    left_out = {(one["engine"], one["precision"]): one["reason"] for one in record["skipped"]}
    assert set(left_out) == {("vision", "fp4"), ("layers-cpu", "fp4")}


def test_bench_without_anything_to_measure_says_why() -> None:
    run = twinlens("bench", "--precisions", "fp4")
    assert run.returncode == 1
    assert "nothing to measure" in run.stderr
    assert "fp4" in run.stderr


@pytest.mark.skipif("bf16" not in LayersCpuEngine().precisions(), reason="no bf16 here")
def test_a_precision_runs_and_is_compared_on_the_pictures_given(
    picture: Path, tmp_path: Path
) -> None:
    words = ("--precisions", "bf16", "--threads", "1", "--rounds", 2, "--calibration", tmp_path)
    (record,) = json_lines(twinlens("bench", "--engines", "layers-cpu", *words, "--json"))
    (row,) = record["results"]
    assert (row["precision"], row["agreement"]) == ("bf16", 1.0)
    words = ("--engine", "layers-cpu", "--precision", "bf16", "--calibration", tmp_path)
    (answer,) = json_lines(twinlens("classify", picture, *words, "--json"))
    assert answer["engine"] == "layers-cpu"
    run = twinlens("classify", picture, *words[:4], "--calibration", tmp_path / "nowhere")
    assert run.returncode == 1
    assert "nowhere" in run.stderr


def test_doctor_tests_the_engines_and_says_why_one_is_missing() -> None:
    report = json_lines(twinlens("doctor", "--json"))[-1]
    engines = {row["id"]: row for row in report["engines"]}
    assert engines["layers-cpu"]["available"]
    assert engines["vision"]["available"]
    assert engines["vision"]["precisions"] == ["fp32"]
    known = {*engines["layers-cpu"]["precisions"], *engines["layers-cpu"]["missing_precisions"]}
    assert {"fp32", "bf16", "int8"} <= known
    compiler = report["compiler"]
    assert compiler["llvmlite"] == version("llvmlite")
    assert compiler["instructions"] == detect().title
    assert compiler["cache"]["folder"]
    # What the machine has decides; one or the other is told.
    assert engines["layers-gpu"]["available"] == (engines["layers-gpu"]["reason"] is None)
    assert report["self_test"]["ok"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("classify", "no-such.jpg"), "no-such.jpg"),
        (("classify", "x.jpg", "--engine", "abacus"), "abacus"),
        (("classify", "x.jpg", "--model", "no-such-model"), "no-such-model"),
        (("run", "--headless", "--source", "no-such-file.mp4"), "no-such-file.mp4"),
        (("classify", "x.jpg", "--precision", "bf16"), "bf16"),
        (("run", "--headless", "--engine", "layers-cpu", "--precision", "fp4"), "fp4"),
        (("eval", "--images", ".", "--labels", "no-such.tsv"), "no-such.tsv"),
    ],
)
def test_bad_input_is_one_clear_line(words: tuple[str, ...], told: str) -> None:
    run = twinlens(*words)
    assert run.returncode == 1
    assert told in run.stderr
    assert "Traceback" not in run.stderr


def without_display() -> dict[str, str]:
    told = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return {name: value for name, value in os.environ.items() if name not in told}


def test_without_a_display_the_terminal_shows_the_pipeline() -> None:
    env = without_display()
    words = [sys.executable, "-m", "twinlens.app", "--source", "no-such.mp4", "--engine", "vision"]
    with running(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as run:
        assert run.stdout is not None
        lines = [run.stdout.readline() for _ in range(2)]
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=30)
    assert run.returncode == 130
    for line in lines:
        assert "Vision · EfficientNet-Lite0 · fp32" in line
        assert " fps " in line
    assert "no display" in errors
    assert "no-such.mp4" in errors
    assert "Traceback" not in errors


def test_keys_flip_the_engine_in_a_terminal() -> None:
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    env = without_display() | {"TERM": "xterm"}
    words = [sys.executable, "-m", "twinlens.app", "--source", "clip", "--engine", "vision"]
    primary, secondary = pty.openpty()
    with running(words, stdin=secondary, stdout=secondary, stderr=secondary, env=env) as run:
        os.close(secondary)
        try:
            read_until(primary, b"Vision")
            os.write(primary, b"e")
            read_until(primary, b"Layers CPU")
            os.write(primary, b"q")
            drain(primary)
            assert run.wait(30) == 0
        finally:
            run.kill()
            os.close(primary)


def read_until(terminal: int, wanted: bytes) -> None:
    seen, deadline = b"", time.monotonic() + 60
    while wanted not in seen:
        assert time.monotonic() < deadline, seen[-500:]
        if select.select([terminal], [], [], 1)[0]:
            seen = seen[-4096:] + os.read(terminal, 4096)


def drain(terminal: int) -> None:
    # A terminal that nobody reads blocks the program that writes to it.
    with contextlib.suppress(OSError):
        while os.read(terminal, 4096):
            pass


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
def test_classify_reads_digits_with_published_parameters(test_data: Path, engine: str) -> None:
    folder = test_data / "models" / "mnist_mpscnn"
    pictures = (folder / "five.png", folder / "three.png")
    answers = json_lines(
        twinlens("classify", *pictures, "--model", f"mnist:{folder}", "--engine", engine, "--json")
    )
    assert [answer["top"][0]["label"] for answer in answers] == ["5", "3"]
    assert all(answer["top"][0]["confidence"] > 0.99 for answer in answers)
    assert {answer["engine"] for answer in answers} == {engine}


def test_bench_climbs_the_ladder_of_networks() -> None:
    words = ("bench", "--crossover", "--rungs", "mnist,mobilenet-v2-0.35@96", "--rounds", "5")
    (told,) = json_lines(twinlens(*words, "--engines", "layers-cpu,vision", "--json"))
    assert [rung["id"] for rung in told["rungs"]] == ["mnist", "mobilenet-v2-0.35@96"]
    assert [row["engine"] for row in told["results"]] == ["layers-cpu", "vision"] * 2
    assert all(0 < row["median_ms"] <= row["p95_ms"] for row in told["results"])
    assert told["crossing"]["kind"] == "unknown"


def test_bench_names_the_networks_of_the_ladder_when_one_is_unknown() -> None:
    run = twinlens("bench", "--crossover", "--rungs", "alexnet")
    assert run.returncode != 0
    assert "alexnet" in run.stderr
    assert "mnist" in run.stderr


def test_bench_says_in_a_line_where_the_gpu_pays_and_refuses_what_it_would_ignore() -> None:
    words = ("bench", "--crossover", "--rungs", "mnist", "--rounds", "5")
    run = twinlens(*words, "--engines", "layers-cpu,vision")
    assert run.returncode == 0, run.stderr
    assert "MNIST" in run.stdout
    assert "nothing to compare" in run.stdout
    run = twinlens(*words, "--model", "pets")
    assert run.returncode == 1
    assert "--model does not go with --crossover" in run.stderr
    run = twinlens("bench", "--rungs", "mnist")
    assert run.returncode == 1
    assert "--rungs goes with --crossover only" in run.stderr
