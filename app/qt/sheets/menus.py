"""What stands on each sheet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from twinlens.app.core.addresses import scheme_of, shown_address
from twinlens.app.overlays.keys import key_of
from twinlens.app.qt.ports import (
    AskPort,
    ModelPort,
    SessionPort,
    SettingsPort,
    SheetPort,
    SourcePort,
)
from twinlens.app.qt.sheets import engine_sheet
from twinlens.app.qt.sheets.engine_sheet import EngineDesk
from twinlens.app.qt.sheets.model_shelf import ModelShelf
from twinlens.app.qt.sheets.sheets import Heading, Row, SheetRow, SliderRow
from twinlens.app.qt.window.look import Look
from twinlens.app.sources import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from twinlens.app.views.models import MODELS
from twinlens.app.views.pad import PAD
from twinlens.app.views.view import AnyView, Place
from twinlens.engine.image import CropAndScale

_CAMERA_FORMATS = (
    (640, 480, 30),
    (1280, 720, 30),
    (1280, 720, 60),
    (1920, 1080, 30),
    (1920, 1080, 60),
)
_ENDINGS = " ".join(f"*{ending}" for ending in sorted(VIDEO_SUFFIXES | PICTURE_SUFFIXES))
_VIDEO_FILTER = f"Videos and pictures ({_ENDINGS});;All files (*)"
_MODEL = "Model"
_SETTINGS = "Settings"
_FORMATS = "ONNX, TensorFlow Lite, Core ML, parameters"
_MODEL_FILTER = (
    "Models (*.onnx *.tflite *.mlmodel *.safetensors *.npz *.h5 *.hdf5 *.keras);;All files (*)"
)


class ChoicePort(ModelPort, SourcePort, Protocol):
    """What can be chosen from sheets."""


class ViewList(Protocol):
    """The table of views, and what is shown of it."""

    @property
    def views(self) -> tuple[AnyView, ...]:
        """All views."""
        ...

    def shows(self, view: AnyView) -> bool:
        """Whether a view is shown."""
        ...

    def toggle(self, view: AnyView) -> None:
        """Show a view, or hide it."""
        ...


class Menus:
    """Builds sheets of rows from how things are now.

    Args:
        sheets: where they are shown.
        live: the session.
        memory: what a person chose.
        choose: changes source and model.
        look: changes how things are shown.
        ask: the system's dialogs.
        engine_desk: what the sheet of engines reads and does.
        shelf: the catalog's models.
        open_model: looks at a model's file or folder, and uses it.
        views: the table of views, and whether each is shown.
        keys: shows the card with all keys.
        diagnostics: copies what a person can send when something went wrong.
    """

    def __init__(
        self,
        sheets: SheetPort,
        live: SessionPort,
        memory: SettingsPort,
        choose: ChoicePort,
        look: Look,
        ask: AskPort,
        engine_desk: EngineDesk,
        shelf: ModelShelf,
        open_model: Callable[[Path], None],
        views: ViewList,
        keys: Callable[[], None],
        diagnostics: Callable[[], None],
    ) -> None:
        self._sheets, self._live, self._memory = sheets, live, memory
        self._choose, self._look, self._ask = choose, look, ask
        self._engine_desk, self._shelf = engine_desk, shelf
        self._open_model, self._views, self._keys = open_model, views, keys
        self._diagnostics = diagnostics

    def buttons(self) -> list[tuple[str, str, Callable[[], None]]]:
        """(title, key, what it opens) of the sheet buttons."""
        return [
            ("Source", key_of("source-sheet"), self.source),
            ("Engine", key_of("engine-sheet"), self.engine),
            ("Model", key_of("model-sheet"), self.model),
            ("View", key_of("views-sheet"), self.views),
            ("Settings", key_of("settings-sheet"), self.settings),
            ("?", key_of("keys"), self._keys),
        ]

    def _then_close(self, act: Callable[[], None]) -> Callable[[], None]:
        def both() -> None:
            self._sheets.close_sheet()
            act()

        return both

    def source(self) -> None:
        """Cameras, files, streams, the screen, the clip, and what was used before."""
        from twinlens.app.qt.window.cameras import camera_choices

        settings, chosen = self._memory.settings, self._choose.source_text
        use = self._use_source
        rows: list[SheetRow] = [Heading("Cameras")]
        found = camera_choices()
        if chosen == "camera" and found:  # that is the first one
            chosen = found[0].text
        rows += [Row(c.name, c.detail, use(c.text), c.text == chosen) for c in found]
        if not found:
            rows.append(Row("No camera found", "Plug one in, then open this sheet again."))
        rows.append(self._camera_format_row())
        draw = key_of(PAD.id)
        rows += [
            Heading("Files"),
            Row("Video or picture …", "", self._then_close(self._pick_file)),
            Row("Folder of pictures …", "", self._then_close(self._pick_folder)),
            Row("Bundled clip", "Comes with Twinlens.", use("clip"), chosen == "clip"),
            self._meanwhile_row(),
            Heading("Live"),
            Row("Network stream …", "RTSP or HTTP address", self._then_close(self._ask_stream)),
            Row("Screen", "The main screen", use("screen"), chosen == "screen"),
            Row(
                "Part of the screen …",
                "Draw a frame around it",
                self._then_close(self._pick_region),
                chosen.startswith("screen:"),
            ),
            Row("Drawing pad", f"Digits by hand. Key {draw}", use("drawing"), chosen == "drawing"),
        ]
        recent = [text for text in settings.recent_sources if "/" in text or "\\" in text]
        if recent:
            rows.append(Heading("Recent"))
            rows += [Row(_short(t), t, use(t), t == chosen) for t in recent[:4]]
        self._sheets.open_sheet("Source", rows)

    def _meanwhile_row(self) -> Row:
        now = self._memory.settings.meanwhile

        def pick() -> None:
            path = "" if now else self._ask.file("While the source is away", _VIDEO_FILTER)
            if path or now:
                self._memory.remember(meanwhile=path)

        detail = f"{_short(now)}. Press for the clip again." if now else "The bundled clip."
        return Row("While a camera or stream is away …", detail, self._then_close(pick))

    def _camera_format_row(self) -> Row:
        settings = self._memory.settings
        now = (settings.camera_width, settings.camera_height, settings.camera_fps)
        after = _CAMERA_FORMATS.index(now) + 1 if now in _CAMERA_FORMATS else 0
        following = _CAMERA_FORMATS[after % len(_CAMERA_FORMATS)]

        def change() -> None:
            width, height, fps = following
            self._memory.remember(camera_width=width, camera_height=height, camera_fps=fps)
            if self._choose.source_text.startswith("camera"):
                self._choose.source(self._choose.source_text)
            self._sheets.close_sheet()
            self.source()

        detail = "Asked of cameras; what really comes is shown. Press for the next one."
        return Row("Ask for {}×{} at {} fps".format(*now), detail, change)

    def _use_source(self, text: str) -> Callable[[], None]:
        return self._then_close(partial(self._choose.source, text))

    def _pick_file(self) -> None:
        path = self._ask.file("Video or picture", _VIDEO_FILTER)
        if path:
            self._choose.source(path)

    def _pick_folder(self) -> None:
        path = self._ask.folder("Folder of pictures")
        if path:
            self._choose.source(path)

    def _ask_stream(self) -> None:
        text = self._ask.text("Network stream", "rtsp:// or http:// address")
        if text:
            self._choose.source(text)

    def _pick_region(self) -> None:
        def picked(region: str) -> None:
            if region:
                self._choose.source(f"screen:{region}")

        self._ask.region(picked)

    def engine(self) -> None:
        """Engines, and how the one in use computes."""
        self._sheets.open_sheet(engine_sheet.TITLE, engine_sheet.rows(self._engine_desk))

    def refresh(self) -> None:
        """Show anew what an open sheet says of the engines."""
        if self._sheets.shows(engine_sheet.TITLE):
            self._sheets.refresh_sheet(engine_sheet.TITLE, engine_sheet.rows(self._engine_desk))

    def model(self) -> None:
        """The catalog and files; what is at hand is looked at first, elsewhere."""
        if self._sheets.shows(_MODEL):
            self._sheets.close_sheet()
        else:
            self._shelf.open_read(self._open_models)

    def _open_models(self) -> None:
        state = self._live.session.state if self._live.session else None
        serving = state.spec.id if state else ""
        use = self._choose.model
        rows: list[SheetRow] = [Heading("Catalog")]
        for card in self._shelf.catalog.at_hand:
            act = self._then_close(partial(use, card.id))
            rows.append(Row(card.title, card.accuracy, act, card.id == serving))
        detail = f"Published classifiers. Key {key_of(MODELS.id)}"
        more = partial(self._views.toggle, MODELS)
        rows.append(Row("More models …", detail, more))
        rows += [
            Heading("Files"),
            Row("Model file …", _FORMATS, self._then_close(self._pick_model)),
            Row(
                "Folder …",
                "Parameters, or a Core ML package",
                self._then_close(self._pick_model_folder),
            ),
        ]
        recent = [m for m in self._memory.settings.recent_models if "/" in m or "\\" in m]
        for path in recent[:4]:
            act = self._then_close(partial(use, path))
            rows.append(Row(Path(path).name, path, act, Path(path).stem == serving))
        self._sheets.open_sheet(_MODEL, rows)

    def _pick_model(self) -> None:
        path = self._ask.file("Model", _MODEL_FILTER)
        if path:
            self._open_model(Path(path))

    def _pick_model_folder(self) -> None:
        path = self._ask.folder("Folder of parameters, or a package")
        if path:
            self._open_model(Path(path))

    def views(self) -> None:
        """What is shown, and how the picture is cropped for the network."""
        settings, look, close = self._memory.settings, self._look, self._then_close
        mirror, full = f"Display only. Key {key_of('mirror')}", f"Key {key_of('full-screen')}"
        rows: list[SheetRow] = [
            *self._view_rows(drawers=False),
            Row("Mirror", mirror, close(look.toggle_mirror), settings.mirror),
            *self._view_rows(drawers=True),
            Row("Full screen", full, close(look.toggle_full_screen), look.full_screen),
            Heading("Crop for the network"),
            Row("The model’s own", "", close(partial(look.set_crop, "")), not settings.crop),
        ]
        for crop in CropAndScale:
            title = crop.value.replace("-", " ").capitalize()
            act = close(partial(look.set_crop, crop.value))
            rows.append(Row(title, _CROP_DETAIL[crop], act, settings.crop == crop.value))
        self._sheets.open_sheet("View", rows)

    def _view_rows(self, *, drawers: bool) -> list[SheetRow]:
        """Rows of views that stand on the picture, or of those in the drawer."""
        listed = [view for view in self._views.views if view.detail]
        return [
            Row(
                view.title,
                view.row_detail,
                self._then_close(partial(self._views.toggle, view)),
                self._views.shows(view),
            )
            for view in listed
            if (view.place is Place.DRAWER) is drawers
        ]

    def settings(self) -> None:
        """Smoothing, threshold and theme; the sheet stays, so that what is chosen is seen."""
        self._sheets.open_sheet(_SETTINGS, self._settings_rows())

    def _then_show(self, act: Callable[[], None]) -> Callable[[], None]:
        def both() -> None:
            act()
            self._sheets.refresh_sheet(_SETTINGS, self._settings_rows())

        return both

    def _settings_rows(self) -> list[SheetRow]:
        settings, look, show = self._memory.settings, self._look, self._then_show
        rows: list[SheetRow] = [
            Heading("Answer"),
            Row(
                "Smooth over time",
                "The label changes only when another one clearly wins.",
                show(look.toggle_smoothing),
                settings.smoothing,
            ),
            SliderRow("“Not sure” below", round(settings.threshold * 100), look.set_threshold),
            Heading("Theme"),
        ]
        for theme in ("dark", "light", "system"):
            act = show(partial(look.set_theme, theme))
            rows.append(Row(theme.capitalize(), "", act, settings.theme == theme))
        detail = "To send when something went wrong; nothing of yours is in them."
        copy = self._then_close(self._diagnostics)
        return [*rows, Heading("Help"), Row("Copy diagnostics", detail, copy)]


_CROP_DETAIL = {
    CropAndScale.CENTER_CROP: "The middle; edges are lost.",
    CropAndScale.SCALE_FIT: "All of it, with bars.",
    CropAndScale.SCALE_FILL: "All of it, stretched.",
}


def _short(text: str) -> str:
    """An address or path in few letters."""
    return shown_address(text) if scheme_of(text) else Path(text).name or text
