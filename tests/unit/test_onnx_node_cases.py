"""Every layer against onnx's own operator cases and reference evaluator."""

from fnmatch import fnmatch

import numpy as np
import pytest

from helpers.onnx_cases import OPERATORS, in_double, node_cases, prepare, reference
from twinlens.engine.errors import ModelError
from twinlens.engine.formats import graph_from_onnx
from twinlens.engine.formats.onnx.importer import BUILDERS

VOLUME = "volumes and videos: a picture has two spatial axes"
KEPT = "keys and values that are kept between runs, and scores given: language models"
TRAINING = "training only"
MASK = "second output of training"
INDICES = "second output (indices) serves unpooling, not classification"
BLOCKED = "scales per block are for language models"
ROUNDED = (
    "the case divides by the unrounded output size; the operator's text and ONNX Runtime by the "
    "rounded one"
)

EMPTY = "an input without samples"
OLD = "an opset before 7"
RUNNING = "a size or scale that is computed while the network runs"


def _like(*patterns):
    return sorted(name for name in node_cases() for one in patterns if fnmatch(name, one))


def _itself(*patterns):
    """Those that have the operator itself, not what it is made of."""
    return [name for name in _like(*patterns) if not name.endswith("_expanded")]


# Cases that the importer refuses, each with its reason.
REFUSED = {
    **dict.fromkeys(
        _itself(
            *("test_attention_*past*", "test_attention_*nonpad*", "test_attention_*padded_kv"),
            *(
                "test_attention_*qk_matmul*",
                "test_attention_*ext_cache*",
                "test_attention_*gqa_rank4*",
            ),
        ),
        KEPT,
    ),
    **dict.fromkeys(
        _like(
            *("test_affine_grid_3d*", "test_gridsample_volumetric*", "test_col2im_5d"),
            *(
                "test_lppool_3d*",
                "test_averagepool_3d*",
                "test_maxpool_3d*",
                "test_convtranspose_3d",
            ),
        ),
        VOLUME,
    ),
    **dict.fromkeys(_like("test_affine_grid_2d*_expanded", "test_range_*_expanded"), RUNNING),
    **dict.fromkeys(
        _like("test_reduce_*_empty_set*", "test_split_zero_size_splits*", "test_tril_zero"),
        EMPTY,
    ),
    **dict.fromkeys(
        _like("test_center_crop_pad_*_expanded", "test_[bh]*window*_expanded"), RUNNING
    ),
    **dict.fromkeys(_like("test_dynamicquantizelinear*_expanded"), RUNNING),
    **dict.fromkeys(_like("test_not_?d"), OLD),
    "test_batchnorm_epsilon_training_mode": TRAINING,
    "test_batchnorm_example_training_mode": TRAINING,
    "test_training_dropout": TRAINING,
    "test_training_dropout_default": TRAINING,
    "test_training_dropout_zero_ratio": TRAINING,
    "test_training_dropout_default_mask": MASK,
    "test_training_dropout_mask": MASK,
    "test_training_dropout_zero_ratio_mask": MASK,
    "test_maxpool_with_argmax_2d_precomputed_pads": INDICES,
    "test_maxpool_with_argmax_2d_precomputed_strides": INDICES,
    "test_dequantizelinear_blocked": BLOCKED,
    "test_quantizelinear_blocked_asymmetric": BLOCKED,
    "test_quantizelinear_blocked_symmetric": BLOCKED,
    "test_reshape_allowzero_reordered": EMPTY,
}

# Casts between floats: a network runs in the float type of its input.
WIDTHS = _like("test_cast*_DOUBLE_to_FLOAT*", "test_cast*_FLOAT_to_DOUBLE*")

# A first axis of size 0 is a batch that is left open: one picture.
NOBODY = ["test_triu_zero"]

# Cases whose expected answer we do not share.
DISPUTED = {
    "test_resize_downsample_scales_cubic_align_corners": ROUNDED,
    "test_resize_downsample_scales_linear_align_corners": ROUNDED,
}

# Relative and absolute tolerance: float32 adds in another order; float64 is exact but for that.
SINGLE = (1e-5, 1e-6)
DOUBLE = (1e-12, 1e-10)
# Where the evaluator itself computes, or keeps its settings, in float32.
DOUBLE_OF = dict.fromkeys(
    [
        *("Cast", "CastLike", "DynamicQuantizeLinear", "Erf", "Gelu", "GroupNormalization"),
        *("HardSigmoid", "HardSwish", "LeakyRelu", "Resize", "AffineGrid", "Attention"),
        *("GridSample", "LpPool", "MeanVarianceNormalization", "Loop", "Shrink"),
    ],
    (1e-5, 1e-6),
)
# Some stored answers are written with four digits.
STORED = (1e-4, 1e-4)

