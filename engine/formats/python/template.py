"""What is the same in every generated module."""

from __future__ import annotations

IMPORTED = frozenset(
    (
        "Array",
        "Builder",
        "CropAndScale",
        "EngineOptions",
        "Graph",
        "Image",
        "Mapping",
        "GraphSource",
        "ModelSpec",
        "Network",
        "PARAMETERS",
        "Path",
        "Predictor",
        "RECIPE",
        "Recipe",
        "assemble",
        "dataclass",
        "labels_beside",
        "model",
        "open_parameters",
    )
)
"""Names that a class cannot have."""

HEAD = """{about}

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twinlens.engine.api.predictor import Image, Predictor
from twinlens.engine.api.protocol import EngineOptions, GraphSource, ModelSpec, Network
from twinlens.engine.graph import Builder, Graph
from twinlens.engine.image import {recipe_names}
{layers}from twinlens.engine.params import open_parameters
{labels_import}
PARAMETERS = Path(__file__).with_suffix(".safetensors")

{recipe}


{functions}


"""

BODY = '''def model() -> Network:
    """What the network is called, how it is fed and read, and its graph."""
    spec = ModelSpec(
        id="{stem}",
        title="{title}",
        recipe=RECIPE,
        labels={labels},
        background_outputs={background},
        {output},
    )
    return Network(spec, GraphSource(lambda _: assemble(open_parameters(PARAMETERS))), PARAMETERS)


@dataclass(frozen=True)
class {class}Prediction:
    """What the network says about one picture.

    Attributes:
        class_label: the most probable class.
        class_label_probs: probability (0 to 1) of each class by name, the most probable first.
    """

    class_label: str
    class_label_probs: dict[str, float]


class {class}:
    """{title}, ready to classify pictures.

    It is loaded when the first one comes. Used by one thread at a time; as a context manager, or
    with ``close``, it frees what it holds.

    Args:
        engine: ``"layers-cpu"``, ``"layers-gpu"`` or ``"vision"``.
        options: threads, precision and the like; None leaves them to the engine.
    """

    def __init__(self, engine: str = "layers-cpu", options: EngineOptions | None = None) -> None:
        self._predictor = Predictor(model, engine, options)

    def prediction(self, image: Image) -> {class}Prediction:
        """Classify a picture.

        Args:
            image: the path or the bytes of a picture file, a PixelBuffer, or uint8 pixels:
                (height, width, 3) in B, G, R order, as OpenCV has them, (height, width, 4) in
                B, G, R, A order, or (height, width) in grey.

        Raises:
            ImageError: the picture cannot be read.
            ModelError: the files beside this one are missing or do not fit.
            EngineError: the engine does not exist here, or failed.
        """
        return {class}Prediction(*self._predictor.answer(image))

    def close(self) -> None:
        """Free what was loaded; the next picture loads it again."""
        self._predictor.close()

    def __enter__(self) -> {class}:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
'''
