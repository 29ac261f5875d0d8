"""Networks for n pictures at once, rewritten to compute one.

Whoever classifies one picture has no use for the others. The axis of the pictures is followed from
the input through every layer; what each picture's part does not touch another's in can be done for
one of them. A value has the axis whole: of n · k samples, each picture's k beside each other, as
windows and heads are folded into it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from math import prod

from twinlens.engine.graph.graph import Graph
from twinlens.engine.graph.node import Node
from twinlens.engine.layers import (
    Activation,
    Attention,
    AvgPool2d,
    BatchNorm2d,
    Cast,
    Concat,
    Conv2d,
    ConvInteger,
    ConvTranspose2d,
    CumSum,
    DepthToSpace,
    DequantizeLinear,
    DynamicQuantizeLinear,
    Einsum,
    Expand,
    Flatten,
    Gather,
    Gemm,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Identity,
    InstanceNorm2d,
    IsInf,
    IsNaN,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MatMul,
    MatMulInteger,
    MaxPool2d,
    Not,
    Pad,
    PReLU,
    QuantizeLinear,
    Reshape,
    Resize,
    RMSNorm,
    Slice,
    Softmax,
    SpaceToDepth,
    Squeeze,
    Tile,
    TopK,
    Transpose,
    Unsqueeze,
    Where,
)
from twinlens.engine.layers.arithmetic import Binary
from twinlens.engine.layers.base import Layer, Shape
from twinlens.engine.layers.logic import Truth
from twinlens.engine.layers.reduce import Place, Reduce


@dataclass(frozen=True)
class Batch:
    """What became of a network for several pictures.

    Attributes:
        graph: the network, for one picture where that was possible.
        pictures: how many it takes as it is stored.
        kept: the node that keeps it from computing one; empty where it does, or always did.
    """

    graph: Graph
    pictures: int
    kept: str = ""


def one_picture(graph: Graph) -> Batch:
    """A network of one input (n, ...) for n pictures as one for a single picture.

    Outputs have n rows and then have one. The answer is that of the first of n equal pictures.
    """
    shapes = list(graph.inputs.values())
    count = shapes[0][0] if len(shapes) == 1 and len(shapes[0]) == 4 else 1
    if count == 1:
        return Batch(graph, 1)
    try:
        return Batch(_Cutter(graph, count).cut(), count)
    except _KeptError as error:
        return Batch(graph, count, str(error))


class _KeptError(Exception):
    """A node joins pictures, or nothing is known of how it treats them."""


class _Cutter:
    """Follows the axis of the pictures through a graph.

    Args:
        graph: the network.
        count: how many pictures there are.
    """

    def __init__(self, graph: Graph, count: int) -> None:
        self.graph, self.count = graph, count
        self.axes: dict[str, int] = {}
        self.shapes: dict[str, Shape] = {}
        self.constants = dict(graph.constants)
        self.inputs: list[str] = []

    def cut(self) -> Graph:
        ((name, shape),) = self.graph.inputs.items()
        self.axes[name], self.shapes[name] = 0, (1, *shape[1:])
        nodes = [self._node(node) for node in self.graph.nodes]
        for output in self.graph.outputs:
            if self.axes.get(output) != 0:
                raise _KeptError(f"output {output!r}")
        used = {name for node in nodes for name in node.inputs}
        constants = {name: array for name, array in self.constants.items() if name in used}
        metadata = self.graph.metadata
        return Graph(
            self.graph.name,
            {name: self.shapes[name]},
            self.graph.outputs,
            nodes,
            constants=constants,
            metadata=metadata,
        )

    def old(self, name: str) -> Shape:
        """Shape of a value as the graph has it."""
        return self.graph.shapes[name]

    def _node(self, node: Node) -> Node:
        output = self.old(node.output)
        if not any(name in self.axes for name in node.inputs):
            self.shapes[node.output] = output
            return node
        self.inputs = list(node.inputs)
        rule = next((r for kinds, r in _RULES if isinstance(node.layer, kinds)), None)
        made = None if rule is None else rule(self, node)
        if made is None:
            raise _KeptError(f"{node.layer.kind} {node.name!r}")
        layer, axis = made
        new = Node(node.name, layer, tuple(self.inputs), node.output, node.activation)
        wanted = output
        if axis is not None:
            if not 0 <= axis < len(output) or output[axis] % self.count:
                raise _KeptError(f"{node.layer.kind} {node.name!r}")
            wanted = (*output[:axis], output[axis] // self.count, *output[axis + 1 :])
            self.axes[node.output] = axis
        if new.output_shape(*(self._shape(name) for name in new.inputs)) != wanted:
            raise _KeptError(f"{node.layer.kind} {node.name!r}")
        self.shapes[node.output] = wanted
        return new

    def _shape(self, name: str) -> Shape:
        if name in self.constants:
            return tuple(self.constants[name].shape)
        return self.shapes[name]

    def cut_constant(self, place: int, axis: int) -> bool:
        """Let an input be the first picture's part of a constant; False where it is none."""
        name = self.inputs[place]
        if name not in self.graph.constants:
            return False
        array = self.graph.constants[name]
        new = f"{name}#one_{axis}"
        if new not in self.constants:
            keep = [slice(None)] * array.ndim
            keep[axis] = slice(0, array.shape[axis] // self.count)
            self.constants[new] = array[tuple(keep)]
        self.inputs[place] = new
        return True

    def together(self, places: Sequence[int], ranks: int) -> int | None:
        """Axis from the end that inputs have in common as they broadcast; None where they don't.

        Args:
            places: of the inputs.
            ranks: axes at the end that have to be something else.
        """
        names = [self.inputs[place] for place in places]
        ends = {len(self.old(name)) - self.axes[name] for name in names if name in self.axes}
        sizes = {self.old(name)[self.axes[name]] for name in names if name in self.axes}
        if len(ends) != 1 or len(sizes) != 1 or min(ends) <= ranks:
            return None
        end, size = ends.pop(), sizes.pop()
        for place, name in zip(places, names, strict=True):
            shape = self.old(name)
            if name in self.axes or len(shape) < end or shape[-end] == 1:
                continue
            if shape[-end] != size or not self.cut_constant(place, len(shape) - end):
                return None
        return end


Made = tuple[Layer, int | None] | None
Rule = Callable[[_Cutter, Node], Made]


def _axis(cutter: _Cutter, node: Node) -> int:
    """Axis of the pictures in the first input; -1 where it has none."""
    return cutter.axes.get(node.inputs[0], -1)


def _alone(cutter: _Cutter, node: Node) -> bool:
    """Whether only the first input has pictures."""
    return _axis(cutter, node) >= 0 and not any(n in cutter.axes for n in node.inputs[1:])


def _each(cutter: _Cutter, node: Node) -> Made:
    """Every sample on its own."""
    axis = _axis(cutter, node)
    layer, rank = node.layer, len(cutter.old(node.inputs[0]))
    if isinstance(layer, PReLU) and layer.slope.ndim >= rank - axis:
        return None
    if isinstance(layer, QuantizeLinear | DequantizeLinear) and layer.scale.size > 1:
        axis = axis if layer.axis % rank != axis else -1
    if axis < 0:
        return None
    return (layer, axis) if _alone(cutter, node) else None


def _plane(cutter: _Cutter, node: Node) -> Made:
    """Every picture of (N, C, H, W) on its own."""
    return (node.layer, 0) if _axis(cutter, node) == 0 and _alone(cutter, node) else None


def _beside(cutter: _Cutter, node: Node) -> Made:
    """Along one axis, which is not that of the pictures."""
    layer, axis, rank = node.layer, _axis(cutter, node), len(cutter.old(node.inputs[0]))
    if not isinstance(layer, Softmax | CumSum | TopK) or layer.axis % rank == axis:
        return None
    return layer, axis


def _norm(cutter: _Cutter, node: Node) -> Made:
    """Over all axes from one on."""
    layer, axis, rank = node.layer, _axis(cutter, node), len(cutter.old(node.inputs[0]))
    if not isinstance(layer, LayerNorm | RMSNorm) or axis >= layer.axis % rank:
        return None
    return layer, axis


def _linear(cutter: _Cutter, node: Node) -> Made:
    axis = _axis(cutter, node)
    return (node.layer, axis) if axis < len(cutter.old(node.inputs[0])) - 1 else None


def _gemm(cutter: _Cutter, node: Node) -> Made:
    layer = node.layer
    plain = isinstance(layer, Gemm) and not layer.transpose_a and _axis(cutter, node) == 0
    if not plain or not _alone(cutter, node):
        return None
    if len(node.inputs) > 2:
        bias = cutter.old(node.inputs[2])
        if len(bias) == 2 and bias[0] != 1 and not cutter.cut_constant(2, 0):
            return None
    return layer, 0


def _product(cutter: _Cutter, node: Node) -> Made:
    rank = len(cutter.old(node.output))
    first = cutter.old(node.inputs[0])
    if _alone(cutter, node) and len(first) - _axis(cutter, node) == 2:
        return node.layer, rank - 2  # rows
    if any(name in cutter.axes for name in node.inputs[2:]):
        return None
    end = cutter.together((0, 1), 2)
    return None if end is None else (node.layer, rank - end)


def _broadcast(cutter: _Cutter, node: Node) -> Made:
    end = cutter.together(range(len(node.inputs)), 0)
    return None if end is None else (node.layer, len(cutter.old(node.output)) - end)


def _joined(cutter: _Cutter, node: Node) -> Made:
    axes = {cutter.axes[name] for name in node.inputs if name in cutter.axes}
    axis = axes.pop()
    layer, rank = node.layer, len(cutter.old(node.output))
    if axes or not isinstance(layer, Concat) or layer.axis % rank == axis:
        return None
    for place, name in enumerate(node.inputs):
        if name not in cutter.axes and not cutter.cut_constant(place, axis):
            return None
    return layer, axis


def _reduced(cutter: _Cutter, node: Node) -> Made:
    layer, axis = node.layer, _axis(cutter, node)
    rank = len(cutter.old(node.inputs[0]))
    if isinstance(layer, Reduce):
        gone = range(rank) if layer.axes is None else [a % rank for a in layer.axes]
        keep = layer.keep_dims
    elif isinstance(layer, Place):
        gone, keep = [layer.axis % rank], layer.keep_dims
    else:
        return None
    if axis in gone:
        return None
    return layer, axis if keep else axis - sum(a < axis for a in gone)


def _moved(cutter: _Cutter, node: Node) -> Made:
    layer, axis = node.layer, _axis(cutter, node)
    order = layer.permutation if isinstance(layer, Transpose) else None
    if order is None:
        return layer, len(cutter.old(node.inputs[0])) - 1 - axis
    return layer, list(order).index(axis)


def _regrouped(cutter: _Cutter, node: Node) -> Made:
    """Samples stay in order: the axis is where as many samples lie in front of it as before."""
    before, after = cutter.old(node.inputs[0]), cutter.old(node.output)
    front = prod(before[: _axis(cutter, node)])
    for axis, size in enumerate(after):
        if prod(after[:axis]) == front and size % cutter.count == 0:
            new = (*after[:axis], size // cutter.count, *after[axis + 1 :])
            return Reshape(new, allow_zero=True), axis
    return None


def _taken(cutter: _Cutter, node: Node) -> Made:
    layer, axis = node.layer, _axis(cutter, node)
    rank = len(cutter.old(node.inputs[0]))
    if isinstance(layer, Slice):
        # Axes that are left out are the first ones.
        axes = range(len(layer.starts)) if layer.axes is None else layer.axes
        return None if axis in [a % rank for a in axes] else (layer, axis)
    if not isinstance(layer, Gather) or not _alone(cutter, node) or layer.axis % rank == axis:
        return None
    added = len(cutter.old(node.inputs[1])) - 1
    return layer, axis + added if axis > layer.axis % rank else axis


def _repeated(cutter: _Cutter, node: Node) -> Made:
    layer, axis = node.layer, _axis(cutter, node)
    if isinstance(layer, Tile):
        return (layer, axis) if layer.repeats[axis] == 1 else None
    end = len(cutter.old(node.inputs[0])) - axis
    if not isinstance(layer, Expand):
        return None
    shape = list(layer.shape)
    if len(shape) >= end and shape[-end] != 1:
        shape[-end] //= cutter.count
    return Expand(shape), len(cutter.old(node.output)) - end


def _resized(cutter: _Cutter, node: Node) -> Made:
    layer, axis = node.layer, _axis(cutter, node)
    if cutter.old(node.inputs[0])[axis] != cutter.old(node.output)[axis]:
        return None
    if isinstance(layer, Resize) and layer.sizes is not None:
        rank = len(cutter.old(node.inputs[0]))
        axes = list(range(rank)) if layer.axes is None else [a % rank for a in layer.axes]
        if axis in axes:
            layer = copy(layer)
            sizes = list(layer.sizes or ())
            sizes[axes.index(axis)] //= cutter.count
            layer.sizes = tuple(sizes)
    return layer, axis


def _padded(cutter: _Cutter, node: Node) -> Made:
    axis = _axis(cutter, node)
    plain = isinstance(node.layer, Pad) and not any(node.layer.pads[axis])
    return (node.layer, axis) if plain else None


def _attended(cutter: _Cutter, node: Node) -> Made:
    if any(cutter.axes.get(name) != 0 for name in node.inputs[:3]):
        return None
    if len(node.inputs) == 4:
        mask = cutter.old(node.inputs[3])
        own = node.inputs[3] in cutter.axes
        if own or (len(mask) == 4 and mask[0] != 1 and not cutter.cut_constant(3, 0)):
            return None
    return node.layer, 0


def _summed(cutter: _Cutter, node: Node) -> Made:
    """Einsum: the pictures' letter stands in the answer, and in all that has pictures."""
    equation = node.layer.equation if isinstance(node.layer, Einsum) else ""
    given, _, wanted = equation.partition("->")
    terms = given.split(",")
    if "." in equation or len(terms) != len(node.inputs):
        return None
    pairs = list(zip(terms, node.inputs, strict=True))
    letters = {term[cutter.axes[name]] for term, name in pairs if name in cutter.axes}
    letter = letters.pop()
    elsewhere = any(letter in term for term, name in pairs if name not in cutter.axes)
    if letters or elsewhere or letter not in wanted:
        return None
    return node.layer, wanted.index(letter)


def _measured(cutter: _Cutter, node: Node) -> Made:
    """DynamicQuantizeLinear: the range of n equal pictures is that of one."""
    part = node.layer.part if isinstance(node.layer, DynamicQuantizeLinear) else ""
    return node.layer, _axis(cutter, node) if part == "values" else None


_RULES: tuple[tuple[tuple[type[Layer], ...], Rule], ...] = (
    ((Activation, PReLU, Cast, Identity, IsNaN, IsInf, Not), _each),
    ((QuantizeLinear, DequantizeLinear), _each),
    ((Conv2d, ConvTranspose2d, ConvInteger, MaxPool2d, AvgPool2d), _plane),
    ((GlobalAvgPool2d, GlobalMaxPool2d, BatchNorm2d, InstanceNorm2d), _plane),
    ((LocalResponseNorm, DepthToSpace, SpaceToDepth), _plane),
    ((Softmax, CumSum, TopK), _beside),
    ((LayerNorm, RMSNorm), _norm),
    ((Linear,), _linear),
    ((Gemm,), _gemm),
    ((MatMul, MatMulInteger), _product),
    ((Binary, Truth, Where), _broadcast),
    ((Concat,), _joined),
    ((Reduce, Place), _reduced),
    ((Transpose,), _moved),
    ((Reshape, Flatten, Squeeze, Unsqueeze), _regrouped),
    ((Slice, Gather), _taken),
    ((Expand, Tile), _repeated),
    ((Resize,), _resized),
    ((Pad,), _padded),
    ((Attention,), _attended),
    ((Einsum,), _summed),
    ((DynamicQuantizeLinear,), _measured),
)
