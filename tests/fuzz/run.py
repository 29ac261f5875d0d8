"""Feed a reader of model files with what a fuzzer makes of small ones (the extra `fuzz`).

``python tests/fuzz/run.py TARGET FOLDER [libFuzzer's options]``: TARGET is one of those in
``targets.py``; FOLDER keeps what is found worth trying, and begins with ``seeds.py``'s files.
Options that make a run comparable: ``-max_total_time=1800 -rss_limit_mb=1024 -timeout=20``. What
breaks a reader is written beside as ``crash-*``; once it is fixed, the file goes to
``saved/TARGET``, where the tests find it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import atheris

with atheris.instrument_imports(include=["twinlens"]):
    from fuzz.targets import TARGETS, check

from fuzz.seeds import write


def main() -> None:
    """Read the command line and hand over to libFuzzer."""
    target, folder, *options = sys.argv[1:]
    if target not in TARGETS:
        raise SystemExit(f"targets are {', '.join(TARGETS)}")
    write(target, Path(folder))
    atheris.Setup([sys.argv[0], folder, *options], lambda data: check(target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
