"""Keras files are read within bounds, and what is not read is refused for the right reason."""

import io
import json
import struct
import zipfile
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from helpers.keras_files import cases
from helpers.networks import described
from twinlens.engine.api.protocol import EngineOptions
from twinlens.engine.cancel import cancel_scope
from twinlens.engine.errors import (
    CancelledError,
    EngineUnavailableError,
    ModelFileError,
    ParameterError,
    ShapeError,
    UnsupportedOperatorError,
)
from twinlens.engine.formats.keras.importer import load_keras
from twinlens.engine.targets.cpu.engine import LayersCpuEngine
from twinlens.engine.vision.engine import VisionEngine
from twinlens.models.identify.resolve import Kind, glance, identify, resolve

RANDOM = np.random.default_rng(5)


def layer(kind, name, inbound=None, **settings):
    """A layer as Keras 2 writes it."""
    entry = {"class_name": kind, "config": {"name": name, "trainable": True} | settings}
    if inbound is not None:
        entry |= {"name": name, "inbound_nodes": inbound}
    return entry


def given(shape=(6, 7, 3), name="x", inbound=None):
    """An input as Keras 2 writes it."""
    return layer("InputLayer", name, inbound, batch_input_shape=[None, *shape])


def sequential(*layers, name="net"):
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def functional(*layers, inputs=("x",), outputs=("y",), name="net"):
    ends = {
        "input_layers": [[one, 0, 0] for one in inputs],
        "output_layers": [[one, 0, 0] for one in outputs],
    }
    return {"class_name": "Functional", "config": {"name": name, "layers": layers, **ends}}


def h5(folder, model, weights=None, version="2.4.0", name="net.h5"):
    """A file of Keras 2; arrays by layer, then by name."""
    path = folder / name
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = model if isinstance(model, str) else json.dumps(model)
        file.attrs["keras_version"] = version
        root = file.create_group("model_weights")
        for one, arrays in (weights or {}).items():
            group = root.create_group(one)
            group.attrs["weight_names"] = np.array(list(arrays), "S")
            for key, array in arrays.items():
                group.create_dataset(key, data=array)
    return path


def keras(folder, model, weights=b"", name="net.keras", packed=zipfile.ZIP_STORED):
    path = folder / name
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr("config.json", model if isinstance(model, str) else json.dumps(model))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.5.0"}))
        archive.writestr("model.weights.h5", weights or h5_bytes({}))
    return path


def h5_bytes(arrays):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for place, array in arrays.items():
            file.create_dataset(place, data=array)
    return buffer.getvalue()


DENSE = [given((4, 4, 3)), layer("Flatten", "flat"), layer("Dense", "dense", units=2)]
DENSE_ARRAYS = {
    "dense": {"dense/kernel:0": RANDOM.normal(size=(48, 2)), "dense/bias:0": [1.0, 2.0]}
}


def labels_of(folder, count):
    path = folder / "names.txt"
    path.write_text("\n".join(f"class {number}" for number in range(count)))
    return path


def answer(path, x):
    graph = load_keras(path)
    (key,) = graph.inputs
    return graph.run({key: x})[graph.outputs[0]]


def test_flatten_counts_the_channels_last(tmp_path):
    x = RANDOM.normal(size=(1, 4, 4, 3)).astype(np.float32)
    path = h5(tmp_path, sequential(*DENSE), DENSE_ARRAYS)
    expected = x.reshape(1, -1) @ DENSE_ARRAYS["dense"]["dense/kernel:0"] + [1, 2]
    np.testing.assert_allclose(answer(path, x.transpose(0, 3, 1, 2)), expected, rtol=1e-4)


def test_hard_sigmoid_is_another_function_in_keras_3(tmp_path):
    model = sequential(given((1, 1, 3)), layer("Activation", "y", activation="hard_sigmoid"))
    x = np.array([-1.0, 0.5, 2.7], np.float32).reshape(1, 3, 1, 1)
    old = answer(h5(tmp_path, model), x)
    new = answer(h5(tmp_path, model, version="3.1.0"), x)
    np.testing.assert_allclose(old.reshape(-1), [0.3, 0.6, 1.0], rtol=1e-6)
    np.testing.assert_allclose(new.reshape(-1), [1 / 3, 0.5 + 0.5 / 6, 0.95], rtol=1e-6)