COMPARED = sorted(set(node_cases()) - set(REFUSED) - set(DISPUTED) - set(WIDTHS) - set(NOBODY))


# Samples of this case lie halfway between two integers, in float32 only.
RUNS = [(name, precision) for name in COMPARED for precision in ("float32", "float64")]
RUNS.remove(("test_dynamicquantizelinear", "float64"))


@pytest.mark.parametrize(("name", "precision"), RUNS)
def test_layers_agree_with_onnx_reference(name, precision):
    case = node_cases()[name]
    model, inputs, stored = prepare(case)
    tolerance = SINGLE
    if precision == "float64":
        model = in_double(model)
        inputs = {
            key: array.astype(np.float64) if array.dtype == np.float32 else array
            for key, array in inputs.items()
        }
        operators = {node.op_type for node in model.graph.node}
        tolerance = next((DOUBLE_OF[op] for op in operators if op in DOUBLE_OF), DOUBLE)
    graph = graph_from_onnx(model, input_shapes={key: a.shape for key, a in inputs.items()})
    with np.errstate(all="ignore"):
        answers = graph.run(inputs)
    expected = _expected(case, model, inputs)
    assert len(answers) == len(expected) == len(stored)
    for (output, answer), wanted, kept in zip(answers.items(), expected, stored, strict=True):
        # What is cast to float while it runs is float32; sums with it are as wide as the input.
        both_real = answer.dtype.kind == wanted.dtype.kind == "f"
        assert answer.dtype == wanted.dtype or (both_real and precision == "float64")
        assert answer.shape == graph.shapes[output] == wanted.shape
        np.testing.assert_allclose(answer, wanted, rtol=tolerance[0], atol=tolerance[1])
        np.testing.assert_allclose(answer, kept, rtol=STORED[0], atol=STORED[1])


def _expected(case, model, inputs):
    """The evaluator's answer; it refuses floats of two widths, as a cast to float32 makes them."""
    operators = {node.op_type for node in model.graph.node}
    if operators == {"Scatter"}:  # an older name, which the evaluator does not have
        return prepare(case)[2]
    if not operators & {"Cast", "CastLike", "Loop", "MeanVarianceNormalization"}:
        return reference(model, inputs)
    single, given, _ = prepare(case)
    return reference(single, given)


@pytest.mark.parametrize("name", WIDTHS)
def test_casts_between_floats_keep_the_width_of_the_input(name):
    model, inputs, stored = prepare(node_cases()[name])
    first = model.graph.input[0].name
    graph = graph_from_onnx(model, input_shapes={first: inputs[first].shape})
    given = {key: inputs[key].reshape(-1)[:1] for key in graph.inputs} | {first: inputs[first]}
    given = {key: a if a.size else np.zeros(1, a.dtype) for key, a in given.items()}
    (answer,) = graph.run(given).values()
    np.testing.assert_allclose(answer, stored[0], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused_cases_are_refused_before_anything_runs(name):
    model, inputs, _ = prepare(node_cases()[name])
    said = [node.op_type for node in model.graph.node]
    said += {EMPTY: ["leaves the size of axis"], OLD: [r"\(opset\)"]}.get(REFUSED[name], [])
    with pytest.raises(ModelError, match="|".join(said)):
        graph_from_onnx(model, input_shapes={key: a.shape for key, a in inputs.items()})


def test_the_tables_have_no_stale_names():
    assert set(REFUSED) | set(DISPUTED) <= set(node_cases())


@pytest.mark.parametrize("name", sorted(DISPUTED))
def test_disputed_cases_still_differ(name):
    model, inputs, stored = prepare(node_cases()[name])
    (answer,) = graph_from_onnx(model).run(inputs).values()
    assert not np.allclose(answer, stored[0], rtol=STORED[0], atol=STORED[1])


def test_every_operator_is_covered():
    covered = {node.op_type for name in COMPARED for node in node_cases()[name].model.graph.node}
    assert covered == OPERATORS
    # Those of ``com.microsoft``, and these two, are compared with ONNX Runtime.
    elsewhere = {"GlobalLpPool", "SimplifiedLayerNormalization"}
    control = {"If", "Loop"}
    assert {name for name in BUILDERS if "::" not in name} == OPERATORS - control | elsewhere
