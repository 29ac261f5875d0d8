"""What draws each view: one table from the type of its data to a painter or a panel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twinlens.app.qt.measure.bench_sheet import BenchSheet
from twinlens.app.qt.measure.crossover_sheet import CrossoverSheet
from twinlens.app.qt.setup.wizard_sheet import WizardSheet
from twinlens.app.qt.sheets.models_page import ModelsPage
from twinlens.app.qt.stage.pad import Tools
from twinlens.app.qt.stage.painters import Painter, paint_top
from twinlens.app.views.bench import BenchShown
from twinlens.app.views.crossover import CrossoverShown
from twinlens.app.views.models import ModelsShown
from twinlens.app.views.pad import PadShown
from twinlens.app.views.top5 import TopOverlay
from twinlens.app.views.wizard import ProofView

Drawn = Mapping[type, Any]
"""A painter (``paint(painter, data, canvas)``), or the class of a panel (``show_data(data)``)."""

DRAWN: Drawn = {
    TopOverlay: paint_top,
    BenchShown: BenchSheet,
    CrossoverShown: CrossoverSheet,
    PadShown: Tools,
    ModelsShown: ModelsPage,
    ProofView: WizardSheet,
}


def painters_of(drawn: Drawn) -> dict[type, Painter]:
    """Those that are painted on the stage itself."""
    return {data: how for data, how in drawn.items() if not isinstance(how, type)}
