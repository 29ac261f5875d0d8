"""The benchmark's own virtual environment: this project and every peer.

Standard library only: it runs before anything is installed. A peer that cannot be installed is
left out with the reason; it is tried again at the next start.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

#: By library: arguments of one ``pip install`` each. ncnn's converter (pnnx) asks for PyTorch,
#: which only its Python side needs; OpenCV comes with the project.
PACKAGES: dict[str, tuple[tuple[str, ...], ...]] = {
    "": (("-e", str(ROOT)),),
    "onnxruntime": (("onnxruntime", "sympy"),),
    "openvino": (("openvino", "nncf"),),
    "litert": (("ai-edge-litert", "ai-edge-quantizer"),),
    "ncnn": (("ncnn",), ("--no-deps", "pnnx")),
    "mnn": (("MNN",),),
    "opencv": (),
}
#: Packages whose versions are shown.
VERSIONS = ("onnxruntime", "openvino", "ai-edge-litert", "ncnn", "MNN", "opencv-python", "llvmlite")

# What is installed already, by library.
_STAMP = "twinlens-bench.json"


def cache_folder() -> Path:
    """Where this user's caches are."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "twinlens"


def python_of(folder: Path) -> Path:
    """The environment's interpreter."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def prepare(folder: Path, libraries: set[str]) -> dict[str, str]:
    """Make the environment, where it is missing, and install what it lacks.

    Args:
        folder: of the environment.
        libraries: keys of ``PACKAGES`` that are wanted.

    Returns:
        Reason by library that could not be installed.
    """
    if not python_of(folder).exists():
        print(f"making the environment {folder}", flush=True)
        venv.create(folder, with_pip=True)
    stamp = folder / _STAMP
    done: dict[str, list[list[str]]] = json.loads(stamp.read_text()) if stamp.exists() else {}
    failures = {}
    for library, commands in PACKAGES.items():
        wanted = [list(command) for command in commands]
        if not library:  # An editable install knows the packages that there were.
            wanted.append([hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()])
        if library not in libraries or done.get(library) == wanted:
            continue
        print(f"installing {library or 'twinlens'}", flush=True)
        reason = next(filter(None, (_install(folder, command) for command in commands)), None)
        if reason:
            failures[library] = reason
        else:
            done[library] = wanted
            stamp.write_text(json.dumps(done))
    return failures


def _install(folder: Path, arguments: tuple[str, ...]) -> str | None:
    command = [str(python_of(folder)), "-m", "pip", "install", "-q", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return None
    lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
    return "not installed: " + (lines[-1] if lines else f"pip ended with {result.returncode}")
