"""The public names of the layers, and what every layer class owes its reader."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

from twinlens.engine import layers
from twinlens.engine.layers import Layer

HELPERS = {"Activation", "Array", "Layer", "Shape", "cast_like", "same_padding"} | {
    "transpose_padding"
}


def written_layers() -> dict[str, type[Layer]]:
    modules = [
        importlib.import_module(f"{layers.__name__}.{module.name}")
        for module in pkgutil.iter_modules(layers.__path__)
    ]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, Layer)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and not inspect.isabstract(value)
    }


def test_every_layer_that_is_written_is_public():
    assert set(layers.__all__) == set(written_layers()) | HELPERS


def test_the_list_has_no_name_twice_and_none_that_is_missing():
    assert len(set(layers.__all__)) == len(layers.__all__)
    for name in layers.__all__:
        assert hasattr(layers, name)


@pytest.mark.parametrize("name", sorted(written_layers()))
def test_kind_is_the_class_name_and_the_docstring_says_what_it_is(name):
    layer = written_layers()[name]
    assert layer.kind == name
    assert layer.__doc__
