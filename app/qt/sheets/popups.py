"""What stands over the stage for a while: one sheet or card, and one banner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QTimer

from twinlens.app.overlays import Banner, BannerKind, CheatSheet, Palette
from twinlens.app.qt.ports import MakePanel
from twinlens.app.qt.sheets.sheets import BannerPanel, CheatCard, Panel, Sheet, SheetRow
from twinlens.app.qt.stage.stage import Stage
from twinlens.app.views.words import headline
from twinlens.engine.errors import TwinlensError

_BANNER_MS = 14_000
_READ_MS = 4_000
"""How long a warning must have stood to count as read when another message takes its place."""
_MOST_UNREAD = 4


class Popups:
    """Opens and closes sheets and banners over a stage.

    The slot for messages holds one thing, a banner or progress, whichever is newer. A warning that
    nobody can have read yet comes back when the message that took its place goes.

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
        self._act: Callable[[], None] | None = None
        self._unread: list[tuple[Banner, Callable[[], None] | None]] = []
        self._banner_is_newer = False
        self.copy_report: Callable[[], None] | None = None
        """What the button of an error does that nobody expected; None means no button."""
        self._progress = ""
        self.banner_timer = QTimer(stage)
        self.banner_timer.setSingleShot(True)
        self.banner_timer.timeout.connect(self.dismiss)
        stage.message_taken = self.message_taken
        stage.outside = self.close_beside

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
            self._open(self._card())

    def _card(self) -> CheatCard:
        stage = self._stage
        return CheatCard(self._keys, self._palette, stage.width(), stage.height(), stage)

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
        self._banner_is_newer = False
        self._pin(True)
        self._stage.set_drawer(sheet.in_drawer)
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
            self._stage.set_drawer(False)
            self._stage.setFocus()
            closed, self._closed = self._closed, None
            if closed is not None:
                closed()

    def show_banner(self, banner: Banner, act: Callable[[], None] | None = None) -> None:
        """Show a banner in place of the one before; it goes by itself after a while."""
        unread = self._unread_now(banner)
        self.close_banner()
        self._unread = unread
        self._show_banner(banner, act)

    def _unread_now(self, newer: Banner) -> list[tuple[Banner, Callable[[], None] | None]]:
        """Warnings that nobody can have read, the newest last, when another banner comes."""
        left = [one for one in self._unread if one[0] != newer]
        now = self.banner
        stood_ms = _BANNER_MS - self.banner_timer.remainingTime()
        if now is not None and now != newer and now.kind is not BannerKind.INFO:
            left += [(now, self._act)] if stood_ms < _READ_MS else []
        return left[-_MOST_UNREAD:]

    def _show_banner(self, banner: Banner, act: Callable[[], None] | None) -> None:
        self._act, self._banner_is_newer = act, True
        more = len(self._unread)
        self._banner = BannerPanel(
            banner, self._palette, self.unit, act, self.dismiss, self._stage, more
        )
        self._stage.heed(self._banner)
        self._banner.place(self._stage.width(), self._stage.height(), self.unit)
        self._banner.show()
        self._banner.raise_()
        if self._sheet is not None:  # a banner must not cover what somebody reads
            self._sheet.raise_()
        self.banner_timer.start(_BANNER_MS)
        self._stage.update()

    def dismiss(self) -> None:
        """Take the banner away; one that nobody has read yet takes its place."""
        unread = self._unread
        self.close_banner()
        if unread:
            *self._unread, (banner, act) = unread
            self._show_banner(banner, act)

    def show_progress(self, text: str) -> None:
        """Something is being loaded, or, where empty, no longer; a newer line hides the banner."""
        if text == self._progress:
            return
        self._progress = text
        if self._banner is not None:
            self._banner.setVisible(not text)
        self._stage.update()

    def message_taken(self) -> bool:
        """Whether a banner stands in the slot for messages."""
        return self._banner is not None and not self._banner.isHidden()

    def close_beside(self) -> bool:
        """Close the sheet that a click beside it closes; returns whether there was one."""
        if self._sheet is None or not self._sheet.closes_outside:
            return False
        self.close_sheet()
        return True

    def show_error(self, error: Exception, goes_on: str = "") -> None:
        """Show an error, and what goes on all the same where the error has no hint."""
        if isinstance(error, TwinlensError):
            hint = error.hint or goes_on
            self.show_banner(Banner(headline(error.message), hint, BannerKind.ERROR))
            return
        title = f"Something unexpected happened: {type(error).__name__}: {error}"
        act, button = self.copy_report, "Copy report" if self.copy_report else ""
        self.show_banner(Banner(title, goes_on, BannerKind.ERROR, button), act)

    def close_banner(self) -> None:
        """Take the banner away, and what is unread with it."""
        self.banner_timer.stop()
        self._unread = []
        if self._banner is not None:
            self._banner.hide()
            self._banner.deleteLater()
            self._banner = None
            self._stage.update()

    def raise_sheet(self) -> None:
        """Let the open sheet stand before everything else on the stage."""
        if self._sheet is not None:
            self._sheet.raise_()

    def close_newest(self) -> bool:
        """Close the sheet or the banner, whichever came last; returns whether there was one."""
        if self.message_taken() and (self._banner_is_newer or self._sheet is None):
            self.dismiss()
            return True
        if self._sheet is not None:
            self.close_sheet()
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
        if isinstance(self._sheet, Sheet):
            self.refresh_sheet(self._sheet.title, self._sheet.rows)
            return
        if isinstance(self._sheet, CheatCard):
            self.toggle_cheat_sheet()
            self.toggle_cheat_sheet()
            return
        if self._sheet is None or not self._sheet.keeps:
            self.close_sheet()
            return
        self._sheet.restyle(self._palette, self.unit)
        self.place_sheet()

    def place_sheet(self) -> None:
        """Let the open sheet stand where its content needs it."""
        if self._sheet is not None:
            self._sheet.place(self._stage.width(), self._stage.height(), self.unit)
