"""Writes small models of every kind of layer by real Keras, with its answers, for the tests.

Runs in Keras' own environment (see ``bench_keras.py``), once for each version:
``keras_cases.py {2,3} FOLDER`` writes ``keras{2,3}.npz``, which lies in ``tests/helpers``. Files
are kept as what stands in them (attributes, arrays, JSON), so that tests write them with h5py.
"""

import io
import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import numpy as np
from keras_nets import load

SHAPE = (6, 7, 4)


def layer_cases(k):
    """Layers one after the other, by name of the case."""
    conv = k.Conv2D
    return {
        "conv_same_odd": [conv(5, 3, strides=2, padding="same", activation="relu")],
        "conv_same_even": [conv(5, (2, 4), strides=(1, 3), padding="same", use_bias=False)],
        "conv_valid": [conv(3, (3, 2), strides=(2, 1))],
        "conv_dilated": [conv(3, 3, dilation_rate=2, padding="same")],
        "conv_groups": [conv(6, 3, groups=2, padding="same")],
        "conv_pointwise": [conv(6, 1)],
        "depthwise": [k.DepthwiseConv2D(3, padding="same", depth_multiplier=2)],
        "depthwise_stride": [k.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)],
        "separable": [k.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=2)],
        "separable_plain": [k.SeparableConv2D(5, 3, use_bias=False, activation="swish")],
        "transpose_same": [k.Conv2DTranspose(3, 3, strides=2, padding="same")],
        "transpose_even": [k.Conv2DTranspose(3, 4, strides=2, padding="same")],
        "transpose_small": [k.Conv2DTranspose(3, 2, strides=3, padding="same")],
        "transpose_valid": [k.Conv2DTranspose(3, 2, strides=3)],
        "transpose_given": [k.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1)],
        "transpose_dilated": [k.Conv2DTranspose(3, 3, dilation_rate=2, use_bias=False)],
        "dense_on_picture": [k.Dense(3, activation="tanh")],
        "dense_on_rows": [k.Reshape((7, -1)), k.Dense(3), k.Flatten()],
        "flatten_dense": [conv(3, 3), k.Flatten(), k.Dense(5, activation="softmax")],
        "flatten_channels_first": [k.Flatten(data_format="channels_first"), k.Dense(2)],
        "norm": [k.BatchNormalization(epsilon=0.01)],
        "norm_unscaled": [k.BatchNormalization(scale=False), conv(2, 1)],
        "norm_uncentred": [conv(2, 1), k.BatchNormalization(center=False)],
        "norm_second_axis": [k.BatchNormalization(axis=2)],
        "norm_first_axis": [k.BatchNormalization(axis=1)],
        "norm_of_rows": [k.GlobalAveragePooling2D(), k.BatchNormalization(), k.Dense(2)],
        "norm_of_sequence": [k.Reshape((7, -1)), k.BatchNormalization()],
        "layer_norm": [k.LayerNormalization(epsilon=1e-3), conv(2, 1)],
        "layer_norm_rows": [k.Flatten(), k.LayerNormalization(center=False), k.Dense(2)],
        "relu_layer": [k.ReLU()],
        "relu_six": [k.ReLU(6.0)],
        "relu_leaky_limit": [k.ReLU(1.0, negative_slope=0.1)],
        "relu_threshold": [k.ReLU(threshold=0.5, max_value=1.5)],
        "relu_all": [k.ReLU(1.5, negative_slope=0.2, threshold=0.5)],
        "leaky": [k.LeakyReLU()],
        "leaky_given": [k.LeakyReLU(0.05)],
        "elu_given": [k.ELU(0.5)],
        "prelu": [k.PReLU()],
        "prelu_shared": [k.PReLU(shared_axes=[1, 2])],
        "softmax_layer": [k.Softmax()],
        "softmax_rows": [k.Softmax(axis=2)],
        "activation_is_layer": [conv(3, 1, activation=k.LeakyReLU(0.2))],
        "padded": [k.ZeroPadding2D(((0, 1), (2, 3))), conv(2, 3, padding="valid")],
        "padded_once": [k.ZeroPadding2D(2)],
        "cropped": [k.Cropping2D(((1, 0), (2, 1)))],
        "cropped_twice": [k.Cropping2D((1, 2))],
        "max_same": [k.MaxPooling2D(3, strides=2, padding="same")],
        "max_valid": [k.MaxPooling2D((2, 3))],
        "mean_same": [k.AveragePooling2D(3, strides=2, padding="same")],
        "mean_even": [k.AveragePooling2D(2, strides=1, padding="same")],
        "mean_all": [k.AveragePooling2D((6, 7)), k.Flatten()],
        "global_mean": [k.GlobalAveragePooling2D(keepdims=True), conv(2, 1)],
        "global_max": [k.GlobalMaxPooling2D()],
        "reshape_permute": [k.Reshape((4, 7, 6)), k.Permute((3, 1, 2)), conv(2, 3)],
        "upsampled": [k.UpSampling2D((2, 3))],
        "upsampled_linear": [k.UpSampling2D(2, interpolation="bilinear")],
        "resized": [k.Resizing(9, 4)],
        "resized_nearest": [k.Resizing(5, 11, interpolation="nearest")],
        "resized_cropped": [k.Resizing(4, 9, crop_to_aspect_ratio=True)],
        "cropped_centre": [k.CenterCrop(3, 4)],
        "cropped_smaller": [k.CenterCrop(9, 3)],
        "rescaled": [k.Rescaling(1 / 127.5, offset=-1)],
        "rescaled_each": [k.Rescaling([0.5, 2.0, 1.0, 3.0], offset=[1.0, 0.0, 2.0, 0.5])],
        "normalized": [k.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 3.0, 4.0])],
        "normalized_adapted": [k.Normalization()],
        "normalized_all": [k.Normalization(axis=None)],
        "training_only": [
            *(k.Dropout(0.5), k.SpatialDropout2D(0.5), k.GaussianNoise(1.0)),
            *(k.GaussianDropout(0.5), k.RandomFlip(), k.RandomRotation(0.2), k.RandomZoom(0.2)),
            *(k.RandomContrast(0.5), k.RandomTranslation(0.2, 0.2), conv(2, 1)),
        ],
    }


