"""What calibration finds out on pictures: ranges, agreement, the best precision."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.cpu_check import Layers, can, check, isas, some_inputs
from helpers.cpu_nets import Weights, conv
from helpers.cpu_variants import samples, variants
from helpers.networks import network_of
from helpers.onnx_nets import edgetpu_mobilenet, resnet, save
from twinlens.engine.api.protocol import EngineOptions, Network
from twinlens.engine.errors import EngineError, ImageError
from twinlens.engine.graph import Graph, optimize
from twinlens.engine.image import Recipe
from twinlens.engine.layers import Div, GlobalAvgPool2d, Softmax
from twinlens.engine.targets.classifier import Classifier
from twinlens.engine.targets.cpu import LayersCpuEngine
from twinlens.engine.targets.cpu.run.calibrate import (
    Calibration,
    Findings,
    _digest,
    measure_ranges,
    tensors,
)

BEST = isas()[0]
SHORT = tuple(p for p in ("bf16", "int8") if can(BEST, p))
SIZE = 40


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch) -> Path:
    """An empty folder for plans and findings."""
    folder = tmp_path / "kept"
    monkeypatch.setenv("TWINLENS_CACHE", str(folder))
    return folder


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder of drawn pictures, one of them in a folder below, and a file that is none."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 256, (SIZE + number, SIZE, 3), np.uint8)
        place = folder / "more" if number == 5 else folder
        assert cv2.imwrite(str(place / f"{number}.png"), pixels)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def model(tmp_path) -> Network:
    labels = tuple(f"class {number}" for number in range(10))
    path = save(resnet(), tmp_path / "net.onnx")
    return network_of(path, Recipe(width=SIZE, height=SIZE), labels)


def calibration(model: Network, pictures: Path, graph: Graph | None = None) -> Calibration:
    expected = model.spec.recipe.input_shape
    graph = graph or optimize(model.graph)
    return Calibration(graph, Classifier.of(graph, expected), model.spec, pictures, SHORT, 1, BEST)


@pytest.mark.parametrize(
    ("agreement", "milliseconds", "best"),
    [
        ({"bf16": 1.0, "int8": 1.0}, {"fp32": 3.0, "bf16": 2.0, "int8": 1.0}, "int8"),
        ({"bf16": 1.0, "int8": 0.99}, {"fp32": 3.0, "bf16": 2.0, "int8": 1.0}, "bf16"),
        ({"bf16": 0.5, "int8": 0.99}, {"fp32": 3.0, "bf16": 2.0, "int8": 1.0}, "fp32"),
        ({"bf16": 1.0, "int8": 1.0}, {"fp32": 1.0, "bf16": 2.0, "int8": 1.5}, "fp32"),
        ({"bf16": 0.995}, {"fp32": 3.0, "bf16": 2.0}, "bf16"),
        ({}, {"fp32": 3.0}, "fp32"),
    ],
)
def test_the_best_is_the_fastest_that_agrees(agreement, milliseconds, best):
    assert Findings({}, agreement, milliseconds, 200).best() == best


def test_ranges_hold_every_sample_of_every_value(model, pictures):
    calibrating = calibration(model, pictures)
    graph = calibrating.graph
    ((name, _),) = graph.inputs.items()
    given = [{name: x.copy()} for x in tensors(pictures, model.spec.recipe)]
    assert len(given) == 6
    ranges = measure_ranges(graph, given, 2, BEST)
    lows = {key: ends[0] for key, ends in ranges.items()}
    highs = {key: ends[1] for key, ends in ranges.items()}
    seen = dict.fromkeys(ranges, 0)
    for inputs in given:
        for node, value in graph.run_traced({k: x.astype(np.float64) for k, x in inputs.items()}):
            if node.output in ranges:
                slack = 1e-4 * np.abs(value).max()
                assert value.min() >= lows[node.output] - slack
                assert value.max() <= highs[node.output] + slack
                seen[node.output] += 1
    assert sum(count == 6 for count in seen.values()) == len(ranges) - 1  # all but the input
    for inputs in given[:1]:
        if "int8" in SHORT:
            check(graph, inputs, BEST, precision="int8", ranges=ranges)


@pytest.mark.skipif(not SHORT, reason=f"{BEST.title} here computes in fp32 only")
def test_findings_are_kept_until_something_changes(model, pictures, monkeypatch):
    measured = []
    original = Calibration._measure

    def measure(self: Calibration) -> Findings:
        measured.append(1)
        return original(self)

    monkeypatch.setattr(Calibration, "_measure", measure)
    first = calibration(model, pictures).findings()
    assert first.pictures == 6
    assert set(first.agreement) == set(SHORT)
    assert all(0 <= share <= 1 for share in first.agreement.values())
    assert set(first.milliseconds) == {"fp32", *SHORT}
    assert calibration(model, pictures).findings() == first
    assert replace(calibration(model, pictures), threads=2).findings() == first
    assert len(measured) == 1
    # Another picture, other weights, another recipe: measured again.
    cv2.imwrite(str(pictures / "7.png"), np.zeros((SIZE, SIZE, 3), np.uint8))
    assert calibration(model, pictures).findings().pictures == 7
    assert len(measured) == 2
    graph = calibration(model, pictures).graph
    twin = next(g for what, g in variants(graph) if what.startswith("Conv2d.weight"))
    calibration(model, pictures, twin).findings()
    assert len(measured) == 3
    other = model.with_spec(recipe=Recipe(SIZE, SIZE, color="BGR"))
    calibration(other, pictures).findings()
    assert len(measured) == 4


@pytest.mark.skipif(not SHORT, reason=f"{BEST.title} here computes in fp32 only")
def test_damaged_findings_are_measured_again(model, pictures, store, caplog):
    calibration(model, pictures).findings()
    for path in store.iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    with caplog.at_level(logging.WARNING):
        assert calibration(model, pictures).findings().pictures == 6
    assert "damaged" in caplog.text


def test_whatever_changes_a_network_changes_its_findings():
    for graph in samples(0):
        before = _digest(graph)
        for what, other in variants(graph):
            assert _digest(other) != before, what


def test_a_folder_without_pictures_is_one_clear_error(model, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no picture")
    with pytest.raises(ImageError, match="empty: no picture to calibrate with") as told:
        calibration(model, empty).findings()
    assert "Give a video, or a folder" in (told.value.hint or "")
    with pytest.raises(ImageError, match="nowhere: no picture"):
        calibration(model, tmp_path / "nowhere").findings()
    (empty / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    with pytest.raises(ImageError, match="no picture"):
        calibration(model, empty).findings()


def test_a_picture_that_cannot_be_read_is_left_out(model, pictures, caplog):
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff" + b"\0" * 40)
    with caplog.at_level(logging.WARNING):
        assert calibration(model, pictures).findings().pictures == 6
    assert "broken.jpg" in caplog.text


def test_a_video_gives_frames_spread_over_it(model, tmp_path, monkeypatch):
    path = tmp_path / "video.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (48, 48))
    for number in range(30):
        video.write(np.full((48, 48, 3), 8 * number, np.uint8))
    video.release()
    monkeypatch.setattr("twinlens.engine.targets.cpu.run.calibrate.PICTURES", 9)
    given = [float(x.min()) for x in tensors(path, model.spec.recipe)]
    assert len(given) == 9
    # From dark to bright, each a few frames after the last.
    assert all(later > earlier for earlier, later in pairwise(given))
    found = calibration(model, path).findings()
    assert found.pictures == 9
    # Every fourth gives ranges: the darkest of those is the first.
    assert found.ranges["image"][0] == pytest.approx(given[0])


def test_values_without_an_end_stay_in_floats():
    if "int8" not in SHORT:
        pytest.skip(f"{BEST.title} here does not compute in int8")
    net, w = Layers(x=(1, 4, 6, 6)), Weights(0)
    made = net.add(conv(w, 4, 5), "x")
    endless = net.add(Div(), made, net.constant(np.zeros(1, np.float32)))
    net.add(Softmax(1), net.add(GlobalAvgPool2d(), net.add(conv(w, 5, 3, (1, 1)), endless)))
    graph = optimize(net.graph())
    with np.errstate(all="ignore"):
        ranges = measure_ranges(graph, [some_inputs(graph, 0)], 1, BEST)
    assert set(ranges) == {"x", made}


@pytest.mark.parametrize("ends", [(0.0, 0.0), (0.0, 1e-44), (-1e-38, 1e-39), (-1e38, 3e38)])
def test_ranges_of_any_size_can_be_computed_with(ends):
    if "int8" not in SHORT:
        pytest.skip(f"{BEST.title} here does not compute in int8")
    net, w = Layers(x=(1, 4, 6, 6)), Weights(0)
    made = net.add(conv(w, 4, 5), "x")
    last = net.add(GlobalAvgPool2d(), made)
    graph = net.graph(last)
    inputs = some_inputs(graph, 0)
    ranges = {"x": (-3.0, 3.0), made: ends}
    answers = check(graph, inputs, BEST, precision="int8", ranges=ranges).outputs
    assert np.isfinite(answers[last]).all()


@pytest.mark.parametrize("precision", [*SHORT, "auto"])
def test_engines_calibrate_and_say_how_far_they_agree(model, pictures, precision):
    options = EngineOptions(precision=precision, calibration=pictures, threads=1)
    runner = LayersCpuEngine().load(model, options)
    try:
        info = runner.info
        assert info.precision == precision or precision == "auto"
        if info.precision != "fp32":
            assert info.agreement is not None
            assert 0 <= info.agreement <= 1
        x = np.zeros(info.input_shape, np.float32)
        assert np.isfinite(runner.run(x)).all()
    finally:
        runner.close()


@pytest.mark.parametrize("precision", ["int8", "auto"])
def test_engines_ask_for_pictures(model, precision):
    if not SHORT or (precision != "auto" and precision not in SHORT):
        pytest.skip(f"{BEST.title} here does not compute in {precision}")
    with pytest.raises(EngineError, match=f"{precision} needs pictures"):
        LayersCpuEngine().load(model, EngineOptions(precision=precision))


def test_a_quantised_network_runs_as_int8_without_pictures(tmp_path):
    labels = tuple(f"class {number}" for number in range(10))
    path = save(edgetpu_mobilenet(), tmp_path / "net.onnx")
    spec = network_of(path, Recipe(32, 32, layout="NHWC"), labels)
    runner = LayersCpuEngine().load(spec, EngineOptions(threads=1))
    try:
        assert runner.info.precision == ("int8" if "int8" in SHORT else "fp32")
        assert "quantised" in runner.info.detail
    finally:
        runner.close()
