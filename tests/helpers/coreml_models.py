"""Real Core ML models, made with coremltools of graphs of ours; and how they are fed."""

from __future__ import annotations

import numpy as np

from twinlens.engine import layers as kinds


def translate(graph, *, program, labels, scale=1.0, bias=(0.0, 0.0, 0.0), compute=None):
    """A coremltools model of a graph with one image input: ML Program or neural network."""
    import coremltools as ct
    from coremltools.converters import mil

    mb = mil.Builder
    ((name, shape),) = graph.inputs.items()

    @mb.program(
        input_specs=[mb.TensorSpec(shape=shape)],
        opset_version=ct.target.iOS15 if program else None,
    )
    def made(x):
        values = {name: x}
        for node in graph.nodes:
            inputs = [
                values[n] if n in values else graph.constants[n].astype(np.float32)
                for n in node.inputs
            ]
            out = _operation(mb, node.layer, inputs, graph.shapes[node.inputs[0]])
            if node.activation is not None:
                out = _operation(mb, node.activation, [out], graph.shapes[node.output])
            values[node.output] = out
        return values[graph.outputs[0]]

    (argument,) = made.functions["main"].inputs
    image = ct.ImageType(
        name=argument,
        shape=shape,
        scale=scale,
        bias=list(bias),
        color_layout=ct.colorlayout.RGB,
    )
    options = {"compute_precision": compute or ct.precision.FLOAT32} if program else {}
    return ct.convert(
        made,
        inputs=[image],
        classifier_config=ct.ClassifierConfig(list(labels)),
        convert_to="mlprogram" if program else "neuralnetwork",
        **options,
    )


def _operation(mb, layer, inputs, shape):
    if isinstance(layer, kinds.Conv2d):
        top, left, bottom, right = layer.pads
        given = {} if layer.bias is None else {"bias": layer.bias.astype(np.float32)}
        return mb.conv(
            x=inputs[0],
            weight=layer.weight.astype(np.float32),
            strides=layer.stride,
            dilations=layer.dilation,
            groups=layer.groups,
            pad_type="custom",
            pad=(top, bottom, left, right),
            **given,
        )
    if isinstance(layer, kinds.Linear):
        return mb.linear(x=inputs[0], weight=layer.weight, bias=layer.bias)
    if isinstance(layer, kinds.Flatten):
        return mb.reshape(x=inputs[0], shape=(1, int(np.prod(shape[1:]))))
    if isinstance(layer, kinds.Reshape):
        return mb.reshape(x=inputs[0], shape=layer.output_shape(shape))
    if isinstance(layer, (kinds.MaxPool2d, kinds.AvgPool2d)):
        top, left, bottom, right = layer.pads
        window = {
            "x": inputs[0],
            "kernel_sizes": layer.kernel,
            "strides": layer.stride,
            "pad_type": "custom",
            "pad": (top, bottom, left, right),
            "ceil_mode": layer.ceil_mode,
        }
        if isinstance(layer, kinds.MaxPool2d):
            return mb.max_pool(**window)
        return mb.avg_pool(**window, exclude_padding_from_average=not layer.count_include_pad)
    simple = {
        kinds.ReLU: lambda x: mb.relu(x=x),
        kinds.ReLU6: lambda x: mb.relu6(x=x),
        kinds.Sigmoid: lambda x: mb.sigmoid(x=x),
        kinds.HardSwish: lambda x: mb.mul(x=x, y=mb.sigmoid_hard(x=x, alpha=1 / 6, beta=0.5)),
        kinds.HardSigmoid: lambda x: mb.sigmoid_hard(x=x, alpha=layer.alpha, beta=layer.beta),
        kinds.GlobalAvgPool2d: lambda x: mb.reduce_mean(x=x, axes=[2, 3], keep_dims=True),
        kinds.ReduceMean: lambda x: mb.reduce_mean(
            x=x, axes=list(layer.axes), keep_dims=layer.keep_dims
        ),
        kinds.Softmax: lambda x: mb.softmax(x=x, axis=layer.axis),
        kinds.Add: lambda x, y: mb.add(x=x, y=y),
        kinds.Mul: lambda x, y: mb.mul(x=x, y=y),
        kinds.Concat: lambda *x: mb.concat(values=list(x), axis=layer.axis),
        kinds.BatchNorm2d: lambda x: mb.batch_norm(
            x=x,
            mean=layer.mean,
            variance=layer.variance,
            gamma=layer.scale,
            beta=layer.bias,
            epsilon=layer.epsilon,
        ),
        kinds.Dropout: lambda x: mb.identity(x=x),
        kinds.LocalResponseNorm: lambda x: mb.local_response_norm(
            x=x, size=layer.size, alpha=layer.alpha, beta=layer.beta, k=layer.bias
        ),
        kinds.Squeeze: lambda x: mb.squeeze(x=x, axes=list(layer.axes)),
    }
    return simple[type(layer)](*inputs)
