"""Archives that mean harm are refused before they write anything."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from twinlens.engine.errors import DownloadError
from twinlens.models.catalog import archive
from twinlens.models.catalog.archive import unpack


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def zipped(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            # As given: writestr of a plain name would make backslashes harmless.
            info = zipfile.ZipInfo("x")
            info.filename = name
            file.writestr(info, data, zipfile.ZIP_DEFLATED)
    return path


def tarred(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for info in members:
            file.addfile(info, io.BytesIO(bytes(info.size)))
    return path


def tar_member(name: str, size: int = 4, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    info.type = kind
    info.linkname = "/etc/passwd"
    return info


def test_files_and_folders_come_out(tmp_path: Path, target: Path) -> None:
    source = zipped(
        tmp_path / "a.zip", ("net.mlpackage/", b""), ("net.mlpackage/Data/weights.bin", b"1234")
    )
    unpack(source, "zip", target)
    assert (target / "net.mlpackage/Data/weights.bin").read_bytes() == b"1234"
    other = target / "tar"
    other.mkdir()
    folder = tar_member("net", 0, tarfile.DIRTYPE)
    unpack(tarred(tmp_path / "a.tar.gz", folder, tar_member("net/weights.bin")), "tar", other)
    assert (other / "net/weights.bin").read_bytes() == bytes(4)


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "a/../../evil", "/evil", "..\\evil", "C:/evil", "C:evil", "a\\b"),
        *("nul.bin", "a/COM1", "x" * 300),
    ],
)
def test_paths_that_lead_outside_are_refused(tmp_path: Path, target: Path, name: str) -> None:
    source = zipped(tmp_path / "a.zip", ("good", b"1"), (name, b"2"))
    with pytest.raises(DownloadError, match="nothing was unpacked"):
        unpack(source, "zip", target)
    if "\\" not in name:
        source = tarred(tmp_path / "a.tar.gz", tar_member("good"), tar_member(name))
        with pytest.raises(DownloadError, match="nothing was unpacked"):
            unpack(source, "tar", target)
    assert list(target.iterdir()) == []
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path: Path, target: Path, kind: bytes) -> None:
    source = tarred(tmp_path / "a.tar.gz", tar_member("link", 0, kind))
    with pytest.raises(DownloadError, match="link or a device"):
        unpack(source, "tar", target)
    assert list(target.iterdir()) == []


def test_links_in_zips_are_refused(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(DownloadError, match="link or a device"):
        unpack(path, "zip", target)


def test_one_name_twice_is_refused(tmp_path: Path, target: Path) -> None:
    source = zipped(tmp_path / "a.zip", ("Net", b"1"), ("net", b"2"))
    with pytest.raises(DownloadError, match="twice"):
        unpack(source, "zip", target)


def test_too_much_is_refused(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped(tmp_path / "a.zip", ("zeros", bytes(2_000_000)))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(DownloadError, match="unpacks to more than 1,000,000"):
        unpack(bomb, "zip", target, max_bytes=1_000_000)
    with pytest.raises(DownloadError, match="unpacks to more than 10"):
        unpack(tarred(tmp_path / "a.tgz", tar_member("a", 11)), "tar", target, max_bytes=10)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    many = [(f"{n}", b"") for n in range(3)]
    with pytest.raises(DownloadError, match="more than 2 members"):
        unpack(zipped(tmp_path / "b.zip", *many), "zip", target)
    with pytest.raises(DownloadError, match="more than 2 members"):
        members = [tar_member(name, 0) for name, _ in many]
        unpack(tarred(tmp_path / "b.tgz", *members), "tar", target)
    assert list(target.iterdir()) == []


def test_a_size_that_lies_does_not_get_past_the_cap(tmp_path: Path, target: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("zeros", bytes(2_000_000)))
    data = path.read_bytes()
    # The size in the list of members and in front of the member, both forged to 10 bytes.
    path.write_bytes(data.replace(struct.pack("<I", 2_000_000), struct.pack("<I", 10)))
    with pytest.raises(DownloadError):
        unpack(path, "zip", target, max_bytes=1_000_000)
    assert sum(file.stat().st_size for file in target.rglob("*")) <= 1_000_000


def test_encrypted_and_damaged_archives_are_told(tmp_path: Path, target: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("net", b"1234" * 100))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    encrypted = bytearray(data)
    encrypted[at + 8] |= 1
    path.write_bytes(encrypted)
    with pytest.raises(DownloadError, match="encrypted"):
        unpack(path, "zip", target)
    data[at + 16] ^= 0xFF  # the checksum
    path.write_bytes(data)
    with pytest.raises(DownloadError, match="damaged"):
        unpack(path, "zip", target)
    for kind in ("zip", "tar"):
        path.write_bytes(b"this is no archive at all")
        with pytest.raises(DownloadError, match=f"not a {kind} archive"):
            unpack(path, kind, target)
    whole = tarred(tmp_path / "b.tgz", tar_member("a", 50_000)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DownloadError, match="damaged"):
        unpack(path, "tar", target)
