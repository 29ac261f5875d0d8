"""The layers on the CPU."""

from twinlens.engine.targets.cpu.engine import LayersCpuEngine, LayersCpuRunner

__all__ = ["LayersCpuEngine", "LayersCpuRunner"]
