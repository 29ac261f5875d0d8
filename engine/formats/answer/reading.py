"""How the numbers of a value are to be read: walked back over what computes it.

Softmax, its logarithm and sigmoids are found as operators and spelled out (Exp, ReduceSum, Div
...), behind whatever only moves, limits, rounds or scales their answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from twinlens.engine.api.protocol import OutputKind
from twinlens.engine.formats.answer.chart import Chart, Step, reached

MOVES = frozenset(
    [
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Identity",
        "Cast",
        "Transpose",
        "Dropout",
        "QuantizeLinear",
        "DequantizeLinear",
        "FakeQuant",
        "CastLike",
        "Expand",
        "Tile",
    ]
)
"""Operators that leave the numbers as they are, but for rounding."""

_PARTS = frozenset(("Gather", "Slice", "Split", "GatherND", "ArrayFeatureExtractor", "Pad"))
_NO_BOUND = 1e30
_DEEPEST = 200


@dataclass(frozen=True)
class Reading:
    """How numbers are to be read.

    Attributes:
        form: ``"one"``: probabilities of which one class holds; ``"each"``: a probability for
            each class of its own; ``"raw"``: scores; ``"exp"``: powers of scores; ``"length"``:
            divided by their length, as descriptions of pictures are.
        log: whether they are logarithms of that.
        factor, shift: number = factor × that + shift.
        part: whether some of the classes have been left out.
        how: what computes it, for display.
        limits: whether it is read so only because of its limits.
    """

    form: str = "raw"
    log: bool = False
    factor: float = 1.0
    shift: float = 0.0
    part: bool = False
    how: str = "scores"
    limits: bool = False

    @property
    def known(self) -> bool:
        """Whether something says what the numbers are."""
        return self.form in ("one", "each")

    def scaled(self, factor: float, shift: float) -> Reading:
        """What it is after numbers were multiplied, and then something was added."""
        if self.form not in ("one", "each", "exp") or not math.isfinite(factor * shift):
            return self
        return replace(self, factor=self.factor * factor, shift=self.shift * factor + shift)

    @property
    def plain(self) -> Reading:
        """The same, where a factor decides: limits of other width than 1 say nothing."""
        if self.limits and (abs(self.factor - 1) > 1e-2 or abs(self.shift) > 1e-2):
            return Reading()
        return Reading() if self.form == "exp" or abs(self.factor) < 1e-6 else self

    def kind(self, width: int | None) -> OutputKind:
        """What ``ModelSpec.output`` is for that many outputs."""
        if self.form == "each" or (self.form == "one" and width == 1):
            if self.log:
                return "log-independent"
            return "binary" if width == 1 else "independent"
        if self.form == "one":
            return "log-probabilities" if self.log else "probabilities"
        return "binary-logits" if width == 1 else "logits"


def read(chart: Chart, value: str) -> Reading:
    """How a value's numbers are to be read."""
    return _Reader(chart).read(value).plain


