"""Mathematical functions of each sample, as ONNX names them.

What has no answer (the logarithm of a negative sample) gives NaN, as floats do.
Formulas: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

import numpy as np

from twinlens.engine.layers.activation import Activation
from twinlens.engine.layers.base import Array


class Neg(Activation):
    """``-x``."""

    def function(self, x: Array) -> Array:
        """``-x``."""
        return np.negative(x)


class Abs(Activation):
    """``|x|``."""

    def function(self, x: Array) -> Array:
        """``|x|``."""
        return np.absolute(x)


class Sign(Activation):
    """-1, 0 or 1."""

    def function(self, x: Array) -> Array:
        """-1, 0 or 1."""
        return np.sign(x)


class Reciprocal(Activation):
    """``1 / x``."""

    def function(self, x: Array) -> Array:
        """``1 / x``."""
        return np.asarray(x.dtype.type(1) / x)


class Sqrt(Activation):
    """``√x``."""

    def function(self, x: Array) -> Array:
        """``√x``."""
        return np.sqrt(x)


class Exp(Activation):
    """``eˣ``."""

    def function(self, x: Array) -> Array:
        """``eˣ``."""
        return np.exp(x)


class Log(Activation):
    """Natural logarithm."""

    def function(self, x: Array) -> Array:
        """``ln x``."""
        return np.log(x)


class Floor(Activation):
    """The largest whole number up to ``x``."""

    def function(self, x: Array) -> Array:
        """Round down."""
        return np.floor(x)


class Ceil(Activation):
    """The smallest whole number from ``x`` on."""

    def function(self, x: Array) -> Array:
        """Round up."""
        return np.ceil(x)


class Round(Activation):
    """The nearest whole number; halves go to the even one."""

    def function(self, x: Array) -> Array:
        """Round to even."""
        return np.rint(x)


class Sin(Activation):
    """``sin x``, in radians."""

    def function(self, x: Array) -> Array:
        """``sin x``."""
        return np.sin(x)


class Cos(Activation):
    """``cos x``, in radians."""

    def function(self, x: Array) -> Array:
        """``cos x``."""
        return np.cos(x)


class Tan(Activation):
    """``tan x``, in radians."""

    def function(self, x: Array) -> Array:
        """``tan x``."""
        return np.tan(x)


class Asin(Activation):
    """The angle whose sine is ``x``."""

    def function(self, x: Array) -> Array:
        """``arcsin x``."""
        return np.arcsin(x)


class Acos(Activation):
    """The angle whose cosine is ``x``."""

    def function(self, x: Array) -> Array:
        """``arccos x``."""
        return np.arccos(x)


class Atan(Activation):
    """The angle whose tangent is ``x``."""

    def function(self, x: Array) -> Array:
        """``arctan x``."""
        return np.arctan(x)


class Sinh(Activation):
    """Hyperbolic sine."""

    def function(self, x: Array) -> Array:
        """``sinh x``."""
        return np.sinh(x)


class Cosh(Activation):
    """Hyperbolic cosine."""

    def function(self, x: Array) -> Array:
        """``cosh x``."""
        return np.cosh(x)


class Asinh(Activation):
    """Inverse hyperbolic sine."""

    def function(self, x: Array) -> Array:
        """``arsinh x``."""
        return np.arcsinh(x)


class Acosh(Activation):
    """Inverse hyperbolic cosine."""

    def function(self, x: Array) -> Array:
        """``arcosh x``."""
        return np.arccosh(x)


class Atanh(Activation):
    """Inverse hyperbolic tangent."""

    def function(self, x: Array) -> Array:
        """``artanh x``."""
        return np.arctanh(x)
