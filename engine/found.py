"""What is known of a model before anybody is asked, and where each part of it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from twinlens.engine.api.protocol import ModelSpec
from twinlens.engine.errors import LabelError


class Origin(Enum):
    """Where something that is known of a model comes from; the value is for display."""

    GIVEN = "as given"
    BESIDE = "from the file beside it"
    KEPT = "as chosen before"
    CARD = "from the catalog"
    FILE = "from the file"
    NETWORK = "as published"
    CONVENTION = "by convention"
    ASSUMED = "assumed"


PARTS = ("size", "layout", "color", "values", "crop", "labels")
"""What has to be known to feed and to read a classifier."""


@dataclass(frozen=True)
class Found:
    """A model as far as it is known.

    Attributes:
        spec: how it would be fed and read; without labels where none are known.
        format: what it is stored as, for display.
        outputs: number of outputs, background included; None where the file leaves it open.
        origins: where each of ``PARTS`` comes from; labels are missing where none are known.
        problem: why there are no labels; None where there are.
    """

    spec: ModelSpec
    format: str
    outputs: int | None
    origins: Mapping[str, Origin] = field(default_factory=dict)
    problem: LabelError | None = None

    def checked(self) -> ModelSpec:
        """The model, ready to be loaded.

        Raises:
            LabelError: labels are missing, or their number is not that of the outputs.
        """
        if self.problem is not None:
            raise self.problem
        return self.spec
