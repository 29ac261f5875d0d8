"""What ``inspect`` and ``models info`` say of a file, and options that override how it is fed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.picture_nets import picture_net
from twinlens.app.cli import main
from twinlens.assets import picture_path

PICTURE = str(picture_path("start.jpg"))


def inspected(
    capsys: pytest.CaptureFixture[str], *words: str, command: tuple[str, ...] = ("inspect",)
) -> dict[str, object]:
    assert main([*command, *words, "--json"]) == 0
    record: dict[str, object] = json.loads(capsys.readouterr().out)
    return record


@pytest.mark.parametrize("command", [("inspect",), ("models", "info")])
def test_a_file_is_told_with_the_origin_of_each_fact(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata = {"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "NominalRange_0_255"}
    path = picture_net(tmp_path / "net.onnx", ("n", 3, 16, 24), metadata=metadata)
    (tmp_path / "labels.txt").write_text("0 a\n1 b\n2 c\n3 d\n", encoding="utf-8")
    record = inspected(capsys, str(path), command=command)
    assert record["format"] == "ONNX"
    assert record["input"] == {"shape": [None, 3, 16, 24], "dtype": "float32"}
    assert record["outputs"] == 4
    assert record["labels"] == {"count": 4, "names": ["a", "b", "c", "d"], "source": "labels.txt"}
    assert record["origins"]["values"] == "from the file"  # type: ignore[index]
    assert record["origins"]["labels"] == "from the file beside it"  # type: ignore[index]
    assert "assumed to be its own" in record["assumed"][0]  # type: ignore[index]
    assert record["engines"]["vision"] == {"runs": True, "lacks": None}  # type: ignore[index]
    assert main([*command, str(path)]) == 0
    text = capsys.readouterr().out
    for words in ("? × 3 × 16 × 24, float32", "BGR, from the file", "vision      runs it", "a, b"):
        assert words in text


def test_an_engine_that_lacks_something_says_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"])],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    path = tmp_path / "odd.onnx"
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    engines = inspected(capsys, str(path))["engines"]
    assert isinstance(engines, dict)
    assert engines["vision"]["runs"]
    assert "Det" in engines["layers-cpu"]["lacks"]


def test_what_is_no_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12\x02\x0a\x00")
    assert main(["inspect", str(tmp_path / "saved_model.pb")]) == 1
    text = capsys.readouterr().err
    assert "SavedModel" in text
    assert "tf2onnx" in text
    assert main(["models", "info", "no-such-model"]) == 1
    assert "no-such-model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--values", "0..1"], {"scale": 1 / 255, "mean": [0.0] * 3, "std": [1.0] * 3}),
        (["--values=-1..1"], {"scale": 1 / 127.5, "mean": [1.0] * 3, "std": [1.0] * 3}),
        (["--values", "0..255", "--color", "BGR"], {"scale": 1.0, "color": "BGR"}),
        (
            ["--values", "caffe", "--color", "BGR"],
            {"mean": [103.939, 116.779, 123.68], "color": "BGR"},
        ),
        (
            ["--mean", "0.5,0.5,0.5", "--std", "0.5"],
            {"scale": 1 / 255, "mean": [0.5] * 3, "std": [0.5] * 3},
        ),
        (["--mean", "127.5", "--std", "127.5"], {"scale": 1.0, "mean": [127.5] * 3}),
        (["--size", "48x32"], {"width": 48, "height": 32}),
        (["--size", "64"], {"width": 64, "height": 64}),
    ],
)
def test_options_override_what_is_known(
    words: list[str], wanted: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = picture_net(tmp_path / "net.onnx", ("n", 3, "h", "w"))
    path.with_suffix(".toml").write_text("[recipe]\nscale = 0.25\n", encoding="utf-8")
    record = inspected(capsys, str(path), *words)
    recipe = record["recipe"]
    assert isinstance(recipe, dict)
    for key, value in wanted.items():
        assert recipe[key] == pytest.approx(value) if key != "color" else recipe[key] == value
    assert "as given" in record["origins"].values()  # type: ignore[attr-defined]


def test_options_override_a_card_too(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = inspected(capsys, "twinlens-208", "--color", "BGR")["recipe"]
    assert isinstance(recipe, dict)
    assert (recipe["color"], recipe["width"]) == ("BGR", 208)


@pytest.mark.parametrize("word", ["--size=big", "--values=odd", "--mean=a", "--size=1x2x3"])
def test_wrong_options_are_wrong_usage(word: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["inspect", "twinlens-208", word])
    assert end.value.code == 2


def test_classify_prints_assumptions_once_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = picture_net(tmp_path / "net.onnx")
    assert main(["classify", PICTURE, PICTURE, "--model", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err.count("values: ImageNet mean, std, assumed") == 1
    assert err.count("nothing names the classes") == 1
    assert "assumed" not in out
    assert main(["classify", PICTURE, "--model", str(path), "--values", "0..1"]) == 0
    assert "values" not in capsys.readouterr().err
    assert main(["classify", PICTURE]) == 0
    assert capsys.readouterr().err == ""
