"""Twinlens: a live picture, classified, with an engine that you flip while it runs.

Opens the window; where there is no display, shows the same pipeline in the terminal.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from twinlens.app.commands.display import no_window_reason
from twinlens.app.commands.options import add_model_options, add_precision_options
from twinlens.app.core.hosts.early import IN_ONE_PROCESS, drop_first, take_first
from twinlens.app.core.hosts.hosts import window_hosts
from twinlens.app.core.way_out import WAY_OUT

SOURCE_HELP = (
    "camera, camera:N, clip, screen, screen:x,y,w,h, a URL (rtsp://, http:// ...), "
    "or a video, picture or folder"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--source", help=f"{SOURCE_HELP} (default: the last one, or the camera)")
    add_model_options(parser, engine=None)
    add_precision_options(parser)
    parser.add_argument(
        "--meanwhile",
        metavar="SOURCE",
        help="what plays while a camera or stream is away, kept for the next time (default: clip)",
    )
    parser.add_argument("--terminal", action="store_true", help="no window: show it in here")
    parser.add_argument(
        IN_ONE_PROCESS,
        action="store_true",
        help="run engines in the window's own process, which a fault of theirs ends",
    )
    parser.add_argument("--settings", type=Path, help="settings file (default: the user's)")


def execute(args: argparse.Namespace) -> int:
    """Open the window, or the terminal view where there is none."""
    reason = None if args.terminal else no_window_reason()
    if args.terminal or reason:
        from twinlens.app.commands.terminal import run_terminal

        drop_first()
        if reason:
            sys.stderr.write(f"twinlens: {reason}; showing it in the terminal\n")
        return run_terminal(args)
    # Before Qt is loaded: whoever ends the window that is about to come wants no traceback.
    WAY_OUT.for_window()
    from twinlens.app.core.settings import SettingsStore
    from twinlens.app.qt.main import run_window

    hosts = None if args.one_process else window_hosts(take_first("engines"), take_first("source"))
    return run_window(
        args.source,
        args.model,
        args.engine,
        settings=SettingsStore(args.settings),
        meanwhile=args.meanwhile,
        labels=args.labels,
        threads=args.threads,
        precision=args.precision,
        calibration=args.calibration,
        adapter=args.adapter,
        output_name=args.output_name,
        output_kind=args.output_kind,
        hosts=hosts,
    )
