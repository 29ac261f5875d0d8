"""Models as Python: the network layer by layer, written from a graph.

Goes in: what turns a graph into readable, typed code. Stays out: how parameters are stored
(`engine.params`).
"""

from twinlens.engine.formats.python.module import PythonModule, python_module
from twinlens.engine.formats.python.names import module_name
from twinlens.engine.formats.python.reader import read_module, read_text

__all__ = ["PythonModule", "module_name", "python_module", "read_module", "read_text"]
