"""A network drawn layer by layer and written to ONNX: He weights, batch norms folded, seeded."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Pads = tuple[int, int, int, int]


class Sketch:
    """Collects nodes; every method takes the name of a value and returns the name of a new one.

    Args:
        name: the graph's name.
        shape: (channels, height, width) of the picture.
        seed: of the weights.
    """

    def __init__(self, name: str, shape: tuple[int, int, int], seed: int) -> None:
        self.name = name
        self.shapes: dict[str, tuple[int, ...]] = {"input": (1, *shape)}
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def conv(
        self,
        x: str,
        channels: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        *,
        pad: int | tuple[int, int] | None = None,
        groups: int = 1,
        act: str = "relu",
        gain: float | None = None,
    ) -> str:
        """Convolution with bias; pads so that stride 1 keeps the size unless told otherwise.

        The weights' variance is gain / fan-in, 2 before a ReLU and 1 elsewhere.
        """
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        ph, pw = (kh // 2, kw // 2) if pad is None else (pad, pad) if isinstance(pad, int) else pad
        _, inputs, height, width = self.shapes[x]
        gain = gain if gain is not None else 2.0 if act else 1.0
        weight = self._weight((channels, inputs // groups, kh, kw), gain)
        grid = ((height + 2 * ph - kh) // stride + 1, (width + 2 * pw - kw) // stride + 1)
        y = self._node(
            "Conv",
            [x, weight, self._bias(channels)],
            (1, channels, *grid),
            kernel_shape=[kh, kw],
            strides=[stride] * 2,
            pads=[ph, pw, ph, pw],
            group=groups,
        )
        return self.act(y, act)

    def depthwise(self, x: str, stride: int = 1, act: str = "relu6") -> str:
        """3×3 depthwise convolution."""
        channels = self.shapes[x][1]
        return self.conv(x, channels, 3, stride, groups=channels, act=act)

    def linear(self, x: str, outputs: int, act: str = "") -> str:
        """Fully connected layer over a flattened value."""
        inputs = prod(self.shapes[x])
        if len(self.shapes[x]) > 2:
            x = self._node("Flatten", [x], (1, inputs), axis=1)
        weight = self._weight((outputs, inputs), 2.0 if act else 1.0)
        y = self._node("Gemm", [x, weight, self._bias(outputs)], (1, outputs), transB=1)
        return self.act(y, act)

    def act(self, x: str, kind: str) -> str:
        """``"relu"``, ``"relu6"`` or nothing."""
        if kind == "relu":
            return self._node("Relu", [x], self.shapes[x])
        if kind == "relu6":
            ends = [self._constant(np.float32(end)) for end in (0, 6)]
            return self._node("Clip", [x, *ends], self.shapes[x])
        return x

    def max_pool(self, x: str, kernel: int, stride: int, pad: int = 0, ceil: bool = False) -> str:
        """Maximum over windows."""
        return self._pool("MaxPool", x, kernel, stride, pad, ceil_mode=int(ceil))

    def avg_pool(self, x: str, kernel: int, stride: int, pad: int = 0) -> str:
        """Mean over windows, of what is inside the picture."""
        return self._pool("AveragePool", x, kernel, stride, pad, count_include_pad=0)

    def _pool(self, op: str, x: str, kernel: int, stride: int, pad: int, **settings: int) -> str:
        _, channels, height, width = self.shapes[x]
        up = (stride - 1) * settings.get("ceil_mode", 0)
        grid = ((n + 2 * pad - kernel + up) // stride + 1 for n in (height, width))
        return self._node(
            op,
            [x],
            (1, channels, *grid),
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[pad] * 4,
            **settings,
        )

    def global_pool(self, x: str) -> str:
        """Mean of every channel."""
        return self._node("GlobalAveragePool", [x], (1, self.shapes[x][1], 1, 1))

    def flatten(self, x: str) -> str:
        """One row."""
        return self._node("Flatten", [x], (1, prod(self.shapes[x])), axis=1)

    def add(self, a: str, b: str, act: str = "") -> str:
        """Sum of two values of one shape."""
        return self.act(self._node("Add", [a, b], self.shapes[a]), act)

    def concat(self, *values: str) -> str:
        """Channels one behind the other."""
        channels = sum(self.shapes[value][1] for value in values)
        grid = self.shapes[values[0]][2:]
        return self._node("Concat", list(values), (1, channels, *grid), axis=1)

    def save(self, output: str, path: Path) -> None:
        """Write the network that ends in ``output`` to a file."""
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name])
            for name in ("input", output)
        ]
        graph = helper.make_graph(self._nodes, self.name, ends[:1], ends[1:], self._constants)
        # Opset 13 and IR 8 are what the oldest of the peers' importers reads.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)

    def _node(self, op: str, inputs: list[str], shape: tuple[int, ...], **settings: object) -> str:
        name = f"{op.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **settings))
        self.shapes[name] = shape
        return name

    def _constant(self, array: np.ndarray | np.generic) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _weight(self, shape: tuple[int, ...], gain: float) -> str:
        scale = np.sqrt(gain / prod(shape[1:]))
        return self._constant((self._random.standard_normal(shape) * scale).astype(np.float32))

    def _bias(self, size: int) -> str:
        return self._constant((self._random.standard_normal(size) * 0.1).astype(np.float32))