ACTIVATIONS = (
    *("relu", "sigmoid", "tanh", "softmax", "elu", "selu", "softplus", "softsign", "swish"),
    *("hard_sigmoid", "gelu", "linear", "mish"),
)
NEW_ACTIVATIONS = (
    *("relu6", "silu", "hard_silu", "hard_swish", "leaky_relu", "log_softmax", "celu"),
    "hard_tanh",
)


def graph_cases(keras, version):
    """Functions of the input, by name of the case."""
    k = keras.layers

    def two(x):
        return k.Conv2D(4, 3, padding="same")(x), k.Conv2D(4, 1)(x)

    def gate(x):
        return k.Reshape((1, 1, 4))(k.GlobalAveragePooling2D()(x))

    def shared(x):
        conv = k.Conv2D(4, 3, padding="same", name="shared")
        return conv(k.ReLU()(conv(x)))

    def nested(x):
        inner_input = keras.Input(SHAPE, name="inner_input")
        y = k.Conv2D(4, 3, name="inner_conv")(inner_input)
        y = k.BatchNormalization(name="inner_norm")(y)
        y = k.DepthwiseConv2D(3, name="inner_depthwise")(y)
        inner = keras.Model(inner_input, y, name="inner")
        body = keras.Sequential([inner, k.GlobalAveragePooling2D(name="pool")], name="body")
        head = keras.Sequential(
            [k.Dense(3, activation="relu", name="d1"), k.Dense(2, name="d2")], name="head"
        )
        return head(body(x))

    def frozen(x):
        inner_input = keras.Input(SHAPE, name="inner_input")
        y = k.Conv2D(4, 3, name="a")(inner_input)
        y = k.BatchNormalization(name="b")(y)
        inner = keras.Model(inner_input, k.Conv2D(4, 1, name="c")(y), name="inner")
        inner.trainable = False
        inner.get_layer("c").trainable = True
        return k.Dense(2)(k.Flatten()(inner(x)))

    def twice(x):
        inner_input = keras.Input(SHAPE, name="inner_input")
        inner = keras.Model(inner_input, k.Conv2D(4, 3, padding="same")(inner_input), name="inner")
        return k.Add()([inner(x), inner(k.ReLU()(x))])

    cases = {
        "add": lambda x: k.Add()([*two(x), x]),
        "subtract": lambda x: k.Subtract()([*two(x)]),
        "multiply": lambda x: k.Multiply()([x, gate(x)]),
        "multiply_row": lambda x: k.Multiply()([x, k.GlobalMaxPooling2D()(x)]),
        "average": lambda x: k.Average()([*two(x), x]),
        "maximum": lambda x: k.Maximum()([*two(x), x]),
        "minimum": lambda x: k.Minimum()([*two(x)]),
        "concatenate": lambda x: k.Concatenate()([*two(x), x]),
        "concatenate_rows": lambda x: k.Concatenate(axis=1)([*two(x)]),
        "shared": shared,
        "nested": nested,
        "frozen": frozen,
        "twice": twice,
        "operators": lambda x: 1.0 - (x * 0.5 + 3.0) / 2.0 + x * x,
        "reversed_channels": lambda x: k.Conv2D(2, 1)(x[:, :, :, ::-1]),
        "sliced": lambda x: x[:, 1:5, :-2, 1],
    }
    if version == "2":
        import tensorflow as tf

        cases |= {
            "tf_functions": lambda x: tf.nn.relu6(tf.concat([tf.nn.silu(x), tf.tanh(x)], -1)),
            "tf_means": lambda x: tf.reduce_mean(x, [1, 2]) + tf.reduce_mean(x, axis=[1, 2]) * 2.0,
            "tf_reshape": lambda x: tf.squeeze(
                tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [-1, 168])
            ),
            "tf_softmax": lambda x: tf.nn.softmax(tf.clip_by_value(x, -0.5, 1.0)),
            "tf_caffe": lambda x: keras.applications.resnet.preprocess_input(x[..., :3]),
            "tf_torch": lambda x: keras.applications.densenet.preprocess_input(x[..., 1:]),
            "tf_maximum": lambda x: tf.maximum(x, 0.5) - tf.minimum(0.1, x),
        }
    else:
        ops = keras.ops
        cases |= {
            "ops_functions": lambda x: ops.relu6(ops.concatenate([ops.silu(x), ops.tanh(x)], -1)),
            "ops_means": lambda x: ops.mean(x, [1, 2]) + ops.mean(x, axis=(1, 2)) * 2.0,
            "ops_reshape": lambda x: ops.reshape(ops.transpose(x, [0, 3, 1, 2]), [-1, 168]),
            "ops_softmax": lambda x: ops.softmax(ops.clip(x, -0.5, 1.0)),
            "ops_caffe": lambda x: keras.applications.resnet.preprocess_input(x[..., :3]),
            "ops_torch": lambda x: keras.applications.densenet.preprocess_input(x[..., 1:]),
            "ops_maximum": lambda x: ops.maximum(x, 0.5) - ops.minimum(0.1, x),
            "ops_gelu": lambda x: ops.gelu(x) + ops.gelu(x, approximate=False),
            "ops_expand": lambda x: ops.squeeze(ops.expand_dims(x, 1), 1) - ops.negative(x),
            "ops_hard": lambda x: ops.hard_sigmoid(x) * ops.leaky_relu(x, 0.1) + ops.square(x),
            "ops_ellipsis": lambda x: k.Conv2D(2, 1)(x[..., ::-1]),
        }
    return cases


