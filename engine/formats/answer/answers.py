"""Which of a network's outputs classifies, and how it is read; or what the network is instead."""

from __future__ import annotations

from dataclasses import dataclass, replace

from twinlens.engine.api.protocol import OutputKind
from twinlens.engine.api.tasks import RECOGNISER, row_width, task_of
from twinlens.engine.formats.answer.chart import Chart, End, Sizes, Step, reached
from twinlens.engine.formats.answer.reading import MOVES, Reading, read

_BOXES = frozenset(
    [
        "NonMaxSuppression",
        "EfficientNMS_TRT",
        "EfficientNMS",
        "BatchedNMS_TRT",
        "BatchedNMSDynamic_TRT",
        "MultiLayerNMS",
        "DetectionOutput",
        "RoiAlign",
        "MaxRoiAlign",
        "PriorBox",
    ]
)
_POSES = frozenset(("PosenetDecoderOp",))
_RECURRENT = frozenset(("LSTM", "GRU", "RNN"))
_CHOICES = frozenset(("ArgMax", "TopK", "ArgMin"))
_NAMES = frozenset(("ZipMap",))
_LOOK_UP = frozenset(("ArrayFeatureExtractor", "Gather", "GatherElements", "LabelEncoder"))
_CLASSIFIERS = frozenset(("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"))
_POINTWISE = frozenset(
    [
        "Softmax",
        "LogSoftmax",
        "Sigmoid",
        "HardSigmoid",
        "Relu",
        "Clip",
        "Tanh",
        "Exp",
        "Log",
        "Neg",
        "Sqrt",
        "Reciprocal",
        "Elu",
        "Selu",
        "LeakyRelu",
        "Softplus",
        "Mul",
        "Div",
        "Add",
        "Sub",
        "Max",
        "Min",
        "BatchNormalization",
        "Normalizer",
        "LpNormalization",
        "L2Normalization",
        "GlobalAveragePool",
        "ReduceMean",
    ]
)
_DESCRIBING = ("embed", "feature", "descriptor")
_ASIDE = ("aux", "loss_1", "loss1", "loss2", "branch")
_PLENTY = 100
_POOLS = frozenset(
    ("AveragePool", "GlobalAveragePool", "MaxPool", "GlobalMaxPool", "ReduceMean", "ReduceMax")
)
_WIDE = 128
_MOST_ENDS = 64
_TELLING = 5


@dataclass(frozen=True)
class Answer:
    """How one output is read.

    Attributes:
        value: the value in the network that is read.
        output: the output that a runtime can be asked for; empty where the value is no output
            of its own, so that the network has to be cut there.
        title: what a person calls the output.
        reading: what its numbers are.
        width: how many there are; None where nothing tells it.
        names: names of the classes that come with it.
        sizes: its shape; None where nothing tells it.
    """

    value: str
    output: str
    title: str
    reading: Reading
    width: int | None = None
    names: tuple[str, ...] = ()
    sizes: Sizes | None = None

    @property
    def kind(self) -> OutputKind:
        """What ``ModelSpec.output`` is."""
        return self.reading.kind(self.width)


@dataclass(frozen=True)
class Answers:
    """What a network's outputs are.

    Attributes:
        all: those that could be read as classes, the best first.
        sure: whether nothing but the first could be meant.
        refusal: what the network is instead of a classifier; empty where it is one.
        doubt: what it would rather be where nothing names its classes; empty where nothing tells.
        titles: names of all outputs, in the file's order.
    """

    all: tuple[Answer, ...]
    sure: bool = True
    refusal: str = ""
    titles: tuple[str, ...] = ()
    doubt: str = ""

    @property
    def best(self) -> Answer | None:
        """The output that classifies; None where none does."""
        return self.all[0] if self.all and not self.refusal else None

    def named(self, title: str) -> Answer | None:
        """The output of a name; None where there is none that could be read as classes."""
        return next((a for a in self.all if title in (a.title, a.value)), None)


UNKNOWN = Answers((Answer("", "", "", Reading()),))
"""Of a network whose operators cannot be looked at yet: one output, which nothing is known of."""


def answers_of(chart: Chart) -> Answers:
    """Find the output that classifies, and how it is read."""
    titles = tuple(end.title for end in chart.ends)
    if len(titles) > _MOST_ENDS:
        return Answers((), refusal=f"no classifier ({len(titles):,} outputs)", titles=titles)
    everything = frozenset[str]().union(*(chart.kinds_before(e.value) for e in chart.ends))
    for task, operators in (("a detector", _BOXES), ("a pose estimator", _POSES)):
        if found := everything & operators:
            return Answers((), refusal=f"{task} (it has {min(found)})", titles=titles)
    candidates: list[_Candidate] = []
    refusals: list[str] = []
    for end in chart.ends:
        candidate = _candidate(chart, end)
        if isinstance(candidate, str):
            refusals.append(candidate)
        elif candidate is not None:
            candidates.append(candidate)
    candidates = _without_twins(candidates)
    detector = next((r for r in refusals if "detector" in r), "")
    if detector or (refusals and not candidates):
        refusal = detector or _together(refusals, chart)
        return Answers(tuple(c.answer for c in candidates), refusal=refusal, titles=titles)
    if not candidates:
        return Answers((), refusal="no classifier (it answers with no numbers)", titles=titles)
    return _chosen(chart, candidates, titles)


