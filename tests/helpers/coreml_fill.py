"""What layers and models of Core ML are set to: functions that fill a message in."""

from __future__ import annotations

import numpy as np

from helpers.coreml_protos import add, network, packed


def conv(weight, outputs, groups=1, **more):
    """A convolution, or one backwards."""

    def fill(s):
        s.outputChannels, s.kernelChannels, s.groups = outputs, weight.shape[1], groups
        s.kernel.extend(weight.shape[2:])
        s.stride.extend(more.get("stride", (1, 1)))
        s.dilation.extend((1, 1))
        s.weights.floats = packed(weight)
        if more.get("bias") is not None:
            s.hasBias = True
            s.bias.floats = packed(more["bias"])
        if "same" in more:
            s.same.asymmetry = more["same"]
        for start, end in more.get("border", ()):
            s.valid.padding.amounts.add(start=start, end=end)
        if more.get("back"):
            s.isDeconvolution, s.kernelChannels = True, weight.shape[0]
        if "size" in more:
            s.outputShape.extend(more["size"])

    return fill


def pool(kind, **more):
    """A window of 3 × 2 in steps of 2: 0 is its maximum, 1 its mean."""

    def fill(s):
        s.type = kind
        s.kernel.extend((3, 2))
        s.stride.extend((2, 2))
        s.excludePadding = more.get("exclude", False)
        s.globalPooling = more.get("whole", False)
        if "complete" in more:
            s.complete.amounts.extend(more["complete"])
        elif "same" in more:
            s.same.asymmetry = more["same"]
        for start, end in more.get("border", ()):
            s.valid.padding.amounts.add(start=start, end=end)

    return fill


def settings(**values):
    """Fields by name; ``__`` goes into a message, None makes it, arrays become floats."""

    def fill(s):
        for path, value in values.items():
            *parents, field = path.split("__")
            target = s
            for parent in parents:
                target = getattr(target, parent)
            if isinstance(value, (list, tuple)):
                getattr(target, field).extend(value)
            elif value is None:
                getattr(target, field).SetInParent()
            elif isinstance(value, np.ndarray):
                getattr(target, field).floats = packed(value)
            else:
                setattr(target, field, value)

    return fill


def classifier(image="RGB", bias=(0.0, 0.0, 0.0), scale=1.0, mean=None):
    """The mean of each channel, a dense layer and softmax; (model, weights)."""
    channels = 1 if image == "GRAY" else 3
    model, net = network((channels, 6, 5), image=image)
    step = net.preprocessing.add(featureName="picture")
    step.scaler.channelScale = scale
    red, green, blue = bias
    step.scaler.redBias, step.scaler.greenBias, step.scaler.blueBias = red, green, blue
    step.scaler.grayBias = red
    if mean is not None:
        net.preprocessing.add().meanImage.values = packed(mean)
    flat = add(net, "pooling", "picture", fill=pool(1, whole=True))
    weight = np.arange(2 * channels, dtype=np.float32).reshape(2, channels) / 100
    dense = settings(inputChannels=channels, outputChannels=2, weights=weight)
    scores = add(net, "innerProduct", flat, fill=dense)
    add(net, "softmax", scores, output="probabilities")
    return model, weight
