"""The vision API: models, requests, handlers, observations."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import twinlens.engine
import twinlens.engine.vision
from helpers.tiny_nets import tiny_classifier
from twinlens.engine import (
    ClassificationRequest,
    CropAndScale,
    ImageRequestHandler,
    PixelBuffer,
    Region,
    SequenceRequestHandler,
)
from twinlens.engine.api.observations import ClassificationObservation, PrecisionRecallCurve
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.errors import (
    EngineUnavailableError,
    ImageError,
    LabelError,
    ModelError,
    ModelFileError,
)
from twinlens.engine.vision import Model, RequestCancelledError, VisionEngine
from twinlens.engine.vision.engine import thread_count
from twinlens.models import load_model
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve

PICTURE = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8), (320, 240)
)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(EMBEDDED_MODEL)


def test_five_lines_classify_a_picture(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), PICTURE)
    request = ClassificationRequest(model)
    ImageRequestHandler(path).perform([request])
    results = request.results
    assert len(results) == 1000
    assert [o.confidence for o in results] == sorted((o.confidence for o in results), reverse=True)
    assert abs(sum(o.confidence for o in results) - 1) < 1e-4
    assert results[0].identifier == model.description.class_labels[results[0].index]


def test_every_kind_of_picture_gives_the_same_answer(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), PICTURE)
    answers = []
    for image in (path, str(path), path.read_bytes(), PICTURE, PixelBuffer.from_array(PICTURE)):
        request = ClassificationRequest(model)
        ImageRequestHandler(image).perform([request])
        answers.append(request.results)
    assert all(answer == answers[0] for answer in answers)


def test_orientation_crop_and_region_change_what_is_seen(model: Model) -> None:
    plain = ClassificationRequest(model)
    filled = ClassificationRequest(model, crop_and_scale=CropAndScale.SCALE_FILL)
    corner = ClassificationRequest(model, region_of_interest=Region(0, 0, 0.3, 0.3))
    ImageRequestHandler(PICTURE).perform([plain, filled, corner])
    turned = ClassificationRequest(model)
    ImageRequestHandler(PICTURE, orientation=6).perform([turned])
    seen = {tuple(o.confidence for o in r.results[:5]) for r in (plain, filled, corner, turned)}
    assert len(seen) == 4


def test_completion_handler_hears_of_results_and_errors(model: Model) -> None:
    heard = []
    request = ClassificationRequest(
        model, completion_handler=lambda own, error: heard.append((own.results[:1], error))
    )
    handler = SequenceRequestHandler()
    handler.perform([request], PICTURE)
    request.cancel()
    with pytest.raises(RequestCancelledError):
        handler.perform([request], PICTURE)
    handler.perform([request], PICTURE)
    assert [bool(results) for results, _ in heard] == [True, False, True]
    assert isinstance(heard[1][1], RequestCancelledError)


def test_cancelling_one_request_leaves_the_other_alone(model: Model) -> None:
    other = ClassificationRequest(model)

    class Cancelling:
        """Stands for the model while it works: cancels the other request in the middle."""

        spec, terminated = model.spec, False

        def predict(self, tensor: np.ndarray) -> np.ndarray:
            other.cancel()
            return model.predict(tensor)

        def terminate(self) -> None:
            self.terminated = True

    middle = Cancelling()
    other.model = middle  # type: ignore[assignment]
    request = ClassificationRequest(middle)  # type: ignore[arg-type]
    ImageRequestHandler(PICTURE).perform([request])
    assert request.results
    assert not middle.terminated


def test_threads_stay_within_the_machine() -> None:
    assert thread_count(EngineOptions(threads=1_000_000)) <= (os.cpu_count() or 1)
    assert thread_count(EngineOptions(threads=-1)) == 1


@pytest.mark.parametrize("thing", [None, [1, 2], 7])
def test_things_that_are_no_pictures_are_named(thing: object) -> None:
    with pytest.raises(ImageError, match=type(thing).__name__):
        ImageRequestHandler(thing)  # type: ignore[arg-type]


def test_description_and_compute_units_are_those_of_the_live_session(model: Model) -> None:
    description = model.description
    assert description.input_shape == (1, 3, 208, 208)
    assert description.output_width == len(description.class_labels) == 1000
    assert model.compute_units == ("CPUExecutionProvider",)


def test_provider_that_is_not_here_is_named() -> None:
    options = EngineOptions(providers=("NoSuchExecutionProvider",))
    with pytest.raises(EngineUnavailableError, match="NoSuchExecutionProvider"):
        VisionEngine().load(resolve(EMBEDDED_MODEL), options)


def test_errors_name_the_file(tmp_path: Path, model: Model) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("a letter")
    with pytest.raises(ModelFileError, match=r"text\.onnx"):
        load_model(text)
    with pytest.raises(ModelError, match=r"nothing\.onnx"):
        load_model(tmp_path / "nothing.onnx")
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("a\nb\n")
    with pytest.raises(LabelError, match="2 labels"):
        load_model(tiny_classifier(tmp_path / "bare.onnx", 3), labels=wrong)
    with pytest.raises(ImageError, match=r"nothing\.jpg"):
        ImageRequestHandler(tmp_path / "nothing.jpg")


def test_own_labels_and_recipe(tmp_path: Path, model: Model) -> None:
    labels = tmp_path / "names.txt"
    labels.write_text("\n".join(f"class {n}" for n in range(1000)), encoding="utf-8")
    with load_model(EMBEDDED_MODEL, labels=labels, recipe=model.spec.recipe) as own:
        request = ClassificationRequest(own)
        ImageRequestHandler(PICTURE).perform([request])
        assert request.results[0].identifier == f"class {request.results[0].index}"


def test_the_bytes_of_an_onnx_file_answer_as_the_file(model: Model) -> None:
    path = resolve(EMBEDDED_MODEL).path
    assert path is not None
    with Model.from_onnx(path.read_bytes(), model.spec) as own:
        requests = [ClassificationRequest(each) for each in (model, own)]
        ImageRequestHandler(PICTURE).perform(requests)
        assert requests[0].results == requests[1].results
    with pytest.raises(LabelError, match="2 labels for 1000 outputs"):
        Model.from_onnx(path.read_bytes(), replace(model.spec, labels=("a", "b")))
    with pytest.raises(ModelFileError, match=model.spec.title):
        Model.from_onnx(b"no model", model.spec)


def test_precision_and_recall_are_answered_only_with_a_curve() -> None:
    bare = ClassificationObservation("cat", 0.8, 0)
    assert not bare.has_precision_recall_curve
    assert not bare.has_minimum_precision(0.1, for_recall=0.1)
    curve = PrecisionRecallCurve(((0.1, 0.5, 0.9), (0.5, 0.8, 0.6), (0.9, 0.99, 0.2)))
    cat = ClassificationObservation("cat", 0.6, 0, curve)
    assert cat.has_minimum_precision(0.8, for_recall=0.5)
    assert not cat.has_minimum_precision(0.9, for_recall=0.5)
    assert not cat.has_minimum_precision(0.8, for_recall=0.1)
    assert cat.has_minimum_recall(0.6, for_precision=0.8)
    assert not cat.has_minimum_recall(0.7, for_precision=0.8)


@pytest.mark.parametrize("module", [twinlens.engine, twinlens.engine.vision])
def test_public_names_exist(module: object) -> None:
    names = module.__all__  # type: ignore[attr-defined]
    assert list(names) == sorted(names)
    for name in names:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        module.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_engine_loads_nothing_heavy() -> None:
    script = (
        "import sys, twinlens.engine, twinlens.engine.api.registry, twinlens.engine.api.protocol\n"
        "print([m for m in ('cv2', 'onnx', 'onnxruntime', 'PySide6') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"
