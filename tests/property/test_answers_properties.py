"""Whatever operators a file names, however it joins them, its answer is looked at without fail."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twinlens.engine.api.protocol import OUTPUT_KINDS
from twinlens.engine.api.tasks import row_width, task_of
from twinlens.engine.formats.answer.answers import answers_of
from twinlens.engine.formats.answer.chart import Chart, End, Step

KINDS = [
    "Add",
    "ArgMax",
    "ArrayFeatureExtractor",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Conv",
    "Div",
    "Exp",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "HardSigmoid",
    "Identity",
    "LSTM",
    "LinearClassifier",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MatMul",
    "Max",
    "Mean",
    "Min",
    "Mul",
    "Neg",
    "Normalizer",
    "Pow",
    "QuantizeLinear",
    "Reciprocal",
    "ReduceL2",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Rsqrt",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Sqrt",
    "Sub",
    "Sum",
    "Tanh",
    "TopK",
    "Transpose",
    "ZipMap",
    "same",
    "ratio",
    "inverse",
    "of",
    "read",
]
NAMES = [f"v{index}" for index in range(8)]
CONSTANTS = {
    "one": np.float32(1),
    "zero": np.float32(0),
    "none": np.zeros(0, np.float32),
    "endless": np.float32(np.inf),
    "no number": np.float32(np.nan),
    "several": np.arange(5, dtype=np.float32),
    "shape": np.array([1, -1, 0, 5], np.int64),
    "text": np.array(["a", "b"]),
}
sizes = st.none() | st.lists(st.none() | st.integers(0, 9000), max_size=6).map(tuple)
values = st.sampled_from([*NAMES, *CONSTANTS, "", "x"])
settings_ = st.dictionaries(
    st.sampled_from(["axis", "min", "max", "p", "norm", "post_transform"]),
    st.sampled_from([0, 1, -1, 0.5, "L2", "LOGISTIC"]),
    max_size=0,
) | st.fixed_dictionaries({"classlabels_strings": st.lists(st.sampled_from("abc")).map(tuple)})
steps = st.builds(
    Step,
    st.sampled_from(KINDS),
    st.lists(values, max_size=4).map(tuple),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(tuple),
    settings_,
)
ends = st.builds(
    End,
    st.sampled_from([*NAMES, "x"]),
    st.sampled_from(["y", "features", "aux"]),
    sizes,
    st.sampled_from(["numbers", "integers", "texts", "map"]),
)


@given(st.lists(steps, max_size=12), st.lists(ends, max_size=3), sizes, sizes)
def test_any_chart_is_read(
    drawn: list[Step], outputs: list[End], known: tuple[int | None, ...] | None, picture: object
) -> None:
    chart = Chart(
        drawn,
        outputs,
        sizes=lambda name: known if name in NAMES else None,
        constant=lambda name: CONSTANTS.get(name),
        texts=lambda name: ("a", "b") if name == "text" else (),
        input_sizes=picture or (),  # type: ignore[arg-type]
    )
    found = answers_of(chart)
    assert (found.best is None) == bool(found.refusal)
    for answer in found.all:
        assert answer.kind in OUTPUT_KINDS
        assert answer.width is None or not answer.names or len(answer.names) == answer.width


@given(sizes.filter(lambda s: s is not None), sizes)
def test_any_shape_is_a_row_or_something_that_has_a_name(
    shape: tuple[int | None, ...], picture: tuple[int | None, ...] | None
) -> None:
    if task_of(shape, picture or ()):
        assert row_width(shape, picture or ()) is None
