"""Models as Python: the network layer by layer, written from a graph."""

from twinlens.engine.formats.python.module import PythonModule, python_module

__all__ = ["PythonModule", "python_module"]
