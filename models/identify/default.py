"""Which model runs where nobody names one."""

from __future__ import annotations

from twinlens.engine.errors import ModelError, ModelFileError
from twinlens.models.catalog.cards import Card, cards
from twinlens.models.catalog.packages import packaged_file

PREFERRED_MODEL = "efficientnet-lite0"
"""The default; its parameters come in a package that is installed with Twinlens."""
EMBEDDED_MODEL = "twinlens-208"
"""What runs where that package is missing or broken: it comes with Twinlens itself."""


def default_model() -> str:
    """The catalog name of the model that runs where nobody names one.

    That is ``efficientnet-lite0``, or ``twinlens-208`` where ``default_problem`` says why not.
    Nothing is parsed; the package's file is held to its card's size and hash.

    Raises:
        CancelledError: see ``engine.cancel``.
    """
    return EMBEDDED_MODEL if default_problem() else PREFERRED_MODEL


def default_problem() -> ModelError | None:
    """Why ``efficientnet-lite0`` cannot be the default here; None where it can.

    Raises:
        CancelledError: see ``engine.cancel``.
    """
    try:
        packaged_file(preferred_card())
    except (ModelError, ModelFileError) as problem:
        return problem
    return None


def preferred_card() -> Card:
    """The card of ``efficientnet-lite0``."""
    return next(card for card in cards() if card.id == PREFERRED_MODEL)
