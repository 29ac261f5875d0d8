"""Readers of named arrays: what they give, and what they refuse."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from twinlens.engine.errors import ModelFileError, ParameterError
from twinlens.engine.params import Parameters, open_parameters
from twinlens.engine.params import parameters as module

VALUES = np.arange(6, dtype="<f4").reshape(2, 3)


def raw_folder(path: Path, arrays: dict[str, np.ndarray], suffix: str = ".dat") -> Path:
    path.mkdir(exist_ok=True)
    for name, array in arrays.items():
        (path / f"{name}{suffix}").write_bytes(array.tobytes())
    return path


@pytest.mark.parametrize("suffix", [".dat", ".bin", ".BIN"])
def test_a_folder_of_raw_files_is_read_by_their_names(tmp_path: Path, suffix: str) -> None:
    folder = raw_folder(tmp_path / "net", {"a": VALUES, "b": VALUES[0]}, suffix)
    (folder / "readme.txt").write_text("not a tensor")
    (folder / "deeper.dat").mkdir()
    parameters = open_parameters(folder)
    assert dict(parameters.entries) == {"a": module.Entry(24), "b": module.Entry(12)}
    np.testing.assert_array_equal(parameters["a"], VALUES.reshape(-1))
    assert isinstance(parameters["a"], np.memmap)


def test_raw_files_are_read_as_float16_where_asked(tmp_path: Path) -> None:
    parameters = open_parameters(raw_folder(tmp_path / "net", {"a": VALUES.astype("<f2")}))
    np.testing.assert_array_equal(parameters.read("a", np.dtype("<f2")), VALUES.reshape(-1))


def test_raw_files_of_an_odd_size_are_told(tmp_path: Path) -> None:
    folder = raw_folder(tmp_path / "net", {"a": VALUES})
    (folder / "a.dat").write_bytes(bytes(7))
    with pytest.raises(ParameterError, match="a has 7 bytes, expected a multiple of 4"):
        open_parameters(folder)["a"]


def test_an_empty_raw_file_is_an_empty_array(tmp_path: Path) -> None:
    folder = raw_folder(tmp_path / "net", {"a": VALUES[:0]})
    assert open_parameters(folder)["a"].shape == (0,)


def test_a_raw_file_that_shrinks_after_it_was_opened_is_told(tmp_path: Path) -> None:
    folder = raw_folder(tmp_path / "net", {"a": VALUES})
    parameters = open_parameters(folder)
    (folder / "a.dat").write_bytes(bytes(8))
    with pytest.raises(ParameterError, match="a has 2 values, expected 6"):
        parameters["a"]
    (folder / "a.dat").unlink()
    with pytest.raises(ModelFileError, match="cannot be read"):
        parameters["a"]


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = raw_folder(tmp_path / "net", {"a": VALUES})
    secret = tmp_path / "secret.dat"
    secret.write_bytes(bytes(8))
    try:
        (folder / "b.dat").symlink_to(secret)
    except OSError:
        pytest.skip("this system lets nobody make links")
    with pytest.raises(ModelFileError, match="outside its folder"):
        open_parameters(folder)
    (folder / "b.dat").unlink()
    (folder / "b.dat").symlink_to(folder / "a.dat")
    assert open_parameters(folder)["b"].shape == (6,)


def test_two_raw_files_of_one_name_are_told(tmp_path: Path) -> None:
    folder = raw_folder(tmp_path / "net", {"a": VALUES})
    raw_folder(folder, {"a": VALUES}, ".bin")
    with pytest.raises(ModelFileError, match=r"a\.bin and a\.dat are both tensor 'a'"):
        open_parameters(folder)


def test_what_holds_no_parameters_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"has no \.dat or \.bin file"):
        open_parameters(tmp_path)
    with pytest.raises(ModelFileError, match="nowhere"):
        open_parameters(tmp_path / "nowhere")


def npz(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def test_npz_is_known_by_its_content(tmp_path: Path) -> None:
    path = npz(tmp_path / "net.npz", a=VALUES, b=VALUES.astype(np.float16)).rename(tmp_path / "x")
    parameters = open_parameters(path)
    assert parameters.entries["a"] == module.Entry.of((2, 3), np.dtype("<f4"))
    assert parameters.entries["b"].nbytes == 12
    np.testing.assert_array_equal(parameters["a"], VALUES)


def test_compressed_npz_is_read_too(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "net.npz", a=VALUES)
    np.testing.assert_array_equal(open_parameters(tmp_path / "net.npz")["a"], VALUES)


def test_npz_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "net.npz", a=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ModelFileError, match="a holds object, expected numbers"):
        open_parameters(path)


@pytest.mark.parametrize("member", ["archive/data.pkl", "weights.pickle"])
def test_pickles_in_a_zip_are_refused(tmp_path: Path, member: str) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr(member, pickle.dumps({}))
    with pytest.raises(ModelFileError, match="pickle") as caught:
        open_parameters(tmp_path / "net.pt")
    assert "safetensors" in caught.value.hint


def npy(header: bytes, data: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (9,)}\n", bytes(8)), "8 bytes"),
        (npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}\n", bytes(8)), "8 bytes"),
        (npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}\n", b""), "bytes|npz"),
        (npy(b"{'descr': 'S4', 'fortran_order': False, 'shape': (1,)}\n", bytes(4)), "numbers"),
        (b"\x93NUMPY\x03\x00" + bytes(20), "version"),
        (b"nonsense", "npz"),
        (b"", "npz"),
    ],
)
def test_npz_members_that_are_damaged(tmp_path: Path, content: bytes, message: str) -> None:
    with zipfile.ZipFile(tmp_path / "net.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(ModelFileError, match=message):
        open_parameters(tmp_path / "net.npz")


def test_npz_that_is_cut_off_or_empty(tmp_path: Path) -> None:
    whole = npz(tmp_path / "net.npz", a=np.zeros(1000)).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:2000])
    with pytest.raises(ModelFileError, match=r"cut\.npz"):
        open_parameters(tmp_path / "cut.npz")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "no arrays")
    (tmp_path / "empty.npz").write_bytes(buffer.getvalue())
    with pytest.raises(ModelFileError, match="no arrays"):
        open_parameters(tmp_path / "empty.npz")


def test_npz_values_that_were_changed_are_told_when_they_are_read(tmp_path: Path) -> None:
    path = npz(tmp_path / "net.npz", a=np.ones(1000, np.float32))
    data = bytearray(path.read_bytes())
    data[2000] ^= 0xFF
    path.write_bytes(data)
    parameters = open_parameters(path)
    with pytest.raises(ModelFileError, match="CRC"):
        parameters["a"]


def test_caps_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "MAX_TENSORS", 1)
    with pytest.raises(ModelFileError, match="2 tensors, expected at most 1"):
        Parameters.of({"a": VALUES, "b": VALUES})
    monkeypatch.setattr(module, "MAX_BYTES", 20)
    with pytest.raises(ModelFileError, match="24 bytes, expected at most 20"):
        open_parameters(raw_folder(tmp_path / "net", {"a": VALUES}))