def _chosen(chart: Chart, candidates: list[_Candidate], titles: tuple[str, ...]) -> Answers:
    ranked = sorted(candidates, key=lambda c: c.rank, reverse=True)
    best = ranked[0]
    features = best.features
    if features and not best.answer.names:
        everything = tuple(c.answer for c in ranked)
        return Answers(everything, refusal=f"an embedder ({features})", titles=titles)
    sure = len(ranked) == 1 or best.rank[:_TELLING] != ranked[1].rank[:_TELLING]
    doubt = "an embedder (it ends where features are pooled)" if _pooled(chart, best.answer) else ""
    return Answers(tuple(c.answer for c in ranked), sure, titles=titles, doubt=doubt)


def _pooled(chart: Chart, answer: Answer) -> bool:
    """Whether an answer is a wide row of pooled features, as before a classifier's last layer.

    Networks that end in a convolution for each class and its average look the same.
    """
    last = chart.writer(reached(chart, answer.value, MOVES))
    if answer.reading.known or last is None or last.kind not in _POOLS:
        return False
    before = chart.writer(reached(chart, last.at(0), MOVES | {"Relu", "Clip", "Add"}))
    rows = before is not None and before.kind in ("Gemm", "MatMul", "FullyConnected")
    return not rows and (answer.width or 0) >= _WIDE


def _together(refusals: list[str], chart: Chart) -> str:
    """What several outputs are, none of them a row."""
    sizes = {end.sizes for end in chart.ends if end.sizes is not None and len(end.sizes) > 3}
    if len(refusals) > 1 and len(sizes) > 1:
        return "a detector (maps of several sizes)"
    return refusals[0]


@dataclass(frozen=True)
class _Candidate:
    """An output that may be classes.

    Attributes:
        answer: how it is read.
        features: why it would rather be a description of the picture; empty where it is none.
        rank: the larger, the better; what comes after the first five only breaks ties.
    """

    answer: Answer
    features: str
    rank: tuple[int, ...]


def _candidate(chart: Chart, end: End) -> _Candidate | str | None:
    """An output as a candidate; or what gives it; None for one that only repeats a choice."""
    names, value, declared = _behind(chart, end)
    if value is None:
        return None
    sizes = _sizes(chart, value, end if declared else None)
    task = "" if sizes is None else _task(chart, value, sizes)
    if task:
        shown = "×".join("?" if n is None else str(n) for n in sizes or ())
        return f"{task}, output {end.title!r} of {shown}"
    reading = read(chart, value)
    width = None if sizes is None else row_width(sizes, chart.input_sizes)
    width = width or _width(chart, value)
    if names and width is None:
        width = len(names)
    names = names if len(names) == width else ()
    output = end.value if declared else ""
    answer = Answer(value, output, end.title, reading, width, names, sizes)
    return _Candidate(answer, _features(chart, end, reading), _rank(chart, end, answer))


def _behind(chart: Chart, end: End) -> tuple[tuple[str, ...], str | None, bool]:
    """(names of the classes, the value that has the numbers, whether that is the output)."""
    names: tuple[str, ...] = ()
    value, declared = end.value, True
    for _ in range(len(chart.steps) + 1):
        step = chart.writer(value)
        kind = "" if step is None else step.kind
        if step is None or not step.inputs:
            break
        if kind in _NAMES:
            names, value, declared = _keys(step), step.inputs[0], False
        elif kind in _CLASSIFIERS:
            names = names or _keys(step)
            value = step.outputs[-1] if len(step.outputs) > 1 else value
            return names, value, declared and value == end.value
        elif kind in _CHOICES:
            value, declared = step.inputs[0], False
        elif kind in _LOOK_UP and _chooses(chart, step):
            names = names or next(filter(None, map(chart.texts, step.inputs)), ())
            value, declared = _choice(chart, step), False
        elif kind == "QuantizeLinear" and declared:
            value, declared = step.inputs[0], False  # a runtime would hand out its integers
        elif kind in MOVES and (not declared or _is_choice(chart, value)):
            value = step.inputs[0]
        else:
            break
    if end.holds in ("texts", "map") and declared:
        return names, None, False
    return names, value, declared


def _keys(step: Step) -> tuple[str, ...]:
    given = step.settings
    for key in ("classlabels_strings", "classlabels_int64s", "classlabels_ints"):
        keys = given.get(key)
        if keys and isinstance(keys, tuple):
            numbers = [str(k) for k in keys] == [str(n) for n in range(len(keys))]
            # A long count is no list of names.
            return () if numbers and len(keys) >= _PLENTY else tuple(str(k) for k in keys)
    return ()


def _chooses(chart: Chart, step: Step) -> bool:
    """Whether an operator looks up what belongs to the best class."""
    return any(_is_choice(chart, name) for name in step.inputs)


