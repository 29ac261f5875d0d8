"""Layers on the CPU: kernels compiled by LLVM, with NumPy as the reference and the fallback.

Goes in: `plan`, `codegen`, `kernels`, `run`. Stays out: what the GPU needs as well.
"""

from twinlens.engine.targets.cpu.engine import LayersCpuEngine

__all__ = ["LayersCpuEngine"]
