"""What reading frames costs: decoding per frame, and how well the pace is kept.

Run ``python tests/bench/bench_capture.py [VIDEO]``; without a video it reads the bundled clip.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from twinlens.app.core.session.source import Source
from twinlens.app.sources import open_source

SECONDS = 6.0


def percentile(values: list[float], share: float) -> float:
    """Nearest-rank percentile."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def decode_ms(source: Source, most: int = 300) -> list[float]:
    """Milliseconds of each read, unpaced."""
    source.open()
    source.read()
    times: list[float] = []
    while len(times) < most:
        start = time.perf_counter()
        if source.read() is None:
            break
        times.append((time.perf_counter() - start) * 1e3)
    source.close()
    return times


def lateness_ms(source: Source) -> tuple[list[float], int]:
    """Milliseconds by which each paced frame came later than due, and frames that were skipped."""
    source.open()
    frames, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end and (frame := source.read()) is not None:
        frames.append(frame)
        if frames[0].t_s > frame.t_s:
            break
    source.close()
    origin = frames[0].captured_s - frames[0].t_s
    late = [(f.captured_s - origin - f.t_s) * 1e3 for f in frames[1:]]
    return late, frames[-1].index - frames[0].index + 1 - len(frames)


def row(name: str, values: list[float], note: str = "") -> None:
    """Print a line of the table."""
    print(
        f"{name:<24}{len(values):>7}{statistics.median(values):>11.2f}"
        f"{percentile(values, 0.95):>9.2f}{max(values):>9.2f}  {note}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", nargs="?", default="clip")
    text = parser.parse_args().video
    name = Path(text).name
    print(f"{name:<24}{'frames':>7}{'median ms':>11}{'p95':>9}{'max':>9}")
    row("read, unpaced", decode_ms(open_source(text, realtime=False)))
    late, skipped = lateness_ms(open_source(text, loop=False))
    row("lateness, paced", late, f"{skipped} skipped")


if __name__ == "__main__":
    main()