def _is_choice(chart: Chart, value: str) -> bool:
    source = chart.writer(reached(chart, value, MOVES))
    return source is not None and source.kind in _CHOICES


def _choice(chart: Chart, step: Step) -> str:
    return next(name for name in step.inputs if _is_choice(chart, name))


def _sizes(chart: Chart, value: str, end: End | None) -> Sizes | None:
    known = chart.sizes(value) or _reshaped(chart, value)
    if end is not None and end.sizes is not None:
        return known if None in end.sizes and known is not None else end.sizes
    return known


def _reshaped(chart: Chart, value: str) -> Sizes | None:
    """The shape that an operator right before gives, where the file declares none."""
    step = chart.writer(reached(chart, value, _POINTWISE | {"Identity", "Cast"}))
    if step is None or step.kind != "Reshape" or len(step.inputs) < 2:
        return None
    shape = chart.constant(step.inputs[1])
    if shape is None or shape.ndim != 1 or shape.dtype.kind not in "iu":
        return None
    return tuple(int(n) if n > 0 else None for n in shape)


def _task(chart: Chart, value: str, sizes: Sizes) -> str:
    first = task_of(sizes, chart.input_sizes)
    if len(sizes) != 3:
        return first
    if not first:  # (positions, batch, scores), as recurrent networks have it
        open_rows = sizes[0] is None and sizes[1] == 1
        return RECOGNISER if open_rows and chart.kinds_before(value) & _RECURRENT else ""
    # Softmax over the last axis, or a recurrent layer before, is an answer for each position.
    ends = chart.writer(reached(chart, value, MOVES))
    last = ends is not None and ends.kind in ("Softmax", "LogSoftmax")
    axis = ends.whole("axis", -1) if ends is not None else -1
    rows = chart.kinds_before(value) & _RECURRENT or (last and axis in (-1, 2))
    return task_of(sizes, chart.input_sizes, positions=bool(rows))


def _width(chart: Chart, value: str) -> int | None:
    """Numbers in a row whose shape is not declared, from the weights that make it."""
    for _ in range(len(chart.steps)):
        step = chart.writer(value)
        if step is None or not step.inputs:
            return None
        shape = _reshaped(chart, value) if step.kind == "Reshape" else None
        if shape is not None and sum(n != 1 for n in shape) > 1:
            return None  # which of the axes are classes is not known
        weights = [s for s in map(chart.sizes, step.inputs[1:]) if s]
        if step.kind in ("Gemm", "MatMul", "Conv", "FullyConnected"):
            if not weights:
                return None
            if step.kind in ("Conv", "FullyConnected"):
                return weights[0][0]
            return weights[0][0 if step.settings.get("transB") else -1]
        if step.kind not in _POINTWISE | MOVES:
            return None
        value = next((n for n in step.inputs if chart.constant(n) is None), step.inputs[0])
    return None


def _features(chart: Chart, end: End, reading: Reading) -> str:
    """Why an output is a description of the picture and not its classes; empty where not."""
    if reading.form == "length":
        return "its answer is divided by its length"
    if reading.known:
        return ""
    name = end.title.lower()
    if any(word in name for word in _DESCRIBING):
        return f"its output is called {end.title}"
    last = chart.writer(reached(chart, end.value, MOVES))
    if last is not None and last.kind == "BatchNormalization":
        before = chart.writer(reached(chart, last.inputs[0], MOVES)) if last.inputs else None
        if before is not None and before.kind in ("Gemm", "MatMul", "FullyConnected", "Add"):
            return "it ends in a normalisation"
    return ""


def _rank(chart: Chart, end: End, answer: Answer) -> tuple[int, ...]:
    """What makes an output the one that is meant, the most telling first."""
    others = [e for e in chart.ends if e.value != end.value]
    # What another output is made of is on the way to the answer.
    within = any(
        answer.value in chart.before(other.value) and _behind(chart, other)[1] != answer.value
        for other in others
        if _behind(chart, other)[1] is not None
    )
    aside = any(word in end.title.lower() for word in _ASIDE)
    return (
        int(bool(answer.names)),
        int(not within),
        int(not _features(chart, end, answer.reading)),
        int(not aside),
        int(answer.reading.known),
        len(chart.before(answer.value)),
        int(bool(answer.output)),
        -chart.ends.index(end),
    )


def _without_twins(candidates: list[_Candidate]) -> list[_Candidate]:
    """One for each value: the output itself rather than the choice that was made of it."""
    kept: dict[str, _Candidate] = {}
    for one in candidates:
        other = kept.get(one.answer.value)
        if other is None:
            kept[one.answer.value] = one
            continue
        names = one.answer.names or other.answer.names
        best = max(one, other, key=lambda c: (bool(c.answer.output), c.rank))
        rank = max(one.rank, other.rank)
        kept[one.answer.value] = replace(
            best, answer=replace(best.answer, names=names), rank=(int(bool(names)), *rank[1:])
        )
    return list(kept.values())
