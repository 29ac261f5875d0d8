"""Archives whose bytes were changed: unpacked or refused, never anything else, never outside."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from twinlens.engine.errors import DownloadError
from twinlens.models.catalog.archive import unpack

MAX_BYTES = 1 << 16


def archives() -> list[tuple[str, bytes]]:
    made = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as file:
            file.writestr("net/model.onnx", b"weights " * 40)
            file.writestr("größe.txt", bytes(300))
        made.append(("zip", stream.getvalue()))
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode) as file:  # type: ignore[call-overload]
            for name in ("net/model.onnx", "x" * 150 + "/größe.txt"):
                info = tarfile.TarInfo(name)
                info.size = 300
                file.addfile(info, io.BytesIO(bytes(300)))
        made.append(("tar", stream.getvalue()))
    return made


@settings(max_examples=300, deadline=None)
@given(
    archive=st.sampled_from(archives()),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=12),
    cut=st.one_of(st.none(), st.integers(0, 1 << 20)),
)
def test_damage_is_refused_or_harmless(
    archive: tuple[str, bytes], changes: list[tuple[int, int]], cut: int | None
) -> None:
    kind, data = archive[0], bytearray(archive[1])
    for at, value in changes:
        data[at % len(data)] = value
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, target = folder / "archive", folder / "out"
        path.write_bytes(data if cut is None else data[: cut % len(data)])
        target.mkdir()
        try:
            unpack(path, kind, target, max_bytes=MAX_BYTES)
        except DownloadError as error:
            assert error.message.startswith("archive: ")
        assert sorted(entry.name for entry in folder.iterdir()) == ["archive", "out"]
        assert sum(entry.stat().st_size for entry in target.rglob("*")) < 2 * MAX_BYTES
