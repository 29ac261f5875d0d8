"""Readers of named arrays: what they give, and what they refuse."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from safetensors.numpy import save_file

from twinlens.engine.errors import EngineUnavailableError, ModelFileError, ParameterError
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


def test_pickles_in_a_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("weights.pickle", pickle.dumps({}))
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


def safetensors_bytes(header: dict[str, object], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_safetensors_are_known_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "whatever"
    save_file({"a.weight": VALUES, "b": VALUES.astype(np.float16)}, path, metadata={"x": "y"})
    parameters = open_parameters(path)
    assert set(parameters) == {"a.weight", "b"}
    assert parameters.entries["b"] == module.Entry.of((2, 3), np.dtype("f2"))
    np.testing.assert_array_equal(parameters["a.weight"], VALUES)


@pytest.mark.parametrize("length", [640, 896, 1152, 1408])
def test_safetensors_that_start_as_pickles_do(tmp_path: Path, length: int) -> None:
    # Such a header's length is written as 80 02 to 80 05, which pickles begin with.
    path = tmp_path / "whatever"
    plain = safetensors_bytes({"a": tensor("F32", [1], 0, 4), "__metadata__": {"x": ""}}, b"")
    spare = length - (len(plain) - 8)
    text = {"a": tensor("F32", [1], 0, 4), "__metadata__": {"x": "y" * spare}}
    path.write_bytes(safetensors_bytes(text, np.ones(1, "<f4").tobytes()))
    assert path.read_bytes()[:1] == b"\x80"
    np.testing.assert_array_equal(open_parameters(path)["a"], [1])


def test_safetensors_in_bfloat16(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    data = struct.pack("<2H", 0x3F80, 0xC020)  # the upper halves of 1.0 and -2.5
    path.write_bytes(safetensors_bytes({"a": tensor("BF16", [2], 0, 4)}, data))
    assert open_parameters(path)["a"].astype(np.float32).tolist() == [1.0, -2.5]


WHOLE = {"a": tensor("F32", [2], 0, 8)}


@pytest.mark.parametrize(
    "content",
    [
        safetensors_bytes(WHOLE, bytes(8))[:30],  # the header is cut off
        safetensors_bytes(WHOLE, bytes(8))[:-1],  # the values are
        safetensors_bytes(WHOLE, bytes(9)),
        safetensors_bytes({"a": tensor("F32", [3], 0, 8)}, bytes(8)),
        safetensors_bytes({"a": tensor("F32", [2], 4, 12)}, bytes(8)),
        safetensors_bytes({"a": tensor("F32", [-2], 0, 8)}, bytes(8)),
        safetensors_bytes(WHOLE | {"b": tensor("F32", [2], 4, 12)}, bytes(12)),
        safetensors_bytes({"a": tensor("F99", [2], 0, 8)}, bytes(8)),
        struct.pack("<Q", 20) + b"{" + b"x" * 30,
    ],
)
def test_safetensors_that_are_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="cannot be read as safetensors"):
        open_parameters(path)


def test_safetensors_of_a_type_that_numpy_lacks(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(safetensors_bytes({"a": tensor("F8_E4M3", [2], 0, 2)}, bytes(2)))
    with pytest.raises(ModelFileError, match="a has type F8_E4M3"):
        open_parameters(path)


def test_safetensors_that_change_after_they_were_opened_are_told(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a": VALUES}, path)
    parameters = open_parameters(path)
    save_file({"a": VALUES[0]}, path)
    with pytest.raises(ParameterError, match="a has 3 values, expected 2×3"):
        parameters["a"]
    save_file({"b": VALUES}, path)
    with pytest.raises(ModelFileError, match=r"a cannot be read"):
        parameters["a"]


def keras2(path: Path, root: str = "model_weights/") -> Path:
    """As Keras 2 writes it: a group for each layer, and in it the names of its variables."""
    with h5py.File(path, "w") as file:
        for layer, variables in KERAS.items():
            for name, values in variables.items():
                file[f"{root}{layer}/{layer}/{name}:0"] = values
        file["optimizer_weights/Adam/conv/kernel/m:0"] = VALUES
    return path


def keras3(path: Path) -> Path:
    """As Keras 3 writes it: a group for each layer by its class, variables numbered."""
    with h5py.File(path, "w") as file:
        for number, (layer, variables) in enumerate(KERAS.items()):
            group = file.create_group(f"layers/layer_{number}/vars")
            group.attrs["name"] = layer
            for index, values in enumerate(variables.values()):
                group[str(index)] = values
        file["layers/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
        file["optimizer/vars/0"] = np.int64(3)
    return path


KERAS = {
    "conv": {"kernel": np.ones((3, 3, 2, 4), "f"), "bias": np.arange(4, dtype="f")},
    "conv_bn": {
        name: np.full(4, number, "f")
        for number, name in enumerate(("gamma", "beta", "moving_mean", "moving_variance"))
    },
    "pointwise": {"kernel": np.zeros((1, 1, 4, 5), "f")},
    "dense": {"kernel": np.full((5, 3), 7, "f"), "bias": np.zeros(3, "f")},
}


@pytest.mark.parametrize("write", [keras2, keras3, lambda path: keras2(path, "")])
def test_both_kinds_of_keras_files_have_the_same_names(tmp_path: Path, write) -> None:
    parameters = open_parameters(write(tmp_path / "net.h5"))
    expected = {
        f"{layer}/{name}": values
        for layer, variables in KERAS.items()
        for name, values in variables.items()
    }
    assert set(parameters) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(parameters[name], values)


def test_hdf5_of_no_keras_keeps_its_names(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["a"] = VALUES
        file["deep/er/b"] = VALUES
        file.create_dataset("packed", data=VALUES, chunks=(1, 3), compression="gzip")
        group = file.create_group("odd/vars")
        for index in range(3):
            group[str(index)] = VALUES[0]
    parameters = open_parameters(tmp_path / "net.h5")
    assert set(parameters) == {"a", "er/b", "packed", "odd/0", "odd/1", "odd/2"}
    np.testing.assert_array_equal(parameters["packed"], VALUES)


def test_hdf5_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    path = keras2(tmp_path / "net.h5")
    monkeypatch.setattr("twinlens.engine.formats.hdf5.find_spec", lambda name: None)
    with pytest.raises(EngineUnavailableError, match="pyfive is not installed") as caught:
        open_parameters(path)
    assert "pip install 'pyfive" in caught.value.hint


def test_hdf5_reads_nothing_outside_its_file(tmp_path: Path) -> None:
    secret = keras2(tmp_path / "secret.h5")
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["a"] = VALUES
        file["again"] = h5py.SoftLink("/a")
        file["circle"] = h5py.SoftLink("/")
    assert set(open_parameters(tmp_path / "links.h5")) == {"a"}
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file["a"] = VALUES
        file["outside"] = h5py.ExternalLink(str(secret), "/model_weights")
    with pytest.raises(ModelFileError, match="cannot be read as HDF5") as caught:
        open_parameters(tmp_path / "outside.h5")
    assert "leads to other files" in caught.value.hint
    (tmp_path / "secret.dat").write_bytes(bytes(24))
    with h5py.File(tmp_path / "external.h5", "w") as file:
        place = [(str(tmp_path / "secret.dat"), 0, 24)]
        file.create_dataset("a", (2, 3), "f4", external=place)
    with pytest.raises(ModelFileError, match="a is not all in this file"):
        open_parameters(tmp_path / "external.h5")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((2, 3), "f4")
        layout[...] = h5py.VirtualSource(str(tmp_path / "links.h5"), "a", (2, 3))
        file.create_virtual_dataset("a", layout)
    with pytest.raises(ModelFileError, match="a lies in another file"):
        open_parameters(tmp_path / "virtual.h5")


def test_hdf5_that_is_damaged_or_holds_no_numbers(tmp_path: Path) -> None:
    whole = keras2(tmp_path / "net.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFileError, match=r"cut\.h5: cannot be read as HDF5"):
        open_parameters(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["a"] = "text"
    with pytest.raises(ModelFileError, match="a holds object, expected numbers"):
        open_parameters(tmp_path / "text.h5")
    with h5py.File(tmp_path / "hollow.h5", "w") as file:
        file.create_dataset("a", (1 << 20, 100), "f4")  # announced, never written
    with pytest.raises(ModelFileError, match="a is not all in this file, expected 1048576×100"):
        open_parameters(tmp_path / "hollow.h5")
    with h5py.File(tmp_path / "twice.h5", "w") as file:
        file["one/conv/kernel"] = VALUES
        file["two/conv/kernel"] = VALUES
    with pytest.raises(ModelFileError, match="are both 'conv/kernel'"):
        open_parameters(tmp_path / "twice.h5")


def test_hdf5_that_announces_more_than_the_cap(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("a", (1 << 30, 4), "f4", chunks=(1 << 10, 4), compression="gzip")
    assert (tmp_path / "bomb.h5").stat().st_size < 100_000
    with pytest.raises(ModelFileError, match="17,179,869,184 bytes, expected at most"):
        open_parameters(tmp_path / "bomb.h5")


def test_hdf5_whose_chunks_unpack_to_more_than_they_hold(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        packed = file.create_dataset("a", (2, 3), "f4", chunks=(2, 3), compression="gzip")
        packed.id.write_direct_chunk((0, 0), zlib.compress(bytes(50_000_000)))
        file.create_dataset("b", data=VALUES, chunks=(1, 3), compression="lzf")
        file.create_dataset(
            "c", data=VALUES, chunks=(1, 2), shuffle=True, fletcher32=True, compression="gzip"
        )
    parameters = open_parameters(tmp_path / "bomb.h5")
    with pytest.raises(ModelFileError, match=r"a cannot be read .*unpacks to 25 bytes, not 24"):
        parameters["a"]
    with pytest.raises(ModelFileError, match=r"b cannot be read .*packed by filters"):
        parameters["b"]
    np.testing.assert_array_equal(parameters["c"], VALUES)


def onnx_file(path: Path, *tensors: onnx.TensorProto) -> Path:
    value = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [value])
    graph.initializer.extend(tensors)
    onnx.save(helper.make_model(graph), str(path))
    return path


def test_initialisers_of_an_onnx_file(tmp_path: Path) -> None:
    halves = numpy_helper.from_array(VALUES.astype(np.float16), "b")
    path = onnx_file(tmp_path / "net", numpy_helper.from_array(VALUES, "a"), halves)
    parameters = open_parameters(path)
    np.testing.assert_array_equal(parameters["a"], VALUES)
    assert parameters["b"].dtype == np.float16


def test_initialisers_whose_size_is_not_what_they_say(tmp_path: Path) -> None:
    short = numpy_helper.from_array(VALUES, "a")
    short.raw_data = short.raw_data[:-4]
    with pytest.raises(ModelFileError, match="a has 20 bytes, expected 2×3 float32, 24 bytes"):
        open_parameters(onnx_file(tmp_path / "short.onnx", short))
    odd = numpy_helper.from_array(VALUES, "a")
    odd.data_type = 99
    with pytest.raises(ModelFileError, match="a has type 99"):
        open_parameters(onnx_file(tmp_path / "odd.onnx", odd))
    listed = helper.make_tensor("a", onnx.TensorProto.FLOAT, [2, 3], VALUES.reshape(-1).tolist())
    del listed.float_data[:2]
    parameters = open_parameters(onnx_file(tmp_path / "listed.onnx", listed))
    with pytest.raises(ModelFileError, match=r"a cannot be read"):
        parameters["a"]


@pytest.mark.parametrize("content", [b"", b"some text", b"\x00\x01\x02" * 20, b"PK\x03\x04zip"])
def test_what_is_no_file_of_parameters_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing.bin"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"thing\.bin"):
        open_parameters(path)


def test_bare_pickles_are_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ModelFileError, match="is a Python pickle"):
        open_parameters(path)
