"""``twinlens models`` against a server of one's own, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.command import json_lines, twinlens
from helpers.model_server import ModelServer, model_server
from helpers.own_models import digits_model, own_card, write_catalog
from helpers.processes import running


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as running:
        yield running


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "TWINLENS_MODELS": str(tmp_path / "models"), "COLUMNS": "200"}


def test_pull_use_and_remove(server: ModelServer, env: dict[str, str], tmp_path: Path) -> None:
    data = digits_model(tmp_path)
    urls = [server.url("/gone.onnx"), server.put("/net.onnx", data)]
    write_catalog(Path(env["TWINLENS_MODELS"]), own_card("net", data, *urls))
    picture = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    cv2.imwrite(str(picture), pixels)

    early = twinlens("classify", picture, "--model", "net", env=env)
    assert early.returncode == 1
    assert "twinlens models pull net" in early.stderr

    run = twinlens("models", "pull", "net", env=env)
    assert run.returncode == 0, run.stderr
    assert f"{len(data):,} bytes" in run.stdout
    assert "404" in run.stderr

    for engine in ("vision", "layers-cpu"):
        used = twinlens("classify", picture, "--model", "net", "--engine", engine, env=env)
        assert used.returncode == 0, used.stderr
    info = json_lines(twinlens("models", "info", "net", "--json", env=env))[0]
    assert (info["state"], info["verified"], info["bytes"]) == ("here", True, len(data))
    assert info["pulled"]["url"] == urls[1]
    assert Path(info["path"]).read_bytes() == data

    run = twinlens("models", "remove", "net", env=env)
    assert run.returncode == 0
    assert "freed" in run.stdout
    assert not Path(info["path"]).exists()


def test_list_names_every_card(env: dict[str, str]) -> None:
    models = json_lines(twinlens("models", "list", "--json", env=env))[0]["models"]
    states = {model["id"]: model["state"] for model in models}
    assert states["twinlens-208"] == "embedded"
    assert states["mobilenet-v2-12"] == "not here"
    assert any(not model["verified"] for model in models)
    table = twinlens("models", env=env).stdout
    assert all(name in table for name in states)
    assert "unverified" in table
    shown = twinlens("models", "info", "mobilenet-v2-12", env=env).stdout
    assert "13,964,571" in shown
    assert "224×224 RGB" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_keeps_what_has_arrived(
    server: ModelServer, env: dict[str, str], tmp_path: Path
) -> None:
    data = bytes(4_000_000)
    url = server.put("/net.onnx", data, pace_s=0.05)
    write_catalog(Path(env["TWINLENS_MODELS"]), own_card("net", data, url))
    part = Path(env["TWINLENS_MODELS"]) / ".parts" / "net.part"
    command = [sys.executable, "-m", "twinlens.app", "models", "pull", "net"]
    with running(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 200_000):
            assert time.monotonic() < deadline_s
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "are kept" in told
    assert "Traceback" not in told
    kept = part.stat().st_size
    server.files["/net.onnx"].pace_s = 0.0
    run = twinlens("models", "pull", "net", env=env)
    assert run.returncode == 0, run.stderr
    assert server.ranges()[-1] == f"bytes={kept}-"
    assert not part.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pull", "no-such-model"), "no-such-model"),
        (("info", "no-such-model"), "no-such-model"),
        (("remove", "twinlens-208"), "comes with Twinlens"),
        (("pull", "mobilenet-v2-1.0-224"), "cannot be downloaded"),
        (("pull", "far"), "no connection"),
        (("pull", "plain"), "not https"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    env: dict[str, str], words: tuple[str, ...], told: str
) -> None:
    write_catalog(
        Path(env["TWINLENS_MODELS"]),
        own_card("far", b"x", "http://127.0.0.1:1/net.onnx"),
        own_card("plain", b"x", "http://models.invalid/net.onnx"),
    )
    run = twinlens("models", *words, env=env)
    assert run.returncode == 1
    assert told in run.stderr
    assert "Traceback" not in run.stderr
