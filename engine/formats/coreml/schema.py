"""The messages of Core ML's model specification that classifiers are made of.

Apple publishes the specification with coremltools (https://apple.github.io/coremltools/mlmodel/ and
``mlmodel/format/*.proto``); coremltools itself is large and has no wheel for Windows, so that the
messages are described here, by field number, and are built by google.protobuf when they are
needed. Arrays of floats are declared as bytes: on the wire they are the same, and a network's
weights then need no Python object each. Maps are declared as what they are: lists of key and value.
"""

from __future__ import annotations

from functools import cache
from typing import Any

_PACKAGE = "twinlens.coreml"

# Message: field number, name and type each; * before a type is a list. "floats" are bytes.
_MESSAGES = """
Model: 1 specificationVersion int32, 2 description Description, 200 pipelineClassifier Other,
    201 pipelineRegressor Other, 202 pipeline Other, 300 glmRegressor Other,
    301 supportVectorRegressor Other, 302 treeEnsembleRegressor Other,
    303 neuralNetworkRegressor Other, 304 bayesianProbitRegressor Other, 400 glmClassifier Other,
    401 supportVectorClassifier Other, 402 treeEnsembleClassifier Other,
    403 neuralNetworkClassifier Network, 404 kNearestNeighborsClassifier Other,
    500 neuralNetwork Network, 501 itemSimilarityRecommender Other, 502 mlProgram Program,
    555 customModel Other, 556 linkedModel Other
Other: 1 unused int32
Description: 1 input *Feature, 10 output *Feature, 11 predictedFeatureName string,
    12 predictedProbabilitiesName string, 100 metadata Metadata
Feature: 1 name string, 3 type FeatureType
FeatureType: 4 image ImageType, 5 array ArrayType
ImageType: 1 width int64, 2 height int64, 3 colorSpace int32
ArrayType: 1 shape *int64, 2 dataType int32
Metadata: 1 shortDescription string, 2 versionString string, 3 author string, 4 license string,
    100 userDefined *Text
Text: 1 key string, 2 value string
Network: 1 layers *Layer, 2 preprocessing *Preprocessing, 5 arrayMapping int32,
    6 imageMapping int32, 100 stringLabels Strings, 101 integerLabels Integers,
    200 probabilitiesName string
Strings: 1 vector *string
Integers: 1 vector *int64
Preprocessing: 1 featureName string, 10 scaler Scaler, 11 meanImage MeanImage
Scaler: 10 channelScale float, 20 blueBias float, 21 greenBias float, 22 redBias float,
    30 grayBias float
MeanImage: 1 values floats
Weights: 1 floats floats, 2 halves bytes, 30 raw bytes, 31 signed bytes,
    40 quantization Quantization
Quantization: 1 bits uint64, 101 linear Linear, 102 table LookUp
Linear: 1 scale floats, 2 bias floats
LookUp: 1 values floats
Borders: 10 amounts *Edges
Edges: 1 start uint64, 2 end uint64
Valid: 1 padding Borders
Same: 1 asymmetry int32
Convolution: 1 outputChannels uint64, 2 kernelChannels uint64, 10 groups uint64,
    20 kernel *uint64, 30 stride *uint64, 40 dilation *uint64, 50 valid Valid, 51 same Same,
    60 isDeconvolution bool, 70 hasBias bool, 90 weights Weights, 91 bias Weights,
    100 outputShape *uint64
Pooling: 1 type int32, 10 kernel *uint64, 20 stride *uint64, 30 valid Valid, 31 same Same,
    32 complete Complete, 50 excludePadding bool, 60 globalPooling bool
Complete: 10 amounts *uint64
InnerProduct: 1 inputChannels uint64, 2 outputChannels uint64, 10 hasBias bool,
    20 weights Weights, 21 bias Weights
BatchNorm: 1 channels uint64, 5 computeMeanVar bool, 6 instance bool, 10 epsilon float,
    15 gamma Weights, 16 beta Weights, 17 mean Weights, 18 variance Weights
Activation: 5 linear Two, 10 ReLU Two, 15 leakyReLU Two, 20 thresholdedReLU Two, 25 PReLU Slopes,
    30 tanh Two, 31 scaledTanh Two, 40 sigmoid Two, 41 sigmoidHard Two, 50 ELU Two,
    60 softsign Two, 70 softplus Two, 71 parametricSoftplus Slopes
Two: 1 alpha float, 2 beta float
Slopes: 1 alpha Weights, 2 beta Weights
Lrn: 1 alpha float, 2 beta float, 3 size uint64, 4 k float
Crop: 1 amounts Borders, 5 offset *uint64
Padding: 1 constant Two, 2 reflection Other, 3 replication Other, 10 amounts Borders
Upsample: 1 factors *uint64, 5 mode int32, 6 linearMode int32, 7 fractions floats
ResizeBilinear: 1 size *uint64, 2 mode Sampling
Sampling: 1 method int32
Unary: 1 type int32, 2 alpha float, 3 epsilon float, 4 shift float, 5 scale float
Scale: 1 shapeScale *uint64, 2 scale Weights, 3 hasBias bool, 4 shapeBias *uint64, 5 bias Weights
Bias: 1 shape *uint64, 2 bias Weights
Reduce: 1 mode int32, 2 epsilon float, 3 axis int32
Constant: 1 shape *uint64, 2 data Weights
Reshape: 1 shape *int64, 2 mode int32
Flatten: 1 mode int32
Permute: 1 axes *uint64
Concat: 100 sequence bool
Clip: 1 low float, 2 high float
Gelu: 1 mode int32
Axis: 1 axis int64, 2 interleave bool
Axes: 1 axes *int64, 2 all bool
MatMul: 1 transposeA bool, 2 transposeB bool, 5 rows uint64, 6 columns uint64, 7 hasBias bool,
    8 weights Weights, 9 bias Weights
ConstantPad: 1 value float, 2 amounts *uint64, 3 toSize bool
ReduceMean: 1 axes *int64, 2 keep bool, 3 all bool
Program: 1 version int64, 2 functions *FunctionEntry
FunctionEntry: 1 key string, 2 value Function
Function: 1 inputs *Named, 2 opset string, 3 blocks *BlockEntry
BlockEntry: 1 key string, 2 value Block
Block: 1 inputs *Named, 2 outputs *string, 3 operations *Operation
Operation: 1 type string, 2 inputs *ArgumentEntry, 3 outputs *Named, 4 blocks *Block,
    5 attributes *ValueEntry
ArgumentEntry: 1 key string, 2 value Argument
Argument: 1 bindings *Binding
Binding: 1 name string, 2 value Value
ValueEntry: 1 key string, 2 value Value
Named: 1 name string, 2 type ValueType
ValueType: 1 tensor TensorType, 2 list Other
TensorType: 1 dataType int32, 2 rank int64, 3 dimensions *Dimension
Dimension: 1 constant Size, 2 unknown Other
Size: 1 size uint64
Value: 2 type ValueType, 3 immediate Immediate, 5 file BlobFile
BlobFile: 1 name string, 2 offset uint64
Immediate: 1 tensor TensorValue, 3 list ListValue
ListValue: 1 values *Value
TensorValue: 1 floats Floats, 2 ints Ints, 3 bools Ints, 4 strings Texts, 5 longs Ints,
    6 doubles Floats, 7 bytes Bytes
Floats: 1 values floats
Ints: 1 values *int64
Texts: 1 values *string
Bytes: 1 values bytes
"""

