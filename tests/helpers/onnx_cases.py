"""ONNX's own operator test cases, made ready for a graph of layers."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

# Operator → inputs that the layers take as parameters, fixed when a model is imported.
PARAMETERS = {
    "AffineGrid": (1,),
    "BatchNormalization": (1, 2, 3, 4),
    "CenterCropPad": (1,),
    "Clip": (1, 2),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "Conv": (1, 2),
    "ConvInteger": (1, 3),
    "ConvTranspose": (1, 2),
    "CumSum": (1,),
    "DequantizeLinear": (1, 2),
    "Dropout": (1, 2),
    "Expand": (1,),
    "GroupNormalization": (1, 2),
    "If": (0,),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "Loop": (0, 1),
    "NonZero": (0,),
    "OneHot": (1, 2),
    "PRelu": (1,),
    "Pad": (1, 2, 3),
    "QLinearConv": (1, 2, 3, 4, 5, 6, 7, 8),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QuantizeLinear": (1, 2),
    "RMSNormalization": (1,),
    "Range": (0, 1, 2),
    "ReduceL1": (1,),
    "ReduceL2": (1,),
    "ReduceLogSum": (1,),
    "ReduceLogSumExp": (1,),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceMin": (1,),
    "ReduceProd": (1,),
    "ReduceSum": (1,),
    "ReduceSumSquare": (1,),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}

OPERATORS = frozenset(
    [
        "Abs",
        "Acos",
        "Acosh",
        "Add",
        "AffineGrid",
        "And",
        "ArgMax",
        "ArgMin",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "Attention",
        "AveragePool",
        "BatchNormalization",
        "BitShift",
        "BitwiseAnd",
        "BitwiseNot",
        "BitwiseOr",
        "BitwiseXor",
        "Cast",
        "CastLike",
        "Ceil",
        "Celu",
        "CenterCropPad",
        "Clip",
        "Col2Im",
        "Compress",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Conv",
        "ConvInteger",
        "ConvTranspose",
        "Cos",
        "Cosh",
        "CumSum",
        "DepthToSpace",
        "DequantizeLinear",
        "Div",
        "Dropout",
        "DynamicQuantizeLinear",
        "Einsum",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Expand",
        "EyeLike",
        "Flatten",
        "Floor",
        "Gather",
        "GatherElements",
        "GatherND",
        "Gelu",
        "Gemm",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Greater",
        "GreaterOrEqual",
        "GridSample",
        "GroupNormalization",
        "HardSigmoid",
        "HardSwish",
        "Hardmax",
        "Identity",
        "If",
        "InstanceNormalization",
        "IsInf",
        "IsNaN",
        "LRN",
        "LayerNormalization",
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "LogSoftmax",
        "Loop",
        "LpNormalization",
        "LpPool",
        "MatMul",
        "MatMulInteger",
        "Max",
        "MaxPool",
        "Mean",
        "MeanVarianceNormalization",
        "Min",
        "Mish",
        "Mod",
        "Mul",
        "Neg",
        "NonZero",
        "Not",
        "OneHot",
        "Or",
        "PRelu",
        "Pad",
        "Pow",
        "QLinearConv",
        "QLinearMatMul",
        "QuantizeLinear",
        "RMSNormalization",
        "Range",
        "Reciprocal",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
        "Relu",
        "Reshape",
        "Resize",
        "Round",
        "Scatter",
        "ScatterElements",
        "ScatterND",
        "Selu",
        "Shape",
        "Shrink",
        "Sigmoid",
        "Sign",
        "Sin",
        "Sinh",
        "Size",
        "Slice",
        "Softmax",
        "Softplus",
        "Softsign",
        "SpaceToDepth",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Sum",
        "SwiGLU",
        "Swish",
        "Tan",
        "Tanh",
        "ThresholdedRelu",
        "Tile",
        "TopK",
        "Transpose",
        "Trilu",
        "Unsqueeze",
        "Upsample",
        "Where",
        "Xor",
    ]
)

# Types that NumPy has; not the floats and integers of 4, 6 and 8 bits, and not 16-bit floats.
PLAIN_TYPES = frozenset(
    getattr(onnx.TensorProto, name)
    for name in [
        "FLOAT",
        "DOUBLE",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
        "BOOL",
    ]
)


@cache
def node_cases():
    """Every case by name whose operators and types are all ours."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases("")
    found = {}
    for case in cases:
        operators = {(node.domain, node.op_type) for node in case.model.graph.node}
        plain = all(
            value.type.tensor_type.elem_type in PLAIN_TYPES
            for value in (*case.model.graph.input, *case.model.graph.output)
        )
        if plain and operators and all(d == "" and name in OPERATORS for d, name in operators):
            found[case.name] = case
    return found


def prepare(case):
    """Model with its parameters as initialisers, the remaining inputs, and the stored outputs."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, outputs = case.data_sets[0]
    named = dict(zip([value.name for value in model.graph.input], inputs, strict=True))
    fixed = {
        node.input[index]
        for node in model.graph.node
        for index in PARAMETERS.get(node.op_type, ())
        if index < len(node.input) and node.input[index] in named
    }
    for name in fixed:
        model.graph.initializer.append(onnx.numpy_helper.from_array(_array(named[name]), name))
    kept = [value for value in model.graph.input if value.name not in fixed]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    rest = {name: _array(array) for name, array in named.items() if name not in fixed}
    return model, rest, [_array(output) for output in outputs]


def _array(value):
    """An array of what a case keeps: an array, or a tensor of ONNX."""
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return np.asarray(value)


def in_double(model):
    """The same model with every float32 as float64."""
    double = onnx.ModelProto()
    double.CopyFrom(model)
    for position, tensor in enumerate(double.graph.initializer):
        array = onnx.numpy_helper.to_array(tensor)
        keeps = _resize_factors(double)
        if array.dtype == np.float32 and tensor.name not in keeps:
            new = onnx.numpy_helper.from_array(array.astype(np.float64), tensor.name)
            double.graph.initializer[position].CopyFrom(new)
    for node in double.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                array = onnx.numpy_helper.to_array(attribute.t)
                if array.dtype == np.float32:
                    wide = onnx.numpy_helper.from_array(array.astype(np.float64))
                    attribute.t.CopyFrom(wide)
    for value in (*double.graph.input, *double.graph.output):
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    return double


def _resize_factors(model):
    """Names of factors, which are float32 whatever the picture is."""
    return {
        name
        for node in model.graph.node
        if node.op_type in ("Resize", "Upsample")
        for name in list(node.input)[1:3]
    }


def reference(model, inputs):
    """What onnx's own evaluator answers."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return ReferenceEvaluator(model).run(None, inputs)
