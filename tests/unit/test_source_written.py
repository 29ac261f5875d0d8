"""Sources as others write them, and what must never be shown of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.videos import write_video
from twinlens.app import sources
from twinlens.app.core.addresses import (
    has_secret,
    parts_of,
    shown_address,
    with_secret,
    without_secret,
)
from twinlens.app.core.keys import put_away, taken_out
from twinlens.app.core.settings import Settings, SettingsStore
from twinlens.app.sources import Source, open_source
from twinlens.app.sources.camera import Camera
from twinlens.app.sources.picture import Pictures
from twinlens.app.sources.stream import NetworkStream
from twinlens.app.sources.video import VideoFile
from twinlens.app.sources.written import as_ours
from twinlens.engine.errors import SourceError


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("0", "camera:0"),
        ("12", "camera:12"),
        ("/dev/video3", "camera:3"),
        ("v4l2:/dev/video0", "camera:0"),
        ("v4l2:///dev/video0", "camera:0"),
        ("v4l2:/dev/v4l/by-id/cam", "camera:/dev/v4l/by-id/cam"),
        ("V4L2:2", "camera:2"),
        ("v4l2:", "camera:0"),
        ("file:///a/b%20c.mp4", "/a/b c.mp4"),
        ("file://localhost/a/b.mp4", "/a/b.mp4"),
        ("file:/a/b.mp4", "/a/b.mp4"),
        ("file:b#1?.mp4", "b#1?.mp4"),
        ("FILE:///a/%23%3F.mp4", "/a/#?.mp4"),
        ("clip", "clip"),
        ("rtsp://h/live", "rtsp://h/live"),
    ],
)
def test_what_others_write_is_understood(text: str, ours: str) -> None:
    assert as_ours(text) == ours


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0", Camera),
        ("/dev/video0", Camera),
        ("v4l2:///dev/video7", Camera),
        ("RTSP://Camera.example/live", NetworkStream),
        ("rtsps://h/live", NetworkStream),
        ("rtmp://h/app/key", NetworkStream),
        ("srt://h:9000?mode=caller", NetworkStream),
        ("udp://@:5000", NetworkStream),
        ("https://h/a.m3u8", NetworkStream),
        ("missing.mp4", VideoFile),
        ("2024-05-01T12:30:00.mp4", VideoFile),
        ("cam: front.mp4", VideoFile),
        ("missing.heic", Pictures),
    ],
)
def test_each_form_leads_to_its_kind(
    text: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "list_cameras", tuple)
    assert isinstance(open_source(text), kind)


def test_file_addresses_of_other_machines_are_told() -> None:
    with pytest.raises(SourceError, match="another machine"):
        open_source("file://server/share/a.mp4")


def test_a_picture_by_name_that_is_a_video_plays(tmp_path: Path) -> None:
    path = write_video(tmp_path / "made.mp4", count=3).rename(tmp_path / "really.jpg")
    assert isinstance(open_source(str(path)), VideoFile)


def test_a_model_is_told_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    with pytest.raises(SourceError, match="no video but a model file") as caught:
        open_source(str(path))
    assert "as the model" in caught.value.hint


PASSWORDS = {
    "rtsp://me:s3cret@cam.example:554/live": ("me", "rtsp://cam.example:554/live"),
    "rtsp://me:s3c%40ret@cam.example/live": ("me", "rtsp://cam.example/live"),
    "rtsp://me:s3c@ret@cam.example/live": ("me", "rtsp://cam.example/live"),
    "rtsp://me:s3c/ret@cam.example/live": ("me", "rtsp://cam.example/live"),
    "rtsp://me:s3c#ret@cam.example/live": ("me", "rtsp://cam.example/live"),
    "rtsp://me:s3c?ret@cam.example/live": ("me", "rtsp://cam.example/live"),
    "http://cam.example/v.mjpg?user=me&password=s3cret": ("", "http://cam.example/v.mjpg"),
    "rtsp://cam.example/user=me_password=s3cret_channel=1.sdp": (
        "",
        "rtsp://cam.example/user=me_password=…_channel=1.sdp",
    ),
    "https://cam.example/token=s3cret/a.m3u8": ("", "https://cam.example/token=…/a.m3u8"),
}


@pytest.mark.parametrize("text", PASSWORDS)
def test_a_password_is_in_no_title_error_or_settings(text: str) -> None:
    assert shown_address(text) == PASSWORDS[text][1]
    assert has_secret(text)
    public, secret = without_secret(text)
    assert "s3c" not in public
    assert "ret" not in public
    assert secret
    try:
        source: Source | None = open_source(text)
    except SourceError as error:
        assert "s3c" not in error.message + error.hint
        assert "ret" not in error.message
        assert "%23" in error.hint
    else:
        assert source is not None
        assert "s3c" not in source.title


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://cam.example/live@2",
        "http://cam.example:8080/a.m3u8",
        "rtsp://[::1]:554/live",
        "rtsp://me@cam.example/live",
        "/home/me/a:b@c.mp4",
        "monkey=1.mp4",
    ],
)
def test_what_has_no_password_stays_as_it_is(text: str) -> None:
    assert not has_secret(text)
    assert without_secret(text) == (text, "")


def test_at_signs_in_paths_are_no_users() -> None:
    assert parts_of("rtsp://cam.example/live@2") == ("rtsp://", "", "cam.example/live@2")


class Keys:
    """Stands for the system's keyring."""

    def __init__(self, *, locked: bool = False) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = locked

    def get_password(self, service_name: str, username: str) -> str | None:
        if self.locked:
            raise RuntimeError("locked")
        return self.kept.get((service_name, username))

    def set_password(self, service_name: str, username: str, password: str) -> None:
        if self.locked:
            raise RuntimeError("locked")
        self.kept[service_name, username] = password


@pytest.mark.parametrize(
    "text",
    ["rtsp://me:s3c%40%2Fret@cam.example/live", "http://cam.example/v.mjpg?password=s3cret&a=1"],
)
def test_the_keyring_gives_back_what_it_was_given(text: str) -> None:
    keys = Keys()
    stored = put_away(text, lambda: keys)
    assert "s3c" not in stored
    assert taken_out(stored, lambda: keys) == text
    assert taken_out("rtsp://other.example/live", lambda: keys) == "rtsp://other.example/live"


def test_without_a_keyring_nothing_is_kept() -> None:
    text = "rtsp://me:s3cret@cam.example/live"
    for find in (lambda: None, lambda: Keys(locked=True)):
        stored = put_away(text, find)
        assert stored == "rtsp://me@cam.example/live"
        assert taken_out(stored, find) == stored


def test_settings_never_have_a_password_and_a_link_to_them_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "settings.json"
    real.write_text("{}")
    link.symlink_to(real)
    store = SettingsStore(link)
    text = "rtsp://me:s3cret@cam.example/live"
    store.save(Settings(source=text, recent_sources=(text, "clip")))
    assert "s3cret" not in real.read_text()
    assert link.is_symlink()
    assert store.load().recent_sources == ("rtsp://me@cam.example/live", "clip")
    real.write_text("{")
    assert store.load() == Settings()
    assert link.is_symlink()


def test_a_secret_is_put_back_encoded() -> None:
    assert with_secret("rtsp://me@h/live", "a#b/c@d") == "rtsp://me:a%23b%2Fc%40d@h/live"


def test_shown_addresses_fit_a_line() -> None:
    assert len(shown_address("http://h/" + "a" * 1000)) <= 120
    assert json.dumps(shown_address("http://h/\x1b[31m\ud800"), ensure_ascii=False).isprintable()