class _Reader:
    """Walks back from a value; every value is looked at once."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self._known: dict[str, Reading] = {}
        self._depth = 0

    def read(self, value: str) -> Reading:
        if value in self._known:
            return self._known[value]
        self._known[value] = Reading()  # what a circle comes back to
        step = self.chart.writer(value)
        if step is None or not step.inputs or self._depth >= _DEEPEST:
            return self._known[value]
        self._depth += 1
        try:
            found = self._of(step)
        finally:
            self._depth -= 1
        self._known[value] = found
        return found

    def _of(self, step: Step) -> Reading:
        kind = step.kind
        if kind in MOVES:
            return self.read(step.at(0))
        if kind in _PARTS:
            data = step.at(0)
            return replace(self.read(data), part=True)
        if kind in _ENDS:
            return _ENDS[kind]
        method = _READERS.get(kind)
        return Reading() if method is None else method(self, step)

    # One method an operator, as ``_READERS`` lists them.

    def _softmax(self, step: Step) -> Reading:
        return Reading("one", how="softmax")

    def _logsoftmax(self, step: Step) -> Reading:
        return Reading("one", log=True, how="log-softmax")

    def _relu(self, step: Step) -> Reading:
        inner = self.read(step.at(0))
        return inner if inner.known and not inner.log else Reading()

    def _clip(self, step: Step) -> Reading:
        low, high = self._bounds(step)
        inner = self.read(step.at(0))
        if inner.form != "raw":
            return inner
        if abs(low) < 1e-3 and 0 < high < _NO_BOUND:
            return Reading("each", factor=high, how="hard-sigmoid", limits=True)
        return inner

    def _min(self, step: Step) -> Reading:
        return self._limit(step, low=False)

    def _max(self, step: Step) -> Reading:
        return self._limit(step, low=True)

    def _limit(self, step: Step, *, low: bool) -> Reading:
        """Minimum or maximum with a constant: one side of Clip."""
        numbers = [self.chart.number(name) for name in step.inputs]
        computed = [n for n, c in zip(step.inputs, numbers, strict=True) if c is None]
        bound = next((c for c in numbers if c is not None), None)
        if len(step.inputs) != 2 or len(computed) != 1 or bound is None:
            return Reading()
        inner = self.read(computed[0])
        if inner.form != "raw":
            return inner
        other = self.chart.writer(reached(self.chart, computed[0], MOVES))
        if other is None or other.kind not in ("Relu", "Min", "Max"):
            return Reading()
        numbers = [self.chart.number(name) for name in other.inputs]
        second = next((c for c in numbers if c is not None), 0.0 if other.kind == "Relu" else None)
        if second is None or (other.kind == "Min") == (not low):
            return Reading()
        floor, ceiling = (bound, second) if low else (second, bound)
        if abs(floor) < 1e-3 and ceiling > 0:
            return Reading("each", factor=ceiling, how="hard-sigmoid", limits=True)
        return Reading()

    def _bounds(self, step: Step) -> tuple[float, float]:
        bounds = []
        for index, (key, none) in enumerate((("min", -_NO_BOUND), ("max", _NO_BOUND)), 1):
            given = step.real(key)
            if given is None:
                given = self.chart.number(step.at(index))
            bounds.append(none if given is None else given)
        return bounds[0], bounds[1]

    def _mul(self, step: Step) -> Reading:
        left, right = step.at(0), step.at(1)
        for value, by in ((left, right), (right, left)):
            number = self.chart.number(by)
            if number is not None:
                return self.read(value).scaled(number, 0.0)
            if self.chart.constant(by) is not None:
                return self.read(value)  # a factor for each class: theirs to know
        for value, by in ((left, right), (right, left)):
            divisor = self._inverted(by)
            if divisor is not None:
                return self._ratio(value, divisor)
        return Reading()

    def _div(self, step: Step) -> Reading:
        value, by = step.at(0), step.at(1)
        number = self.chart.number(by)
        if number:
            return self.read(value).scaled(1 / number, 0.0)
        if self.chart.constant(by) is not None:
            return self.read(value)
        above = self.chart.number(value)
        if above is not None:
            return self._inverse(by).scaled(above, 0.0)
        return self._ratio(value, by)

    def _reciprocal(self, step: Step) -> Reading:
        return self._inverse(step.at(0))

    def _pow(self, step: Step) -> Reading:
        power = self.chart.number(step.at(1))
        if power == 1:
            return self.read(step.at(0))
        return self._inverse(step.at(0)) if power == -1 else Reading()

    def _add(self, step: Step) -> Reading:
        left, right = step.at(0), step.at(1)
        for value, by in ((left, right), (right, left)):
            number = self.chart.number(by)
            if number is not None:
                return self.read(value).scaled(1.0, number)
        one, other = self.read(left), self.read(right)
        if one.form == other.form and one.known and not one.log and not other.log:
            how = one.how if one.how == other.how else f"{one.how}, {other.how}"
            return replace(
                one, factor=one.factor + other.factor, shift=one.shift + other.shift, how=how
            )
        return Reading()

    def _sum(self, step: Step) -> Reading:
        return self._mean_of(step, len(step.inputs))

    def _mean(self, step: Step) -> Reading:
        return self._mean_of(step, 1)

    def _mean_of(self, step: Step, weight: int) -> Reading:
        """Several answers of one form, summed (weight: their number) or averaged (1)."""
        found = [self.read(name) for name in step.inputs]
        first = found[0]
        if any(r != first for r in found) or first.log or not first.known:
            return Reading()
        return first.scaled(float(weight), 0.0)

    def _sub(self, step: Step) -> Reading:
        value, by = step.at(0), step.at(1)
        number = self.chart.number(by)
        if number is not None:
            return self.read(value).scaled(1.0, -number)
        above = self.chart.number(value)
        if above is not None:
            return self.read(by).scaled(-1.0, above)
        if self._is_log_sum_exp(by, value):
            return Reading("one", log=True, how="log-softmax")
        return Reading()

    def _neg(self, step: Step) -> Reading:
        inner = reached(self.chart, step.at(0), MOVES)
        softplus = self.chart.writer(inner)
        if softplus is not None and softplus.kind == "Softplus":
            return Reading("each", log=True, how="log-sigmoid")
        return self.read(step.at(0)).scaled(-1.0, 0.0)

    def _exp(self, step: Step) -> Reading:
        inner = self.read(step.at(0))
        if inner.known and inner.log and abs(inner.factor - 1) < 1e-6 and abs(inner.shift) < 1e-6:
            return replace(inner, log=False, how=inner.how.removeprefix("log-"))
        return Reading("exp")

    def _log(self, step: Step) -> Reading:
        inner = self.read(step.at(0))
        # A little is added, so that the logarithm of 0 is not asked for.
        if inner.known and not inner.log and inner.factor > 0 and abs(inner.shift) < 1e-3:
            how = f"log-{inner.how}"
            return replace(inner, log=True, factor=1.0, shift=math.log(inner.factor), how=how)
        return Reading()

    def _concat(self, step: Step) -> Reading:
        found = [self.read(name) for name in step.inputs]
        if len(found) == 1:
            return found[0]
        if any(not r.known or r.log for r in found):
            same = all(r == found[0] for r in found)
            return found[0] if same else Reading()
        a, b = found[:2]
        if len(found) == 2 and a.form == b.form == "each" and _complete(a, b):
            return Reading("one", how=a.how)
        if all((r.factor, r.shift) == (a.factor, a.shift) for r in found):
            return replace(a, form="each")
        return Reading()

    def _reducemean(self, step: Step) -> Reading:
        inner = self.read(step.at(0))
        return inner if inner.known and not inner.log and not inner.limits else Reading()

    def _linearclassifier(self, step: Step) -> Reading:
        after = str(step.settings.get("post_transform", "NONE"))
        if after in ("SOFTMAX", "SOFTMAX_ZERO"):
            return Reading("one", how="softmax")
        return Reading("each", how="sigmoid") if after == "LOGISTIC" else Reading()

    def _svmclassifier(self, step: Step) -> Reading:
        if step.settings.get("prob_a"):
            return Reading("one", how="probabilities")
        return self._linearclassifier(step)

    def _treeensembleclassifier(self, step: Step) -> Reading:
        found = self._linearclassifier(step)
        return found if found.known else Reading("one", how="probabilities")

    def _normalizer(self, step: Step) -> Reading:
        norm = str(step.settings.get("norm", "MAX"))
        inner = self.read(step.at(0))
        forms = {"L1": Reading("one", how="divided by its sum"), "L2": _LENGTH}
        return forms.get(norm, inner)

    def _lpnormalization(self, step: Step) -> Reading:
        power = step.whole("p", 2)
        return Reading("one", how="divided by its sum") if power == 1 else _LENGTH

    # What is spelled out.

    def _inverted(self, value: str) -> str | None:
        """What 1 is divided by to make a value; None where it is made otherwise."""
        step = self.chart.writer(reached(self.chart, value, MOVES))
        if step is None or not step.inputs:
            return None
        if step.kind in ("Reciprocal", "Rsqrt"):
            return step.at(0)
        if step.kind == "Div" and self.chart.number(step.at(0)) == 1:
            return step.at(1)
        if step.kind == "Pow" and len(step.inputs) > 1 and self.chart.number(step.at(1)) == -1:
            return step.at(0)
        return None

    def _inverse(self, value: str) -> Reading:
        """1 / value: a sigmoid where the value is 1 + exp(-x)."""
        step = self.chart.writer(reached(self.chart, value, MOVES))
        if step is None or step.kind != "Add" or len(step.inputs) < 2:
            return Reading()
        for one, power in ((step.at(0), step.at(1)), (step.at(1), step.at(0))):
            if self.chart.number(one) == 1 and self.read(power).form == "exp":
                return Reading("each", how="sigmoid")
        return Reading()

    def _ratio(self, value: str, by: str) -> Reading:
        """value / by, both computed."""
        above = reached(self.chart, value, MOVES)
        below = self._without_floor(by)
        step = self.chart.writer(below)
        if step is None or not step.inputs:
            return Reading()
        if step.kind == "Add" and len(step.inputs) > 1:  # exp(x) / (1 + exp(x))
            for one, power in ((step.at(0), step.at(1)), (step.at(1), step.at(0))):
                same = reached(self.chart, power, MOVES) == above
                if self.chart.number(one) == 1 and same and self.read(power).form == "exp":
                    return Reading("each", how="sigmoid")
        if step.kind in ("ReduceSum", "ReduceL1") and self._same(step.at(0), above):
            spelled = self.read(above).form == "exp"
            return Reading("one", how="softmax" if spelled else "divided by its sum")
        if step.kind == "ReduceL2" and self._same(step.at(0), above):
            return _LENGTH
        return _LENGTH if self._is_length(step, above) else Reading()

    def _is_length(self, step: Step, of: str) -> bool:
        """Whether an operator writes the length of a value, or its square."""
        if step.kind in ("Sqrt", "Rsqrt"):
            inner = self.chart.writer(self._without_floor(step.at(0)))
            return inner is not None and bool(inner.inputs) and self._is_length(inner, of)
        if step.kind == "ReduceSumSquare":
            return self._same(step.at(0), of)
        if step.kind != "ReduceSum":
            return False
        square = self.chart.writer(reached(self.chart, step.at(0), MOVES))
        squares = square is not None and square.kind in ("Mul", "Pow", "Square")
        return square is not None and squares and self._same(square.at(0), of)

    def _without_floor(self, value: str) -> str:
        """A value without a little that is added, or that it has at least."""
        for _ in range(8):
            value = reached(self.chart, value, MOVES)
            step = self.chart.writer(value)
            if step is None or step.kind not in ("Add", "Max", "Clip") or not step.inputs:
                return value
            if step.kind == "Clip":
                value = step.at(0)
                continue
            numbers = [self.chart.number(name) for name in step.inputs[:2]]
            if len(numbers) < 2 or all(n is None or abs(n) > 1e-3 for n in numbers):
                return value
            value = step.inputs[0 if numbers[0] is None else 1]
        return value

    def _same(self, one: str, other: str) -> bool:
        kinds = MOVES | {"Abs"}
        return reached(self.chart, one, kinds) == reached(self.chart, other, kinds)

    def _is_log_sum_exp(self, value: str, of: str) -> bool:
        """Whether a value is log(sum(exp(x))) of another, or of that less its largest number."""
        step = self.chart.writer(reached(self.chart, value, MOVES))
        if step is None or not step.inputs:
            return False
        if step.kind == "ReduceLogSumExp":
            return self._same(step.at(0), of)
        if step.kind == "Add" and len(step.inputs) > 1:  # the largest number is put back
            pairs = ((step.at(0), step.at(1)), (step.at(1), step.at(0)))
            return any(self._largest(a) and self._is_log_sum_exp(b, of) for a, b in pairs)
        if step.kind == "ReduceLogSum":
            return self._is_power_of(step.at(0), of)
        if step.kind != "Log":
            return False
        total = self.chart.writer(reached(self.chart, step.at(0), MOVES))
        return (
            total is not None
            and total.kind in ("ReduceSum", "ReduceL1")
            and self._is_power_of(total.at(0), of)
        )

    def _is_power_of(self, value: str, of: str) -> bool:
        step = self.chart.writer(reached(self.chart, value, MOVES))
        if step is None or step.kind != "Exp":
            return False
        inner = reached(self.chart, step.at(0), MOVES)
        if self._same(inner, of):
            return True
        less = self.chart.writer(inner)
        return (
            less is not None
            and less.kind == "Sub"
            and self._same(less.at(0), of)
            and self._largest(less.at(1))
        )

    def _largest(self, value: str) -> bool:
        step = self.chart.writer(reached(self.chart, value, MOVES))
        return step is not None and step.kind in ("ReduceMax", "GlobalMaxPool")


_LENGTH = Reading("length", how="divided by its length")
_TANH = Reading("each", factor=2.0, shift=-1.0, how="tanh")

# Operators whose answer is known whatever they are given.
_ENDS = {
    "Sigmoid": Reading("each", how="sigmoid"),
    "HardSigmoid": Reading("each", how="hard-sigmoid"),
    "LogSigmoid": Reading("each", log=True, how="log-sigmoid"),
    "Hardmax": Reading("one", how="hardmax"),
    "Tanh": _TANH,  # tanh(x) = 2 × sigmoid(2x) - 1
    "L2Normalization": _LENGTH,
    "QLinearSoftmax": Reading("one", how="softmax"),
    "QLinearSigmoid": Reading("each", how="sigmoid"),
}


def _complete(a: Reading, b: Reading) -> bool:
    """Whether one is 1 less the other."""
    return (
        abs(a.factor + b.factor) < 1e-6
        and abs(a.shift + b.shift - 1) < 1e-6
        and abs(abs(a.factor) - 1) < 1e-6
    )


_READERS: dict[str, Callable[[_Reader, Step], Reading]] = {
    "Add": _Reader._add,
    "AveragePool": _Reader._reducemean,
    "Clip": _Reader._clip,
    "Concat": _Reader._concat,
    "Div": _Reader._div,
    "Exp": _Reader._exp,
    "GlobalAveragePool": _Reader._reducemean,
    "LinearClassifier": _Reader._linearclassifier,
    "Log": _Reader._log,
    "LogSoftmax": _Reader._logsoftmax,
    "LpNormalization": _Reader._lpnormalization,
    "Max": _Reader._max,
    "Mean": _Reader._mean,
    "Min": _Reader._min,
    "Mul": _Reader._mul,
    "Neg": _Reader._neg,
    "Normalizer": _Reader._normalizer,
    "Pow": _Reader._pow,
    "Reciprocal": _Reader._reciprocal,
    "ReduceMean": _Reader._reducemean,
    "Relu": _Reader._relu,
    "SVMClassifier": _Reader._svmclassifier,
    "Softmax": _Reader._softmax,
    "Sub": _Reader._sub,
    "Sum": _Reader._sum,
    "TreeEnsembleClassifier": _Reader._treeensembleclassifier,
}