def test_inception_resnet_adds_a_share_of_its_second_input(tmp_path):
    add = layer("CustomScaleLayer", "y", [[["x", 0, 0, {}], ["r", 0, 0, {}]]], scale=0.25)
    relu = layer("ReLU", "r", [[["x", 0, 0, {}]]])
    x = RANDOM.normal(size=(1, 3, 6, 7)).astype(np.float32)
    found = answer(h5(tmp_path, functional(given(inbound=[]), relu, add)), x)
    np.testing.assert_allclose(found, x + np.maximum(x, 0) / 4, rtol=1e-6)


def test_a_picture_without_channels_gets_them_in_the_graph(tmp_path):
    model = sequential(given((8, 8)), layer("Flatten", "flat"), layer("Activation", "y"))
    path = h5(tmp_path, model)
    x = RANDOM.normal(size=(1, 1, 8, 8)).astype(np.float32)
    assert load_keras(path).inputs == {"x": (1, 1, 8, 8)}
    np.testing.assert_array_equal(answer(path, x), x.reshape(1, 64))
    assert described(path).input_shape == (None, 1, 8, 8)


def test_a_sequential_of_the_first_keras_2_is_a_bare_list(tmp_path):
    first = layer("Flatten", "flat", batch_input_shape=[None, 4, 4, 3])
    model = {"class_name": "Sequential", "config": [first, layer("Dense", "dense", units=2)]}
    assert load_keras(h5(tmp_path, model, DENSE_ARRAYS)).inputs == {"model_input": (1, 3, 4, 4)}


def test_open_sizes_are_asked_for(tmp_path):
    model = sequential(given((None, None, 3)), layer("GlobalMaxPooling2D", "y"))
    path = h5(tmp_path, model)
    with pytest.raises(ShapeError, match="leaves the size of axis 2 open"):
        load_keras(path)
    assert load_keras(path, open_sizes=(1, 3, 9, 8)).inputs == {"x": (1, 3, 9, 8)}
    assert described(path).input_shape == (None, 3, None, None)
    assert described(path).output_width == 3


def test_all_that_is_not_read_is_named_at_once(tmp_path):
    inner = sequential(
        given(), layer("Lambda", "half"), layer("mine>Odd", "odd"), layer("Dense", "d", units=1)
    )
    model = sequential(
        given(),
        inner,
        layer("LSTM", "lstm", units=2),
        layer("Lambda", "double"),
        layer("Activation", "act", activation="my_function"),
        layer("TFOpLambda", "op", function="linalg.inv"),
    )
    with pytest.raises(UnsupportedOperatorError) as caught:
        load_keras(h5(tmp_path, model))
    for part in ("Lambda at nodes 'double', 'half'", "Odd", "LSTM at node 'lstm'", "tf.linalg.inv"):
        assert part in caught.value.message
    assert "Activation with an activation of its own" in caught.value.message
    assert "Python code, which is not run" in caught.value.hint
    assert caught.value.operators["Lambda"] == 2


def test_a_model_of_ones_own_class_is_refused(tmp_path):
    model = {"class_name": "MyNet", "config": {"name": "net"}}
    with pytest.raises(ModelFileError, match="class 'MyNet', whose layers are Python code"):
        load_keras(h5(tmp_path, model))


def test_nobody_waits_for_a_graph_that_is_given_up(tmp_path):
    path = h5(tmp_path, sequential(*DENSE), DENSE_ARRAYS)
    token = SimpleNamespace(cancelled=True)
    with cancel_scope(token), pytest.raises(CancelledError):
        load_keras(path)


def test_a_model_that_goes_on_training_is_refused(tmp_path):
    flat = layer("Dropout", "y", [[["x", 0, 0, {"training": True}]]], rate=0.5)
    with pytest.raises(UnsupportedOperatorError, match="called with training=True"):
        load_keras(h5(tmp_path, functional(given(inbound=[]), flat)))


def test_keras_1_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match=r"saved by Keras 1\.2\.2"):
        load_keras(h5(tmp_path, sequential(*DENSE), DENSE_ARRAYS, version="1.2.2"))


def test_quantised_weights_are_refused(tmp_path):
    policy = {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}
    model = sequential(given(), layer("Dense", "dense", units=2, dtype=policy))
    with pytest.raises(UnsupportedOperatorError, match="Dense with quantised weights"):
        load_keras(h5(tmp_path, model))
    bytes_ = {"dense": {"kernel:0": np.ones((48, 2), np.int8), "bias:0": np.ones(2)}}
    with pytest.raises(ParameterError, match="kernel holds int8; floats are expected"):
        load_keras(h5(tmp_path, sequential(*DENSE), bytes_))


