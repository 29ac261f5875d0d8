"""`twinlens convert` as a user runs it: what comes out answers as what went in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.command import json_lines, twinlens

TOP = 5


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)
    return path


def answers(picture: Path, model: object, engine: str) -> list[dict[str, object]]:
    words = ("classify", picture, "--model", model, "--engine", engine, "--top", TOP, "--json")
    (record,) = json_lines(twinlens(*words))
    top: list[dict[str, object]] = record["top"]
    return top


def assert_alike(one: list[dict[str, object]], other: list[dict[str, object]]) -> None:
    assert [row["label"] for row in one] == [row["label"] for row in other]
    pairs = zip(one, other, strict=True)
    assert all(
        abs(float(str(a["confidence"])) - float(str(b["confidence"]))) < 1e-4 for a, b in pairs
    )


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
def test_the_default_as_onnx_gives_the_same_answers(
    picture: Path, tmp_path: Path, engine: str
) -> None:
    (told,) = json_lines(twinlens("convert", "twinlens-208", tmp_path / "out.onnx", "--json"))
    assert told["form"] == "onnx"
    expected = answers(picture, "twinlens-208", engine)
    assert_alike(answers(picture, tmp_path / "out.onnx", engine), expected)


def printed(program: str, picture: Path, folder: Path) -> str:
    """What a Python program prints that is given a picture and runs in a folder."""
    run = subprocess.run(
        [sys.executable, "-c", program, str(picture)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_default_as_python_runs_in_a_program_of_its_own(picture: Path, tmp_path: Path) -> None:
    json_lines(twinlens("convert", "twinlens-208", tmp_path / "mobilenet.py", "--json"))
    program = (
        "from mobilenet import MobileNetV2\n"
        "import sys\n"
        "with MobileNetV2() as network:\n"
        "    sys.stdout.write(network.prediction(sys.argv[1]).class_label)\n"
    )
    assert (
        printed(program, picture, tmp_path)
        == answers(picture, "twinlens-208", "layers-cpu")[0]["label"]
    )


def test_an_error_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "out.onnx").write_text("mine", encoding="utf-8")
    run = twinlens("convert", "twinlens-208", tmp_path / "out.onnx")
    assert run.returncode == 1
    assert "exists already" in run.stderr
    assert "Traceback" not in run.stderr
    assert (tmp_path / "out.onnx").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("target", ["folder", "digits.npz", "digits.onnx"])
def test_published_digits_are_read_from_what_was_written(
    test_data: Path, tmp_path: Path, target: str
) -> None:
    folder = test_data / "models" / "mnist_mpscnn"
    json_lines(twinlens("convert", f"mnist:{folder}", tmp_path / target, "--json"))
    for name, label in (("five.png", "5"), ("three.png", "3")):
        best = answers(folder / name, tmp_path / target, "layers-cpu")[0]
        assert best["label"] == label
        assert float(str(best["confidence"])) > 0.99


@pytest.mark.parametrize("target", ["quantised.onnx", "quantised.py"])
def test_a_real_quantised_network(
    test_data: Path, picture: Path, tmp_path: Path, target: str
) -> None:
    source = test_data / "models" / "mobilenet_v2_1.0_224_quant.tflite"
    json_lines(twinlens("convert", source, tmp_path / target, "--json"))
    expected = answers(picture, source, "layers-cpu")
    if target.endswith(".onnx"):
        assert_alike(answers(picture, tmp_path / target, "layers-cpu"), expected)
        return
    program = (
        "import sys, quantised\n"
        "[kind] = [k for k in vars(quantised).values() if hasattr(k, 'prediction')]\n"
        "sys.stdout.write(kind().prediction(sys.argv[1]).class_label)\n"
    )
    assert printed(program, picture, tmp_path) == expected[0]["label"]
