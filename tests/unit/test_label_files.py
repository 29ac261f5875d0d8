"""Label files in every layout that tools write, and which source names a model's classes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_nets import tiny_classifier
from twinlens.engine.api import registry
from twinlens.engine.errors import LabelError
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.labels import read_labels
from twinlens.models.identify.layouts import literal, names_in, names_of_text
from twinlens.models.identify.resolve import identify, resolve
from twinlens.models.identify.sidecar import read_values

COLORS = ("red", "green", "blue")
LAYOUTS = {
    "one a line": "red\ngreen\nblue\n",
    "from 0 on": "0 red\n1 green\n2 blue\n",
    "from 0 on, padded": "000 red\n001 green\n002 blue\n",
    "from 1 on": "1 red\n2 green\n3 blue\n",
    "in another order": "2 blue\n0 red\n1 green\n",
    "with a colon": "0: red\n1: green\n2: blue\n",
    "with a colon, quoted": "0:'red'\n1:'green'\n2:'blue'\n",
    "with a dot": "1. red\n2. green\n3. blue\n",
    "with two spaces, as Coral": "0  red\n1  green\n2  blue\n",
    "with a tab": "0\tred\n1\tgreen\n2\tblue\n",
    "number behind": "red 0\ngreen 1\nblue 2\n",
    "rows": "0,red\n1,green\n2,blue\n",
    "rows with a head": "id,name\n0,red\n1,green\n2,blue\n",
    "rows, name first": "name,id\nred,0\ngreen,1\nblue,2\n",
    "rows of three": 'index,mid,display_name\n0,/m/1,red\n1,/m/2,"green"\n2,/m/3,blue\n',
    "rows with semicolons": "0;red\n1;green\n2;blue\n",
    "tab rows with a head": "label\tindex\nred\t0\ngreen\t1\nblue\t2\n",
    "synsets": "n01440764 red\nn01443537 green\nn01484850 blue\n",
    "synsets with numbers": "n02119789 1 red\nn02100735 2 green\nn02110185 3 blue\n",
    "a list": '["red", "green", "blue"]',
    "a list of objects": '[{"id": 1, "name": "red"}, {"id": 2, "name": "green"},'
    ' {"id": 3, "name": "blue"}]',
    "index to name": '{"0": "red", "1": "green", "2": "blue"}',
    "name to index": '{"blue": 2, "red": 0, "green": 1}',
    "id2label": '{"model_type": "vit", "id2label": {"0": "red", "1": "green", "2": "blue"}}',
    "label2id": '{"label2id": {"blue": "2", "red": "0", "green": "1"}}',
    "class index": '{"0": ["n01440764", "red"], "1": ["n01443537", "green"],'
    ' "2": ["n01484850", "blue"]}',
    "Teachable Machine": '{"tfjsVersion": "1.3.1", "labels": ["red", "green", "blue"]}',
    "Lobe": '{"classes": {"Label": ["red", "green", "blue"]}}',
    "Python": "{0: 'red',\n 1: 'green',\n 2: \"blue\"}",
    "YAML, flow": "path: x\nnames: [red, 'green', \"blue\"]  # three\nnc: 3\n",
    "YAML, block": "names:\n  - red\n  - green\n  - blue\nnc: 3\n",
    "YAML, no indent": "nc: 3\nnames:\n- red\n- green\n- blue\n",
    "YAML, numbers": "names:\n  0: red\n  1: green\n  2: blue\ndownload: x\n",
    "YAML, deep": "PostProcess:\n  Topk:\n    label_list:\n    - red\n    - green\n    - blue\n",
    "YAML, a list alone": "- red\n- green\n- blue\n",
    "pbtxt": "".join(
        f"item {{\n  id: {i}\n  name: '{n}'\n}}\n" for i, n in enumerate(COLORS, start=1)
    ),
    "pbtxt with display names": "".join(
        f'item {{ name: "/m/{i}" id: {i} display_name: "{n}" }}\n'
        for i, n in enumerate(COLORS, start=1)
    ),
    "prototxt": "".join(
        f'item {{\n  name: "x{i}"\n  label: {i}\n  display_name: "{n}"\n}}\n'
        for i, n in enumerate(COLORS)
    ),
    "Edge Impulse": 'const char* ei_classifier_inferencing_categories[] = { "red", "green",'
    ' "blue" };',
    "commas": "red, green, blue\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_names(layout: str) -> None:
    text = LAYOUTS[layout]
    assert names_of_text(text) == COLORS
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        assert names_in(text.encode(encoding)) == COLORS, encoding
    assert names_in(text.replace("\n", "\r\n").encode()) == COLORS
    assert names_in((text + "\n\n  \n").encode()) == COLORS


STAY = {
    "no full numbering": ("3 stooges", "5 rings"),
    "a gap": ("0 red", "1 green", "3 blue"),
    "numbers as names": tuple("0123456789"),
    "numbered names": ("class 0", "class 1", "class 2"),
    "letters behind a number": ("1st", "2nd", "3rd"),
    "commas in names": ("tench, Tinca tinca", "great white shark, white shark", "cock"),
    "colons in names": ("a: b", "c: d"),
    "dashes": ("black-and-white", "t-shirt"),
    "only synsets": ("n01440764", "n01443537"),
    "an empty one": ("red", "", "blue"),
    "quotes": ('"quoted"', "plain"),
}


@pytest.mark.parametrize("kind", STAY)
def test_what_is_part_of_a_name_stays(kind: str) -> None:
    assert names_of_text("\n".join(STAY[kind]) + "\n") == STAY[kind]


def test_synonyms_and_umlauts_stay() -> None:
    lines = "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n"
    assert names_of_text(lines) == ("tench, Tinca tinca", "goldfish, Carassius auratus")
    assert names_in("Käse\nÄpfel\n".encode("cp1252")) == ("Käse", "Äpfel")


def test_gaps_in_a_mapping_keep_their_places() -> None:
    assert names_of_text('{"0": "a", "3": "b"}') == ("a", "class 1", "class 2", "b")
    assert names_of_text('{"1": "a", "2": "b"}') == ("a", "b")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{" * 1_000_000,
        '{"0": ' * 50_000,
        "(" * 200_000 + ")" * 200_000,
        '{"999999": "far"}',
        "names: [" + "[" * 10_000,
        "{0: __import__('os').system('true')}",
        '{"0": "a", "00": "b"}',
    ],
)
def test_hostile_texts_name_nothing_that_is_made_up(text: str) -> None:
    assert len(names_of_text(text)) <= 1


def test_a_literal_runs_nothing() -> None:
    with pytest.raises(ValueError, match="value"):
        literal("__import__('os')")
    assert literal("{0: 'a'}") == {0: "a"}


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\0\1\2\3" * 20, b"\x81\x8d\x8f", b"\xff\xfe\0"])
def test_what_is_no_text_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(LabelError, match=r"labels\.txt"):
        read_labels(path)


# --- which source names the classes ---------------------------------------------------------


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
def test_a_model_without_names_runs_all_the_same(tmp_path: Path, engine: str) -> None:
    network = resolve(tiny_classifier(tmp_path / "many.onnx", 21_841))
    assert network.spec.labels[417] == "class 417"
    assert "nothing names the classes" in network.spec.notes[0]
    assert identify(tmp_path / "many.onnx").known.labels_source == "numbers"
    runner = registry.load(network, engine)
    assert runner.run(np.zeros(runner.info.input_shape, np.float32)).shape == (21_841,)
    runner.close()


def test_a_width_that_only_the_graph_tells_is_named_too(tmp_path: Path) -> None:
    import onnx

    path = tiny_classifier(tmp_path / "net.onnx", 4)
    model = onnx.load(str(path))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, str(path))
    assert resolve(path).spec.labels == tuple(f"class {n}" for n in range(4))
    (tmp_path / "labels.txt").write_text("a\nb\n", encoding="utf-8")
    spec = resolve(path).spec
    assert spec.labels[3] == "class 3"
    assert "labels.txt has 2 labels" in spec.notes[0]


@pytest.mark.parametrize(
    "name", ["labels.txt", "classes.txt", "class_names.txt", "labels.json", "labelmap.pbtxt"]
)
def test_a_file_of_a_general_name_is_an_assumption(tmp_path: Path, name: str) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 3)
    text = LAYOUTS["pbtxt"] if name.endswith("pbtxt") else '["red", "green", "blue"]'
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = identify(path).known
    assert found.spec.labels == COLORS
    assert (found.origins["labels"], found.labels_source) == (Origin.BESIDE, name)
    assert f"{name} beside it, assumed to be its own" in found.spec.notes[0]


def test_a_general_file_never_overrides_and_never_blocks(tmp_path: Path) -> None:
    said = {"labels": json.dumps(COLORS)}
    named = tiny_classifier(tmp_path / "named.onnx", 3, metadata=said)
    bare = tiny_classifier(tmp_path / "bare.onnx", 5)
    (tmp_path / "labels.txt").write_text("a\nb\nc\n", encoding="utf-8")
    (tmp_path / "classes.txt").write_bytes(b"\0\1\2\3" * 20)
    assert resolve(named).spec.labels == COLORS
    spec = resolve(bare).spec
    assert spec.labels[4] == "class 4"
    assert "labels.txt has 3 labels" in spec.notes[0]
    (tmp_path / "classes.txt").write_text("1 v\n2 w\n3 x\n4 y\n5 z\n", encoding="utf-8")
    assert resolve(bare).spec.labels == tuple("vwxyz")


def test_names_inside_that_do_not_fit_are_passed_over(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 3, metadata={"labels": '["a", "b"]'})
    assert resolve(path).spec.labels[0] == "class 0"
    path.with_suffix(".labels.txt").write_text("0 red\n1 green\n2 blue\n", encoding="utf-8")
    assert resolve(path).spec.labels == COLORS


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("names", "{0: 'red', 1: 'green', 2: 'blue'}"),
        ("classes", "red,green,blue"),
        ("id2label", '{"0": "red", "1": "green", "2": "blue"}'),
        ("character", "red\ngreen\nblue"),
        ("Labels", '{"red": 0, "green": 1, "blue": 2}'),
    ],
)
def test_metadata_name_the_classes_in_any_form(tmp_path: Path, key: str, text: str) -> None:
    found = identify(tiny_classifier(tmp_path / "net.onnx", 3, metadata={key: text})).known
    assert found.spec.labels == COLORS
    assert (found.origins["labels"], found.labels_source) == (Origin.FILE, "net.onnx")


@pytest.mark.parametrize("lead", ["background", "__background__", "label", "???"])
def test_one_line_too_many_in_front_is_left_out(tmp_path: Path, lead: str) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 3)
    path.with_suffix(".labels.txt").write_text("\n".join((lead, *COLORS)), encoding="utf-8")
    assert resolve(path).spec.labels == COLORS
    other = tiny_classifier(tmp_path / "other.onnx", 4)
    other.with_suffix(".labels.txt").write_text("\n".join((lead, *COLORS)), encoding="utf-8")
    assert resolve(other).spec.labels == (lead, *COLORS)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_recipe_with_a_byte_order_mark_is_read(tmp_path: Path, encoding: str) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 3)
    text = 'labels = ["red", "green", "blue"]\n[recipe]\nscale = 1.0\n'
    path.with_suffix(".toml").write_bytes(text.encode(encoding))
    assert resolve(path).spec.labels == COLORS
    assert resolve(path).spec.recipe.scale == 1.0


FIELD = Path(os.environ.get("TWINLENS_TEST_DATA", "nowhere")) / "field"


@pytest.mark.skipif(not FIELD.is_dir(), reason="no files from the field here")
def test_label_files_from_the_field() -> None:
    for name in ("labels_list.json", "labels_index_name.txt", "labels_utf16.txt"):
        assert read_labels(FIELD / name) == COLORS, name
    assert tuple(read_values(FIELD / "recipe_bom.toml")["labels"]) == COLORS
    spec = resolve(FIELD / "teachable_labels.onnx").spec
    assert spec.labels == ("cat", "dog", "fox", "owl", "nest")
    names = ("cat", "dog", "fox", "owl", "bird's nest")
    assert resolve(FIELD / "ultralytics_names.onnx").spec.labels == names


# --- what people have reported elsewhere ---------------------------------------------------


def test_lines_that_number_only_some_classes_name_those(tmp_path: Path) -> None:
    """snowzach/doods2#76."""
    path = tiny_classifier(tmp_path / "net.onnx", 4)
    (tmp_path / "labels.txt").write_text("0 skip_button\n2 'ad notice'\n", encoding="utf-8")
    names = ("skip_button", "class 1", "ad notice", "class 3")
    assert identify(path).known.spec.labels == names
    # A number that is larger than the classes are is part of a name of another model.
    (tmp_path / "labels.txt").write_text("0 cat\n9 lives\n", encoding="utf-8")
    assert identify(path).known.origins["labels"] is Origin.ASSUMED


