"""Render the clip's frames: `python -m twinlens.assets.clip.render FOLDER`.

Needs Blender as a module (`pip install bpy`, which asks for one Python version and Linux, macOS
or Windows). A frame that is there already is kept, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .script import FPS, SECONDS_EACH, SHOTS, SIZE


def render_all(folder: Path, samples: int, only: str | None = None) -> None:
    """Write `SCENE_FRAME.png` for every frame of every shot."""
    # bpy starts Blender: only here, so that the script's table can be read without it.
    from . import stage

    folder.mkdir(parents=True, exist_ok=True)
    for number, shot in enumerate(SHOTS):
        count = SECONDS_EACH * FPS
        paths = [folder / f"{number:02d}_{frame:03d}.png" for frame in range(count)]
        if only not in {None, shot.name} or all(path.exists() for path in paths):
            continue
        parts = stage.set_up(shot, SIZE, samples)
        for frame, path in enumerate(paths):
            if not path.exists():
                stage.pose(parts, shot, frame / count)
                stage.render(parts, path)


def main() -> None:
    """Read the command line and render."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the frames go")
    parser.add_argument("--samples", type=int, default=8, help="light paths per pixel")
    parser.add_argument("--only", help="one object, by its name")
    options = parser.parse_args()
    render_all(options.folder, options.samples, options.only)


if __name__ == "__main__":
    main()
