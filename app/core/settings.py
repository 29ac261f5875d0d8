"""What the app remembers between runs: one JSON file in the user's configuration folder.

A file that cannot be read never stops the app: it is put aside as ``settings.json.bad`` and
the defaults are used. Keys of newer versions are kept when an older version saves.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from twinlens.app.core.addresses import without_secret
from twinlens.assets import clip_path
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.files import write_whole
from twinlens.engine.image import CropAndScale

_MAX_RECENT = 8
_MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Settings:
    """What a person chose.

    Attributes:
        engine: engine id.
        auto_engine: use the fastest engine for each model instead.
        model: catalog name or path; empty means the catalog's default.
        source: a source in the text form of ``open_source``.
        meanwhile: what plays while that one is away, likewise; empty is the bundled clip.
        camera_width: asked-for camera width in pixels.
        camera_height: asked-for camera height in pixels.
        camera_fps: asked-for camera frame rate.
        smoothing: smooth answers over time.
        threshold: confidence below which the label is shown as not sure, in [0, 1].
        mirror: mirror the picture on display only.
        crop: a ``CropAndScale`` value; empty means the model's own.
        theme: ``"dark"``, ``"light"`` or ``"system"``.
        board: ``"white"`` or ``"black"``: how the drawing pad looks.
        top5: show the five best classes.
        window_geometry: the window's place, in whatever text the window saves.
        threads: compute threads; None lets the engine choose.
        precisions: engine id → the precision that it is asked for; others get their first.
        calibration: a video or folder of pictures that precisions are compared on; empty means
            the bundled clip.
        adapter: words of the GPU adapter that layers-gpu runs on; empty means the best.
        recent_models: newest first.
        recent_sources: newest first.
        extra: keys that this version does not know.
    """

    engine: str = "layers-cpu"
    auto_engine: bool = False
    model: str = ""
    source: str = "camera"
    meanwhile: str = ""
    camera_width: int = 1280
    camera_height: int = 720
    camera_fps: int = 30
    smoothing: bool = True
    threshold: float = 0.3
    mirror: bool = False
    crop: str = ""
    theme: str = "system"
    board: str = "white"
    top5: bool = False
    window_geometry: str = ""
    threads: int | None = None
    precisions: Mapping[str, str] = field(default_factory=dict)
    calibration: str = ""
    adapter: str = ""
    recent_models: tuple[str, ...] = ()
    recent_sources: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def crop_and_scale(self) -> CropAndScale | None:
        """The crop choice; None means the model's own."""
        return CropAndScale(self.crop) if self.crop else None

    def engine_options(self, engine_id: str, offered: Sequence[str]) -> EngineOptions:
        """What an engine is asked for.

        Args:
            engine_id: the engine.
            offered: what it computes in on this machine; a precision that is remembered from
                another machine and not among them gives way to the first.
        """
        asked = self.precisions.get(engine_id, "")
        return EngineOptions(
            threads=self.threads,
            precision=asked if asked in offered else offered[0],
            calibration=Path(self.calibration) if self.calibration else clip_path(),
            adapter=self.adapter or None,
        )

    def with_precision(self, engine_id: str, precision: str) -> Settings:
        """A copy in which an engine is asked for a precision."""
        return replace(self, precisions={**self.precisions, engine_id: precision})

    def with_recent_model(self, model: str) -> Settings:
        """A copy with ``model`` in use and first among the recent ones."""
        return replace(self, model=model, recent_models=_front(model, self.recent_models))

    def with_recent_source(self, source: str) -> Settings:
        """A copy with ``source`` in use and first among the recent ones."""
        return replace(self, source=source, recent_sources=_front(source, self.recent_sources))


