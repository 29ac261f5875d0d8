"""Classifiers put together with coremltools' NeuralNetworkBuilder, and the same in float64."""

from __future__ import annotations

import numpy as np


def convolution(name, weight, bias, *, groups=1, same=True, stride=1):
    """A kernel (out, in / groups, height, width)."""
    return {
        "kind": "convolution",
        "name": name,
        "weight": weight,
        "bias": bias,
        "groups": groups,
        "same": same,
        "stride": stride,
    }


def dense(name, weight, bias):
    """A matrix (out, in) on what is flattened by channel, row, column."""
    return {"kind": "innerProduct", "name": name, "weight": weight, "bias": bias}


RELU, MAX, MEAN = ({"kind": kind} for kind in ("relu", "max", "mean"))
"""The larger of 0, the largest of 2 × 2, the mean of each channel."""


def build(tools, steps, shape, labels, **preprocessing):
    """The model of coremltools: one picture (C, H, W) in, steps, softmax, labels out."""
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    builder = NeuralNetworkBuilder(
        [("picture", datatypes.Array(*shape))],
        [("probabilities", datatypes.Array(len(labels)))],
        mode="classifier",
    )
    value, previous = "picture", shape
    for number, step in enumerate(steps):
        out = f"v{number}"
        previous = _add(builder, step, value, out, previous)
        value = out
    builder.add_softmax("softmax", value, "probabilities")
    builder.set_class_labels(list(labels), "label", prediction_blob="probabilities")
    builder.set_pre_processing_parameters(image_input_names=["picture"], **preprocessing)
    return tools.models.MLModel(builder.spec, skip_model_load=True)


def _add(builder, step, value, out, shape):
    """Append a step; returns the number of channels and the size after it."""
    kind = step["kind"]
    channels, height, width = shape
    if kind == "convolution":
        weight, stride = step["weight"], step["stride"]
        outputs, depth, rows, columns = weight.shape
        builder.add_convolution(
            name=step["name"],
            kernel_channels=depth,
            output_channels=outputs,
            height=rows,
            width=columns,
            stride_height=stride,
            stride_width=stride,
            border_mode="same" if step["same"] else "valid",
            groups=step["groups"],
            W=weight.transpose(2, 3, 1, 0),
            b=step["bias"],
            has_bias=True,
            input_name=value,
            output_name=out,
        )
        cut = (0, 0) if step["same"] else (rows - 1, columns - 1)
        return (outputs, -(-(height - cut[0]) // stride), -(-(width - cut[1]) // stride))
    if kind == "innerProduct":
        flat = value
        if height * width > 1:
            flat = f"{out}_flat"
            builder.add_flatten(flat, 0, value, flat)
        outputs, inputs = step["weight"].shape
        weights = (step["weight"], step["bias"])
        builder.add_inner_product(step["name"], *weights, inputs, outputs, True, flat, out)
        return (outputs, 1, 1)
    if kind == "relu":
        builder.add_activation(out, "RELU", value, out)
        return shape
    whole = kind == "mean"
    join = "AVERAGE" if whole else "MAX"
    builder.add_pooling(out, 2, 2, 2, 2, join, "VALID", value, out, is_global=whole)
    return (channels, 1, 1) if whole else (channels, height // 2, width // 2)


def stored(spec, steps):
    """The steps with the numbers that stand in a model, read by the specification's rules.

    Core ML's WeightParams: float32 values, float16 bytes, or bytes that stand for
    scale · byte + bias of their output channel, or for an entry of a table.
    """
    layers = {layer.name: layer for layer in spec.neuralNetworkClassifier.layers}
    return [
        step
        if "weight" not in step
        else step
        | {
            key: _numbers(getattr(getattr(layers[step["name"]], step["kind"]), field), step[key])
            for key, field in (("weight", "weights"), ("bias", "bias"))
        }
        for step in steps
    ]


def _numbers(weights, like):
    if weights.floatValue:
        return np.float64(weights.floatValue).reshape(like.shape)
    if weights.float16Value:
        return np.frombuffer(weights.float16Value, "<f2").astype(float).reshape(like.shape)
    steps = np.frombuffer(weights.rawValue, np.uint8).reshape(like.shape)
    how = weights.quantization
    assert how.numberOfBits == 8
    if how.WhichOneof("QuantizationType") == "lookupTableQuantization":
        return np.float64(how.lookupTableQuantization.floatValue)[steps]
    columns = (-1, *[1] * (steps.ndim - 1))
    scale, bias = how.linearQuantization.scale, how.linearQuantization.bias
    return steps * np.float64(scale).reshape(columns) + np.float64(bias).reshape(columns)


def probabilities(steps, picture):
    """What the steps and a softmax make of a picture (C, H, W), in float64."""
    x = picture.astype(np.float64)
    for step in steps:
        x = _forward(step, x)
    powers = np.exp(x.reshape(-1) - x.max())
    return powers / powers.sum()


def _forward(step, x):
    if step["kind"] == "relu":
        return np.maximum(x, 0)
    if step["kind"] == "mean":
        return x.mean((1, 2), keepdims=True)
    if step["kind"] == "max":
        c, h, w = x.shape
        return x[:, : h // 2 * 2, : w // 2 * 2].reshape(c, h // 2, 2, w // 2, 2).max((2, 4))
    if step["kind"] == "innerProduct":
        return step["weight"] @ x.reshape(-1) + step["bias"]
    return _convolved(step, x)


def _convolved(step, x):
    weight, stride, groups = step["weight"], step["stride"], step["groups"]
    if step["same"]:
        # What does not split evenly goes to the bottom and the right.
        missing = [
            max(0, (-(-size // stride) - 1) * stride + kernel - size)
            for size, kernel in zip(x.shape[1:], weight.shape[2:], strict=True)
        ]
        x = np.pad(x, ((0, 0), *((m // 2, m - m // 2) for m in missing)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (1, 2))
    windows = windows[:, ::stride, ::stride]
    parts = zip(np.split(windows, groups), np.split(weight, groups), strict=True)
    answers = [np.einsum("ihwyx,oiyx->ohw", part, kernels) for part, kernels in parts]
    return np.concatenate(answers) + step["bias"][:, None, None]
