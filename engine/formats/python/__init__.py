"""Models as Python: the network layer by layer, written from a graph.

Goes in: what turns a graph into readable, typed code. Stays out: how parameters are stored
(`engine.params`).
"""

from twinlens.engine.formats.python.module import PythonModule, python_module

__all__ = ["PythonModule", "python_module"]
