"""A path that the system does not let us look at is one clear error, whatever it says."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from twinlens.app.core.settings import Settings, SettingsStore
from twinlens.app.sources import open_source
from twinlens.engine.errors import ModelError, SourceError, TwinlensError
from twinlens.models.identify.resolve import resolve

NAMES = {
    "of 300 letters": "x" * 300,
    "of 300 letters, with an end": "x" * 300 + ".onnx",
    "with a NUL": "a\0b.onnx",
    "that cannot be written": "a\ud800b.onnx",
    "with a NUL and no end": "a\0b",
}
FAILURES = {
    "no rights": PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
    "a dead mount": OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN)),
    "a stale handle": OSError(errno.ESTALE, os.strerror(errno.ESTALE)),
    "a broken disk": OSError(errno.EIO, os.strerror(errno.EIO)),
}
OPENERS: dict[str, tuple[Callable[[str], object], type[TwinlensError]]] = {
    "source": (lambda text: open_source(text).open(), SourceError),
    "model": (resolve, ModelError),
}


@pytest.fixture
def forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[OSError], Path]:
    """Makes a file that the system refuses to look at; rights alone do not hold root back."""
    path = tmp_path / "net.onnx"
    path.write_bytes(b"anything")
    real = {name: getattr(os, name) for name in ("stat", "lstat", "open", "listdir", "scandir")}

    def refuse(error: OSError) -> Path:
        def guarded(name: str) -> Callable[..., object]:
            def call(target: object, *rest: object, **more: object) -> object:
                if str(path) == str(target):
                    raise OSError(error.errno, error.strerror, str(target))
                return real[name](target, *rest, **more)

            return call

        for name in real:
            monkeypatch.setattr(os, name, guarded(name))
        return path

    return refuse


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("kind", FAILURES)
def test_a_path_that_cannot_be_looked_at_is_one_error_of_ours(
    kind: str, opener: str, forbidden: Callable[[OSError], Path]
) -> None:
    open_it, expected = OPENERS[opener]
    path = forbidden(FAILURES[kind])
    with pytest.raises(expected) as caught:
        open_it(str(path))
    assert path.name in caught.value.message
    assert str(FAILURES[kind].strerror) in caught.value.message


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("kind", NAMES)
def test_a_name_that_no_file_can_have_is_one_error_of_ours(kind: str, opener: str) -> None:
    open_it, expected = OPENERS[opener]
    with pytest.raises(expected) as caught:
        open_it(NAMES[kind])
    caught.value.message.encode()  # it can be shown


def test_settings_with_a_name_that_cannot_be_written_are_saved_and_read_back(
    tmp_path: Path,
) -> None:
    store = SettingsStore(tmp_path / "settings.json")
    settings = Settings(source="caf\udce9.mp4", model="ä.onnx")
    store.save(settings)
    assert store.load() == settings
