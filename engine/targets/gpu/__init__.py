"""Layers on the GPU: WGSL kernels generated for the shapes at hand, run through wgpu."""

from twinlens.engine.targets.gpu.engine import LayersGpuEngine

__all__ = ["LayersGpuEngine"]
