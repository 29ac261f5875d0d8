"""The real window on a real screen: files are dropped on it, and digits are drawn on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from helpers.eight_models import raw_parameters
from helpers.live_window import LiveWindow, live_window
from helpers.tflite_files import classifier
from helpers.tiny_nets import tiny_classifier
from twinlens.app.core.drawing.digits import STROKES, placed
from twinlens.assets import picture_path
from twinlens.models.identify.kept import VARIABLE
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed"),
]

AT_LEAST = 8
ENGINES = {"layers-cpu": "1", "vision": "3"}


def hover(window: LiveWindow, path: Path) -> str:
    """Drop a path; gives what the window said before it was let go."""
    window.send(f"drop {path}")
    return str(window.wait_for("hover")["text"])


def told(window: LiveWindow, words: str) -> None:
    """Wait until the newest banner says so."""
    window.until(lambda report: report["banners"] and words in report["banners"][-1])


def unknown_copy(path: Path) -> Path:
    """The embedded model as a file that nobody knows."""
    model = onnx.load(str(resolve(EMBEDDED_MODEL).path))
    model.doc_string = "somebody's own"
    del model.metadata_props[:]
    onnx.save(model, str(path))
    return path


def test_whatever_is_dropped_is_known_asked_about_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "recipes"))
    pets = tiny_classifier(tmp_path / "pets.onnx", 3)
    own = unknown_copy(tmp_path / "own.onnx")
    lite = tmp_path / "lite.tflite"
    lite.write_bytes(classifier("uint8"))
    names = "\n".join(f"thing {n}" for n in range(6))
    (tmp_path / "lite.labels.txt").write_text(names, encoding="utf-8")
    nonsense = tmp_path / "letter.doc"
    nonsense.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 a letter")
    with live_window(tmp_path, source="clip", engine="layers-cpu") as window:
        first = window.report()["model"]

        # Nothing says how it is fed: the wizard; Escape changes nothing.
        assert hover(window, pets) == "Use pets.onnx as the model (ONNX)"
        asked = window.until(lambda report: report["wizard"])["wizard"]
        assert asked["asks"] == ["values"]
        assert not asked["missing"]
        window.press("Escape")
        report = window.until(lambda report: not report["wizard"])
        assert report["model"] == first
        assert not pets.with_suffix(".toml").exists()

        # Values that nobody knows are proved on the clip; Return takes the best.
        hover(window, own)
        asked = window.until(lambda r: r["wizard"] and r["wizard"]["done"])["wizard"]
        assert asked["asks"] == ["values"]
        window.until(lambda r: r["wizard"]["status"].startswith("Surest of what is right"))
        window.press("Return")
        window.until(lambda report: report["who"].startswith("Layers CPU · own"))
        told(window, "own.onnx is set up")
        assert own.with_suffix(".toml").is_file()

        # The same again asks nothing.
        hover(window, own)
        told(window, "from the file beside it")
        assert window.report()["wizard"] is None

        hover(window, lite)
        window.until(lambda report: "· lite ·" in report["who"])
        told(window, "TensorFlow Lite")

        weights = raw_parameters(tmp_path / "weights")
        assert hover(window, weights) == "Use the parameters in weights"
        window.until(lambda report: "· MNIST ·" in report["who"])
        told(window, "Parameters of MNIST")

        assert hover(window, picture_path("start.jpg")) == "Show start.jpg"
        window.until(lambda report: report["source"].endswith("start.jpg"))

        assert "letter.doc" in hover(window, nonsense)
        told(window, "letter.doc is nothing that Twinlens takes")
        before = window.report()
        window.until(lambda report: report["painted"] > before["painted"] + 5)
        assert window.report()["who"] == before["who"]
        assert window.close() == 0


def draw(window: LiveWindow, digit: str) -> None:
    """Draw a digit where a hand would, between the controls and the answer."""
    height = 400
    width = 0.8 * height
    for stroke in placed(STROKES[digit], (1280 - width) / 2, 90, width, height):
        window.stroke(stroke)


def test_digits_drawn_by_hand_are_read_on_both_engines(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "models" / "mnist_mpscnn"
    read: dict[str, dict[str, str]] = {}
    with live_window(tmp_path, source="clip", engine="layers-cpu") as window:
        hover(window, folder)
        window.until(lambda report: "· MNIST ·" in report["who"])
        window.press("d")
        window.until(lambda report: report["pad"])
        for engine, key in ENGINES.items():
            window.press(key)
            window.until(lambda report, engine=engine: report["live"] == engine)
            read[engine] = {}
            for digit, strokes in STROKES.items():
                draw(window, digit)
                count = len(strokes)
                report = window.until(
                    lambda r, count=count: r["strokes"] == count and r["label"] != ""
                )
                settled = report["painted"] + 8
                report = window.until(lambda r, settled=settled: r["painted"] >= settled)
                read[engine][digit] = report["label"]
                window.press("Delete")
                window.until(lambda report: report["strokes"] == 0 and report["label"] == "")
        assert window.close() == 0
    for engine, answers in read.items():
        wrong = {digit: answer for digit, answer in answers.items() if digit != answer}
        assert len(answers) - len(wrong) >= AT_LEAST, f"{engine} reads {wrong}"
