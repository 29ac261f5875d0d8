"""The high-level engine: a model file, requests and observations, on ONNX Runtime.

Goes in: requests and the runner on ONNX Runtime, which only this room knows. Stays out: other
engines; requests run on any of them through the registry.
"""

from typing import TYPE_CHECKING

from twinlens.engine.late import names_of
from twinlens.engine.vision.engine import VisionEngine, available_providers

if TYPE_CHECKING:
    from twinlens.engine.api.observations import ClassificationObservation, PrecisionRecallCurve
    from twinlens.engine.vision.model import Model, ModelDescription, RequestCancelledError
    from twinlens.engine.vision.request import (
        ClassificationRequest,
        ImageRequestHandler,
        SequenceRequestHandler,
    )

__all__ = [
    "ClassificationObservation",
    "ClassificationRequest",
    "ImageRequestHandler",
    "Model",
    "ModelDescription",
    "PrecisionRecallCurve",
    "RequestCancelledError",
    "SequenceRequestHandler",
    "VisionEngine",
    "available_providers",
]

_HOMES = {
    "ClassificationObservation": "twinlens.engine.api.observations",
    "ClassificationRequest": "twinlens.engine.vision.request",
    "ImageRequestHandler": "twinlens.engine.vision.request",
    "Model": "twinlens.engine.vision.model",
    "ModelDescription": "twinlens.engine.vision.model",
    "PrecisionRecallCurve": "twinlens.engine.api.observations",
    "RequestCancelledError": "twinlens.engine.vision.model",
    "SequenceRequestHandler": "twinlens.engine.vision.request",
}


if not TYPE_CHECKING:  # for a type checker it would hide the real names
    __getattr__ = names_of(__name__, _HOMES)
