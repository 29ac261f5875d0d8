"""Takes out of a text what is a person's: paths, names, addresses, passwords.

It rather takes too much than too little: where it cannot be told how far a file's name goes, the
clause goes with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

_ENDINGS = (
    "onnx tflite lite mlmodel mlpackage mlmodelc safetensors npz npy h5 hdf5 keras pt pth bin pb "
    "dat toml json txt csv py zip tar gz tgz mp4 m4v mov avi mkv webm mpg mpeg ts m2ts wmv flv ogv "
    "gif png apng jpg jpeg jfif bmp webp tif tiff heic heif avif ppm pgm pnm dds exr hdr jp2 m3u8 "
    "mpd sdp yuv y4m log bad part pdf"
)
_ENDING = "|".join(sorted(_ENDINGS.split(), key=len, reverse=True))
# A clause ends where messages go on after a name.
_CLAUSE = r"[^\n\"'<>|;]"
_SECRET = re.compile(
    r"((?:pass(?:word|wd|phrase|code)?|pwd|auth\w*|bearer|\w*token|\w*key|secret|signature|sig|"
    r"credentials?)\"?'?\s*(?:[=:]|\bis\b)\s*)(\"[^\"\n]*\"|'[^'\n]*'|(?:Bearer |Basic )?[^\s<]+)",
    re.I,
)
_ADDRESS = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://[^\s\"'<>]*(?:[^\n\"'<>]*@[^\s\"'<>]*)?")
_QUOTED = re.compile(r"(['\"‘“`])((?:(?!\1)[^\n’”])*?)(['\"’”`])")
_PATH = re.compile(
    rf"(?<![\w<./])(?:~[\w.-]*(?=[/\\])|[A-Za-z]:(?=[\\/])|\\\\(?=[\w?.])|/(?=[^\s/])){_CLAUSE}*"
)
_PATH_ENDS = re.compile(rf"\.({_ENDING})(?![\w.])|: |, (?=[a-z]+ )|\)", re.I)
_DEVICE = re.compile(r"/dev/(?:video|dri/card|dri/render\w*)\d+(?![\w/])")
_FILE = re.compile(rf"(?:(?<=: )|^|(?<=[\n\"'<>|;])){_CLAUSE}*?[^\s<]\.({_ENDING})(?![\w.])", re.I)
_SLASHED = re.compile(r"[^\s\"'<>]*[/\\][^\s\"'<>]*")
_MAIL = re.compile(r"[^\s@<>\"'()]+@[^\s@<>\"'()]+")
_MAC = re.compile(
    r"(?<![\w])(?:[0-9a-f]{2}[:-]){5,7}[0-9a-f]{2}(?![\w])|\b[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}\b",
    re.I,
)
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d])(?::\d+)?")
_IPV6 = re.compile(
    r"\[?(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?:%\w+)?\]?",
    re.I,
)
_HOST = re.compile(r"(?<![\w.-])[\w-]+(?:\.[\w-]+)+(?::\d+)?")
_PORT = re.compile(r"(?<![\w.])[A-Za-z][\w-]*:\d{2,5}(?![\w.])")
_NUMBER = re.compile(r"[vV]?\d+(?:\.\d+)*(?:[a-z]+\d*)?", re.A)
_PLAIN = frozenset({"I/O", "and/or", "km/h", "MB/s", "n/a"})
_OURS = frozenset({"twinlens", "numpy", "onnxruntime", "PySide6", "cv2", "av", "llvmlite", "wgpu"})
_OURS_NOT = frozenset({"self", "e.g", "i.e"})
_SHORT = 4
_LONGEST_LINE = 400


class Cleaner:
    """Cleans texts; see the module.

    Args:
        names: words that are a person's: of users, machines, files, titles.
        folders: likewise, folders.
    """

    def __init__(self, names: Iterable[str], folders: Iterable[str] = ()) -> None:
        words = {f: "<path>" for f in folders if len(f) > 1}
        words |= {n: "<name>" for n in names if n.strip() and n not in words}
        # The longest first: a file's name is often part of its path.
        self._words = [
            (re.compile(_as_written(word), re.I), shown)
            for word, shown in sorted(words.items(), key=lambda item: -len(item[0]))
        ]

    def __call__(self, text: str) -> str:
        """The text without what is a person's; what is taken out is named by its kind."""
        return "\n".join(self._line(_short(line)) for line in text.split("\n"))

    def _line(self, text: str) -> str:
        text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
        text = _SECRET.sub(r"\1<secret>", text)
        text = _ADDRESS.sub(lambda m: f"<address {_scheme(m[1])}>", text)
        text = _QUOTED.sub(_quoted, text)
        text = _PATH.sub(_path, text)
        text = _FILE.sub(lambda m: f"<file .{m[1].lower()}>", text)
        text = _MAIL.sub("<e-mail>", text)
        text = _MAC.sub("<address>", text)
        text = _IPV4.sub("<address>", text)
        text = _IPV6.sub(lambda m: "<address>" if _is_ipv6(m[0]) else m[0], text)
        text = _SLASHED.sub(lambda m: m[0] if _is_plain(m[0]) else "<path>", text)
        text = _PORT.sub("<address>", text)
        text = _HOST.sub(lambda m: m[0] if _is_code(m[0]) else "<name>", text)
        for word, shown in self._words:
            text = word.sub(shown, text)
        return text


