from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from twinlens.app.core.settings import Settings, SettingsStore, following
from twinlens.assets import clip_path
from twinlens.engine.image import CropAndScale


@pytest.fixture
def store(tmp_path: Path) -> SettingsStore:
    return SettingsStore(tmp_path / "deep" / "settings.json")


def test_without_a_file_there_are_defaults(store: SettingsStore) -> None:
    assert store.load() == Settings()
    assert not store.path.exists()


def test_what_is_saved_is_loaded(store: SettingsStore) -> None:
    settings = Settings(
        engine="vision",
        source="camera:Ünï",
        crop="scale-fit",
        threshold=0.5,
        threads=2,
        precisions={"layers-cpu": "bf16"},
        calibration="/pictures",
        theme="dark",
        recent_models=("a", "b"),
    )
    store.save(settings)
    assert store.load() == settings
    assert store.load().crop_and_scale is CropAndScale.SCALE_FIT
    assert [p.name for p in store.path.parent.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("raw", [b"{broken", b"[1, 2]", b"\xff\xfe", b"", b"[" * 100_000])
def test_a_corrupt_file_is_put_aside(store: SettingsStore, raw: bytes) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(raw)
    assert store.load() == Settings()
    assert store.path.with_name("settings.json.bad").read_bytes() == raw
    assert not store.path.exists()


def test_wrong_values_are_replaced_one_by_one(store: SettingsStore) -> None:
    store.path.parent.mkdir()
    wrong = {
        "engine": 3,
        "threshold": 1.5,
        "mirror": "yes",
        "camera_width": True,
        "threads": 0,
        "precisions": {"layers-cpu": 8},
        "theme": "pink",
        "crop": "zoom",
        "recent_models": ["a", 1],
        "model": "mobilenet",
        "camera_fps": 60,
    }
    store.path.write_text(json.dumps(wrong), "utf-8")
    assert store.load() == Settings(model="mobilenet", camera_fps=60)


def test_unknown_keys_survive(store: SettingsStore) -> None:
    store.path.parent.mkdir()
    store.path.write_text(json.dumps({"engine": "vision", "future": {"x": [1]}}), "utf-8")
    store.update(mirror=True)
    saved = json.loads(store.path.read_text("utf-8"))
    assert saved["future"] == {"x": [1]}
    assert saved["engine"] == "vision"
    assert saved["mirror"] is True


def test_a_failed_write_leaves_the_old_file(store: SettingsStore) -> None:
    store.save(Settings(engine="vision"))
    with pytest.raises(TypeError):
        store.save(Settings(extra={"bad": object()}))
    assert store.load().engine == "vision"
    assert [p.name for p in store.path.parent.iterdir()] == ["settings.json"]


def test_recent_lists_are_short_and_without_repeats() -> None:
    settings = Settings()
    for name in [*"abcdefghij", "c"]:
        settings = settings.with_recent_model(name).with_recent_source(name)
    assert settings.recent_models == ("c", "j", "i", "h", "g", "f", "e", "d")
    assert settings.recent_sources == settings.recent_models
    assert (settings.model, settings.source) == ("c", "c")


def test_an_engine_is_asked_for_what_is_remembered_and_offered() -> None:
    settings = Settings(threads=2).with_precision("layers-cpu", "bf16")
    options = settings.engine_options("layers-cpu", ("fp32", "bf16"))
    assert (options.precision, options.threads, options.calibration) == ("bf16", 2, clip_path())
    assert settings.engine_options("layers-cpu", ("fp32", "int8")).precision == "fp32"
    assert settings.engine_options("vision", ("fp32", "bf16")).precision == "fp32"
    other = replace(settings, calibration="/pictures").engine_options("vision", ("fp32",))
    assert other.calibration == Path("/pictures")


def test_following_goes_round() -> None:
    assert [following("abc", now) for now in "abcx"] == ["b", "c", "a", "a"]
    with pytest.raises(ValueError, match="nothing to choose"):
        following((), "a")


def test_the_default_place_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: str(tmp_path / "cfg"))
    assert SettingsStore().path == tmp_path / "cfg" / "settings.json"


def test_settings_are_values() -> None:
    assert replace(Settings(), mirror=True) != Settings()
