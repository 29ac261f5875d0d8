"""Writes Keras Applications' networks with random weights; runs in Keras' own environment.

Called by ``bench_keras.py``: ``keras_nets.py NAME FOLDER {2,3}`` or ``keras_nets.py --list {2,3}``.
"""

import os
import sys
from pathlib import Path

# Keras has no NASNet on PyTorch.
os.environ.setdefault("KERAS_BACKEND", "jax" if "NASNetMobile" in sys.argv else "torch")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

#: Class in keras.applications, and the input's size.
NETS = {
    "MobileNet": 96,
    "MobileNetV2": 96,
    "MobileNetV3Small": 96,
    "MobileNetV3Large": 96,
    "EfficientNetB0": 96,
    "EfficientNetB3": 96,
    "EfficientNetV2B0": 96,
    "EfficientNetV2S": 96,
    "ResNet50": 96,
    "ResNet101": 96,
    "ResNet50V2": 96,
    "ResNet101V2": 96,
    "InceptionV3": 107,
    "InceptionResNetV2": 107,
    "Xception": 101,
    "DenseNet121": 96,
    "DenseNet169": 96,
    "VGG16": 64,
    "VGG19": 64,
    "NASNetMobile": 97,
    "ConvNeXtTiny": 96,
}
CLASSES = 10


def load(keras):
    """The Keras package of a version."""
    if keras == "2":
        import tensorflow

        return tensorflow.keras
    import keras

    return keras


def build(keras, name):
    """A network whose signal neither dies nor grows: norms take what a random batch measures.

    They divide by the root of the mean square and take little off: taking the mean off values that
    are nearly equal makes float32 itself wrong by 2e-5 (Keras against float64).
    """
    size = NETS[name]
    # Logits: softmax turns their absolute error, whatever their size, into a relative one.
    options = {"weights": None, "input_shape": (size, size, 3), "classes": CLASSES}
    options |= {"classifier_activation": None}
    net = getattr(keras.applications, name)(**options)
    random = np.random.default_rng(len(name))
    norms = [layer for layer in net.layers if type(layer).__name__ == "BatchNormalization"]
    for layer in net.layers:
        if type(layer).__name__ == "LayerScale":
            layer.set_weights([random.uniform(0.2, 1, layer.get_weights()[0].shape)])
    for layer in norms:
        momentum, layer.momentum = layer.momentum, 0.0
        weights = layer.get_weights()
        count = len(weights) - 2
        for index in range(count):
            low = 0.8 if count == 2 and index == 0 else -0.1
            weights[index] = random.uniform(low, low + 0.4, weights[index].shape)
        layer.set_weights(weights)
        layer._momentum = momentum
    batch = pictures(random, 6, size)
    net(batch if _rescales(net) else batch / 127.5 - 1, training=True)
    for layer in norms:
        layer.momentum = layer._momentum
        *rest, mean, variance = layer.get_weights()
        square = variance + mean**2
        mean = np.sqrt(square) * random.uniform(-0.1, 0.1, mean.shape)
        layer.set_weights([*rest, mean, square])
    return net


def pictures(random, count, size):
    """Pictures of large patches and some noise: all noise looks alike to a network."""
    side = -(-size // 4)
    patches = random.uniform(0, 255, (count, 4, 4, 3)).repeat(side, 1).repeat(side, 2)
    noise = random.uniform(-20, 20, (count, size, size, 3))
    return np.clip(patches[:, :size, :size] + noise, 0, 255).astype("float32")


def _rescales(net):
    return any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in net.layers)


def answer(net, x):
    """What a network gives for a picture."""
    y = net(x, training=False)
    return np.asarray(y.detach() if hasattr(y, "detach") else y)


def main():
    """Write one network, or list all."""
    if sys.argv[1] == "--list":
        print(" ".join(NETS))
        return
    name, folder, version = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    keras = load(version)
    net = build(keras, name)
    size = NETS[name]
    x, other = (pictures(np.random.default_rng(seed), 1, size) for seed in (1, 2))
    if not _rescales(net):
        x, other = ((one / 127.5 - 1).astype("float32") for one in (x, other))
    y, another = answer(net, x), answer(net, other)
    np.savez(folder / f"{name}.npz", x=x, y=y, moves=np.abs(y - another).max() / np.abs(y).max())
    for suffix in (".h5", ".keras"):
        net.save(str(folder / f"{name}{suffix}"))


if __name__ == "__main__":
    main()
