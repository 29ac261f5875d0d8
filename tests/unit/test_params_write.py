"""Parameters into files and back: raw folders in every axis order, safetensors, npz."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.graphs import assert_same_graph
from helpers.onnx_nets import NETS
from twinlens.engine import layers as kinds
from twinlens.engine.errors import ModelFileError, ParameterError
from twinlens.engine.formats import graph_from_onnx
from twinlens.engine.graph import Graph, Node, with_arrays
from twinlens.engine.params import (
    MPSCNN,
    ORDERS,
    OWN,
    PYTORCH,
    TENSORFLOW,
    arrays_of,
    open_parameters,
    with_parameters,
    write_npz,
    write_raw,
    write_safetensors,
)
from twinlens.engine.params import write as writing
from twinlens.models.identify.kinds import Kind, glance
from twinlens.models.networks.assembly import Assembly, placeholder, random_parameters


def network() -> Graph:
    """Every kind of kernel, none with two equal axes; the depthwise one has a multiplier."""
    net = Assembly("small", (1, 3, 9, 8))
    net.conv("conv", 4, (3, 2), 2, padding="valid")
    weight, bias = placeholder(8, 1, 2, 3), placeholder(8)
    net.add("d", kinds.DepthwiseConv2d(weight, bias, pads=(1, 1, 0, 1), multiplier=2))
    layer = kinds.Conv2d(placeholder(6, 4, 3, 2), placeholder(6), groups=2, pads=(1, 1, 1, 0))
    net.add("groups", layer)
    net.dense("fc1", 7)
    net.dense("fc2", 5)
    graph = net.graph()
    return with_parameters(graph, random_parameters(graph, 3), OWN)


@pytest.mark.parametrize("order", ORDERS.values(), ids=lambda order: order.name)
@pytest.mark.parametrize("family", [*sorted(NETS), "small"])
def test_a_raw_folder_comes_back(family: str, order, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    graph = network() if family == "small" else graph_from_onnx(NETS[family]())
    write_raw(tmp_path, graph, order)
    assert glance(tmp_path).kind is Kind.PARAMETERS
    assert_same_graph(graph, with_arrays(graph, open_parameters(tmp_path)))


@pytest.mark.parametrize("family", [*sorted(NETS), "small"])
@pytest.mark.parametrize("write", [write_safetensors, write_npz])
def test_files_come_back(family: str, write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    graph = network() if family == "small" else graph_from_onnx(NETS[family]())
    write(tmp_path / "file", arrays_of(graph))
    assert glance(tmp_path / "file").kind is Kind.PARAMETERS
    assert_same_graph(graph, with_arrays(graph, open_parameters(tmp_path / "file")))


def test_raw_files_are_what_the_tools_read(tmp_path: Path) -> None:
    graph = network()
    numbers = arrays_of(graph)
    for order, laid_out in (
        (MPSCNN, numbers["conv_weight"].transpose(0, 2, 3, 1)),
        (PYTORCH, numbers["conv_weight"]),
        (TENSORFLOW, numbers["conv_weight"].transpose(2, 3, 1, 0)),
    ):
        folder = tmp_path / order.name
        folder.mkdir()
        write_raw(folder, graph, order)
        stored = np.fromfile(folder / "conv_weight.dat", "<f4")
        np.testing.assert_array_equal(stored, np.ascontiguousarray(laid_out).reshape(-1))
        # A dense layer over a map is a convolution whose kernel is the map.
        map_shape = graph.shapes["groups"][1:]
        kernel = numbers["fc1_weight"].reshape(7, *map_shape)
        expected = order.from_layers(kernel).reshape(-1)
        np.testing.assert_array_equal(np.fromfile(folder / "fc1_weight.dat", "<f4"), expected)
        # What the folder says of itself goes: the files still fit as the tool's own.
        (folder / "manifest.json").unlink()
        bare = with_parameters(
            graph, open_parameters(folder), type(OWN)("test", order, layer=lambda name: name)
        )
        assert_same_graph(graph, bare)


def test_halves_are_kernels_and_matrices(tmp_path: Path) -> None:
    graph = network()
    halves = arrays_of(graph, half=True)
    assert {name for name, array in halves.items() if array.dtype == np.float16} == {
        name for name in halves if name.endswith("_weight")
    }
    write_raw(tmp_path, graph, half=True)
    assert (tmp_path / "fc2_weight.dat").stat().st_size == 5 * 7 * 2
    back = with_arrays(graph, open_parameters(tmp_path))
    for name, array in arrays_of(back).items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, halves[name].astype(np.float32))


def test_values_beyond_float16_are_refused() -> None:
    node = Node("fc", kinds.Linear(np.array([[1.0, -7e4]], np.float32)), ("x",), "y")
    graph = Graph("g", {"x": (1, 2)}, ["y"], [node])
    with pytest.raises(ParameterError, match="fc_weight has the value 70000, float16 ends at 655"):
        arrays_of(graph, half=True)
    assert arrays_of(graph)["fc_weight"].dtype == np.float32


def test_the_same_arrays_make_the_same_files(tmp_path: Path) -> None:
    for number in (1, 2):
        write_npz(tmp_path / f"{number}.npz", arrays_of(network()))
        write_safetensors(tmp_path / f"{number}.st", arrays_of(network()), {"a": "b"})
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    assert (tmp_path / "1.st").read_bytes() == (tmp_path / "2.st").read_bytes()
    assert len(np.load(tmp_path / "1.npz", allow_pickle=False).files) == len(arrays_of(network()))


def test_quantised_numbers_keep_their_types(tmp_path: Path) -> None:
    scale = np.full(3, 0.25, np.float32)
    nodes = [
        Node("q", kinds.QuantizeLinear(scale, np.arange(3, dtype=np.uint16)), ("x",), "q"),
        Node("d", kinds.DequantizeLinear(scale, np.arange(3, dtype=np.uint16)), ("q",), "d"),
        Node("i", kinds.QuantizeLinear(np.float32(1), np.int8(-3)), ("d",), "i"),
    ]
    graph = Graph("g", {"x": (1, 3, 2, 2)}, ["i"], nodes)
    write_raw(tmp_path, graph)
    write_safetensors(tmp_path / "st", arrays_of(graph, half=True))
    write_npz(tmp_path / "npz", arrays_of(graph))
    for path in (tmp_path, tmp_path / "st", tmp_path / "npz"):
        assert_same_graph(graph, with_arrays(graph, open_parameters(path)))


def test_files_have_names_that_every_system_takes(tmp_path: Path) -> None:
    names = ["a/b", "a b", "A_B", "con", "größe", "..", "x" * 300, "日本"]
    nodes = [
        Node(name, kinds.Mul(), ("x" if not at else names[at - 1] + "!", f"{name}"), f"{name}!")
        for at, name in enumerate(names)
    ]
    constants = {name: np.full(2, at, np.float32) for at, name in enumerate(names)}
    graph = Graph("g", {"x": (1, 2)}, [f"{names[-1]}!"], nodes, constants=constants)
    tensors = write_raw(tmp_path, graph)
    files = [tensor.file for tensor in tensors]
    assert len({file.lower() for file in files}) == len(names)
    assert all(file.isascii() and len(file) < 140 for file in files)
    assert "con.dat" not in files
    assert sorted(files) == sorted(path.name for path in tmp_path.glob("*.dat"))
    assert_same_graph(graph, with_arrays(graph, open_parameters(tmp_path)))


def test_too_many_bytes_are_refused_before_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_BYTES", 100)
    for write in (write_safetensors, write_npz):
        with pytest.raises(ModelFileError, match="bytes of parameters, at most 100"):
            write(tmp_path / "file", arrays_of(network()))
    with pytest.raises(ModelFileError, match="at most 100"):
        write_raw(tmp_path, network())
    assert not list(tmp_path.iterdir())


def manifest(folder: Path) -> dict[str, object]:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_the_manifest_says_what_lies_there(tmp_path: Path) -> None:
    write_raw(tmp_path, network(), TENSORFLOW)
    told = manifest(tmp_path)
    assert (told["format"], told["version"], told["order"]) == (
        "twinlens.parameters",
        1,
        "TensorFlow",
    )
    rows = {row["name"]: row for row in told["tensors"]}  # type: ignore[attr-defined]
    assert rows["d_weight"] == {
        "name": "d_weight",
        "file": "d_weight.dat",
        "dtype": "float32",
        "shape": [8, 1, 2, 3],
        "kernel": [8, 1, 2, 3],
        "groups": 4,
        "axes": "HWCM",
    }
    assert rows["fc2_bias"] == {
        "name": "fc2_bias",
        "file": "fc2_bias.dat",
        "dtype": "float32",
        "shape": [5],
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "version 2 of twinlens.parameters, expected 1"),
        ({"tensors": {}}, "expected a list of at most"),
        ({"tensors": [3]}, "a tensor is 3, expected an object"),
        ({"file": "../conv_weight.dat"}, r"lies in '\.\./conv_weight.dat', expected a name"),
        ({"file": "/etc/passwd"}, "expected a name of a file"),
        ({"file": ".."}, "not a regular file|outside its folder"),
        ({"file": "gone.dat"}, "gone.dat: does not exist"),
        ({"file": "conv_bias.dat"}, "two tensors have one file"),
        ({"name": "conv_bias"}, "two tensors have one name"),
        ({"name": 3}, "expected a name of a file"),
        ({"dtype": "object"}, "has type 'object'; known are float32"),
        ({"shape": [4, 3, 3]}, r"of shape \[4, 3, 3\] cannot be kernel"),
        ({"shape": [1 << 60]}, "expected sizes"),
        ({"shape": "4332"}, "expected sizes"),
        ({"shape": [-1, 2]}, "expected sizes"),
        ({"shape": [4, 3, 3, 3], "kernel": [4, 3, 3, 3]}, "has 288 bytes, expected 432"),
        ({"axes": "OHHI"}, "in the order 'OHHI'"),
        ({"axes": ["O"]}, "in the order"),
        ({"axes": "CMHW"}, "in the order 'CMHW'"),
        ({"groups": 0}, "0 groups"),
        ({"groups": 3}, "3 groups"),
        ({"groups": True}, "True groups"),
    ],
)
def test_a_damaged_manifest_is_one_error(
    change: dict[str, object], told: str, tmp_path: Path
) -> None:
    write_raw(tmp_path, network())
    values = manifest(tmp_path)
    if change.keys() <= {"version", "tensors"}:
        values |= change
    else:
        values["tensors"][0] |= change  # type: ignore[index]
    (tmp_path / "manifest.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ModelFileError, match=told):
        open_parameters(tmp_path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"format": "twinlens.parameters"}', "\xff"])
def test_text_that_is_no_manifest_is_one_error(text: str, tmp_path: Path) -> None:
    write_raw(tmp_path, network())
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelFileError, match=r"manifest\.json"):
        open_parameters(tmp_path)


def test_a_manifest_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    np.zeros(3, np.float32).tofile(tmp_path / "b.dat")
    (tmp_path / "manifest.json").write_text('{"short_name": "a web page"}', encoding="utf-8")
    assert list(open_parameters(tmp_path)) == ["b"]


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_raw(folder, network())
    outside = (folder / "conv_bias.dat").rename(tmp_path / "outside.dat")
    try:
        (folder / "conv_bias.dat").symlink_to(outside)
    except OSError:
        pytest.skip("links cannot be made here")
    with pytest.raises(ModelFileError, match="outside its folder"):
        open_parameters(folder)
