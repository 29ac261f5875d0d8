"""The table of views: keys, the card with all keys, the View menu and tests follow from it."""

from __future__ import annotations

from twinlens.app.views.bench import BENCH
from twinlens.app.views.crossover import CROSSOVER
from twinlens.app.views.models import MODELS
from twinlens.app.views.pad import PAD
from twinlens.app.views.top5 import TOP5
from twinlens.app.views.view import AnyView
from twinlens.app.views.wizard import WIZARD

VIEWS: tuple[AnyView, ...] = (MODELS, TOP5, BENCH, CROSSOVER, PAD, WIZARD)
"""All views, in the order of the card and of the menu."""
