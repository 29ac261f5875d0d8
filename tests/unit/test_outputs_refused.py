"""Networks that classify no pictures are named as what they are, by shapes and operators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from twinlens.engine.api import registry
from twinlens.engine.api.tasks import row_width, task_of
from twinlens.engine.errors import ModelError, ModelFileError, ShapeError
from twinlens.models.identify.resolve import identify

PICTURE = (1, 3, 64, 64)


def network(
    path: Path,
    shapes: list[tuple[object, ...] | None],
    *,
    picture: tuple[object, ...] = PICTURE,
    last: str = "",
    through: str = "",
    names: tuple[str, ...] = (),
) -> Path:
    """A network that gives outputs of these shapes; ``None`` declares none."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
    ]
    tensors, outputs = [], []
    source = "flat"
    if through:
        nodes.append(helper.make_node(through, ["flat"], ["through"], name="through"))
        source = "through"
    for index, shape in enumerate(shapes):
        name = names[index] if names else f"y{index}"
        sizes = [n if isinstance(n, int) else 7 for n in shape or (9, 12, 1)]
        width = int(np.prod(sizes))
        weight = np.ones((3, width), np.float32)
        tensors.append(numpy_helper.from_array(weight, f"w{index}"))
        tensors.append(numpy_helper.from_array(np.array(sizes, np.int64), f"s{index}"))
        nodes.append(helper.make_node("MatMul", [source, f"w{index}"], [f"m{index}"]))
        target = f"r{index}" if last else name
        nodes.append(helper.make_node("Reshape", [f"m{index}", f"s{index}"], [target]))
        if last:
            nodes.append(helper.make_node(last, [target], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, picture)],
        outputs,
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


DETECTORS = [
    [(1, 84, 84)],  # of 64 × 64: 8 × 8 + 4 × 4 + 2 × 2 boxes
    [(1, 252, 85)],
    [(1, 100, 6)],
    [(1, 300, 4), (1, 300, 21)],
    [(1, 200, 4), (1, 200)],
    [(1, 3, 8, 8, 85), (1, 3, 4, 4, 85)],
    [(1, 255, 4, 4), (1, 255, 2, 2)],
    [("n", 7)],
]
SEGMENTERS = [
    [(1, 21, 64, 64)],
    [(1, 1, 64, 64)],
    [(1, 64, 64)],
    [(1, 64, 64, 2)],
    [(1, 19, 16, 16)],
    [("batch", 21, "height", "width")],
]
RECOGNISERS = [
    [(1, 40, 31)],
    [(26, 1, 37)],
    [(1, 25, 97)],
    [("batch", "positions", 31)],
    [(1, 40, 6625)],
]
FEATURES = [
    [(1, 50, 768)],
    [(1, 49, 512)],
    [(1, 512, 2, 2)],
    [(1, 197, 192)],
]


@pytest.mark.parametrize(
    ("shapes", "task"),
    [
        *((shapes, "detector") for shapes in DETECTORS[:-1]),
        *((shapes, "segmenter") for shapes in SEGMENTERS),
        *((shapes, "text recogniser") for shapes in RECOGNISERS),
        *((shapes, "without its classifier") for shapes in FEATURES),
        ([(1, 3, 64, 64)], "makes pictures"),
        ([(1, 40, 2)], "40 questions"),
    ],
    ids=str,
)
def test_what_no_classifier_answers_with_says_what_it_is(
    shapes: list[tuple[object, ...] | None], task: str, tmp_path: Path
) -> None:
    path = network(tmp_path / "net.onnx", shapes)
    with pytest.raises(ModelFileError, match=task) as failed:
        identify(path)
    assert "not a classifier of pictures" in failed.value.message
    assert "net.onnx" in failed.value.message


def test_a_wide_picture_and_a_softmax_for_each_position_is_a_text_recogniser(
    tmp_path: Path,
) -> None:
    for shape in ((1, 24, 300), (1, 80, 6625), (1, 12, 12)):
        path = network(tmp_path / "net.onnx", [shape], picture=(1, 3, 48, 192), last="Softmax")
        with pytest.raises(ModelFileError, match="text recogniser"):
            identify(path)


