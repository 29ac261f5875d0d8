"""Small videos, made by PyAV when a test runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

GREEN = (64, 192, 32)
"""R, G, B of a colour that every wrong matrix or range changes."""


def plain(index: int) -> np.ndarray:
    """(48, 64, 3) R, G, B of one colour."""
    return np.full((48, 64, 3), GREEN, np.uint8)


def steps(index: int) -> np.ndarray:
    """(48, 64, 3), brighter from frame to frame."""
    return np.full((48, 64, 3), min(255, 20 + 10 * index), np.uint8)


def write_video(
    path: Path,
    codec: str = "libx264",
    *,
    pictures: Callable[[int], np.ndarray] = steps,
    count: int = 12,
    fps: int = 10,
    pixels: str = "yuv420p",
    matrix: int | None = None,
    full: bool = False,
    trc: int | None = None,
    options: Mapping[str, str] | None = None,
    stamps: Callable[[int], int] | None = None,
    turned: int = 0,
    format: str | None = None,
    raw_form: str = "rgb24",
    container: Mapping[str, str] | None = None,
) -> Path:
    """Write a video; colours are converted as they are tagged."""
    with av.open(str(path), "w", format=format, options=dict(container or {})) as output:
        stream = output.add_stream(codec, rate=fps, options=dict(options or {}))
        first = pictures(0)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, fps)
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if full:
            stream.codec_context.color_range = ColorRange.JPEG
        if trc is not None:
            stream.codec_context.color_trc = trc
        if turned:
            stream.set_display_rotation(turned)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(pictures(index), format=raw_form)
            frame = frame.reformat(
                format=pixels,
                dst_colorspace=Colorspace(matrix) if matrix in (1, 5, 9) else None,
                dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
                interpolation=2 | 0x40000,
            )
            if matrix is not None:
                frame.colorspace = matrix
            if full:
                frame.color_range = ColorRange.JPEG
            if trc is not None:
                frame.color_trc = trc
            frame.pts = stamps(index) if stamps else index
            frame.time_base = Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path