def test_two_pictures_in_are_refused(tmp_path):
    add = layer("Add", "y", [[["x", 0, 0, {}], ["z", 0, 0, {}]]])
    model = functional(given(inbound=[]), given(name="z", inbound=[]), add, inputs=("x", "z"))
    with pytest.raises(ModelFileError, match="takes 2 inputs, expected one picture"):
        load_keras(h5(tmp_path, model))


def test_weights_alone_say_how_to_save_the_model(tmp_path):
    path = tmp_path / "net.h5"
    path.write_bytes(h5_bytes({"dense/dense/kernel:0": np.ones((2, 2))}))
    with pytest.raises(ModelFileError, match="holds parameters, but no network") as caught:
        load_keras(path)
    assert "model.save(" in caught.value.hint


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "no arrays of layer 'dense'"),
        ({"dense": {"dense/kernel:0": np.ones((48, 2))}}, "has 1 arrays, expected kernel, bias"),
        (
            {"dense": {"dense/kernel:0": np.ones((2, 48)), "dense/bias:0": np.ones(2)}},
            r"kernel has shape \(2, 48\); \(48, 2\) is expected",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, arrays, said):
    with pytest.raises(ParameterError, match=said):
        load_keras(h5(tmp_path, sequential(*DENSE), arrays))


def test_arrays_outside_the_file_are_not_read(tmp_path):
    secret = h5(tmp_path, sequential(*DENSE), DENSE_ARRAYS, name="secret.h5")
    path = h5(tmp_path, sequential(*DENSE), DENSE_ARRAYS)
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense/dense"]
        del group["kernel:0"]
        group["kernel:0"] = h5py.ExternalLink(secret.name, "model_weights/dense/dense/kernel:0")
    with pytest.raises((ModelFileError, ParameterError)):
        load_keras(path)


def test_a_shape_that_lies_is_not_believed(tmp_path):
    path = h5(tmp_path, sequential(*DENSE), {})
    with h5py.File(path, "a") as file:
        group = file.create_group("model_weights/dense")
        group.attrs["weight_names"] = np.array(["kernel:0", "bias:0"], "S")
        group.create_dataset("kernel:0", (1 << 40, 2), "f4", chunks=(1024, 2))
        group.create_dataset("bias:0", data=np.ones(2))
    with pytest.raises(ParameterError, match="kernel has shape"):
        load_keras(path)


def nested(depth):
    model = sequential(given(), layer("Activation", "a"), name="m0")
    for number in range(1, depth):
        model = sequential(given(), model, name=f"m{number}")
    return model


def test_nesting_has_an_end(tmp_path):
    assert load_keras(h5(tmp_path, nested(8)))
    with pytest.raises(ModelFileError, match=r"nested more than|makes no sense"):
        load_keras(h5(tmp_path, nested(30)))
    deep = "[" * 5000 + "]" * 5000
    with pytest.raises(ModelFileError, match=r"nested|JSON"):
        load_keras(h5(tmp_path, '{"class_name": "Sequential", "config": ' + deep + "}"))


def test_models_used_twice_within_each_other_have_an_end(tmp_path):
    """2 to the power of 15 uses of a layer, from 16 short descriptions."""
    model = sequential(given((1, 1, 1)), layer("Activation", "y", activation="relu"), name="m0")
    for number in range(1, 16):
        name = f"m{number - 1}"
        first, second = [[["x", 0, 0, {}]]], [[[name, 0, 0, {}]]]
        used = model | {"name": name, "inbound_nodes": [*first, *second]}
        add = layer("Add", "y", [[[name, 0, 0, {}], [name, 1, 0, {}]]])
        model = functional(given((1, 1, 1), inbound=[]), used, add, name=f"m{number}")
    path = h5(tmp_path, model)
    with pytest.raises(ModelFileError, match="uses more than"):
        load_keras(path)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (
            [
                layer("Activation", "y", [[["z", 0, 0, {}]]]),
                layer("Activation", "z", [[["y", 0, 0, {}]]]),
            ],
            "reads what it writes",
        ),
        ([layer("Activation", "y", [[["gone", 0, 0, {}]]])], "is not there"),
        ([layer("Activation", "y", [[["x", 3, 0, {}]]])], "is not there"),
        ([layer("Activation", "y", [[["x", 0, 7, {}]]])], "gives nothing|no such output|reads"),
        ([layer("Activation", "y", [[["x", "a", {}]]])], "makes no sense"),
        ([layer("Activation", "y", 5)], "makes no sense"),
    ],
)
def test_calls_that_make_no_sense_are_refused(tmp_path, layers, said):
    with pytest.raises(ModelFileError, match=said):
        load_keras(h5(tmp_path, functional(given(inbound=[]), *layers)))


