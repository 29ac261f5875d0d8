"""A model is dropped: looked at, asked about where needed, proved, kept; by keys, and by drops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractButton, QLabel, QPushButton

from helpers.gui_stand import Stand, fits, pixels_of, run_stand
from helpers.tiny_nets import COLORS, color_reader, hidden_shares, tiny_classifier, two_heads
from twinlens.app.core.session.events import AnswersDoubted
from twinlens.app.core.session.loading import load_from_registry
from twinlens.app.core.setup.recognition import recognise
from twinlens.app.core.setup.trial import LIVE
from twinlens.app.overlays import BannerKind
from twinlens.app.qt.setup.wizard_sheet import WizardSheet
from twinlens.models.identify import kept
from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve

Key = Qt.Key


@pytest.fixture
def stand(qtbot: Any, tmp_path: Path) -> Iterator[Stand]:
    """Its session is a fake of 8×8 pixels and 3 classes; what is proved is real."""
    yield from run_stand(qtbot, tmp_path, load=load_from_registry)


def drop(stand: Stand, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data, left, none)
    stand.window.stage.dropEvent(event)


def asked(stand: Stand, path: Path) -> WizardSheet:
    """Drop a model and wait until the sheet is there and the bundled pictures were tried."""
    desk = stand.window.intake.desk
    before = desk.sheet
    drop(stand, path)
    stand.until(lambda: desk.sheet not in (None, before))
    stand.until(lambda: desk.trial.done)
    assert desk.sheet is not None
    return desk.sheet


def labelled(path: Path) -> Path:
    return color_reader(path, metadata={"labels": json.dumps(COLORS)})


def picture_of(color: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., 2 - COLORS.index(color)] = 255
    done, data = cv2.imencode(".png", pixels)
    assert done
    path = folder / f"{color}_1.png"
    path.write_bytes(data.tobytes())
    return path


def title_shown(stand: Stand) -> str:
    status = stand.window.stage.overlays.status
    return status.who if status is not None else ""


def press_focused(stand: Stand, qtbot: Any, key: Any) -> None:
    qtbot.keyClick(stand.window.focusWidget(), key)


def test_names_block_nothing_and_the_keyboard_alone_answers(
    stand: Stand, qtbot: Any, tmp_path: Path
) -> None:
    net = color_reader(tmp_path / "colors.onnx")
    sheet = asked(stand, net)
    assert sheet.use.isEnabled()
    assert sheet.use.hasFocus()
    assert sheet.pick.text() == "Add names …"
    assert sheet.labels.text() == "3 classes, called by their numbers"
    sheet.pick.setFocus()
    press_focused(stand, qtbot, Key.Key_Tab)
    focused = stand.window.focusWidget()
    assert isinstance(focused, QPushButton)
    assert focused.text() == "Numbers"
    press_focused(stand, qtbot, Key.Key_Return)
    stand.until(sheet.use.isEnabled)
    for _ in range(60):
        if sheet.use.hasFocus():
            break
        press_focused(stand, qtbot, Key.Key_Tab)
    assert sheet.use.hasFocus()
    press_focused(stand, qtbot, Key.Key_Return)
    assert stand.window.sheet is None
    stand.until(lambda: "colors" in title_shown(stand))
    stand.until(lambda: net.with_suffix(".toml").is_file())
    stand.until(lambda: stand.window.banner is not None)
    assert resolve(net).spec.labels == ("class 0", "class 1", "class 2")


def test_the_same_file_again_asks_nothing(stand: Stand, tmp_path: Path) -> None:
    net = labelled(tmp_path / "colors.onnx")
    asked(stand, net)
    stand.window.intake.desk.confirm()
    stand.until(lambda: net.with_suffix(".toml").is_file())
    stand.until(lambda: stand.window.banner is not None)
    stand.window.popups.close_banner()
    drop(stand, net)
    stand.until(lambda: stand.window.banner is not None)
    assert stand.window.sheet is None
    banner = stand.window.banner
    assert banner is not None
    assert "from the file beside it" in banner.hint


def test_escape_changes_nothing(stand: Stand, qtbot: Any, tmp_path: Path) -> None:
    net = labelled(tmp_path / "colors.onnx")
    before = title_shown(stand)
    sheet = asked(stand, net)
    press_focused(stand, qtbot, Key.Key_Down)
    qtbot.keyClick(sheet, Key.Key_Escape)
    assert stand.window.sheet is None
    stand.feed(3)
    assert title_shown(stand) == before
    assert not net.with_suffix(".toml").exists()
    assert stand.window.settings.model == ""
    assert stand.window.session is not None
    assert stand.window.session.state.spec.id == "fake"


def test_pictures_that_are_dropped_prove_the_recipe(stand: Stand, tmp_path: Path) -> None:
    sheet = asked(stand, labelled(tmp_path / "colors.onnx"))
    desk = stand.window.intake.desk
    assert desk.wizard is not None
    assert desk.wizard.chosen == "imagenet RGB"
    hovering = stand.window.intake.offer(recognise(picture_of("red", tmp_path / "pictures")))
    assert hovering.summary == "Prove the model on red_1.png"
    for color in COLORS:
        drop(stand, picture_of(color, tmp_path / "pictures"))
        count = COLORS.index(color) + 1
        stand.until(lambda count=count: len(desk._pictures) == desk._bundled + count)  # type: ignore[misc]
    stand.until(lambda: desk.trial.done)
    stand.until(lambda: desk.wizard is not None and desk.wizard.chosen == "symmetric RGB")
    stand.until(lambda: sheet.table.cells["symmetric RGB"].isChecked())
    stand.until(lambda: sheet.table.cells["symmetric RGB"].cell.proof.startswith("3 of 3"))
    cell = sheet.table.cells["symmetric RGB"].cell
    assert (cell.right, cell.proof) == (True, "3 of 3 right, 99 % sure")
    assert sheet.caption.text() == "This is known to be: blue"
    shown = [place for place, thumb in sheet._thumbs.items() if thumb.isVisibleTo(sheet)]
    assert sorted(shown) == [LIVE, *range(desk._bundled, desk._bundled + 3)]
    desk.confirm()
    stand.until(lambda: (tmp_path / "colors.toml").is_file())
    assert resolve(tmp_path / "colors.onnx").spec.recipe.mean == (1.0, 1.0, 1.0)


def test_arrows_choose_and_a_proof_does_not_take_it_back(
    stand: Stand, qtbot: Any, tmp_path: Path
) -> None:
    sheet = asked(stand, labelled(tmp_path / "colors.onnx"))
    desk = stand.window.intake.desk
    cell = sheet.table.cells["imagenet RGB"]
    cell.setFocus()
    for key, expected in (
        (Key.Key_Right, "imagenet BGR"),
        (Key.Key_Down, "pixels BGR"),
        (Key.Key_Left, "pixels RGB"),
        (Key.Key_Up, "imagenet RGB"),
        (Key.Key_Left, "imagenet RGB"),
        (Key.Key_Up, "symmetric RGB"),
        (Key.Key_Right, "symmetric BGR"),
    ):
        press_focused(stand, qtbot, key)
        assert desk.wizard is not None
        assert desk.wizard.chosen == expected
    assert stand.window.session is not None
    assert not stand.window.session.state.paused
    drop(stand, picture_of("red", tmp_path / "pictures"))
    stand.until(lambda: len(desk._pictures) == desk._bundled + 1)
    stand.until(lambda: desk.trial.done)
    stand.until(lambda: "−1 to 1, RGB" in sheet.status.text())
    assert desk.wizard is not None
    assert desk.wizard.chosen == "symmetric BGR"
    press_focused(stand, qtbot, Key.Key_Return)  # on a cell: takes what is chosen
    stand.until(lambda: (tmp_path / "colors.toml").is_file())
    assert resolve(tmp_path / "colors.onnx").spec.recipe.color == "BGR"


def test_label_files_are_dropped_and_wrong_ones_told_on_the_sheet(
    stand: Stand, tmp_path: Path
) -> None:
    sheet = asked(stand, color_reader(tmp_path / "colors.onnx"))
    names = tmp_path / "names.txt"
    names.write_text("red\ngreen\n", encoding="utf-8")
    drop(stand, names)
    stand.until(lambda: "names.txt has 2 labels" in sheet.status.text())
    assert sheet.status.objectName() == "error"
    assert sheet.labels.text() == "3 classes, called by their numbers"
    (tmp_path / "a.doc").write_bytes(b"\xd0\xcf\x11\xe0")
    drop(stand, tmp_path / "a.doc")
    stand.until(lambda: "a.doc" in sheet.status.text())
    names.write_text("red\ngreen\nblue\n", encoding="utf-8")
    drop(stand, names)
    stand.until(lambda: sheet.labels.text() == "3 names, names.txt")
    assert stand.window.sheet is sheet
    assert stand.window.banner is None


def test_what_is_live_is_tried_again_and_again(stand: Stand, tmp_path: Path) -> None:
    sheet = asked(stand, labelled(tmp_path / "colors.onnx"))
    desk = stand.window.intake.desk
    assert desk._shown == LIVE
    stand.until(lambda: LIVE in desk.trial.answers["caffe BGR"])
    assert sheet.caption.text() == "What is live now"
    for color in ("blue", "red"):
        stand.window.choose.source(str(picture_of(color, tmp_path / "pictures")))
        best = f"{color}\u2002"
        stand.until(
            lambda best=best: sheet.table.cells["symmetric RGB"].cell.best.startswith(best)  # type: ignore[misc]
        )
    assert sheet.table.cells["symmetric RGB"].cell.right is None


def test_another_crop_is_proved_anew(stand: Stand, tmp_path: Path) -> None:
    sheet = asked(stand, labelled(tmp_path / "colors.onnx"))
    desk = stand.window.intake.desk
    first = desk._proving.trial
    chip = next(b for b in sheet.findChildren(QPushButton) if b.text() == "Scale to fit")
    chip.click()
    assert desk._proving.trial is not first
    stand.until(lambda: chip.objectName() == "chosen")
    stand.until(lambda: desk.trial.done)
    desk.confirm()
    stand.until(lambda: (tmp_path / "colors.toml").is_file())
    assert resolve(tmp_path / "colors.onnx").spec.recipe.crop_and_scale.value == "scale-fit"


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (960, 720)])
def test_the_sheet_keeps_its_answers_and_cuts_nothing(
    stand: Stand, tmp_path: Path, theme: str, size: tuple[int, int]
) -> None:
    window = stand.window
    net = tiny_classifier(tmp_path / "pets.onnx", 1000, shape=(1, 3, 16, 16))
    sheet = asked(stand, net)
    window.intake.desk.choose("caffe BGR")
    window.look.set_theme(theme)
    window.resize(*size)
    stand.feed(1)
    assert window.sheet is sheet
    stand.until(sheet.table.cells["caffe BGR"].isChecked)
    assert window.stage.rect().contains(sheet.geometry())
    pixels_of(window)
    for widget in (*sheet.findChildren(QLabel), *sheet.findChildren(QPushButton)):
        if not widget.isVisibleTo(sheet) or not widget.text():
            continue
        assert widget.font().pixelSize() >= 0.018 * window.stage.height()
        assert fits(widget), widget.text()
    for button in sheet.findChildren(QAbstractButton):
        assert button.accessibleName()
    assert sheet._area.verticalScrollBar().maximum() == 0, "all of it is in view"


def test_a_missing_operator_offers_the_engine_that_has_it(
    stand: Stand, qtbot: Any, tmp_path: Path
) -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["d"]),
        helper.make_node("Softmax", ["d"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    model.metadata_props.add(key="labels", value='["a", "b", "c"]')
    model.metadata_props.add(key="twinlens.recipe", value='{"scale": 1.0}')
    onnx.save(model, str(tmp_path / "odd.onnx"))
    drop(stand, tmp_path / "odd.onnx")
    stand.until(lambda: stand.window.banner is not None)
    banner = stand.window.banner
    assert banner is not None
    assert "Det 1×" in banner.title
    assert banner.action == "Use Vision"
    assert stand.window.controls.switch.live == "layers-cpu"
    button = next(b for b in stand.window.findChildren(QPushButton) if b.text() == "Use Vision")
    button.click()
    stand.until(lambda: "odd" in title_shown(stand))
    assert stand.window.controls.switch.live == "vision"


def test_a_broken_model_is_a_banner_and_the_old_answer_stays(stand: Stand, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(resolve(EMBEDDED_MODEL).path.read_bytes()[:50_000])
    drop(stand, broken)
    notice = stand.window.stage.overlays.notice
    assert notice is not None
    assert notice.text == "Looking at broken.onnx"
    assert stand.window.progress.busy
    stand.until(lambda: stand.window.banner is not None)
    banner = stand.window.banner
    assert banner is not None
    assert banner.kind is BannerKind.ERROR
    assert "broken.onnx" in banner.title
    assert stand.window.stage.overlays.notice is None
    assert not stand.window.progress.busy
    stand.feed(2)
    assert "Fake" in title_shown(stand)


def test_labels_dropped_on_what_serves_name_its_classes(stand: Stand, tmp_path: Path) -> None:
    window = stand.window
    net = labelled(tmp_path / "colors.onnx")
    asked(stand, net)
    window.intake.desk.confirm()
    stand.until(lambda: "colors" in title_shown(stand))
    names = tmp_path / "names.txt"
    names.write_text("one\n", encoding="utf-8")
    drop(stand, names)
    told = "names.txt has 1 labels, but colors has 3 classes"
    stand.until(lambda: window.banner is not None and told in window.banner.title)
    names.write_text("rot\ngrün\nblau\n", encoding="utf-8")
    drop(stand, names)
    stand.feed(1)
    stand.until(lambda: window.stage.overlays.label.label == "rot")  # type: ignore[union-attr]
    stand.until(lambda: resolve(net).spec.labels == ("rot", "grün", "blau"))


def test_a_folder_that_is_read_only_is_said_and_kept_elsewhere(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = labelled(tmp_path / "colors.onnx")
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / "recipes"))
    real = kept.write_values

    def write(place: Path, values: Any) -> None:
        if place.parent == net.parent:
            raise PermissionError(13, "Permission denied")
        real(place, values)

    monkeypatch.setattr(kept, "write_values", write)
    asked(stand, net)
    stand.window.intake.desk.confirm()
    stand.until(lambda: stand.window.banner is not None)
    banner = stand.window.banner
    assert banner is not None
    assert str(tmp_path / "recipes") in banner.hint
    assert stand.window.intake.look(net).asks == ()


def test_a_newer_model_takes_the_sheets_place(stand: Stand, tmp_path: Path) -> None:
    asked(stand, labelled(tmp_path / "colors.onnx"))
    sheet = asked(stand, labelled(tmp_path / "others.onnx"))
    assert "others" in sheet.findChildren(QLabel)[0].text()


def test_another_sheet_does_not_take_the_answers_silently(
    stand: Stand, qtbot: Any, tmp_path: Path
) -> None:
    window = stand.window
    desk = window.intake.desk
    sheet = asked(stand, labelled(tmp_path / "colors.onnx"))
    chosen = next(id for id in sheet.table.cells if desk.wizard and id != desk.wizard.chosen)
    desk.choose(chosen)
    qtbot.keyClick(window.stage, Key.Key_V)
    assert desk.sheet is None
    stand.until(lambda: window.banner is not None)
    assert window.banner is not None
    assert window.banner.title == "colors is not set up yet"
    panel = window.popups._banner
    assert panel is not None
    assert not panel.geometry().intersects(window.popups.sheet.geometry()), "both can be read"  # type: ignore[union-attr]
    button = next(b for b in panel.findChildren(QPushButton) if b.text() == "Go on")
    qtbot.keyClick(button, Key.Key_Return)
    assert desk.sheet is not None
    assert desk.wizard is not None
    stand.until(lambda: desk.trial.done)
    assert desk.wizard.chosen == chosen
    assert window.banner is None
    # Whoever cancels has cancelled.
    qtbot.keyClick(window.stage, Key.Key_Escape)
    stand.feed(2)
    assert window.banner is None


def test_closing_the_window_ends_a_proof(stand: Stand, tmp_path: Path) -> None:
    drop(stand, labelled(tmp_path / "colors.onnx"))
    stand.until(lambda: stand.window.intake.desk.sheet is not None)
    stand.window.close()
    assert stand.window.intake.desk._proving.trial is None


# --- outputs, and how they are read --------------------------------------------------------


def test_another_output_is_chosen_by_the_keyboard_alone(
    stand: Stand, qtbot: Any, tmp_path: Path
) -> None:
    net = two_heads(tmp_path / "heads.onnx")
    sheet = asked(stand, net)
    desk = stand.window.intake.desk
    assert desk.wizard is not None
    other = next(o.name for o in desk.wizard.outputs if o.name != desk.wizard.output)
    button = sheet.reading.buttons[other]
    for _ in range(60):
        if button.hasFocus():
            break
        press_focused(stand, qtbot, Key.Key_Tab)
    assert button.hasFocus()
    press_focused(stand, qtbot, Key.Key_Return)
    stand.until(lambda: desk.wizard is not None and desk.wizard.output == other)
    stand.until(lambda: button.accessibleDescription() == "chosen")
    assert button.hasFocus(), "the next key goes on from there"
    stand.until(lambda: desk.trial.done)
    desk.confirm()
    stand.until(lambda: net.with_suffix(".toml").is_file())
    assert resolve(net).spec.output_name == other


def test_how_it_is_read_is_chosen_by_the_mouse_and_proved(
    stand: Stand, qtbot: Any, tmp_path: Path
) -> None:
    net = hidden_shares(tmp_path / "hidden.onnx", metadata={"labels": json.dumps(COLORS)})
    sheet = asked(stand, net)
    desk = stand.window.intake.desk
    desk.take_picture(picture_of("red", tmp_path / "own"))
    stand.until(lambda: "probabilities" in sheet.reading.buttons)
    stand.until(lambda: "speak against it" in sheet.reading.words.text())
    assert sheet.reading.words.objectName() == "error"
    button = sheet.reading.buttons["probabilities"]
    assert button.accessibleName().startswith("Read as: Probabilities of which one class holds")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    stand.until(lambda: button.accessibleDescription() == "chosen")
    stand.until(lambda: desk.trial.done)
    stand.until(lambda: "speak against it" not in sheet.reading.words.text())
    desk.confirm()
    stand.until(lambda: net.with_suffix(".toml").is_file())
    assert resolve(net).spec.output == "probabilities"


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_with_every_question_nothing_is_cut(
    stand: Stand, tmp_path: Path, theme: str, size: tuple[int, int]
) -> None:
    names = ("StatefulPartitionedCall/model/head_attributes/Softmax:0", "probabilities")
    sheet = asked(stand, two_heads(tmp_path / "heads.onnx", names=names))
    stand.window.look.set_theme(theme)
    stand.window.resize(*size)
    stand.feed(1)
    stand.until(lambda: stand.window.stage.rect().contains(sheet.geometry()))
    pixels_of(stand.window)
    for widget in (*sheet.findChildren(QLabel), *sheet.findChildren(QPushButton)):
        if widget.isVisibleTo(sheet) and widget.text():
            assert fits(widget), widget.text()
    for button in sheet.findChildren(QAbstractButton):
        assert button.accessibleName()
    assert sheet._area.verticalScrollBar().maximum() == 0, "all of it is in view"


@pytest.mark.parametrize("size", [(480, 854), (800, 450), (960, 720)])
def test_in_small_windows_every_answer_can_be_reached(
    stand: Stand, tmp_path: Path, size: tuple[int, int]
) -> None:
    names = ("StatefulPartitionedCall/model/head_attributes/Softmax:0", "probabilities")
    sheet = asked(stand, two_heads(tmp_path / "heads.onnx", names=names))
    stand.window.resize(*size)
    for place in sheet._thumbs:
        sheet._thumbs[place].show()
    stand.feed(1)
    pixels_of(stand.window)
    content = sheet._content
    for button in sheet.findChildren(QPushButton):
        if content.isAncestorOf(button) and button.isVisibleTo(sheet):
            right = button.mapTo(content, button.rect().bottomRight())
            assert right.x() <= sheet._area.viewport().width(), button.text()
            assert right.y() <= content.height(), button.text()


def test_a_doubt_while_it_runs_offers_to_choose(stand: Stand, tmp_path: Path) -> None:
    net = hidden_shares(tmp_path / "hidden.onnx", metadata={"labels": json.dumps(COLORS)})
    net.with_suffix(".toml").write_text(TOLD, encoding="utf-8")
    intake = stand.window.intake
    intake.doubted(AnswersDoubted("hidden", "its scores sum to 1", net))
    banner = stand.window.banner
    assert banner is not None
    assert (banner.kind, banner.action) == (BannerKind.WARN, "Choose how to read it")
    button = next(b for b in stand.window.findChildren(QPushButton) if b.text() == banner.action)
    button.click()
    stand.until(lambda: intake.desk.sheet is not None)
    sheet = intake.desk.sheet
    assert sheet is not None
    assert "probabilities" in sheet.reading.buttons
    intake.desk.set_kind("probabilities")
    stand.until(lambda: intake.desk.trial.done)
    intake.desk.confirm()
    stand.until(lambda: resolve(net).spec.output == "probabilities")


def test_of_a_catalogs_model_there_is_nothing_to_choose(stand: Stand) -> None:
    path = resolve(EMBEDDED_MODEL).path
    stand.window.intake.doubted(AnswersDoubted("net", "its scores sum to 1", path))
    button = next(
        b for b in stand.window.findChildren(QPushButton) if b.text() == "Choose how to read it"
    )
    button.click()
    stand.until(lambda: stand.window.banner is not None and not stand.window.banner.action)
    assert stand.window.intake.desk.sheet is None
    assert stand.window.banner is not None
    assert "--output-kind" in stand.window.banner.hint


def test_a_model_without_names_runs_and_offers_to_add_them(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = color_reader(tmp_path / "colors.onnx")
    net.with_suffix(".toml").write_text(TOLD, encoding="utf-8")
    drop(stand, net)
    stand.until(lambda: "colors" in title_shown(stand))
    assert stand.window.sheet is None, "nothing blocks it"
    stand.until(lambda: stand.window.banner is not None)
    assert stand.window.banner is not None
    assert stand.window.banner.action == "Add names …"
    stand.feed(1)
    stand.until(lambda: stand.window.stage.overlays.label.label == "class 0")  # type: ignore[union-attr]
    names = tmp_path / "names.txt"
    names.write_text("rot\ngrün\nblau\n", encoding="utf-8")
    desk = stand.window.intake.desk
    monkeypatch.setattr(desk, "label_file", lambda: names)
    button = next(b for b in stand.window.findChildren(QPushButton) if b.text() == "Add names …")
    button.click()
    stand.until(lambda: resolve(net).spec.labels == ("rot", "grün", "blau"))


TOLD = "[recipe]\nscale = 0.00784313725490196\nmean = [1.0, 1.0, 1.0]\nstd = [1.0, 1.0, 1.0]\n"
