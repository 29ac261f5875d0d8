"""A network as operators alone, whatever its format; drawn without a weight being interpreted.

Operators go by ONNX's names. A chart can be drawn of any file, also of one with operators that our
layers lack, since ONNX Runtime may run it all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from twinlens.engine.layers.base import Array

Sizes = tuple[int | None, ...]
"""Sizes of axes; None for one that is left open."""


@dataclass(frozen=True)
class Step:
    """One operator.

    Attributes:
        kind: ONNX's name of it (``"Softmax"``).
        inputs: values that it reads; "" for one that is left out.
        outputs: values that it writes.
        settings: its attributes, as far as somebody asks for them.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def at(self, index: int) -> str:
        """An input; "" where there are not so many."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def whole(self, key: str, default: int) -> int:
        """A setting that is a whole number; the default where it is something else."""
        value = self.settings.get(key)
        return value if isinstance(value, int) else default

    def real(self, key: str) -> float | None:
        """A setting that is a number; None where it is left out, or is something else."""
        value = self.settings.get(key)
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True)
class End:
    """One output as the file declares it.

    Attributes:
        value: the value that it is.
        title: what a person calls it.
        sizes: its declared shape; None where it is not declared.
        holds: ``"numbers"``, ``"integers"``, ``"texts"``, or ``"map"`` for numbers by their names.
    """

    value: str
    title: str
    sizes: Sizes | None = None
    holds: str = "numbers"


class Chart:
    """Operators and outputs of a network.

    Args:
        steps: the operators, in any order.
        ends: the outputs.
        sizes: declared shape of a value, of constants as well; None where it is not known.
        constant: a small array by its name; None where the value is computed or large.
        texts: names by the constant that holds them.
        input_sizes: shape of the picture, (N, C, H, W) or (N, H, W, C).
    """

    def __init__(
        self,
        steps: Iterable[Step],
        ends: Sequence[End],
        *,
        sizes: Callable[[str], Sizes | None] = lambda name: None,
        constant: Callable[[str], Array | None] = lambda name: None,
        texts: Callable[[str], tuple[str, ...]] = lambda name: (),
        input_sizes: Sizes = (),
    ) -> None:
        self.steps = tuple(steps)
        self.ends = tuple(ends)
        self.sizes, self.constant, self.texts = sizes, constant, texts
        self.input_sizes = input_sizes
        self._writers = {name: step for step in self.steps for name in step.outputs if name}
        self._before: dict[str, frozenset[str]] = {}

    def writer(self, value: str) -> Step | None:
        """The operator that writes a value."""
        return self._writers.get(value)

    def before(self, value: str) -> frozenset[str]:
        """All values that a value depends on, itself included."""
        if value in self._before:
            return self._before[value]
        found: set[str] = set()
        waiting = [value]
        while waiting:
            name = waiting.pop()
            if not name or name in found:
                continue
            found.add(name)
            step = self._writers.get(name)
            waiting += step.inputs if step else ()
        self._before[value] = frozenset(found)
        return self._before[value]

    def kinds_before(self, value: str) -> frozenset[str]:
        """Kinds of the operators that a value depends on."""
        steps = (self._writers.get(name) for name in self.before(value))
        return frozenset(step.kind for step in steps if step)

    def number(self, value: str) -> float | None:
        """A constant that is one number, however often it stands there; None where it is none."""
        array = self.constant(value)
        if array is None or array.size == 0 or not np.issubdtype(array.dtype, np.number):
            return None
        first = float(array.reshape(-1)[0])
        return first if np.isfinite(first) and bool((array == array.reshape(-1)[0]).all()) else None


def reached(chart: Chart, value: str, through: Iterable[str]) -> str:
    """The value that is left when operators of these kinds are walked back over."""
    kinds = frozenset(through)
    for _ in range(len(chart.steps)):  # a file may name its operators in a circle
        step = chart.writer(value)
        if step is None or step.kind not in kinds or not step.inputs:
            break
        value = step.inputs[0]
    return value


class Drawing:
    """A chart while it is drawn by a format whose operators do several things at once."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.constants: dict[str, Array] = {}
        self.shapes: dict[str, Sizes] = {}

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        output: str,
        settings: Mapping[str, Any] | None = None,
    ) -> str:
        """Add an operator; return its output."""
        self.steps.append(Step(kind, tuple(inputs), (output,), settings or {}))
        return output

    def number(self, name: str, value: float) -> str:
        """Add a constant that is one number; return its name."""
        self.constants[name] = np.asarray(value, np.float64)
        return name

    def affine(self, value: str, output: str, factor: float, shift: float) -> str:
        """Add what computes ``factor * value + shift``."""
        by, to = self.number(f"{output}#factor", factor), self.number(f"{output}#shift", shift)
        return self.add("Add", (self.add("Mul", (value, by), f"{output}#scaled"), to), output)