@pytest.mark.parametrize(
    "settings",
    [
        {"filters": 1 << 40, "kernel_size": [1, 1]},
        {"filters": 2, "kernel_size": [0, 1]},
        {"filters": 2, "kernel_size": [1, 1], "strides": [0, 1]},
        {"filters": -2, "kernel_size": [1, 1]},
        {"filters": 2, "kernel_size": "large"},
        {"filters": 2, "kernel_size": [1, 1], "padding": "causal"},
        {"filters": 2, "kernel_size": [1, 1], "groups": 0},
        {"filters": 2, "kernel_size": [1, 1], "data_format": "sideways"},
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, settings):
    model = sequential(given(), layer("Conv2D", "conv", **settings))
    arrays = {"conv": {"kernel:0": np.ones((1, 1, 3, 2)), "bias:0": np.ones(2)}}
    with pytest.raises((ModelFileError, ParameterError, ShapeError, UnsupportedOperatorError)):
        load_keras(h5(tmp_path, model, arrays))


def test_a_keras_archive_is_read_by_number(tmp_path):
    kernel, bias = DENSE_ARRAYS["dense"].values()
    weights = h5_bytes({"layers/dense/vars/0": kernel, "layers/dense/vars/1": bias})
    x = RANDOM.normal(size=(1, 3, 4, 4)).astype(np.float32)
    by_name = answer(h5(tmp_path, sequential(*DENSE), DENSE_ARRAYS), x)
    by_number = answer(keras(tmp_path, sequential(*DENSE), weights), x)
    np.testing.assert_array_equal(by_number, by_name)


def test_an_archive_that_lacks_weights_or_has_two_is_refused(tmp_path):
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../config.json", "{}")
        archive.writestr("/model.weights.h5", "")
    with pytest.raises(ModelFileError, match=r"no config\.json and no model\.weights\.h5"):
        load_keras(path)
    path = keras(tmp_path, sequential(*DENSE))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    with pytest.raises(ModelFileError, match=r"two members named config\.json"):
        load_keras(path)


def test_a_bomb_is_not_unpacked(tmp_path):
    bomb = " " * (80 << 20)
    path = keras(tmp_path, bomb, packed=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelFileError, match="asks for so much is not read"):
        load_keras(path)


def test_sizes_that_lie_are_refused(tmp_path):
    path = keras(tmp_path, sequential(*DENSE))
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02", 0, data.index(b"config.json", data.index(b"PK\x01\x02")))
    size = struct.unpack_from("<I", data, place + 24)[0]
    struct.pack_into("<I", data, place + 24, size + 999)
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"its header says|cannot be read"):
        load_keras(path)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_truncated_file_is_refused(tmp_path, suffix):
    path = cases("2")["nested"].write(tmp_path, suffix)
    data = path.read_bytes()
    for share in range(1, 12):
        path.write_bytes(data[: len(data) * share // 12])
        with pytest.raises((ModelFileError, ParameterError, UnsupportedOperatorError)):
            load_keras(path)


RESCALED = {"color": "RGB", "scale": 1.0, "mean": (0.0,) * 3, "std": (1.0,) * 3}


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (layer("Rescaling", "r", scale=1 / 255, offset=0.0), RESCALED),
        (layer("Rescaling", "r", scale=2.0, offset=-1.0), RESCALED | {"scale": 1 / 255}),
        (
            layer("Normalization", "n", mean=[123.0, 117.0, 104.0], variance=[1.0, 1.0, 1.0]),
            RESCALED,
        ),
        (layer("Activation", "a", activation="relu"), {}),
    ],
)
def test_pixels_come_as_the_first_layers_want_them(tmp_path, first, expected):
    model = sequential(given(), layer("RandomFlip", "f"), first, layer("GlobalMaxPooling2D", "y"))
    found = described(h5(tmp_path, model))
    assert found.recipe == expected
    assert found.output_width == 3


