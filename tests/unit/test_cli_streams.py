"""What commands write reaches whoever reads it, in UTF-8 and at once, or one line says why not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

MODELS = ("models", "list", "--json")


def run(*words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **options.pop("env", {})}  # type: ignore[dict-item]
    return subprocess.run(
        [sys.executable, "-m", "twinlens.app", *words],
        capture_output="stdout" not in options,
        stderr=subprocess.PIPE if "stdout" in options else None,
        env=environment,
        timeout=100,
        check=False,
        **options,
    )


def test_output_is_utf8_whatever_the_console(tmp_path: Path) -> None:
    name = tmp_path / "snow ☃.txt"
    done = run("inspect", str(name), env={"PYTHONIOENCODING": "cp1252", "LC_ALL": "C"})
    assert done.returncode == 1
    assert "☃".encode() in done.stderr
    assert len(done.stderr.decode().splitlines()) <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /dev/full")
@pytest.mark.parametrize("words", [MODELS, ("--help",), ("models", "list")])
def test_a_full_disk_is_one_line(words: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = run(*words, stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"twinlens: standard output cannot be written: No space left on device\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
def test_a_pipe_that_is_closed_early_ends_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(*MODELS, stdout=writing)
    finally:
        os.close(writing)
    assert done.stderr == b""


def test_eval_leaves_bad_pictures_out_and_says_how_many(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "good.png"), np.full((40, 40, 3), 90, np.uint8))
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    table = tmp_path / "truth.tsv"
    table.write_text("good.png\t3\nbad.png\t4\nmissing.png\t5\n")
    done = run("eval", "--images", str(tmp_path), "--labels", str(table), "--json")
    assert done.returncode == 0, done.stderr
    assert b'"n": 1' in done.stdout
    assert b'"left_out": 2' in done.stdout
    assert b"bad.png" in done.stderr
    assert b"missing.png" in done.stderr
    table.write_text("bad.png\t4\n")
    done = run("eval", "--images", str(tmp_path), "--labels", str(table))
    assert done.returncode == 1
    assert b"none of the 1 listed pictures can be read" in done.stderr


def test_damage_stands_in_the_summary(tmp_path: Path) -> None:
    from helpers.videos import write_video

    path = write_video(tmp_path / "bad.avi", "mjpeg", pixels="yuvj420p", count=6, full=True)
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xd8\xff"]
    data[starts[2] : starts[2] + 600] = bytes(600)
    path.write_bytes(data)
    done = run("run", "--headless", "--source", str(path), "--json")
    assert done.returncode == 0, done.stderr
    assert b'"frames": 5' in done.stdout
    assert b'"damaged": 1' in done.stdout
