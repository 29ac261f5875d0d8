"""Layers on the GPU: WGSL kernels generated for the shapes at hand, run through wgpu.

Goes in: `plan`, `codegen`, `kernels`, `run`; the only code that knows wgpu. Stays out: what the
CPU needs as well.
"""

from twinlens.engine.targets.gpu.engine import LayersGpuEngine

__all__ = ["LayersGpuEngine"]
