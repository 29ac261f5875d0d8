"""A graph in PyTorch and ONNX Runtime on CUDA, where they are: contenders of ``bench_gpu``."""

from __future__ import annotations

import numpy as np


def torch_runners(graph, x):
    """Functions that run a graph once, upload and readback included, by title; or why not."""
    try:
        import torch
    except ImportError:
        return {"PyTorch": "not installed"}
    if not torch.cuda.is_available():
        return {"PyTorch": "has no CUDA here"}
    torch.backends.cudnn.benchmark = True
    runners = {}
    for title, kind in (("fp32", torch.float32), ("fp16", torch.float16)):
        net = _Module(torch, graph, kind)
        given = torch.from_numpy(x).pin_memory()
        answer = _eager(torch, net, given, kind)
        runners[f"PyTorch eager {title}"] = answer
        runners[f"PyTorch CUDA graph {title}"] = _captured(torch, net, given, kind)
    return runners


class _Module:
    """Runs a graph's nodes with ``torch.nn.functional``, channels last."""

    def __init__(self, torch, graph, kind):
        self.torch, self.graph = torch, graph
        self.weights = {}
        for node in graph.nodes:
            for name, array in node.layer.parameters.items():
                tensor = torch.from_numpy(np.ascontiguousarray(array)).cuda().to(kind)
                if tensor.ndim == 4:
                    tensor = tensor.contiguous(memory_format=torch.channels_last)
                self.weights[node.name, name] = tensor

    def __call__(self, x):
        values = {"input": x}
        for node in self.graph.nodes:
            taken = [values[name] for name in node.inputs]
            y = self._layer(node, *taken)
            values[node.output] = y if node.activation is None else self._act(node.activation, y)
        return values[self.graph.outputs[0]]

    def _act(self, layer, y):
        f = self.torch.nn.functional
        return f.relu(y) if layer.kind == "ReLU" else f.hardtanh(y, 0.0, 6.0)

    def _layer(self, node, x, *more):
        f, layer = self.torch.nn.functional, node.layer
        weight = self.weights.get((node.name, "weight"))
        bias = self.weights.get((node.name, "bias"))
        if layer.kind in ("Conv2d", "DepthwiseConv2d"):
            return f.conv2d(x, weight, bias, layer.stride, layer.pads[:2], groups=layer.groups)
        if layer.kind == "Linear":
            return f.linear(x, weight, bias)
        if layer.kind == "MaxPool2d":
            return f.max_pool2d(x, layer.kernel, layer.stride, layer.pads[:2])
        if layer.kind == "GlobalAvgPool2d":
            return x.mean((2, 3), keepdim=True)
        if layer.kind == "Flatten":
            return x.flatten(1)
        if layer.kind == "Softmax":
            return x.softmax(1)
        if layer.kind == "Add":
            return x + more[0]
        return self._act(layer, x)


def _eager(torch, net, given, kind):
    def run():
        with torch.inference_mode():
            x = given.to("cuda", non_blocking=True).to(kind)
            return net(x.contiguous(memory_format=torch.channels_last)).float().cpu().numpy()

    return run


def _captured(torch, net, given, kind):
    with torch.inference_mode():
        held = given.cuda()
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(5):
                net(held.to(kind).contiguous(memory_format=torch.channels_last))
        torch.cuda.synchronize()
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            out = net(held.to(kind).contiguous(memory_format=torch.channels_last)).float()

    def run():
        with torch.inference_mode():
            held.copy_(given, non_blocking=True)
            captured.replay()
            return out.cpu().numpy()

    return run


def onnxruntime_cuda(graph, x):
    """ONNX Runtime's CUDA provider; or why it is not here."""
    try:
        import onnxruntime
    except ImportError:
        return {"ONNX Runtime CUDA": "not installed"}
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return {"ONNX Runtime CUDA": "this onnxruntime has no CUDA provider"}
    # CUDA's and cuDNN's libraries from where PyTorch brought them.
    onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(
        _as_onnx(graph).SerializeToString(), providers=["CUDAExecutionProvider"]
    )
    if "CUDAExecutionProvider" not in session.get_providers():
        return {"ONNX Runtime CUDA": "its CUDA provider does not start here"}
    return {"ONNX Runtime CUDA fp32": lambda: session.run(None, {"input": x})}


def _as_onnx(graph):
    """The layers that ``big_nets`` uses, as an ONNX model."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights = [], []
    for node in graph.nodes:
        layer, inputs, made = node.layer, list(node.inputs), {}
        for name, array in layer.parameters.items():
            key = f"{node.name}.{name}"
            weights.append(numpy_helper.from_array(np.asarray(array, np.float32), key))
            inputs.append(key)
        if layer.kind in ("Conv2d", "DepthwiseConv2d"):
            made = {"strides": layer.stride, "pads": layer.pads, "group": layer.groups}
        elif layer.kind == "MaxPool2d":
            made = {"kernel_shape": layer.kernel, "strides": layer.stride, "pads": layer.pads}
        elif layer.kind == "Linear":
            made = {"transB": 1}
        elif layer.kind == "Softmax":
            made = {"axis": 1}
        kind = {
            "Conv2d": "Conv",
            "DepthwiseConv2d": "Conv",
            "MaxPool2d": "MaxPool",
            "Linear": "Gemm",
            "GlobalAvgPool2d": "GlobalAveragePool",
        }.get(layer.kind, layer.kind)
        if node.activation is None:
            nodes.append(helper.make_node(kind, inputs, [node.output], **made))
            continue
        nodes.append(helper.make_node(kind, inputs, [node.name + ".raw"], **made))
        if node.activation.kind == "ReLU":
            nodes.append(helper.make_node("Relu", [node.name + ".raw"], [node.output]))
            continue
        for name, value in (("low", 0.0), ("high", 6.0)):
            key = f"{node.name}.{name}"
            weights.append(numpy_helper.from_array(np.asarray(value, np.float32), key))
        ends = [f"{node.name}.low", f"{node.name}.high"]
        nodes.append(helper.make_node("Clip", [node.name + ".raw", *ends], [node.output]))
    ((name, shape),) = graph.inputs.items()
    graph_proto = helper.make_graph(
        nodes,
        graph.name,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(graph.outputs[0], TensorProto.FLOAT, None)],
        weights,
    )
    return helper.make_model(graph_proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