class SettingsStore:
    """Loads and saves settings.

    Args:
        path: the file; None means ``settings.json`` in the user's configuration folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The file."""
        if self._path is None:
            from platformdirs import user_config_dir

            self._path = Path(user_config_dir("twinlens", appauthor=False)) / "settings.json"
        return self._path

    def load(self) -> Settings:
        """Read the settings; never raises, see the module's docstring.

        A value of the wrong type or range counts as missing; the others are kept.
        """
        try:
            with self.path.open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        except OSError:
            return Settings()
        try:
            if len(raw) > _MAX_BYTES:
                raise ValueError("too large for a settings file")
            values = json.loads(raw)
            if not isinstance(values, dict):
                raise TypeError("not an object")
        except (ValueError, TypeError, RecursionError):
            with contextlib.suppress(OSError):
                real = Path(os.path.realpath(self.path))
                real.replace(real.with_name(real.name + ".bad"))
            return Settings()
        return _from_json(values)

    def save(self, settings: Settings) -> None:
        """Write the settings atomically: a crash leaves the old file or the new one.

        Raises:
            OSError: the folder cannot be written.
        """
        values = dict(settings.extra)
        values.update(
            {f.name: getattr(settings, f.name) for f in fields(settings) if f.name != "extra"}
        )
        # Whoever forgot: a password in an address never gets into a file.
        values["source"] = without_secret(settings.source)[0]
        values["meanwhile"] = without_secret(settings.meanwhile)[0]
        stored = (without_secret(text)[0] for text in settings.recent_sources)
        values["recent_sources"] = tuple(dict.fromkeys(stored))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            data = json.dumps(values, indent=2, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # a file's name that is no text, which JSON spells out
            data = json.dumps(values, indent=2).encode()
        # Where the file is a link, that stays one, and what it leads to is written.
        write_whole(Path(os.path.realpath(self.path)), data, private=True, durable=True)

    def update(self, **changes: Any) -> Settings:
        """Load, change and save in one go; returns what was saved.

        Raises:
            OSError: the folder cannot be written.
        """
        settings = replace(self.load(), **changes)
        self.save(settings)
        return settings


def without_failed_source(settings: Settings, failed: str) -> Settings:
    """Settings whose next start does not open a source that failed.

    A camera gives way to whichever camera there is; so does everything else. What has played
    before stays among the recent ones, to be chosen again.
    """
    return replace(settings, source=Settings.source) if settings.source == failed else settings


def following(items: Sequence[str], now: str) -> str:
    """The item behind ``now``, round to the first; the first if ``now`` is none of them.

    Raises:
        ValueError: there are no items.
    """
    if not items:
        raise ValueError("there is nothing to choose from")
    return items[(items.index(now) + 1) % len(items)] if now in items else items[0]


def _front(item: str, items: tuple[str, ...]) -> tuple[str, ...]:
    return (item, *(i for i in items if i != item))[:_MAX_RECENT]


_THEMES = ("dark", "light", "system")
_BOARDS = ("white", "black")
_CROPS = ("", *(c.value for c in CropAndScale))
_RANGES: dict[str, tuple[float, float]] = {
    "camera_width": (16, 16384),
    "camera_height": (16, 16384),
    "camera_fps": (1, 1000),
    "threshold": (0.0, 1.0),
    "threads": (1, 1024),
}


def _from_json(values: dict[str, Any]) -> Settings:
    known = {f.name: f.default for f in fields(Settings) if f.name != "extra"}
    good: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name in known and _fits(name, value, known[name])
    }
    extra = {name: value for name, value in values.items() if name not in known}
    return Settings(**good, extra=extra)


def _fits(name: str, value: object, default: object) -> bool:
    if name in _RANGES:
        if value is None:
            return default is None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not isinstance(default, float) and not isinstance(value, int):
            return False
        low, high = _RANGES[name]
        return low <= value <= high
    if isinstance(default, tuple):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if name == "precisions":
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    if name == "theme":
        return value in _THEMES
    if name == "board":
        return value in _BOARDS
    if name == "crop":
        return value in _CROPS
    return type(value) is type(default)