# What a layer may be. Those that are not implemented are listed so that errors can name them.
_LAYERS = """
100 convolution, 120 pooling, 130 activation, 140 innerProduct, 150 embedding, 160 batchnorm,
165 mvn, 170 l2normalize, 175 softmax, 180 lrn, 190 crop, 200 padding, 210 upsample, 211
resizeBilinear, 212 cropResize, 220 unary, 230 add, 231 multiply, 240 average, 245 scale, 250
bias, 260 max, 261 min, 270 dot, 280 reduce, 290 loadConstant, 300 reshape, 301 flatten, 310
permute, 320 concat, 330 split, 340 sequenceRepeat, 345 reorganizeData, 350 slice, 400
simpleRecurrent, 410 gru, 420 uniDirectionalLSTM, 430 biDirectionalLSTM, 500 custom, 600 copy,
605 branch, 615 loop, 620 loopBreak, 625 loopContinue, 635 rangeStatic, 640 rangeDynamic, 660
clip, 665 ceil, 670 floor, 680 sign, 685 round, 700 exp2, 710 sin, 715 cos, 720 tan, 730 asin,
735 acos, 740 atan, 750 sinh, 755 cosh, 760 tanh, 770 asinh, 775 acosh, 780 atanh, 790 erf, 795
gelu, 815 equal, 820 notEqual, 825 lessThan, 827 lessEqual, 830 greaterThan, 832 greaterEqual,
840 logicalOr, 845 logicalXor, 850 logicalNot, 855 logicalAnd, 865 modBroadcastable, 870
minBroadcastable, 875 maxBroadcastable, 880 addBroadcastable, 885 powBroadcastable, 890
divideBroadcastable, 895 floorDivBroadcastable, 900 multiplyBroadcastable, 905
subtractBroadcastable, 920 tile, 925 stack, 930 gather, 935 scatter, 940 gatherND, 945
scatterND, 950 softmaxND, 952 gatherAlongAxis, 954 scatterAlongAxis, 960 reverse, 965
reverseSeq, 975 splitND, 980 concatND, 985 transpose, 995 sliceStatic, 1000 sliceDynamic, 1005
slidingWindows, 1015 topK, 1020 argMin, 1025 argMax, 1040 embeddingND, 1045 batchedMatmul, 1065
getShape, 1070 loadConstantND, 1080 fillLike, 1085 fillStatic, 1090 fillDynamic, 1100
broadcastToLike, 1105 broadcastToStatic, 1110 broadcastToDynamic, 1120 squeeze, 1125
expandDims, 1130 flattenTo2D, 1135 reshapeLike, 1140 reshapeStatic, 1145 reshapeDynamic, 1150
rankPreservingReshape, 1155 constantPad, 1170 randomNormalLike, 1175 randomNormalStatic, 1180
randomNormalDynamic, 1190 randomUniformLike, 1195 randomUniformStatic, 1200
randomUniformDynamic, 1210 randomBernoulliLike, 1215 randomBernoulliStatic, 1220
randomBernoulliDynamic, 1230 categoricalDistribution, 1250 reduceL1, 1255 reduceL2, 1260
reduceMax, 1265 reduceMin, 1270 reduceSum, 1275 reduceProd, 1280 reduceMean, 1285 reduceLogSum,
1290 reduceSumSquare, 1295 reduceLogSumExp, 1313 whereNonZero, 1315 matrixBandPart, 1320
lowerTriangular, 1325 upperTriangular, 1330 whereBroadcastable, 1350 layerNormalization, 1400
NonMaximumSuppression, 1450 oneHot, 1455 cumSum, 1460 clampedReLU, 1461 argSort, 1465
pooling3d, 1466 globalPooling3d, 1470 sliceBySize, 1471 convolution3d
"""

