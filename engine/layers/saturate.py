"""Floats that become integers: one rule for what the integers do not have."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from twinlens.engine.layers.base import Array


def saturated(values: Array, dtype: DTypeLike) -> Array:
    """Whole parts as integers; beyond the range its end, and 0 for what is not a number.

    NumPy leaves both open, and gives other answers on other processors.

    Args:
        values: floats of any shape.
        dtype: an integer type.
    """
    wanted = np.dtype(dtype)
    ends = np.iinfo(wanted)
    # A float16 has no 65,535 to compare with.
    values = values.astype(np.promote_types(values.dtype, np.float32), copy=False)
    # As floats the ends may lie one step beyond: then they are out of range themselves.
    low, high = float(ends.min), float(ends.max)
    inside = (values > low) & (values < high)
    whole: Array = np.where(inside, values, 0).astype(wanted)
    whole[values >= high] = ends.max
    whole[values <= low] = ends.min
    return whole
