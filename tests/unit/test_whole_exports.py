"""An export as a zip archive runs, and a file can be asked about."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from helpers.picture_nets import picture_net
from twinlens.app.cli import main
from twinlens.models.identify.resolve import resolve


def test_a_zip_archive_with_a_model_and_its_labels_is_that_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / "cache"))
    net = picture_net(tmp_path / "model.onnx")
    with zipfile.ZipFile(tmp_path / "my.zip", "w") as archive:
        archive.write(net, "model.onnx")
        archive.writestr("labels.txt", "0 a\n1 b\n2 c\n3 d\n")
    assert resolve(tmp_path / "my.zip").spec.labels == ("a", "b", "c", "d")


def test_a_file_can_be_asked_about(tmp_path: Path) -> None:
    assert main(["models", "info", str(picture_net(tmp_path / "net.onnx"))]) == 0
