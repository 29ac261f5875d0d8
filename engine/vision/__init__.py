"""The high-level engine: a model file, requests and observations, on ONNX Runtime."""

from twinlens.engine.vision.engine import VisionEngine, available_providers

__all__ = ["VisionEngine", "available_providers"]
