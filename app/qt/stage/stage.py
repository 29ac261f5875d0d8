"""The stage: the picture from edge to edge with the overlays on it.

A plain QWidget, painted by Qt's raster engine: a 720p frame takes 0.7 ms to paint at its own
size and, turned to 32 bits first, 3.5 ms smoothly scaled to 1080p (8 ms from 24 bits), so that
OpenGL, which is not everywhere, would gain nothing that is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractButton, QWidget

from twinlens.app.core.session.types import Frame
from twinlens.app.overlays import Notice, Overlays, Palette, engine_color
from twinlens.app.overlays.places import Places, places, unit_of
from twinlens.app.qt.stage.blank import Blank
from twinlens.app.qt.stage.drop_target import DropTarget
from twinlens.app.qt.stage.moving import Fading, Sliding
from twinlens.app.qt.stage.painters import PAINTERS, Canvas, Painter, paint_scrim
from twinlens.app.qt.stage.theme import color
from twinlens.engine.image import PixelBuffer, PixelFormat, Region

_TICK_MS = 16
_FORMATS = {
    PixelFormat.BGR8: QImage.Format.Format_BGR888,
    PixelFormat.RGB8: QImage.Format.Format_RGB888,
    PixelFormat.BGRA8: QImage.Format.Format_RGB32,
    PixelFormat.GRAY8: QImage.Format.Format_Grayscale8,
}


def buffer_image(buffer: PixelBuffer) -> QImage:
    """A picture of 32 bits; the pixels are copied, so that it owns them."""
    form = _FORMATS.get(buffer.format)
    if form is None or buffer.orientation != 1:
        pixels = np.ascontiguousarray(buffer.to_bgr())
        height, width = pixels.shape[:2]
        wrapped = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_BGR888)
        return wrapped.convertToFormat(QImage.Format.Format_RGB32)
    wrapped = QImage(buffer.data.data, buffer.width, buffer.height, buffer.stride, form)
    if form == QImage.Format.Format_RGB32:
        return wrapped.copy()
    return wrapped.convertToFormat(QImage.Format.Format_RGB32)


class Stage(QWidget):
    """The picture and what is drawn on it.

    Args:
        palette: colours of the theme.
        painters: what draws the data of views, by its type.

    Attributes:
        top_taken: gives the height, in pixels, that controls take now at the top.
        message_taken: gives whether a banner stands in the slot for messages.
        unseen: what stands here and belongs on no picture of the stage.
        outside: called at a press on the picture: closes an open sheet; gives whether it did.
        hand: takes what the pointer does on the picture; gives whether it has used it.

    Signals:
        used: the pointer moves on it or on what stands on it, or a key is pressed there that
            nothing else takes.
        painted: a frame was painted for the first time: its index and source id.
        resized: the stage has another size.
        hovered: a file or folder is held over it: its path. What a drop would do is shown by
            ``target``, once that is known.
        dropped: a file or folder was dropped on it: its path.
    """

    used = Signal()
    painted = Signal(int, int)
    resized = Signal()
    hovered = Signal(object)
    dropped = Signal(object)

    def __init__(
        self,
        palette: Palette,
        parent: QWidget | None = None,
        *,
        painters: Mapping[type, Painter] | None = None,
    ) -> None:
        super().__init__(parent)
        self._painters = {**PAINTERS, **(painters or {})}
        self._under: tuple[object, ...] = ()
        self._over: tuple[object, ...] = ()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Picture")
        self.setAcceptDrops(True)
        self.palette_ = palette
        self.mirror = False
        self.target = DropTarget(palette, self)
        self.blank = Blank(self)
        self.unseen: tuple[QWidget, ...] = ()
        self.top_taken: Callable[[], float] = lambda: 0.0
        self.message_taken: Callable[[], bool] = lambda: False
        self.outside: Callable[[], bool] = lambda: False
        self.drawer = False
        self._pointer = Qt.CursorShape.ArrowCursor
        self._pointer_hidden = False
        self.hand: Callable[[QMouseEvent], bool] | None = None
        self._negative = False
        self._region: Region | None = None
        self._image: QImage | None = None
        self._fresh: tuple[int, int] | None = None
        self._overlays = Overlays()
        self._accent = Fading(QColor(255, 255, 255))
        self._rows: dict[int, Sliding] = {}
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self.update)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Small enough for half a laptop's screen."""
        return QSize(480, 270)

    @property
    def unit(self) -> float:
        """1 % of the stage's shorter side, in pixels."""
        return unit_of(self.width(), self.height())

    @property
    def places(self) -> Places:
        """Where everything stands now."""
        return places(max(1, self.width()), max(1, self.height()), drawer=self.drawer)

    def set_drawer(self, taken: bool) -> None:
        """Something stands in the drawer, or no longer: the picture makes room."""
        if taken != self.drawer:
            self.drawer = taken
            self.update()

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self.palette_ = palette
        self.target.set_palette(palette)
        self.update()

    def set_pointer(self, shape: Qt.CursorShape) -> None:
        """Show the pointer in this shape on the picture."""
        self._pointer = shape
        self._show_pointer()

    def hide_pointer(self, hidden: bool) -> None:
        """Hide the pointer while nobody uses it, or show it again."""
        if hidden != self._pointer_hidden:
            self._pointer_hidden = hidden
            self._show_pointer()

    def _show_pointer(self) -> None:
        self.setCursor(Qt.CursorShape.BlankCursor if self._pointer_hidden else self._pointer)

    def show_image(self, image: QImage) -> None:
        """Show a still, such as the picture while starting."""
        self._image = image
        self.update()

    def show_frame(self, frame: Frame) -> None:
        """Show a frame."""
        self._image = buffer_image(frame.buffer)
        if self._negative:
            self._image.invertPixels()
        self._fresh = (frame.index, frame.source_id)
        self.update()

    def show_overlays(self, overlays: Overlays) -> None:
        """Show overlays; starts the animations that lead there."""
        if overlays == self._overlays:
            return
        self._overlays = overlays
        label = overlays.label
        if label is not None:
            self._accent.go(QColor(engine_color(label.engine_id)))
            self.setAccessibleDescription(f"{label.label}, {label.confidence_text.strip()}")
        rows = overlays.top.rows if overlays.top else ()
        self._rows = {
            row.index: self._rows.get(row.index, Sliding(float(place))).to(float(place))
            for place, row in enumerate(rows)
        }
        self._timer.start()
        self.update()

    def show_views(self, under: tuple[object, ...], over: tuple[object, ...]) -> None:
        """Show the data of views, under the label and over it, in place of what was shown."""
        self._under, self._over = under, over
        self.update()

    def set_negative(self, negative: bool) -> None:
        """Show light as dark and dark as light; display only, as ``mirror`` is."""
        if negative != self._negative:
            self._negative = negative
            if self._image is not None:
                self._image.invertPixels()
            self.update()

    def show_region(self, region: Region | None) -> None:
        """Mark the part of the picture that the network looks at."""
        if region != self._region:
            self._region = region
            self.update()

    @property
    def region(self) -> Region | None:
        """The part of the picture that is marked."""
        return self._region

    @property
    def negative(self) -> bool:
        """Whether light is shown as dark."""
        return self._negative

    def to_picture(self, place: QPointF) -> tuple[float, float]:
        """Where a place on the stage is in the picture, in shares of its width and height."""
        area = self.picture_area()
        x = area.left() + area.right() - place.x() if self.mirror else place.x()
        return (x - area.left()) / area.width(), (place.y() - area.top()) / area.height()

    def picture_area(self) -> QRectF:
        """Where the picture is painted: all of it, however it is shaped."""
        size = self._image.size() if self._image is not None else self.size()
        box = self.places.fitted(max(1, size.width()), max(1, size.height()))
        # Whole pixels: a picture of the stage's own size is painted as it is.
        return QRectF(QRectF(box.x, box.y, box.width, box.height).toRect())

    @property
    def overlays(self) -> Overlays:
        """What is shown now."""
        return self._overlays

    def canvas(self) -> Canvas:
        """Measures and colours of this moment."""
        top = self._overlays.top
        return Canvas(
            width=self.width(),
            height=self.height(),
            palette=self.palette_,
            accent=self._accent.now(),
            row_places={index: row.now() for index, row in self._rows.items()},
            rows=len(top.rows) if top else 0,
            drawer=self.drawer,
        )

    def heed(self, panel: QWidget) -> None:
        """Let the pointer over a panel that stands here, and its buttons, count as use as well."""
        for part in (panel, *panel.findChildren(QWidget)):
            # What tracks the pointer and has no use for a move hands it on to what it stands on.
            part.setMouseTracking(True)
            if isinstance(part, QAbstractButton):
                part.pressed.connect(self.used)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Notify of use, and let the hand go on."""
        self.used.emit()
        self._by_hand(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Close an open sheet, else let the hand take it."""
        if event.button() == Qt.MouseButton.LeftButton and self.outside():
            event.accept()
            return
        self._by_hand(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Let the hand take it."""
        self._by_hand(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Let the hand take it, else whatever the stage stands on."""
        self._by_hand(event)

    def _by_hand(self, event: QMouseEvent) -> None:
        event.setAccepted(self.hand is not None and self.hand(event))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Notify of use."""
        self.used.emit()
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Tell of the new size."""
        super().resizeEvent(event)
        self.blank.lay_out()
        self.resized.emit()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        """Take whatever is a file; what a drop would do is found out meanwhile."""
        path = _path_of(event)
        if path is not None:
            self.target.show_path(path)
            event.acceptProposedAction()
            self.hovered.emit(path)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802 - Qt's name
        """Take the target away."""
        self.target.clear()
        event.accept()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 - Qt's name
        """Tell what was dropped."""
        self.target.clear()
        path = _path_of(event)
        if path is not None:
            event.acceptProposedAction()
            self.dropped.emit(path)

    def picture(self) -> QImage:
        """What the audience sees: picture, overlays and open sheets, without the controls."""
        made = QImage(self.size(), QImage.Format.Format_RGB32)
        self.render(made, renderFlags=QWidget.RenderFlag.DrawWindowBackground)
        for child in self.children():
            if isinstance(child, QWidget) and child.isVisible() and child not in self.unseen:
                child.render(made, child.pos())
        return made

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint the picture, the scrim, then each overlay by its painter."""
        del event
        painter = QPainter(self)
        try:
            painter.setRenderHints(
                QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform
            )
            self._paint_picture(painter)
            self._paint_overlays(painter, self.canvas())
        finally:
            painter.end()
        if not (self._accent.moving or any(row.moving for row in self._rows.values())):
            self._timer.stop()
        if self._fresh is not None:
            fresh, self._fresh = self._fresh, None
            self.painted.emit(*fresh)

    def _paint_picture(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), color(self.palette_.ground))
        if self._image is None or self._image.isNull():
            return
        area = self.picture_area()
        painter.save()
        if self.mirror:
            painter.translate(area.left() + area.right(), 0)
            painter.scale(-1, 1)
        painter.drawImage(area, self._image)
        if self._region is not None:
            self._paint_region(painter, area, self._region)
        painter.restore()

    def _paint_region(self, painter: QPainter, area: QRectF, region: Region) -> None:
        unit = self.unit
        marked = QRectF(
            area.left() + region.x * area.width(),
            area.top() + region.y * area.height(),
            region.width * area.width(),
            region.height * area.height(),
        )
        painter.setPen(QPen(self._accent.now(), 0.3 * unit))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        # Where buttons stand, the frame ends below them rather than run on between them.
        painter.setClipRect(QRectF(0, self.top_taken(), self.width(), self.height()))
        inset = 0.15 * unit
        painter.drawRoundedRect(marked.adjusted(inset, inset, -inset, -inset), unit, unit)

    def _paint_overlays(self, painter: QPainter, canvas: Canvas) -> None:
        shown = self._overlays
        for data in self._under:
            self._painters[type(data)](painter, data, canvas)
        if shown.label is not None:
            paint_scrim(painter, canvas)
        for overlay in (shown.label, shown.top, shown.status, shown.notice, *self._over):
            if overlay is not None and not self._waits(overlay):
                self._painters[type(overlay)](painter, overlay, canvas)

    def _waits(self, overlay: object) -> bool:
        """Whether a notice is not seen, since a newer banner has its place."""
        return isinstance(overlay, Notice) and not overlay.dim and self.message_taken()


def _path_of(event: QDropEvent) -> Path | None:
    urls = event.mimeData().urls()
    return Path(urls[0].toLocalFile()) if urls and urls[0].isLocalFile() else None
