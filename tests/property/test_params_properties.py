"""Parameters of any shape survive every file and order; damaged files end in one clear error."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from safetensors.numpy import save, save_file

from twinlens.engine.errors import ParameterError, TwinlensError
from twinlens.engine.params import ORDERS, OWN, open_parameters, with_parameters
from twinlens.models.networks.assembly import Assembly, random_parameters

sizes = st.integers(1, 4)


@given(
    st.sampled_from(list(ORDERS.values())),
    st.tuples(sizes, sizes, sizes, sizes),
    st.integers(1, 3),
    st.booleans(),
)
def test_layers_to_file_and_back_is_the_same(order, shape, groups, depthwise) -> None:
    outputs, inputs, height, width = shape
    shape = (outputs * groups, 1 if depthwise else inputs, height, width)
    kernel = np.arange(np.prod(shape)).reshape(shape)
    stored = order.from_layers(kernel, groups)
    assert stored.shape == order.stored_shape(shape, groups)
    np.testing.assert_array_equal(order.to_layers(stored, shape, groups), kernel)
    np.testing.assert_array_equal(order.to_layers(stored.reshape(-1), shape, groups), kernel)


names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
arrays = st.dictionaries(
    names, st.tuples(st.lists(sizes, max_size=4), st.sampled_from(["f2", "f4", "f8"])), min_size=1
)


@settings(max_examples=40, deadline=None)
@given(arrays, st.integers(0, 2**32 - 1))
def test_every_format_keeps_values_shapes_and_types(announced, seed) -> None:
    rng = np.random.default_rng(seed)
    values = {
        name: rng.standard_normal(shape).astype(dtype) for name, (shape, dtype) in announced.items()
    }
    with TemporaryDirectory() as home:
        folder = Path(home)
        np.savez(folder / "a.npz", **{f"{name}": array for name, array in values.items()})
        save_file(values, folder / "a.safetensors")
        with h5py.File(folder / "a.h5", "w") as file:
            for name, array in values.items():
                file[name] = array
        for ending in ("npz", "safetensors", "h5"):
            read = dict(open_parameters(folder / f"a.{ending}"))
            assert set(read) == set(values)
            for name, array in values.items():
                assert read[name].dtype == array.dtype
                np.testing.assert_array_equal(read[name], array)


def network():
    net = Assembly("net", (1, 2, 5, 5))
    net.conv("a", 3, 3)
    net.depthwise("b", 3)
    net.dense("c", 4)
    return net.graph()


NUMBERS = random_parameters(network())


@given(
    st.sets(st.sampled_from(sorted(NUMBERS))),
    st.sets(st.sampled_from(sorted(NUMBERS))),
    st.sets(st.sampled_from(["x", "y", "a_weights"])),
)
def test_the_error_names_exactly_what_does_not_fit(missing, wrong, extra) -> None:
    wrong -= missing
    file = {name: array for name, array in NUMBERS.items() if name not in missing}
    file |= {name: np.zeros((9, 9), np.float32) for name in wrong | extra}
    try:
        with_parameters(network(), file, OWN)
    except ParameterError as error:
        lines = [line.strip().split(" (")[0].split(" has ")[0] for line in str(error).split("\n")]
        assert sorted(lines[1:]) == sorted(
            [f"missing: {name}" for name in missing]
            + [f"of the wrong size: {name}" for name in wrong]
            + [f"not expected: {name}" for name in extra]
        )
    else:
        assert not (missing or wrong or extra)


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **NUMBERS)
    return buffer.getvalue()


def _packed() -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as to,
    ):
        np.lib.format.write_array(to, NUMBERS["a_weight"])
    return buffer.getvalue()


def _onnx() -> bytes:
    value = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [value])
    graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in NUMBERS.items())
    return bytes(helper.make_model(graph).SerializeToString())


def _hdf5() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in NUMBERS.items():
            file[f"layers/{name}/vars/0"] = array
    return buffer.getvalue()


WHOLE = {
    "npz": _npz(),
    "packed npz": _packed(),
    "safetensors": save(NUMBERS),
    "onnx": _onnx(),
    "hdf5": _hdf5(),
}


@pytest.mark.parametrize("kind", WHOLE)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_end_in_an_error_of_ours_or_are_read(kind, data, tmp_path) -> None:
    content = bytearray(WHOLE[kind])
    place = st.integers(0, len(content) - 1) | st.integers(0, 200)
    for position, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=6)):
        content[position] = value
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    (tmp_path / "file").write_bytes(content)
    try:
        for array in open_parameters(tmp_path / "file").values():
            assert array.nbytes <= len(content) * 1100  # what deflate can blow up to
    except TwinlensError as error:
        assert "file" in str(error)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(0, 2**64 - 1), text=st.binary(max_size=60))
def test_any_safetensors_header_ends_in_an_error_of_ours(length, text, tmp_path) -> None:
    (tmp_path / "file").write_bytes(struct.pack("<Q", length) + b"{" + text)
    with pytest.raises(TwinlensError):
        open_parameters(tmp_path / "file")


_FOLDER_OF = {"name": "a", "file": "a.dat", "dtype": "float32", "shape": [2, 3, 1, 1]}
_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
_CHANGES = st.dictionaries(
    st.sampled_from(["name", "file", "dtype", "shape", "kernel", "groups", "axes"]),
    _PLAIN
    | st.sampled_from(["OIHW", "OHWI", "CMHW", "HWCM", "OOOO", "int8", "b.dat", "../a.dat", ""])
    | st.lists(st.integers(-1, 7), max_size=5),
)


@settings(deadline=None, max_examples=300)
@given(
    change=_CHANGES, version=st.just(1) | _PLAIN, drop=st.sets(st.sampled_from(["shape", "file"]))
)
def test_a_manifest_of_any_content_is_read_or_refused(change, version, drop) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        np.arange(6, dtype="<f4").tofile(folder / "a.dat")
        row = {key: value for key, value in (_FOLDER_OF | change).items() if key not in drop}
        values = {"format": "twinlens.parameters", "version": version, "tensors": [row]}
        (folder / "manifest.json").write_text(json.dumps(values), encoding="utf-8")
        try:
            parameters = open_parameters(folder)
            arrays = dict(parameters)
        except TwinlensError:
            return
        assert sum(array.nbytes for array in arrays.values()) == 24