_MESSAGE_OF = {
    "convolution": "Convolution",
    "pooling": "Pooling",
    "activation": "Activation",
    "innerProduct": "InnerProduct",
    "batchnorm": "BatchNorm",
    "lrn": "Lrn",
    "crop": "Crop",
    "padding": "Padding",
    "upsample": "Upsample",
    "resizeBilinear": "ResizeBilinear",
    "unary": "Unary",
    "add": "Two",
    "multiply": "Two",
    "scale": "Scale",
    "bias": "Bias",
    "reduce": "Reduce",
    "loadConstant": "Constant",
    "loadConstantND": "Constant",
    "reshape": "Reshape",
    "reshapeStatic": "Reshape",
    "rankPreservingReshape": "Reshape",
    "flatten": "Flatten",
    "permute": "Permute",
    "transpose": "Permute",
    "concat": "Concat",
    "clip": "Clip",
    "clampedReLU": "Two",
    "gelu": "Gelu",
    "softmaxND": "Axis",
    "concatND": "Axis",
    "flattenTo2D": "Axis",
    "squeeze": "Axes",
    "expandDims": "Axes",
    "batchedMatmul": "MatMul",
    "constantPad": "ConstantPad",
    "reduceMean": "ReduceMean",
}
_SCALARS = {
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "floats": 12,
}
_MESSAGE_TYPE = 11


@cache
def message(name: str) -> type[Any]:
    """The class of a message, by its name here (``"Model"``)."""
    from google.protobuf import message_factory

    found: type[Any] = message_factory.GetMessageClass(
        _pool().FindMessageTypeByName(f"{_PACKAGE}.{name}")
    )
    return found


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(
        name="twinlens_coreml.proto", package=_PACKAGE, syntax="proto3"
    )
    text = " ".join(_MESSAGES.split())
    parts = text.replace(": ", ":\n").split("\n")
    names = [part.rsplit(" ", 1)[-1].removesuffix(":") for part in parts[:-1]]
    bodies = [part.rsplit(" ", 1)[0] for part in parts[1:-1]] + parts[-1:]
    for name, body in zip(names, bodies, strict=True):
        _declare(file.message_type.add(name=name), body)
    layer = file.message_type.add(name="Layer")
    _declare(layer, "1 name string, 2 input *string, 3 output *string")
    for entry in " ".join(_LAYERS.split()).split(", "):
        number, kind = entry.split(" ")
        _declare(layer, f"{number} {kind} {_MESSAGE_OF.get(kind, 'Other')}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _declare(target: Any, body: str) -> None:
    """Add fields to a message."""
    for entry in body.split(", "):
        number, name, kind = entry.split(" ")
        field = target.field.add(name=name, number=int(number), label=3 if kind[0] == "*" else 1)
        plain = kind.lstrip("*")
        if plain in _SCALARS:
            field.type = _SCALARS[plain]
        else:
            field.type, field.type_name = _MESSAGE_TYPE, f".{_PACKAGE}.{plain}"
