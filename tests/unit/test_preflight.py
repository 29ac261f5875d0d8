"""Preflight of the files of phones: what the layers lack is counted before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.coreml_fill import classifier
from helpers.coreml_protos import package, program
from helpers.tflite_files import File
from twinlens.app.core.setup.preflight import preflight


def core_ml(folder: Path) -> Path:
    model, _ = classifier()
    net = model.neuralNetworkClassifier
    for name in ("first", "second"):
        net.layers.add(name=name, input=["probabilities"], output=[name]).gru.SetInParent()
    net.layers.add(name="third", input=["first"], output=["third"]).sin.SetInParent()
    path = folder / "net.mlmodel"
    path.write_bytes(model.SerializeToString())
    return path


def core_ml_package(folder: Path) -> Path:
    model = program()
    operations = model.mlProgram.functions[0].value.blocks[0].value.operations
    for operation, kind in zip(operations[5:8], ("gru", "gru", "sin"), strict=True):
        operation.type = kind
    return package(folder / "net.mlpackage", model, weights=b"")


def lite(folder: Path) -> Path:
    file = File()
    x, y = file.tensor("x", (1, 8, 8, 3)), file.tensor("y", (1, 8, 8, 3))
    z, w = file.tensor("z", (1, 8, 8, 3)), file.tensor("w", (1, 6))
    for kind, reads, writes in (("MATRIX_DIAG", x, y), ("MATRIX_DIAG", y, z), ("CUSTOM:Odd", z, w)):
        file.operator(kind, [reads], [writes])
    path = folder / "net.tflite"
    path.write_bytes(file.bytes([x], [w]))
    return path


@pytest.mark.parametrize(
    ("make", "missing"),
    [
        (core_ml, {"gru": 2, "sin": 1}),
        (core_ml_package, {"gru": 2, "sin": 1}),
        (lite, {"MATRIX_DIAG": 2, "CUSTOM:Odd": 1}),
    ],
)
def test_operators_that_are_missing_are_counted(make, missing, tmp_path: Path) -> None:
    report = preflight(make(tmp_path))
    assert report.unsupported == missing
    # Vision gets such a file by way of the layers.
    assert report.runs_on == ()
    told = "\n".join(report.lines)
    assert all(f"{kind} {number}×" in told for kind, number in missing.items())