def of_this_machine(more: Iterable[str] = ()) -> Cleaner:
    """A cleaner that knows who uses this machine, and what it is called.

    Args:
        more: names, paths and addresses that are known to be a person's.
    """
    import getpass
    import socket

    names: set[str] = set()
    # The user's name as the system has it; there is none in some containers.
    with contextlib.suppress(OSError, KeyError, ImportError):
        names.add(getpass.getuser())
    with contextlib.suppress(OSError, KeyError, ImportError, AttributeError):
        import pwd

        entry = pwd.getpwuid(os.getuid())
        full = entry.pw_gecos.split(",")[0]
        names |= {entry.pw_name, full, *full.split()}
    with contextlib.suppress(OSError, UnicodeError):
        machine = socket.gethostname()
        names |= {machine, machine.partition(".")[0]}
    folders: set[str] = set()
    with contextlib.suppress(RuntimeError, OSError):
        folders |= {str(Path.home()), str(Path.cwd())}
        names.add(Path.home().name)
    for word in more:
        (folders if "/" in word or "\\" in word else names).add(word)
        names |= {Path(word).name, Path(word).stem}
    # "root" is nobody's name, and in many words.
    return Cleaner(names - {"root", "home", "user", "", "localhost"}, folders)


def _short(line: str) -> str:
    """A line that is not too long to be looked through, cut where no name goes on."""
    if len(line) <= _LONGEST_LINE:
        return line
    head = line[:_LONGEST_LINE]
    for mark in "'\"":
        if head.count(mark) % 2:
            head = head.rpartition(mark)[0]
    return f"{head.rpartition(': ')[0]} <long text>"


def _as_written(word: str) -> str:
    """A pattern of a word; a short one only where it stands by itself."""
    plain = re.escape(word).replace(r"\\", r"\\{1,2}")
    return plain if len(word) >= _SHORT else rf"(?<![^\W_]){plain}(?![^\W_])"


def _scheme(text: str) -> str:
    known = {"rtsp", "rtsps", "rtmp", "http", "https", "srt", "udp", "tcp", "rtp", "file", "ftp"}
    return text.lower() if text.lower() in known else "other"


def _kind_of(text: str) -> str:
    found = re.search(rf"[^\s]\.({_ENDING})$", text.rstrip(" /\\"), re.I)
    return f"<file .{found[1].lower()}>" if found else "<path>"


def _quoted(found: re.Match[str]) -> str:
    """What stands in quotation marks is taken whole, if it is a path or a file's name."""
    inner = found[2]
    kind = _kind_of(inner)
    if kind == "<path>" and not re.search(r"[/\\]", inner):
        return found[0]
    return f"{found[1]}{kind}{found[3]}"


def _path(found: re.Match[str]) -> str:
    """A path without marks around it: to its ending, or to the end of the clause."""
    text = found[0]
    device = _DEVICE.match(text)
    if device is not None:
        return device[0] + _PATH.sub(_path, text[device.end() :])
    ends = _PATH_ENDS.search(text, 1)
    if ends is None:
        return "<path>"
    if ends[1]:
        rest = text[ends.end() :]
        return f"<file .{ends[1].lower()}>" + (rest if rest[:1] not in "/\\" else "")
    return "<path>" + text[ends.start() :]


def _is_ipv6(text: str) -> bool:
    return "::" in text.strip("[]") or text.count(":") >= 5


def _is_plain(text: str) -> bool:
    bare = text.strip(".,:;()[]")
    return bare in _PLAIN or bool(re.fullmatch(r"[\d.,/]+", bare)) or bool(_DEVICE.fullmatch(bare))


def _is_code(text: str) -> bool:
    """Whether a dotted word is a number, or a name in a program of known makers."""
    first, *others = text.partition(":")[0].split(".")
    if _NUMBER.fullmatch(text) or text in _OURS_NOT:
        return True
    known = first in _OURS or first in sys.stdlib_module_names
    return known and all(other.isidentifier() for other in others) and ":" not in text
