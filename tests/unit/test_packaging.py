"""The explicit package list and the tree agree; wheels drop unlisted packages silently."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_package_list_is_the_tree() -> None:
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    found = {
        "twinlens." + ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("app", "engine", "models", "assets")
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert listed == found


def test_every_data_file_is_packaged() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    packaged = {
        path
        for package, globs in patterns.items()
        for pattern in globs
        for path in ROOT.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    kinds = {".toml", ".onnx", ".safetensors", ".txt", ".mp4", ".tsv", ".svg"}
    wanted = {
        path
        for top in ("app", "engine", "models", "assets")
        for path in (ROOT / top).rglob("*")
        if path.suffix in kinds and "training" not in path.parts
    }
    assert wanted <= packaged


def test_readme_has_the_command_that_ci_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"<!-- (\w+) -->\n```\w*\n(.+?)```", readme, re.DOTALL)
    assert [name for name, _ in commands] == ["app", "tests"]
    for _, command in commands:
        assert command.strip().count("\n") == 0, "one command, one line"
        assert "pip install" in command


def test_readme_names_the_debian_packages_that_ci_installs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    needed = (ROOT / ".ci" / "debian-packages").read_text(encoding="utf-8").split()
    test_only = {"xvfb", "xdotool", "weston"}
    missing = [name for name in needed if name not in test_only and name not in readme]
    assert not missing


def test_keras_files_are_read_by_a_plain_installation() -> None:
    # Most models that people bring are a Teachable Machine keras_model.h5.
    assert any(name.startswith("pyfive") for name in PROJECT["project"]["dependencies"])
    # Commands of before, `pip install twinlens[hdf5]`, go on without a warning.
    assert PROJECT["project"]["optional-dependencies"]["hdf5"] == []
