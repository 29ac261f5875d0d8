"""What is known of a model before it loads, what has to be asked, and which answer proves right."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from helpers.fakes import WAIT_S
from helpers.tiny_nets import COLORS, color_reader, plain, tiny_classifier
from twinlens.app.core.drawing.digits import STROKES
from twinlens.app.core.session.loading import load_from_registry
from twinlens.app.core.setup.golden import Golden, clip_pictures, digit_pictures, own_picture
from twinlens.app.core.setup.preflight import Preflight, preflight
from twinlens.app.core.setup.trial import LIVE, Trial, TrialState
from twinlens.app.core.setup.wizard import (
    AS_KNOWN,
    Answer,
    Standing,
    Wizard,
    best,
    close_to,
    numbered,
    standing,
    top_of,
)
from twinlens.app.views.wizard import standings_of, wizard_view
from twinlens.assets import clip_timeline_path, picture_path
from twinlens.engine.api.protocol import EngineOptions, Network, Runner
from twinlens.engine.errors import LabelError, ModelError, ModelFileError
from twinlens.engine.image import Converter, CropAndScale, PixelBuffer, Recipe
from twinlens.models.identify.kept import keep
from twinlens.models.identify.resolve import EMBEDDED_MODEL, imagenet_labels, resolve


def bare_default(tmp_path: Path) -> Path:
    """The embedded model, as a file that nobody knows."""
    model = onnx.load(str(resolve(EMBEDDED_MODEL).path))
    model.doc_string = "somebody's own"
    del model.metadata_props[:]
    path = tmp_path / "own.onnx"
    onnx.save(model, str(path))
    return path


def colors_wizard(tmp_path: Path) -> Wizard:
    labels = {"labels": json.dumps(COLORS)}
    return Wizard(preflight(color_reader(tmp_path / "colors.onnx", metadata=labels)))


def load(network: Network) -> Runner:
    return load_from_registry(network, "layers-cpu", EngineOptions())


def wait_for(trial: Trial, holds: Callable[[TrialState], bool]) -> TrialState:
    with trial._changed:
        if not trial._changed.wait_for(lambda: holds(trial.state), WAIT_S):
            raise TimeoutError(trial.state)
        return trial.state


def tried(wizard: Wizard, pictures: list[Golden]) -> TrialState:
    trial = Trial(wizard.trial_network, wizard.candidates(), pictures, load)
    trial.start()
    state = wait_for(trial, lambda state: state.done or state.error is not None)
    trial.request_stop()
    assert trial.join(WAIT_S)
    return state


# --- preflight -----------------------------------------------------------------------------


def test_the_report_says_all_of_it(tmp_path: Path) -> None:
    report = preflight(tiny_classifier(tmp_path / "pets.onnx", 3))
    assert (report.outputs, report.classes) == (3, 3)
    assert report.operators["GlobalAvgPool2d"] == 1
    assert report.parameters == 9
    assert report.asks == ("values",)
    assert report.runs_on is None
    text = "\n".join(report.lines)
    for words in ("ONNX", "4 layers", "16×16 RGB", "3 outputs, no labels", "value range assumed"):
        assert words in text


def test_a_model_that_says_all_of_itself_asks_nothing(tmp_path: Path) -> None:
    said = {"labels": json.dumps(["a", "b", "c"]), "twinlens.recipe": json.dumps({"scale": 1.0})}
    assert preflight(tiny_classifier(tmp_path / "told.onnx", 3, metadata=said)).asks == ()
    assert preflight(resolve(EMBEDDED_MODEL).path).asks == ()


def test_open_sizes_and_axes_are_asked(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "open.onnx", 1000, shape=(1, 3, "h", "w"))
    assert preflight(path).asks == ("size", "values")


def test_operators_that_are_missing_are_counted(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["a"]),
        helper.make_node("Det", ["x"], ["b"]),
        helper.make_node("NonZero", ["x"], ["n"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    path = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    report = preflight(path)
    assert report.unsupported == {"Det": 2, "NonZero": 1}
    assert report.runs_on == ("vision",)
    assert "Det 2×, NonZero 1×" in "\n".join(report.lines)


def test_a_wrong_label_file_beside_a_model_of_the_catalog_is_not_used(tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(resolve(EMBEDDED_MODEL).path.read_bytes())
    copy.with_suffix(".labels.txt").write_text("cat\ndog\n", encoding="utf-8")
    report = preflight(copy)
    assert report.spec.labels == resolve(EMBEDDED_MODEL).spec.labels
    assert "copy.labels.txt has 2 labels" in report.spec.notes[0]
    assert "1,000 classes" in report.spec.notes[0]


def test_a_wrong_label_file_beside_an_unknown_model_blocks_nothing(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "pets.onnx", 3)
    path.with_suffix(".labels.txt").write_text("cat\ndog\n", encoding="utf-8")
    report = preflight(path)
    assert not report.named
    assert report.found.problem is None
    assert any("2 labels" in line for line in report.lines)
    assert "2 labels" in report.spec.notes[0]


def test_a_broken_file_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(resolve(EMBEDDED_MODEL).path.read_bytes()[:100_000])
    with pytest.raises(ModelFileError, match="broken"):
        preflight(path)


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinlens.models.identify.resolve.MAX_BYTES", 100)
    with pytest.raises(ModelFileError, match="at most 100"):
        preflight(tiny_classifier(tmp_path / "net.onnx", 3))


# --- golden pictures -----------------------------------------------------------------------


def test_the_clip_shows_each_object_once() -> None:
    labels = imagenet_labels()
    indexes = [golden.index(labels) for golden in clip_pictures()]
    rows = clip_timeline_path().read_text(encoding="utf-8").splitlines()[1:]
    assert indexes == [int(row.split("\t")[2]) for row in rows]


def test_digits_have_two_names_and_a_square() -> None:
    by_name = [golden.index(["zero", "one", "two", "three"]) for golden in digit_pictures()[:4]]
    assert by_name == [0, 1, 2, 3]
    assert [g.index(list("0123456789")) for g in digit_pictures()] == list(range(10))
    assert all(golden.region is not None for golden in digit_pictures())
    assert len(digit_pictures()) == len(STROKES)


@pytest.mark.parametrize(
    ("file", "index"),
    [("banana_02.png", 1), ("Granny-Smith.png", 2), ("IMG_1.png", None), ("tench 3.png", 0)],
)
def test_ones_own_picture_is_known_by_its_name(
    tmp_path: Path, file: str, index: int | None
) -> None:
    path = tmp_path / file
    path.write_bytes(picture_path("start.jpg").read_bytes())
    assert own_picture(path).index(["tench, Tinca tinca", "banana", "Granny Smith"]) == index


def test_names_that_are_not_clear_are_not_known() -> None:
    golden = plain("red")
    assert golden.index(["red", "Red", "blue"]) is None
    assert golden.index([]) is None


# --- candidates ----------------------------------------------------------------------------


def test_every_candidate_of_colours_is_right_by_hand(tmp_path: Path) -> None:
    wizard = Wizard(preflight(tiny_classifier(tmp_path / "a.onnx", 1000)))
    buffer = PixelBuffer.from_array(np.full((4, 4, 3), (30, 90, 200), np.uint8))  # B, G, R
    values = {
        c.id: Converter(c.recipe).convert(buffer)[0, :, 0, 0].copy() for c in wizard.candidates()
    }
    red, green, blue = 200.0, 90.0, 30.0
    rgb = np.array([red, green, blue])
    imagenet = (rgb / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    wanted = {
        "unit RGB": rgb / 255,
        "unit BGR": rgb[::-1] / 255,
        "symmetric RGB": rgb / 127.5 - 1,
        "imagenet RGB": imagenet,
        "imagenet BGR": imagenet[::-1],
        "pixels RGB": rgb,
        "caffe BGR": [blue - 103.939, green - 116.779, red - 123.68],
    }
    assert len(values) == 10
    for id, expected in wanted.items():
        np.testing.assert_allclose(values[id], expected, rtol=1e-5, atol=1e-5, err_msg=id)
    assert wizard.chosen == "imagenet RGB", "what was assumed is chosen first"


def test_every_candidate_of_grey_is_right_by_hand(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "a.onnx", 10, shape=(1, 1, 28, 28))
    wizard = Wizard(preflight(path))
    buffer = PixelBuffer.from_array(np.full((4, 4), 51, np.uint8), "GRAY8")
    for candidate in wizard.candidates():
        value = float(Converter(candidate.recipe).convert(buffer)[0, 0, 0, 0])
        pixel = 204 if candidate.column == "inverted" else 51
        wanted = {
            "0 to 1": pixel / 255,
            "−1 to 1": pixel / 127.5 - 1,
            "MNIST mean, std": (pixel / 255 - 0.1307) / 0.3081,
            "0 to 255": pixel,
        }[candidate.row]
        assert value == pytest.approx(wanted, abs=1e-4), candidate.id
    assert wizard.chosen == "unit as it is"


def test_known_values_leave_one_candidate(tmp_path: Path) -> None:
    said = {"twinlens.recipe": json.dumps({"scale": 1.0, "mean": [1, 2, 3]})}
    wizard = Wizard(preflight(tiny_classifier(tmp_path / "a.onnx", 3, metadata=said)))
    assert [c.id for c in wizard.candidates()] == [AS_KNOWN]
    assert wizard.candidates()[0].recipe.mean == (1.0, 2.0, 3.0)
    assert wizard.report.asks == ()


# --- answers -------------------------------------------------------------------------------


def test_labels_come_from_a_file_of_the_right_length(tmp_path: Path) -> None:
    wizard = Wizard(preflight(tiny_classifier(tmp_path / "a.onnx", 3)))
    assert not wizard.missing, "a class without a name is called by its number"
    assert wizard.spec.labels == numbered(3)
    assert "labels" not in wizard.kept
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n", encoding="utf-8")
    with pytest.raises(LabelError, match=r"names\.txt has 2 labels.*3 classes"):
        wizard.read_labels(names)
    assert wizard.labels == numbered(3)
    names.write_text("cat\ndog\nfox\n", encoding="utf-8")
    wizard.read_labels(names)
    assert not wizard.missing
    assert wizard.spec.labels == ("cat", "dog", "fox")
    assert wizard.kept["labels"] == ["cat", "dog", "fox"]


def test_a_label_file_fits_dropped_as_it_does_beside_the_model(tmp_path: Path) -> None:
    wizard = Wizard(preflight(tiny_classifier(tmp_path / "a.onnx", 3)))
    names = tmp_path / "names.txt"
    names.write_text("background\ncat\ndog\nfox\n", encoding="utf-8")
    wizard.read_labels(names)
    assert wizard.labels == ("cat", "dog", "fox")
    names.write_text("0 cat\n2 fox\n", encoding="utf-8")
    wizard.read_labels(names)
    assert wizard.labels == ("cat", "class 1", "fox")


def test_a_background_in_a_label_file_is_left_out(tmp_path: Path) -> None:
    wizard = Wizard(preflight(tiny_classifier(tmp_path / "a.onnx", 1001)))
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["background", *numbered(1000)]), encoding="utf-8")
    wizard.read_labels(names)
    assert wizard.labels == numbered(1000)


def test_numbers_stand_for_labels(tmp_path: Path) -> None:
    wizard = Wizard(preflight(tiny_classifier(tmp_path / "a.onnx", 3)))
    wizard.number_labels()
    assert wizard.spec.labels == ("class 0", "class 1", "class 2")


def test_answers_that_are_kept_ask_nothing_next_time(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "a.onnx", 3, shape=(1, 3, "h", "w"))
    wizard = Wizard(preflight(path))
    wizard.number_labels()
    wizard.set_crop(CropAndScale.SCALE_FIT)
    wizard.set_size(96)
    wizard.choose("caffe BGR")
    assert list(tmp_path.iterdir()) == [path], "nothing is written before it is confirmed"
    keep(path, wizard.kept)
    again = preflight(path)
    assert again.asks == ()
    assert replace(wizard.spec, notes=()) == replace(again.spec, notes=())
    assert again.spec.recipe.input_shape == (1, 3, 96, 96)


def test_a_choice_by_hand_is_not_overridden(tmp_path: Path) -> None:
    wizard = colors_wizard(tmp_path)
    wizard.prefer("unit RGB")
    assert wizard.chosen == "unit RGB"
    wizard.choose("pixels BGR")
    wizard.prefer("unit RGB")
    assert wizard.chosen == "pixels BGR"
    with pytest.raises(KeyError):
        wizard.choose("none of them")


def test_answers_that_cannot_be_are_refused(tmp_path: Path) -> None:
    wizard = colors_wizard(tmp_path)
    for wrong in (lambda: wizard.set_size(0), lambda: wizard.set_layout("CHWN")):
        with pytest.raises(ModelError):
            wrong()


# --- the proof -----------------------------------------------------------------------------


def test_the_right_recipe_wins_on_pictures_whose_colour_is_known(tmp_path: Path) -> None:
    wizard = colors_wizard(tmp_path)
    pictures = [plain(color) for color in COLORS]
    state = tried(wizard, pictures)
    assert state.error is None
    stands = standings_of(wizard, pictures, state)
    assert best(stands) == "symmetric RGB"
    assert stands["symmetric RGB"] == Standing(3, 3, pytest.approx(1.0, abs=1e-3))
    assert stands["symmetric BGR"].right == 1, "green is in the middle"
    wizard.prefer(best(stands))
    assert wizard.recipe.mean == (1.0, 1.0, 1.0)
    view = wizard_view(wizard, pictures, state, 0, 3)
    chosen = next(cell for cell in view.cells if cell.chosen)
    assert chosen.best.startswith("red")
    assert chosen.right is True
    assert chosen.proof == "3 of 3 right, 99 % sure"
    assert next(cell for cell in view.cells if cell.id == "symmetric BGR").right is False
    assert "−1 to 1, RGB" in view.status


def test_the_embedded_model_proves_its_own_recipe(tmp_path: Path) -> None:
    wizard = Wizard(preflight(bare_default(tmp_path)))
    assert wizard.labels == imagenet_labels()
    pictures = list(clip_pictures())
    stands = standings_of(wizard, pictures, tried(wizard, pictures))
    won = best(stands)
    assert won is not None
    truth = resolve(EMBEDDED_MODEL).spec.recipe
    found = wizard.candidate(won).recipe
    assert (found.scale, found.mean, found.std, found.color) == (
        pytest.approx(truth.scale),
        truth.mean,
        truth.std,
        truth.color,
    )
    assert stands[won].right >= 9
    assert close_to(won, stands), "ten pictures do not tell close ones apart, and it says so"
    assert stands["pixels RGB"].right < 3


def test_without_known_pictures_there_is_no_proof(tmp_path: Path) -> None:
    wizard = Wizard(preflight(tiny_classifier(tmp_path / "a.onnx", 3)))
    pictures = list(clip_pictures())
    state = tried(wizard, pictures)
    assert best(standings_of(wizard, pictures, state)) is None
    view = wizard_view(wizard, pictures, state, LIVE, len(pictures))
    assert view.pictures == (LIVE,)
    assert "Add names, or go on without" in view.status
    assert not view.missing
    assert view.labels == "3 classes, called by their numbers"


def test_standing_counts_known_pictures_only() -> None:
    pictures = [plain("red"), plain("blue"), Golden(plain("red").picture, ())]
    answer = Answer.of(np.array([0.5, 0.3, 0.2], np.float32))
    answers = {0: answer, 1: answer, 2: answer, LIVE: answer}
    assert standing(pictures, answers, COLORS) == Standing(1, 2, pytest.approx(0.35))
    assert standing(pictures, answers, ()) == Standing()
    assert [o.identifier for o in top_of(answer, ())] == ["class 0", "class 1", "class 2"]


def test_a_trial_tries_what_is_live_and_what_is_added(tmp_path: Path) -> None:
    wizard = colors_wizard(tmp_path)
    shown = plain("blue").picture
    trial = Trial(wizard.trial_network, wizard.candidates(), [plain("red")], load, lambda: shown)
    trial.start()
    wait_for(trial, lambda state: state.done)
    trial.watch(True)
    wait_for(trial, lambda state: LIVE in state.answers["caffe BGR"])
    trial.watch(False)
    assert trial.add(plain("green")) == 1
    state = wait_for(trial, lambda state: state.done and 1 in state.answers["caffe BGR"])
    assert state.answers["symmetric RGB"][1].best[0] == 1
    assert state.answers["symmetric RGB"][LIVE].best[0] == 2
    trial.request_stop()
    assert trial.join(WAIT_S)


def test_a_model_that_does_not_run_says_so(tmp_path: Path) -> None:
    wizard = colors_wizard(tmp_path)
    wizard.set_size(9)

    def fails(network: Network) -> Runner:
        raise ModelFileError(f"{network.spec.title}: takes another size")

    trial = Trial(wizard.trial_network, wizard.candidates(), [plain("red")], fails)
    trial.start()
    state = wait_for(trial, lambda state: state.error is not None)
    assert trial.join(WAIT_S)
    view = wizard_view(wizard, [plain("red")], state, 0, 1)
    assert view.failed
    assert "takes another size" in view.status


def test_a_trial_that_is_stopped_closes_its_runner(tmp_path: Path) -> None:
    wizard = colors_wizard(tmp_path)
    gate, running = threading.Event(), threading.Event()

    class Slow:
        closed = False

        def __init__(self, inner: Runner) -> None:
            self._inner = inner
            self.info = inner.info

        def run(self, tensor: np.ndarray) -> np.ndarray:
            running.set()
            gate.wait(WAIT_S)
            return self._inner.run(tensor)

        def close(self) -> None:
            Slow.closed = True
            self._inner.close()

    pictures = [plain(color) for color in COLORS]
    trial = Trial(
        wizard.trial_network, wizard.candidates(), pictures, lambda spec: Slow(load(spec))
    )
    trial.start()
    assert running.wait(WAIT_S)
    trial.request_stop()
    gate.set()
    assert trial.join(WAIT_S)
    assert Slow.closed
    assert not trial.state.done


def test_the_projects_models_ask_for_values_or_nothing(test_data: Path) -> None:
    models = test_data / "models"
    for name in ("mnist_mpscnn", "mobilenet_v2_1.0_224_quant.tflite"):
        report: Preflight = preflight(models / name)
        assert report.asks == ()
        assert report.refused is None
    digits = preflight(models / "mnist_mpscnn")
    assert digits.spec.labels == tuple("0123456789")
    assert isinstance(digits.spec.recipe, Recipe)