def first_cases(k):
    """Layers with the channels first (TensorFlow has none on a processor)."""
    first = {"data_format": "channels_first"}
    return {
        "first": [
            k.Conv2D(4, 3, padding="same", strides=2, activation="relu", **first),
            k.BatchNormalization(axis=1),
            k.MaxPooling2D(2, padding="same", **first),
            k.DepthwiseConv2D(2, padding="same", **first),
            k.GlobalAveragePooling2D(**first),
            k.Dense(3),
        ],
        "first_flat": [
            k.ZeroPadding2D(1, **first),
            k.SeparableConv2D(3, 3, **first),
            k.UpSampling2D(2, **first),
            k.Flatten(**first),
            k.Dense(3),
        ],
    }


def models(keras, version):
    """(name, model) for every case."""
    k = keras.layers
    for name, layers in layer_cases(k).items():
        yield name, keras.Sequential([keras.Input(SHAPE), *layers])
    names = ACTIVATIONS if version == "2" else ACTIVATIONS + NEW_ACTIVATIONS
    for name in names:
        yield f"is_{name}", keras.Sequential([keras.Input(SHAPE), k.Activation(name)])
    for name, build in graph_cases(keras, version).items():
        x = keras.Input(SHAPE)
        yield name, keras.Model(x, build(x))
    if version == "3":
        for name, layers in first_cases(k).items():
            yield name, keras.Sequential([keras.Input((4, 6, 7)), *layers])


