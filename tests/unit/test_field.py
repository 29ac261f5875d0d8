"""Stand-ins for files that people have, each as a user brings it, on every engine.

``tests/bench/table_field.py`` prints the same rows as a table.
"""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from helpers.field_answers import ask
from helpers.field_rows import ROWS, Row
from twinlens.app.cli import main
from twinlens.engine.api import registry
from twinlens.models.identify.resolve import identify


@pytest.fixture
def field_data(test_data: Path) -> Path:
    """The folder with the stand-ins and the picture that they are asked about."""
    if not (test_data / "field").is_dir():
        pytest.skip("TWINLENS_TEST_DATA has no field")
    return test_data


@pytest.mark.parametrize("engine", ["layers-cpu", "layers-gpu", "vision"])
@pytest.mark.parametrize("row", ROWS, ids=[row.title for row in ROWS])
def test_a_stand_in_is_answered_or_refused_as_is_right(
    row: Row, engine: str, field_data: Path, tmp_path: Path
) -> None:
    reason = registry.get_engine(engine).available()
    if reason is not None:
        pytest.skip(f"{engine}: {reason}")
    answer = ask(row, engine, field_data, tmp_path)
    assert answer.verdict == "ok", answer


@pytest.mark.parametrize("row", [row for row in ROWS if row.read], ids=lambda row: row.title)
def test_how_a_stand_in_is_read_is_told_by_its_graph(
    row: Row, field_data: Path, tmp_path: Path
) -> None:
    model, _ = row.lay_out(field_data, tmp_path)
    assert identify(model).known.spec.output == row.read


@pytest.mark.parametrize("name", ["int8_pool_reshape_dense.tflite", "keras_with_architecture.h5"])
def test_a_converted_stand_in_opens_in_onnx_runtime(
    name: str, field_data: Path, tmp_path: Path
) -> None:
    written = tmp_path / "net.onnx"
    assert main(["convert", str(field_data / "field" / name), str(written)]) == 0
    onnxruntime.InferenceSession(written)


def test_an_assumption_is_told(field_data: Path, tmp_path: Path) -> None:
    """Names that only a general name ties to a model, and values that nothing says."""
    row = next(row for row in ROWS if row.case == "labels.txt of five")
    said = ask(row, "vision", field_data, tmp_path).said
    assert "labels.txt" in said
    assert "values: ImageNet mean, std, assumed" in said
