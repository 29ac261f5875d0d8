"""Layers on the CPU: kernels compiled by LLVM, with NumPy as the reference and the fallback."""

from twinlens.engine.targets.cpu.engine import LayersCpuEngine

__all__ = ["LayersCpuEngine"]
