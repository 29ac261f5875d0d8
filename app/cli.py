"""The ``twinlens`` command: the window by default, or one of the commands below.

Exit status: 0 done, 1 an error that one line on stderr explains, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import io
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from twinlens.app.core.way_out import INTERRUPTED
from twinlens.engine.errors import TwinlensError

if TYPE_CHECKING:
    from twinlens.app.core.hosts.hosts import Hosts


class Command(NamedTuple):
    """A command: the module that has ``configure(parser)`` and ``execute(args) -> int``."""

    module: str
    help: str


COMMANDS: dict[str, Command] = {
    "run": Command("run", "the same pipeline; --headless without a window, as text or JSON lines"),
    "classify": Command("classify", "classify pictures"),
    "eval": Command("evaluate", "top-1 and top-5 accuracy over a folder of labelled pictures"),
    "bench": Command("bench", "engines side by side: medians, 95th percentiles, ratios"),
    "convert": Command("convert", "a model as ONNX, raw parameters, safetensors, npz or Python"),
    "models": Command("models", "the catalog: list, info, pull, remove"),
    "inspect": Command("inspect", "what a model file is, how it is fed and read, what runs it"),
    "doctor": Command("doctor", "what works on this machine, what does not, and why"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words and words[0] in COMMANDS else None
    parser, execute = _command(name)
    args: argparse.Namespace | None = None  # None as long as they are not understood
    try:
        args = parser.parse_args(words[1:] if name else words)
        return execute(args)
    except TwinlensError as error:
        from twinlens.app.commands.options import say_error

        say_error(error)
        return 1
    except BrokenPipeError:
        # The reader of our output has gone (``| head``): nobody is left to read it.
        sys.stderr.close()
        return 1
    except OSError as why:
        if why.filename is not None or not _is_of_output(why):
            raise
        return _unwritten(why)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        hosts: Hosts | None = getattr(args, "hosts", None)
        if hosts is not None:
            hosts.stop()


def _unwritten(why: OSError) -> int:
    sys.stderr.write(f"twinlens: standard output cannot be written: {why.strerror or why}\n")
    return 1


def _is_of_output(why: OSError) -> bool:
    """Whether a write failed that no file's name goes with: the console, a pipe, a full disk."""
    return why.errno in (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EINVAL)


def _prepare_streams() -> None:
    """UTF-8 whatever the console's code page, and each line at once."""
    for stream in (sys.stdout, sys.stderr):
        # None without a console, and not always a text stream where others run us.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def entry() -> NoReturn:
    """Run the command line as a process of its own: hear signals, and leave by the one way out."""
    from twinlens.app.core.hosts.child import FROZEN_FLAG, serve_forever
    from twinlens.app.core.hosts.early import begin_for
    from twinlens.app.core.way_out import WAY_OUT

    if sys.argv[1:2] == [FROZEN_FLAG]:
        serve_forever(sys.argv[2])
    begin_for(sys.argv[1:], tuple(COMMANDS))
    WAY_OUT.install()
    _prepare_streams()
    try:
        code = main()
    except SystemExit as end:  # of the parser: wrong usage, or --help
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001
        # A fault of ours: what the interpreter would print, on the same way out.
        traceback.print_exc()
        _keep_report(error)
        code = 1
    WAY_OUT.leave(code)


def _keep_report(error: Exception) -> None:
    """Keep a report of an error that nobody expected."""
    # late: only what failed needs it
    try:
        from twinlens.app.core.diagnostics.record import RECORD
        from twinlens.app.core.diagnostics.report import keep_fault

        RECORD.add_error("the command ended by an error", error)
        keep_fault()
    except Exception as why:  # noqa: BLE001 - the fault itself has been told
        sys.stderr.write(f"twinlens: no report was kept: {why}\n")


def _command(name: str | None) -> tuple[argparse.ArgumentParser, Callable[..., int]]:
    """Parser and action of a command; None is the window."""
    module = import_module(f"twinlens.app.commands.{COMMANDS[name].module if name else 'gui'}")
    if name:
        parser = _Parser(prog=f"twinlens {name}", description=module.__doc__)
    else:
        listing = "\n".join(f"  {key:10}{command.help}" for key, command in COMMANDS.items())
        parser = _Parser(
            prog="twinlens",
            description=module.__doc__,
            epilog=f"commands (twinlens COMMAND --help tells more):\n{listing}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--version", action="version", version=f"twinlens {_version()}")
    module.configure(parser)
    return parser, module.execute


class _Parser(argparse.ArgumentParser):
    """argparse's, which keeps it to itself where its help cannot be written."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            (file or sys.stderr).write(message)


def _version() -> str:
    try:
        return version("twinlens")
    except PackageNotFoundError:  # run from a tree that was never installed
        return "0 (not installed)"