def test_a_label_map_with_quotes_of_a_word_processor_is_read() -> None:
    """priya-dwivedi/Deep-Learning#56, tensorflow/models#1897."""
    text = "item {\n id: 1\n name: ‘red’\n}\nitem {\n id: 2\n name: “green”\n}\n"
    assert names_of_text(text) == ("red", "green")


def test_a_label_map_that_cannot_be_read_is_no_list_of_lines() -> None:
    assert names_of_text("item {\n id: 1\n}\nitem {\n name: red\n}\n") == ()


def test_a_comment_in_another_encoding_takes_nothing_away() -> None:
    """tensorflow/models#4926."""
    text = "item {\n  id: 1 # id从1开始编号\n  name: 'raccoon'\n}\n"
    for encoding in ("utf-8", "gbk", "utf-16"):
        assert names_in(text.encode(encoding)) == ("raccoon",)


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("gbk", ("苹果", "香蕉", "西瓜")),
        ("cp949", ("사과", "바나나", "수박")),
        ("cp1252", ("Äpfel", "Maçã", "Crème brûlée")),
        ("utf-8", ("苹果", "사과", "Äpfel")),
    ],
)
def test_names_in_older_code_pages_are_read(encoding: str, names: tuple[str, ...]) -> None:
    """JackEasson/SLPNet_pytorch#6: byte 0xcd is no UTF-8."""
    assert names_in("\n".join(names).encode(encoding)) == names


@pytest.mark.parametrize("text", ["None", "null", " none ", ""])
def test_no_names_in_the_metadata_are_no_names(text: str, tmp_path: Path) -> None:
    """ultralytics/ultralytics#9417."""
    said = {"names": text, "task": "classify", "imgsz": "[16, 16]"}
    found = identify(tiny_classifier(tmp_path / "best.onnx", 1000, metadata=said))
    assert found.known.labels_passed == ()
    assert found.known.origins["labels"] is Origin.CONVENTION


def test_names_of_a_background_more_or_less_fit(tmp_path: Path) -> None:
    """tensorflow/tpu#521 and kshitizrimal/Classification-Flutter-TFlite#1."""
    names = [f"thing {number}" for number in range(1000)]
    for outputs, lines in ((1000, ["background", *names]), (1001, names)):
        path = tiny_classifier(tmp_path / "net.onnx", outputs)
        (tmp_path / "labels.txt").write_text("\n".join(lines), encoding="utf-8")
        assert identify(path).known.spec.labels == tuple(names)
