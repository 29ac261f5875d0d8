"""What stands on each sheet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QInputDialog

from twinlens.app.qt.sheets import engine_sheet
from twinlens.app.qt.sheets.sheets import Heading, Row, SheetRow, SliderRow
from twinlens.engine.image import CropAndScale

if TYPE_CHECKING:
    from twinlens.app.qt.window.window import MainWindow

_CAMERA_FORMATS = (
    (640, 480, 30),
    (1280, 720, 30),
    (1280, 720, 60),
    (1920, 1080, 30),
    (1920, 1080, 60),
)
_VIDEO_FILTER = (
    "Videos and pictures (*.mp4 *.mov *.avi *.mkv *.webm *.m4v *.jpg *.jpeg *.png *.webp)"
)
_MODEL = "Model"
_FORMATS = "ONNX, TensorFlow Lite, Core ML, parameters"
_MODEL_FILTER = (
    "Models (*.onnx *.tflite *.mlmodel *.safetensors *.npz *.h5 *.hdf5 *.keras);;All files (*)"
)


class Menus:
    """Builds the sheets of a window from its state."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def buttons(self) -> list[tuple[str, str, Callable[[], None]]]:
        """(title, key, what it opens) of the sheet buttons."""
        return [
            ("Source", "O", self.source),
            ("Engine", "Shift E", self.engine),
            ("Model", "L", self.model),
            ("View", "V", self.views),
            ("Settings", ",", self.settings),
            ("?", "?", self._window.toggle_cheat_sheet),
        ]

    def _then_close(self, act: Callable[[], None]) -> Callable[[], None]:
        def both() -> None:
            self._window.close_sheet()
            act()

        return both

    def source(self) -> None:
        """Cameras, files, streams, the screen, the clip, and what was used before."""
        from twinlens.app.qt.window.cameras import camera_choices

        window, chosen = self._window, self._window.settings.source
        use = self._use_source
        rows: list[SheetRow] = [Heading("Cameras")]
        found = camera_choices()
        rows += [Row(c.name, c.detail, use(c.text), c.text == chosen) for c in found]
        if not found:
            rows.append(Row("No camera found", "Plug one in, then open this sheet again."))
        rows.append(self._camera_format_row())
        rows += [
            Heading("Files"),
            Row("Video or picture …", "", self._then_close(self._pick_file)),
            Row("Folder of pictures …", "", self._then_close(self._pick_folder)),
            Row("Bundled clip", "Comes with Twinlens.", use("clip"), chosen == "clip"),
            Heading("Live"),
            Row("Network stream …", "RTSP or HTTP address", self._then_close(self._ask_stream)),
            Row("Screen", "The main screen", use("screen"), chosen == "screen"),
            Row("Drawing pad", "Digits by hand. Key D", use("drawing"), chosen == "drawing"),
        ]
        recent = [text for text in window.settings.recent_sources if "/" in text or "\\" in text]
        if recent:
            rows.append(Heading("Recent"))
            rows += [Row(Path(t).name or t, t, use(t), t == chosen) for t in recent[:4]]
        window.open_sheet("Source", rows)

    def _camera_format_row(self) -> Row:
        settings = self._window.settings
        now = (settings.camera_width, settings.camera_height, settings.camera_fps)
        after = _CAMERA_FORMATS.index(now) + 1 if now in _CAMERA_FORMATS else 0
        following = _CAMERA_FORMATS[after % len(_CAMERA_FORMATS)]

        def change() -> None:
            width, height, fps = following
            self._window.remember(camera_width=width, camera_height=height, camera_fps=fps)
            if self._window.settings.source.startswith("camera"):
                self._window.choose.source(self._window.settings.source)
            self._window.close_sheet()
            self.source()

        detail = "Asked of cameras; what really comes is shown. Press for the next one."
        return Row("Ask for {}×{} at {} fps".format(*now), detail, change)

    def _use_source(self, text: str) -> Callable[[], None]:
        return self._then_close(partial(self._window.choose.source, text))

    def _pick_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self._window, "Video or picture", "", _VIDEO_FILTER)
        if path:
            self._window.choose.source(path)

    def _pick_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self._window, "Folder of pictures")
        if path:
            self._window.choose.source(path)

    def _ask_stream(self) -> None:
        text, ok = QInputDialog.getText(
            self._window, "Network stream", "rtsp:// or http:// address"
        )
        if ok and text.strip():
            self._window.choose.source(text.strip())

    def engine(self) -> None:
        """Engines, and how the one in use computes."""
        self._window.open_sheet(engine_sheet.TITLE, engine_sheet.rows(self._window))

    def refresh(self) -> None:
        """Show anew what an open sheet says of the engines."""
        if self._window.popups.shows(engine_sheet.TITLE):
            self._window.popups.refresh_sheet(engine_sheet.TITLE, engine_sheet.rows(self._window))

    def model(self) -> None:
        """The catalog and files; what is at hand is looked at first, elsewhere."""
        window = self._window
        if window.popups.shows(_MODEL):
            window.close_sheet()
        else:
            window.shelf.open_read(self._open_model)

    def _open_model(self) -> None:
        window = self._window
        state = window.session.state if window.session else None
        serving = state.spec.id if state else ""
        use = window.choose.model
        rows: list[SheetRow] = [Heading("Catalog")]
        for card in window.shelf.catalog.at_hand:
            act = self._then_close(partial(use, card.id))
            rows.append(Row(card.title, card.accuracy, act, card.id == serving))
        rows.append(Row("More models …", "Published classifiers. Key Shift M", window.shelf.toggle))
        rows += [
            Heading("Files"),
            Row("Model file …", _FORMATS, self._then_close(self._pick_model)),
            Row(
                "Folder …",
                "Parameters, or a Core ML package",
                self._then_close(self._pick_model_folder),
            ),
        ]
        recent = [m for m in window.settings.recent_models if "/" in m or "\\" in m]
        for path in recent[:4]:
            act = self._then_close(partial(use, path))
            rows.append(Row(Path(path).name, path, act, Path(path).stem == serving))
        window.open_sheet(_MODEL, rows)

    def _pick_model(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self._window, "Model", "", _MODEL_FILTER)
        if path:
            self._window.intake.open(Path(path))

    def _pick_model_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self._window, "Folder of parameters, or a package")
        if path:
            self._window.intake.open(Path(path))

    def views(self) -> None:
        """What is shown, and how the picture is cropped for the network."""
        window, settings = self._window, self._window.settings
        look, close = window.look, self._then_close
        rows: list[SheetRow] = [
            Row("Top 5", "The five best classes. Key T", close(look.toggle_top5), settings.top5),
            Row("Mirror", "Display only. Key M", close(look.toggle_mirror), settings.mirror),
            Row("Bench", "Every engine and precision, timed. Key B", close(window.bench.toggle)),
            Row(
                "Crossover",
                "From which size of network on a GPU pays. Key Shift B",
                close(window.crossover.toggle),
            ),
            Row("Full screen", "Key F", close(look.toggle_full_screen), window.isFullScreen()),
            Heading("Crop for the network"),
            Row("The model’s own", "", close(partial(look.set_crop, "")), not settings.crop),
        ]
        for crop in CropAndScale:
            title = crop.value.replace("-", " ").capitalize()
            act = close(partial(look.set_crop, crop.value))
            rows.append(Row(title, _CROP_DETAIL[crop], act, settings.crop == crop.value))
        window.open_sheet("View", rows)

    def settings(self) -> None:
        """Smoothing, threshold and theme."""
        window, settings = self._window, self._window.settings
        look, close = window.look, self._then_close
        rows: list[SheetRow] = [
            Heading("Answer"),
            Row(
                "Smooth over time",
                "The label changes only when another one clearly wins.",
                close(look.toggle_smoothing),
                settings.smoothing,
            ),
            SliderRow("“Not sure” below", round(settings.threshold * 100), look.set_threshold),
            Heading("Theme"),
        ]
        for theme in ("dark", "light", "system"):
            act = close(partial(look.set_theme, theme))
            rows.append(Row(theme.capitalize(), "", act, settings.theme == theme))
        window.open_sheet("Settings", rows)


_CROP_DETAIL = {
    CropAndScale.CENTER_CROP: "The middle; edges are lost.",
    CropAndScale.SCALE_FIT: "All of it, with bars.",
    CropAndScale.SCALE_FILL: "All of it, stretched.",
}
