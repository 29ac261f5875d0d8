"""Whether two graphs are the same: nodes, settings, arrays."""

import numpy as np


def settings_of(layer):
    """Everything that a layer was made with, floats in single precision as files have them."""
    return {name: _plain(value) for name, value in vars(layer).items()}


def assert_same_graph(first, second):
    """Same inputs, outputs, constants and nodes, in the same order."""
    assert first.inputs == second.inputs
    assert first.outputs == second.outputs
    assert [n.name for n in first.nodes] == [n.name for n in second.nodes]
    for one, other in zip(first.nodes, second.nodes, strict=True):
        assert (one.inputs, one.output) == (other.inputs, other.output)
        assert type(one.layer) is type(other.layer)
        assert (one.activation is None) == (other.activation is None)
        _assert_same(settings_of(one.layer), settings_of(other.layer), one.name)
        if one.activation is not None:
            assert type(one.activation) is type(other.activation)
            _assert_same(settings_of(one.activation), settings_of(other.activation), one.name)
    _assert_same(first.constants, second.constants, "constants")


def _assert_same(one, other, where):
    assert one.keys() == other.keys(), where
    for name, value in one.items():
        if isinstance(value, np.ndarray):
            assert value.dtype == other[name].dtype, f"{where}: {name}"
            np.testing.assert_array_equal(value, other[name], err_msg=f"{where}: {name}")
        else:
            assert value == other[name], f"{where}: {name}"


def _plain(value):
    if isinstance(value, float):
        return float(np.float32(value))
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    return value
