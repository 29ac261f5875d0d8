"""Turn rendered frames into the clip: `python -m twinlens.assets.clip.encode FOLDER`.

What a camera in a hand adds is added here: frames in between (by optical flow), sway, changing
exposure and white balance, vignette and sensor noise. Then H.264, which OpenCV's wheels decode
everywhere. Needs `pip install imageio-ffmpeg`, which brings the encoder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twinlens.assets import clip_path, clip_timeline_path

from .script import FPS, SECONDS_EACH, SHOTS, SIZE

Pixels = NDArray[Any]  # OpenCV's stubs do not keep float32
OUTPUT_FPS = 2 * FPS
ZOOM = 1.07  # room for the sway: at its largest it stays inside the frame


def between(first: Pixels, second: Pixels, flow: cv2.DISOpticalFlow) -> Pixels:
    """The frame halfway: both pulled along the flow by half, and averaged.

    Where the two do not agree, the flow is wrong, and the frames themselves are averaged.
    """
    before, after = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in (first, second))
    room = np.zeros((*before.shape, 2), np.float32)
    forth, back = flow.calc(before, after, room.copy()), flow.calc(after, before, room.copy())
    y, x = np.mgrid[0 : before.shape[0], 0 : before.shape[1]].astype(np.float32)
    halves = [
        cv2.remap(
            frame,
            x - 0.5 * motion[..., 0],
            y - 0.5 * motion[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for frame, motion in ((first, forth), (second, back))
    ]
    apart = np.abs(halves[0].astype(np.float32) - halves[1]).max(axis=2)
    wrong = cv2.GaussianBlur(np.clip((apart - 10) / 15, 0, 1), (0, 0), 3)[..., None]
    wrong = np.minimum(2 * wrong, 1)
    pulled = cv2.addWeighted(halves[0], 0.5, halves[1], 0.5, 0)
    plain = cv2.addWeighted(first, 0.5, second, 0.5, 0)
    return np.asarray(pulled * (1 - wrong) + plain * wrong, np.uint8)


def frames(folder: Path, number: int) -> Iterator[Pixels]:
    """One shot's frames at twice the rate that was rendered, (height, width, 3) BGR uint8."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    before: Pixels | None = None
    for index in range(SECONDS_EACH * FPS):
        path = folder / f"{number:02d}_{index:03d}.png"
        frame = cv2.imread(str(path))
        if frame is None:
            raise SystemExit(f"{path} is missing; run twinlens.assets.clip.render first")
        if before is not None:
            yield between(before, frame, flow)
        before = frame
        yield frame
    if before is not None:
        yield before


def smooth(rng: np.random.Generator, count: int, seconds: float) -> Pixels:
    """A wandering curve of `count` values within -1..1, about `seconds` from turn to turn."""
    knots = rng.uniform(-1, 1, int(count / (seconds * OUTPUT_FPS)) + 4)
    at = np.arange(count) / (seconds * OUTPUT_FPS)
    index, rest = at.astype(int), at % 1
    # Uniform cubic B-spline: smooth in its second derivative, as a hand is.
    basis = (
        (1 - rest) ** 3,
        3 * rest**3 - 6 * rest**2 + 4,
        -3 * rest**3 + 3 * rest**2 + 3 * rest + 1,
        rest**3,
    )
    return np.asarray(sum(b * knots[index + k] for k, b in enumerate(basis)) / 6)


def film(folder: Path, seed: int = 7) -> Iterator[Pixels]:
    """All frames as the camera saw them, (height, width, 3) BGR uint8."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    total = len(SHOTS) * SECONDS_EACH * OUTPUT_FPS
    slow = {key: smooth(rng, total, 0.9) for key in ("x", "y", "turn", "zoom")}
    quick = {key: smooth(rng, total, 0.22) for key in ("x", "y")}
    exposure, warmth = smooth(rng, total, 1.1), smooth(rng, total, 2.5)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    out = np.hypot(x / width - 0.5, y / height - 0.5)
    vignette = (1 - 0.25 * out**2)[..., None]
    sources = (frame for number in range(len(SHOTS)) for frame in frames(folder, number))
    for t, frame in enumerate(sources):
        shift = [0.016 * width * slow[k][t] + 0.0016 * width * quick[k][t] for k in ("x", "y")]
        scale = ZOOM * (1 + 0.015 * slow["zoom"][t])
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.8 * slow["turn"][t], scale)
        matrix[:, 2] += shift
        moved = cv2.warpAffine(frame, matrix, SIZE, flags=cv2.INTER_CUBIC).astype(np.float32)
        tint = np.array([1 - 0.05 * warmth[t], 1, 1 + 0.05 * warmth[t]], np.float32)
        lit = moved * vignette * tint * (1 + 0.22 * exposure[t])
        # Photon noise grows with the root of the light, read noise is always there.
        noise = rng.normal(0, 1, lit.shape) * np.sqrt(1.2 + 0.035 * np.maximum(lit, 0))
        yield np.clip(lit + noise, 0, 255).astype(np.uint8)


def write(folder: Path) -> None:
    """Encode the clip and write what is in view when beside it."""
    import imageio_ffmpeg

    settings = ["-crf", "20", "-preset", "veryslow", "-g", str(OUTPUT_FPS), "-movflags"]
    writer = imageio_ffmpeg.write_frames(
        str(clip_path()),
        SIZE,
        pix_fmt_in="bgr24",
        fps=OUTPUT_FPS,
        codec="libx264",
        quality=None,
        output_params=[*settings, "+faststart"],
        macro_block_size=8,
    )
    writer.send(None)
    for frame in film(folder):
        writer.send(frame.tobytes())
    writer.close()
    lines = ["start_s\tend_s\tclass_index\tlabel"]
    for number, shot in enumerate(SHOTS):
        start = number * SECONDS_EACH
        lines.append(f"{start}\t{start + SECONDS_EACH}\t{shot.class_index}\t{shot.name}")
    clip_timeline_path().write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line and write the clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the rendered frames are")
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
