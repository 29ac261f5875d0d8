"""Files that are no models, and models that cannot run: one clear error each, before any run."""

import numpy as np
import onnx
import pytest

from helpers.networks import described
from helpers.onnx_nets import Net, mnist, resnet, save
from twinlens.engine.errors import ModelFileError, ShapeError, UnsupportedOperatorError
from twinlens.engine.formats import graph_from_onnx, load_onnx
from twinlens.engine.formats.onnx import assembly, describe
from twinlens.engine.formats.onnx import file as onnx_file


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"Hello, this is a letter.\n" * 20, "is a text file"),
        (b"<!DOCTYPE html>", "is a text file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (bytes(range(256)) * 4, "truncated or not an ONNX model"),
    ],
)
def test_files_that_are_no_models(tmp_path, content, words):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=words) as caught:
        load_onnx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files(tmp_path, share):
    data = mnist().SerializeToString()
    path = tmp_path / "net.onnx"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelFileError, match="truncated"):
        load_onnx(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ModelFileError, match="does not exist"):
        load_onnx(tmp_path / "none.onnx")
    with pytest.raises(ModelFileError, match="is a folder"):
        load_onnx(tmp_path)


def test_caps(tmp_path, monkeypatch):
    path = save(mnist(), tmp_path / "net.onnx")
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 100)
    for ask in (load_onnx, described):
        with pytest.raises(ModelFileError, match="at most 100"):
            ask(path)
    monkeypatch.setattr(assembly, "MAX_NODES", 3)
    with pytest.raises(ModelFileError, match="at most 3"):
        graph_from_onnx(mnist())
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 1 << 30)
    monkeypatch.setattr(describe, "MAX_NODES", 3)
    with pytest.raises(ModelFileError, match="expected at most 3"):
        described(path)


def _with_external_data(path, location):
    model = mnist()
    tensor = model.graph.initializer[2]
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    return data


def test_data_beside_the_file_are_read(tmp_path):
    path = tmp_path / "net.onnx"
    data = _with_external_data(path, "weights.bin")
    with pytest.raises(ModelFileError, match="does not exist beside it"):
        load_onnx(path)
    (tmp_path / "weights.bin").write_bytes(data)
    x = {"image": np.ones((1, 1, 28, 28), np.float32)}
    (answer,), (expected,) = (
        g.run(x).values() for g in (load_onnx(path), graph_from_onnx(mnist()))
    )
    np.testing.assert_array_equal(answer, expected)
    (tmp_path / "weights.bin").write_bytes(data[:-4])
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_onnx(path)


@pytest.mark.parametrize("location", ["../weights.bin", "a/../../weights.bin", "", "/etc/hostname"])
def test_data_outside_the_folder_are_refused(tmp_path, location):
    folder = tmp_path / "models"
    folder.mkdir()
    data = _with_external_data(folder / "net.onnx", location)
    (tmp_path / "weights.bin").write_bytes(data)
    with pytest.raises(ModelFileError, match="outside the model's folder"):
        load_onnx(folder / "net.onnx")


def test_all_missing_operators_are_named_with_their_nodes():
    model = mnist()
    model.graph.node[2].op_type = "Wonder"
    model.graph.node[4].domain = "com.example"
    model.graph.node[4].name = "odd"
    with pytest.raises(UnsupportedOperatorError) as caught:
        graph_from_onnx(model)
    assert "Wonder at node 'Wonder_2'; com.example::MaxPool at node 'odd'" in str(caught.value)


@pytest.mark.parametrize("opset", [6, 1000])
def test_operator_versions(opset):
    model = mnist()
    model.opset_import[0].version = opset
    with pytest.raises(ModelFileError, match=f"opset\\) {opset}"):
        graph_from_onnx(model)


def test_open_sizes():
    assert graph_from_onnx(resnet()).inputs == {"image": (1, 3, 40, 40)}
    net = Net()
    model = net.model(net.node("Relu", "image"), ["N", 3, "H", "W"])
    with pytest.raises(ShapeError, match="'image' leaves the size of axis 2 open"):
        graph_from_onnx(model)
    assert graph_from_onnx(model, open_sizes=(1, 3, 8, 9)).inputs["image"] == (1, 3, 8, 9)
    given = graph_from_onnx(model, input_shapes={"image": (2, 3, 5, 5)})
    assert given.inputs["image"] == (2, 3, 5, 5)
    with pytest.raises(ShapeError, match="picture"):
        graph_from_onnx(model, input_shapes={"picture": (1, 3, 5, 5)})


def test_weights_that_are_computed_are_refused_by_name():
    net = Net()
    x = net.node("Conv", "image", "image")
    with pytest.raises(UnsupportedOperatorError, match=r"Conv at node 'Conv_0': its weight"):
        graph_from_onnx(net.model(x, [1, 3, 3, 3]))


def test_metadata_is_kept():
    model = mnist()
    model.metadata_props.add(key="author", value="us")
    assert graph_from_onnx(model).metadata == {"author": "us"}


def test_nodes_without_a_source():
    net = Net()
    with pytest.raises(ModelFileError, match="reads 'ghost'"):
        graph_from_onnx(net.model(net.node("Relu", "ghost"), [1, 3, 3, 3]))


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((1 << 20, 1 << 20), "cannot be read"),
        ((1 << 40, 1 << 40), "cannot be read"),
        ((-1, 1, 5, 5), "a size below 0"),
    ],
)
def test_tensors_that_lie_about_their_size(sizes, told):
    model = mnist()
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
    tensor.ClearField("dims")
    tensor.dims.extend(sizes)
    with pytest.raises(ModelFileError, match=told) as error:
        graph_from_onnx(model)
    assert tensor.name in str(error.value)
    assert str(sizes) in str(error.value)