@pytest.mark.parametrize(
    ("names", "said", "recipe"),
    [
        (["block_1_expand"], "−1 to 1, as Keras feeds MobileNet-v2", {"scale": 1 / 127.5}),
        (
            ["conv2_block1_1_conv", "conv2_block1_0_bn"],
            "BGR less the mean pixel, as Keras feeds ResNet",
            {"scale": 1.0},
        ),
        (["conv2_block1_1_conv", "conv2_block1_preact_bn"], "ResNet-v2", {"mean": [1.0] * 3}),
        (["conv2_block1_1_conv", "conv2_block1_concat"], "DenseNet", {"scale": 1 / 255}),
        (["my_own"], "0 to 1, assumed", {"mean": [0.0] * 3}),
    ],
)
def test_what_keras_applications_does_is_assumed_by_name(tmp_path, names, said, recipe):
    layers = [layer("Activation", name) for name in names]
    model = sequential(given(), *layers, layer("GlobalMaxPooling2D", "pool"))
    found = resolve(h5(tmp_path, model), labels=labels_of(tmp_path, 3)).spec
    (note,) = [note for note in found.notes if note.startswith("values: ")]
    assert said in note
    assert recipe.items() <= found.recipe.to_dict().items()


def test_the_field_file_answers_as_its_layers_say(tmp_path, test_data):
    path = test_data / "field" / "keras_with_architecture.h5"
    if not path.is_file():
        pytest.skip("TWINLENS_TEST_DATA has no field/keras_with_architecture.h5")
    with h5py.File(path) as file:
        conv, dense = file["model_weights/conv/conv"], file["model_weights/dense/dense"]
        kernel, bias = conv["kernel:0"][()], conv["bias:0"][()]
        matrix, shift = dense["kernel:0"][()], dense["bias:0"][()]
    x = RANDOM.normal(size=(1, 3, 32, 32)).astype(np.float32)
    # 32 → 16 with a kernel of 3 and stride 2: one zero, below and to the right.
    wide = np.pad(x[0].transpose(1, 2, 0), ((0, 1), (0, 1), (0, 0)))
    windows = [
        np.tensordot(wide[r : r + 3, c : c + 3], kernel, 3)
        for r in range(0, 32, 2)
        for c in range(0, 32, 2)
    ]
    rows = np.maximum(np.array(windows) + bias, 0).mean(axis=0) @ matrix + shift
    powers = np.exp(rows - rows.max())
    np.testing.assert_allclose(answer(path, x)[0], powers / powers.sum(), atol=1e-6)
    found = identify(path, labels=labels_of(tmp_path, 3))
    assert (found.kind, found.format, found.known.outputs) == (Kind.MODEL, "Keras", 3)
    assert found.known.spec.output == "probabilities"
    for engine in (LayersCpuEngine(), VisionEngine()):
        runner = engine.load(found.network, EngineOptions())
        np.testing.assert_allclose(runner.run(x), powers / powers.sum(), atol=1e-6)
        runner.close()


def test_a_folder_as_teachable_machine_exports_it_is_its_model(tmp_path):
    (tmp_path / "labels.txt").write_text("0 cat\n1 dog\n")
    path = h5(tmp_path, sequential(*DENSE), DENSE_ARRAYS, name="keras_model.h5")
    seen = glance(tmp_path)
    assert (seen.path, seen.kind, seen.format) == (path, Kind.MODEL, "Keras")


def test_weights_are_still_parameters(tmp_path):
    path = tmp_path / "net.h5"
    path.write_bytes(h5_bytes({"dense/dense/kernel:0": np.ones((2, 2))}))
    assert glance(path).kind is Kind.PARAMETERS
    path.write_bytes(h5_bytes({"a": np.ones(2)})[:600])
    assert glance(path).kind is Kind.PARAMETERS


def test_without_its_library_only_hdf5_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr("twinlens.engine.formats.hdf5.find_spec", lambda name: None)
    assert glance(h5(tmp_path, sequential(*DENSE), DENSE_ARRAYS)).kind is Kind.PARAMETERS
    archive = keras(tmp_path, sequential(*DENSE))
    assert glance(archive).format == "Keras"
    with pytest.raises(EngineUnavailableError, match="pyfive is not installed"):
        load_keras(archive)
