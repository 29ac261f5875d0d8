"""What stands over the stage for a while: one sheet or card, and one banner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QTimer

from twinlens.app.overlays import Banner, BannerKind, CheatSheet, Palette
from twinlens.app.qt.ports import MakePanel
from twinlens.app.qt.sheets.sheets import CARD_UNITS, BannerPanel, CheatCard, Panel, Sheet, SheetRow
from twinlens.app.qt.stage.stage import Stage
from twinlens.engine.errors import TwinlensError

_BANNER_MS = 14_000


class Popups:
    """Opens and closes sheets and banners over a stage.

    Args:
        stage: what they stand on.
        palette: colours of the theme.
        keys: the card with all keys.
        pin: called with True when a sheet opens, so that controls stay, and with False when it
            closes.
    """

    def __init__(
        self, stage: Stage, palette: Palette, keys: CheatSheet, pin: Callable[[bool], None]
    ) -> None:
        self._stage, self._palette, self._keys, self._pin = stage, palette, keys, pin
        self._sheet: Panel | None = None
        self._closed: Callable[[], object] | None = None
        self._banner: BannerPanel | None = None
        self.banner_timer = QTimer(stage)
        self.banner_timer.setSingleShot(True)
        self.banner_timer.timeout.connect(self.close_banner)

    @property
    def sheet(self) -> Panel | None:
        """The open sheet."""
        return self._sheet

    @property
    def banner(self) -> Banner | None:
        """The banner that is shown."""
        return self._banner.banner if self._banner is not None else None

    @property
    def palette(self) -> Palette:
        """Colours of the theme."""
        return self._palette

    @property
    def unit(self) -> float:
        """1 % of the stage's height, in pixels."""
        return self._stage.unit

    def open_sheet(self, title: str, rows: Sequence[SheetRow]) -> None:
        """Show a sheet in place of the one that is open; the same one again closes it."""
        again = self.shows(title)
        self.close_sheet()
        if again:
            return
        sheet = Sheet(title, rows, self._palette, self.unit, self.close_sheet, self._stage)
        self._open(sheet)
        if sheet.buttons:
            next((b for b in sheet.buttons if b.isEnabled()), sheet.buttons[0]).setFocus()

    def shows(self, title: str) -> bool:
        """Whether the sheet of that title is open."""
        return isinstance(self._sheet, Sheet) and self._sheet.title == title

    def refresh_sheet(self, title: str, rows: Sequence[SheetRow]) -> None:
        """Show new rows on a sheet that is open; the focus stays on the row of the same name."""
        old = self._sheet
        if not isinstance(old, Sheet) or not self.shows(title):
            return
        focused, place = old.focused_name, old.scrolled
        sheet = Sheet(title, rows, self._palette, self.unit, self.close_sheet, self._stage)
        self._open(sheet)
        sheet.scrolled = place
        old.hide()
        old.deleteLater()
        named = [b for b in sheet.buttons if b.accessibleName() == focused and b.isEnabled()]
        (named[0] if named else sheet).setFocus()

    def toggle_cheat_sheet(self) -> None:
        """Show or hide the card with all keys."""
        again = isinstance(self._sheet, CheatCard)
        self.close_sheet()
        if not again:
            unit = min(self.unit, self._stage.width() / CARD_UNITS)
            self._open(CheatCard(self._keys, self._palette, unit, self._stage))

    def open_panel(self, make: MakePanel, closed: Callable[[], object] | None = None) -> None:
        """Show a panel in place of the sheet that is open.

        Args:
            make: makes it of palette, unit and stage.
            closed: called when it is closed.
        """
        self.close_sheet()
        self._open(make(self._palette, self.unit, self._stage))
        self._closed = closed

    def _open(self, sheet: Panel) -> None:
        self._sheet = sheet
        self._pin(True)
        sheet.place(self._stage.width(), self._stage.height(), self.unit)
        sheet.show()
        sheet.raise_()

    def close_sheet(self) -> None:
        """Close the open sheet, if there is one."""
        self._pin(False)
        if self._sheet is not None:
            self._sheet.hide()
            self._sheet.deleteLater()
            self._sheet = None
            self._stage.setFocus()
            closed, self._closed = self._closed, None
            if closed is not None:
                closed()

    def show_banner(self, banner: Banner, act: Callable[[], None] | None = None) -> None:
        """Show a banner in place of the one before; it goes by itself after a while."""
        self.close_banner()
        self._banner = BannerPanel(
            banner, self._palette, self.unit, act, self.close_banner, self._stage
        )
        self._stage.heed(self._banner)
        self._banner.place(self._stage.width(), self._stage.height(), self.unit)
        self._banner.show()
        self._banner.raise_()
        if self._sheet is not None:  # a banner must not cover what somebody reads
            self._sheet.raise_()
        self.banner_timer.start(_BANNER_MS)

    def show_error(self, error: Exception, goes_on: str = "") -> None:
        """Show an error, and what goes on all the same where the error has no hint."""
        if isinstance(error, TwinlensError):
            banner = Banner(error.message, error.hint or goes_on, BannerKind.ERROR)
        else:
            what = f"{type(error).__name__}: {error}"
            banner = Banner(f"Something unexpected happened: {what}", goes_on, BannerKind.ERROR)
        self.show_banner(banner)

    def close_banner(self) -> None:
        """Take the banner away."""
        self.banner_timer.stop()
        if self._banner is not None:
            self._banner.hide()
            self._banner.deleteLater()
            self._banner = None

    def raise_sheet(self) -> None:
        """Let the open sheet stand before everything else on the stage."""
        if self._sheet is not None:
            self._sheet.raise_()

    def close_topmost(self) -> bool:
        """Close the sheet, else the banner; returns whether there was one."""
        if self._sheet is not None:
            self.close_sheet()
            return True
        if self._banner is not None:
            self.close_banner()
            return True
        return False

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self._palette = palette
        self._fit_sheet()
        if self._banner is not None:
            self._banner.restyle(palette, self.unit)

    def lay_out(self) -> None:
        """Fit the stage's new size."""
        self._fit_sheet()
        if self._banner is not None:
            self._banner.restyle(self._palette, self.unit)
            self._banner.place(self._stage.width(), self._stage.height(), self.unit)

    def _fit_sheet(self) -> None:
        """Let the open sheet take another size or theme, or close one that does not."""
        if self._sheet is None or not self._sheet.keeps:
            self.close_sheet()
            return
        self._sheet.restyle(self._palette, self.unit)
        self.place_sheet()

    def place_sheet(self) -> None:
        """Let the open sheet stand where its content needs it."""
        if self._sheet is not None:
            self._sheet.place(self._stage.width(), self._stage.height(), self.unit)