@pytest.mark.parametrize("kind", ["NonMaxSuppression", "EfficientNMS_TRT", "RoiAlign"])
def test_operators_of_detectors_tell_one(kind: str, tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx", [(1, 5)], through=kind)
    with pytest.raises(ModelFileError, match=f"a detector.*{kind}"):
        identify(path)


@pytest.mark.parametrize("name", ["embedding", "features", "image_embeds", "pooled_features"])
def test_a_description_of_the_picture_is_no_classification(name: str, tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx", [(1, 128)], names=(name,))
    with pytest.raises(ModelFileError, match="embedder"):
        identify(path)


def _normalised(path: Path, lines: list[onnx.NodeProto]) -> Path:
    model = onnx.load(str(network(path, [(1, 16)], names=("v",))))
    model.graph.node.extend(lines)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16]))
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("way", ["operator", "length", "squares", "product"])
def test_an_answer_divided_by_its_length_is_an_embedding(way: str, tmp_path: Path) -> None:
    node = helper.make_node
    lines = {
        "operator": [node("LpNormalization", ["v"], ["y"], p=2, axis=1)],
        "length": [
            node("ReduceL2", ["v"], ["l"], axes=[1], keepdims=1),
            node("Clip", ["l"], ["c"]),
            node("Div", ["v", "c"], ["y"]),
        ],
        "squares": [
            node("Mul", ["v", "v"], ["q"]),
            node("ReduceSumSquare", ["v"], ["s"], axes=[1], keepdims=1),
            node("Sqrt", ["s"], ["l"]),
            node("Div", ["v", "l"], ["y"]),
        ],
        "product": [
            node("ReduceL2", ["v"], ["l"], axes=[1], keepdims=1),
            node("Reciprocal", ["l"], ["r"]),
            node("Mul", ["v", "r"], ["y"]),
        ],
    }
    with pytest.raises(ModelFileError, match=r"an embedder.*length"):
        identify(_normalised(tmp_path / "net.onnx", lines[way]))


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
def test_a_shape_that_only_running_tells_is_refused_by_every_engine(
    engine: str, tmp_path: Path
) -> None:
    path = network(tmp_path / "net.onnx", [None], last="Transpose")
    labels = tmp_path / "names"
    labels.write_text("\n".join("abcde"), encoding="utf-8")
    found = identify(path, labels=labels).network
    with pytest.raises(ShapeError, match="text recogniser"):
        registry.load(found, engine)


@pytest.mark.parametrize(
    "sizes",
    [(1, 5), (5,), (1, 1, 5), (1, 5, 1, 1), (1, 1, 1, 5), (None, 5), (8, 5), (1,), (1, 1), ()],
)
def test_a_row_is_a_row_however_many_axes_it_has(sizes: tuple[int | None, ...]) -> None:
    picture = (8, 3, 64, 64) if sizes and sizes[0] == 8 else PICTURE
    assert task_of(sizes, picture) == ""
    assert row_width(sizes, picture) == (5 if 5 in sizes else 1)


def test_an_output_can_be_named_where_others_are_not_rows(tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx", [(1, 100, 6), (1, 5)], names=("boxes", "scene"))
    with pytest.raises(ModelFileError, match="detector"):
        identify(path)
    found = identify(path, output_name="scene").known
    assert (found.outputs, found.spec.output_name) == (5, "scene")
    with pytest.raises(ModelError, match="'boxes' has no number for each class"):
        identify(path, output_name="boxes")
    with pytest.raises(ModelError, match="no output 'other'") as failed:
        identify(path, output_name="other")
    assert failed.value.hint is not None and "boxes, scene" in failed.value.hint


def test_a_classifier_that_ends_in_a_pool_is_one(tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx", [(1, 5, 1, 1)], names=("pool10_1",))
    assert identify(path).known.outputs == 5