def randomize(model, random):
    """Weights of every sign, variances and counts above 0."""
    for weight in model.weights:
        values = random.uniform(-1, 1, weight.shape)
        if "variance" in weight.name or "count" in weight.name:
            values = np.abs(values) * 10 + 0.5
        kind = getattr(weight.dtype, "name", str(weight.dtype))
        weight.assign(values.astype(kind.replace("torch.", "")))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


class Store:
    """All numbers in one array."""

    def __init__(self):
        self.parts, self.size = [], 0

    def add(self, array):
        """Keep an array; returns where it lies."""
        array = np.asarray(array)
        kind = str(array.dtype)
        self.parts.append(array.astype("float32").reshape(-1))
        start, self.size = self.size, self.size + array.size
        return [start, list(array.shape), kind]


def hdf5(store, file):
    """What stands in an HDF5 file."""
    groups, arrays = {}, {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = store.add(item[()])
        else:
            groups[name] = attributes(item)

    groups[""] = attributes(file)
    file.visititems(visit)
    return {"groups": groups, "arrays": arrays}


def attributes(item):
    """Attributes as text and lists of text."""

    def plain(value):
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, np.ndarray):
            return [plain(one) for one in value.tolist()]
        return value

    return {key: plain(value) for key, value in item.attrs.items() if "optimizer" not in key}


def main():
    """Write all cases of one version."""
    version, folder = sys.argv[1], Path(sys.argv[2])
    keras = load(version)
    store, cases = Store(), {}
    for number, (name, model) in enumerate(models(keras, version)):
        random = np.random.default_rng(number)
        randomize(model, random)
        x = random.uniform(-2, 2, (1, *model.input_shape[1:])).astype("float32")
        y = model(x, training=False)
        y = np.asarray(y.detach() if hasattr(y, "detach") else y)
        case = {"x": store.add(x), "y": store.add(y)}
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "net"
            model.save(f"{path}.h5")
            with h5py.File(f"{path}.h5") as file:
                case["h5"] = hdf5(store, file)
            try:
                model.save(f"{path}.keras")
            except TypeError:  # Keras 2 cannot save slices so.
                cases[name] = case
                continue
            with zipfile.ZipFile(f"{path}.keras") as archive:
                texts = {n: archive.read(n).decode() for n in ("config.json", "metadata.json")}
                with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
                    case["keras"] = texts | {"weights": hdf5(store, file)}
        cases[name] = case
    text = np.frombuffer(json.dumps(cases).encode(), np.uint8)
    np.savez_compressed(
        folder / f"keras{version}.npz", cases=text, numbers=np.concatenate(store.parts)
    )


if __name__ == "__main__":
    main()
