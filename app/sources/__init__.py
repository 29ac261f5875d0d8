"""Sources of frames, one file per kind, and the table of what a text on the command line means.

Goes in: whatever delivers frames; the only code of the app that knows OpenCV. Stays out: threads
(`app.core.session.capture` gives each source one) and pausing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twinlens.app.core.addresses import scheme_of, shown_address
from twinlens.app.core.session.source import Source, SourceInfo
from twinlens.app.sources.animation import Animation
from twinlens.app.sources.camera import (
    Camera,
    CameraName,
    list_cameras,
    named_by_system,
    system_driver,
)
from twinlens.app.sources.drawing import Drawing
from twinlens.app.sources.hosted import HostedSource, StartHost
from twinlens.app.sources.picture import Pictures, pictures_in
from twinlens.app.sources.screen import ScreenRegion
from twinlens.app.sources.stream import SCHEMES, NetworkStream
from twinlens.app.sources.video import VIDEO_SUFFIXES, VideoFile
from twinlens.app.sources.written import as_ours, is_there
from twinlens.assets import clip_path
from twinlens.engine.errors import SourceError
from twinlens.engine.files import reading, shown_name
from twinlens.engine.image.animation import moves
from twinlens.models.identify.kinds import PICTURE_SUFFIXES, Kind, glance, is_picture

__all__ = [
    "PICTURE_SUFFIXES",
    "SOURCES",
    "VIDEO_SUFFIXES",
    "CameraName",
    "Drawing",
    "Source",
    "SourceInfo",
    "SourceKind",
    "SourceOptions",
    "list_cameras",
    "open_source",
]


@dataclass(frozen=True)
class SourceOptions:
    """How a source is to be read.

    Attributes:
        realtime: at its own pace; otherwise every frame, none dropped, once.
        loop: a file starts again at its end (real time only).
        size: wanted camera size, (width, height).
        fps: wanted camera frame rate.
    """

    realtime: bool = True
    loop: bool = True
    size: tuple[int, int] | None = None
    fps: float | None = None


@dataclass(frozen=True)
class SourceKind:
    """A kind of source: the texts that mean it, and how it is made of one.

    Attributes:
        form: how the text is written, for help and errors.
        matches: whether a text means this kind.
        make: makes the source; does not open it.
        hosted: whether it can play in a process of its own.
    """

    form: str
    matches: Callable[[str], bool]
    make: Callable[[str, SourceOptions], Source]
    hosted: bool = True


def _make_camera(text: str, options: SourceOptions) -> Source:
    wanted = text.partition(":")[2]
    known = list_cameras() if not wanted.isdigit() else ()
    if not wanted:
        device: int | str = int(known[0].id) if known else 0
        name = known[0].name if known else None
    elif wanted.isdigit():
        device, name = int(wanted), named_by_system(wanted)
    else:
        match = next((c for c in known if wanted.lower() in c.name.lower()), None)
        if match is None and not any(mark in wanted for mark in "/\\"):
            names = ", ".join(camera.name for camera in known) or "none"
            raise SourceError(f"no camera is called {wanted!r}", hint=f"Cameras found: {names}.")
        device = int(match.id) if match else wanted
        name = match.name if match else wanted
    return Camera(
        device,
        name=name,
        known=bool(wanted or known),
        size=options.size,
        fps=options.fps,
        driver=system_driver(),
    )


def _make_screen(text: str, options: SourceOptions) -> Source:
    del options
    numbers = text.partition(":")[2]
    if not numbers:
        return ScreenRegion()
    try:
        x, y, width, height = (int(number) for number in numbers.split(","))
    except ValueError:
        raise SourceError(f"{text}: expected screen:x,y,width,height") from None
    return ScreenRegion((x, y, width, height))


def _make_clip(text: str, options: SourceOptions) -> Source:
    del text
    return VideoFile(
        clip_path(),
        realtime=options.realtime,
        loop=options.loop,
        kind="clip",
        title="Bundled clip",
    )


def _make_drawing(text: str, options: SourceOptions) -> Source:
    del text, options
    return Drawing()


def _make_stream(text: str, options: SourceOptions) -> Source:
    del options
    return NetworkStream(text)


def _make_pictures(text: str, options: SourceOptions) -> Source:
    path = Path(text)
    with reading(path, SourceError):
        paths = pictures_in(path) if path.is_dir() else [path]
        if len(paths) == 1 and moves(paths[0]):
            return Animation(paths[0], realtime=options.realtime)
    if not paths:
        raise SourceError(f"{path}: has no pictures", hint="Choose a folder with pictures.")
    return Pictures(paths, shown_name(path.name or str(path)), realtime=options.realtime)


def _make_video(text: str, options: SourceOptions) -> Source:
    path = Path(text)
    with reading(path, SourceError):
        what = glance(path)
    if what.kind in (Kind.MODEL, Kind.PARAMETERS, Kind.LABELS):
        raise SourceError(
            f"{shown_name(text)}: is no video but a {what.kind.value} file"
            f"{f' ({what.format})' if what.format else ''}",
            hint="Give it as the model, and a camera, video or picture as the source.",
        )
    return VideoFile(path, realtime=options.realtime, loop=options.loop)


def _is_picture(text: str) -> bool:
    path = Path(text)
    with reading(path, SourceError):
        if path.is_dir() or is_picture(path):
            return True
        # A video may be called anything; what is damaged goes by its name.
        is_named = path.suffix.lower() in PICTURE_SUFFIXES
        return is_named and glance(path).kind is not Kind.VIDEO


def _is_video(text: str) -> bool:
    return Path(text).suffix != "" or is_there(text)


def _named(*names: str) -> Callable[[str], bool]:
    """A word by itself, or with more behind a colon, where the whole is no file's name."""
    return lambda text: (
        text in names or (any(text.startswith(f"{name}:") for name in names) and not is_there(text))
    )


# Asked from the top; the last one takes whatever else is a path.
SOURCES: tuple[SourceKind, ...] = (
    SourceKind("camera, camera:NUMBER or camera:NAME", _named("camera"), _make_camera),
    SourceKind("clip", _named("clip"), _make_clip),
    SourceKind("drawing", _named("drawing"), _make_drawing, False),
    SourceKind("screen or screen:x,y,width,height", _named("screen"), _make_screen, False),
    SourceKind(
        "a URL (rtsp://…, http://…)",
        lambda text: scheme_of(text) in SCHEMES and not is_there(text),
        _make_stream,
    ),
    SourceKind("the path of a picture or a folder of pictures", _is_picture, _make_pictures),
    SourceKind("the path of a video", _is_video, _make_video),
)


def open_source(
    text: str,
    *,
    realtime: bool = True,
    loop: bool = True,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    host: StartHost | None = None,
) -> Source:
    """Make the source that a text means; it is opened later, by the thread that reads it.

    Args:
        text: see ``SOURCES``.
        realtime, loop, size, fps: see ``SourceOptions``.
        host: starts the process that it plays in; None plays it in this one. The screen and the
            drawing pad always do.

    Raises:
        SourceError: the text means no source (names the forms), or a path that cannot be looked at.
    """
    options = SourceOptions(realtime=realtime, loop=loop, size=size, fps=fps)
    text = as_ours(text)
    for kind in SOURCES:
        if kind.matches(text):
            source = kind.make(text, options)
            return HostedSource(source, text, options, host) if host and kind.hosted else source
    forms = "; ".join(kind.form for kind in SOURCES)
    shown = repr(shown_name(shown_address(text)))
    raise SourceError(f"source {shown} is none that Twinlens knows", hint=f"Give {forms}.")
