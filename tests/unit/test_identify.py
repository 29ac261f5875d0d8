"""One door for every file: what it is, what is known of it and from where, parsed once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from helpers.coreml_fill import classifier
from helpers.tflite_files import classifier as lite_classifier
from helpers.tiny_nets import tiny_classifier
from twinlens.app.core.setup.preflight import preflight
from twinlens.assets import clip_path, picture_path
from twinlens.engine.api import registry
from twinlens.engine.api.labels import fitting
from twinlens.engine.api.protocol import EngineOptions, GraphSource, Network
from twinlens.engine.errors import LabelError, ModelError, ModelFileError, UnsupportedOperatorError
from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.kinds import FILES, Kind, glance
from twinlens.models.identify.labels import READERS
from twinlens.models.identify.resolve import EMBEDDED_MODEL, identify, resolve

_watched: dict[str, int] = {}


def _hook(event: str, args: tuple[object, ...]) -> None:
    if event == "open" and _watched and str(args[0]) in _watched:
        _watched[str(args[0])] += 1


sys.addaudithook(_hook)  # one for the process: hooks cannot be taken away


@contextmanager
def opened(*paths: Path) -> Iterator[dict[str, int]]:
    """How often Python opens these files meanwhile."""
    _watched.update((str(path), 0) for path in paths)
    try:
        yield _watched
    finally:
        _watched.clear()


@pytest.fixture
def whole_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files whose whole contents were read, in order."""
    reads: list[Path] = []
    real = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        reads.append(self)
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    return reads


def onnx_file(folder: Path) -> Path:
    said = {"labels": json.dumps(["a", "b", "c"]), "twinlens.recipe": json.dumps({"scale": 1.0})}
    return tiny_classifier(folder / "net.onnx", 3, metadata=said)


def lite_file(folder: Path) -> Path:
    path = folder / "net.tflite"
    path.write_bytes(lite_classifier(norm=([100.0], [60.0])))
    path.with_suffix(".labels.txt").write_text("\n".join("abcdef"), encoding="utf-8")
    return path


def core_ml_file(folder: Path) -> Path:
    path = folder / "net.mlmodel"
    path.write_bytes(classifier()[0].SerializeToString())
    return path


@pytest.mark.parametrize("engine", ["layers-cpu", "vision"])
@pytest.mark.parametrize("make", [onnx_file, lite_file, core_ml_file])
def test_a_dropped_file_is_parsed_once(
    make: object, engine: str, tmp_path: Path, whole_reads: list[Path]
) -> None:
    path: Path = make(tmp_path)  # type: ignore[operator]
    seen = glance(path)
    report = preflight(path)
    network = report.found.network
    registry.load(network, engine).close()
    assert seen.kind is Kind.MODEL
    assert whole_reads.count(path) == 1


def test_engines_get_the_same_graph_and_open_no_file(tmp_path: Path) -> None:
    path = onnx_file(tmp_path)
    network = resolve(path)
    graph = network.graph
    x = np.random.default_rng(0).uniform(-1, 1, network.spec.recipe.input_shape)
    before = graph.run(dict.fromkeys(graph.inputs, x))
    answers = []
    with opened(path) as counts:
        for engine in ("layers-cpu", "layers-cpu", "vision"):
            runner = registry.load(network, engine, EngineOptions(threads=1))
            answers.append(runner.run(x.astype(np.float32)))
            runner.close()
        assert counts[str(path)] == 0, "ONNX Runtime alone reads the file, by itself"
    assert network.graph is graph
    after = graph.run(dict.fromkeys(graph.inputs, x))
    for name, one in before.items():
        np.testing.assert_array_equal(one, after[name])
    for answer in answers:
        np.testing.assert_allclose(answer, answers[0], atol=1e-5)


def test_another_size_makes_another_graph_only_where_sizes_are_open(tmp_path: Path) -> None:
    fixed = resolve(onnx_file(tmp_path))
    other = fixed.with_spec(recipe=Recipe(8, 8))
    assert other.graph is fixed.graph
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\n", encoding="utf-8")
    path = tiny_classifier(tmp_path / "open.onnx", 3, shape=(1, 3, "h", "w"))
    found = resolve(path, labels=names)
    small = found.with_spec(recipe=Recipe(8, 8))
    assert next(iter(found.graph.inputs.values())) == (1, 3, 224, 224)
    assert next(iter(small.graph.inputs.values())) == (1, 3, 8, 8)


def test_a_file_that_has_changed_is_another_network(tmp_path: Path) -> None:
    path = onnx_file(tmp_path)
    one, same = resolve(path), resolve(path)
    assert one != same
    assert one == one.with_spec(title=one.spec.title)
    assert one != one.with_spec(labels=("x", "y", "z"))
    assert hash(one) == hash(one.with_spec(title=one.spec.title))


def test_a_graph_that_cannot_be_made_says_so_each_time() -> None:
    calls = []

    def build(shape: tuple[int, ...]) -> Graph:
        calls.append(shape)
        raise ModelError("no")

    source = GraphSource(build)
    for _ in range(2):
        with pytest.raises(ModelError):
            source.graph((1,))
    assert calls == [(1,), (1,)]


def test_what_is_no_model_is_said_and_refused_as_one(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(picture_path("start.jpg").read_bytes())
    (tmp_path / "names.txt").write_text("cat\ndog\n", encoding="utf-8")
    (tmp_path / "noise.xyz").write_bytes(bytes(range(256)))
    (tmp_path / "empty.onnx").write_bytes(b"")
    wanted = {
        picture_path("start.jpg"): (Kind.PICTURE, "is a picture, expected a model"),
        clip_path(): (Kind.VIDEO, "is a video, expected a model"),
        tmp_path / "pictures": (Kind.PICTURES, "is a folder of pictures, expected a model"),
        tmp_path / "names.txt": (Kind.LABELS, "is a text file, not an ONNX model"),
        tmp_path / "noise.xyz": (Kind.NOTHING, "is nothing that Twinlens takes"),
        tmp_path / "empty.onnx": (Kind.NOTHING, "is empty"),
    }
    for path, (kind, words) in wanted.items():
        found = identify(path)
        assert found.kind is kind, path
        assert glance(path).kind is kind, path
        assert isinstance(found.problem, ModelFileError)
        assert words in found.problem.message
        for ask in ("network", "graph", "known"):
            with pytest.raises(ModelFileError, match=words):
                getattr(found, ask)


def test_a_folder_with_one_model_is_that_model(tmp_path: Path) -> None:
    path = onnx_file(tmp_path)
    found = identify(tmp_path)
    assert (found.kind, found.path) == (Kind.MODEL, path)
    assert resolve(tmp_path).spec == resolve(path).spec


def test_every_row_of_the_table_can_be_told_from_the_others() -> None:
    assert {row.kind for row in FILES} == set(Kind) - {Kind.PICTURES}
    assert all((row.model is not None) == (row.kind is Kind.MODEL) for row in FILES)
    assert all(row.refusal for row in FILES if row.kind is Kind.NOTHING)


# --- labels, in the order of precedence ----------------------------------------------------


def _given(path: Path) -> None:
    (path.parent / "given.txt").write_text("g1\ng2\ng3\n", encoding="utf-8")


def _sidecar(path: Path) -> None:
    path.with_suffix(".toml").write_text('labels = ["t1", "t2", "t3"]\n', encoding="utf-8")


def _beside(path: Path) -> None:
    path.with_suffix(".labels.txt").write_text("n1\nn2\nn3\n", encoding="utf-8")


def _general(path: Path) -> None:
    path.with_name("labels.txt").write_text("l1\nl2\nl3\n", encoding="utf-8")


LAYERS = [
    (_given, "g1", Origin.GIVEN, "given.txt"),
    (_sidecar, "t1", Origin.BESIDE, "net.toml"),
    (_beside, "n1", Origin.BESIDE, "net.labels.txt"),
    (None, "a", Origin.FILE, "net.onnx"),
    (_general, "a", Origin.FILE, "net.onnx"),
]


@pytest.mark.parametrize("first", range(len(LAYERS)))
def test_the_first_that_names_the_classes_counts(first: int, tmp_path: Path) -> None:
    path = onnx_file(tmp_path)
    for write, *_ in LAYERS[first:]:
        if write is not None:
            write(path)
    given = tmp_path / "given.txt"
    model = identify(path, labels=given if given.is_file() else None).known
    _, name, origin, source = LAYERS[first]
    assert model.spec.labels[0] == name
    assert (model.origins["labels"], model.labels_source) == (origin, source)
    assert len(READERS) == len({read.__name__ for read in READERS})


@pytest.mark.parametrize("known", [True, False])
def test_names_with_those_of_a_background_are_trimmed_once(known: bool) -> None:
    names = ("background", "cat", "dog")
    outputs = 3 if known else None
    kept = fitting(names, outputs, 1, source="a file", of="a net")
    assert kept == (("cat", "dog") if known else names)
    if known:
        assert fitting(kept, outputs, 1, source="a file", of="a net") == kept
        with pytest.raises(LabelError, match=r"a file has 4 labels, but a net has 2 classes"):
            fitting((*names, "fox"), outputs, 1, source="a file", of="a net")


def test_a_model_that_layers_cannot_run_is_still_one_for_vision(
    tmp_path: Path, whole_reads: list[Path]
) -> None:
    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"])],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    path = tmp_path / "odd.onnx"
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    path.with_suffix(".labels.txt").write_text("a\nb\nc\n", encoding="utf-8")
    network: Network = identify(path).network
    registry.load(network, "vision").close()
    assert whole_reads.count(path) == 1
    with pytest.raises(UnsupportedOperatorError, match="Det"):
        registry.load(network, "layers-cpu")


def test_the_default_is_known_without_its_file_being_read(whole_reads: list[Path]) -> None:
    found = identify(EMBEDDED_MODEL)
    assert found.problem is None
    assert set(found.known.origins.values()) == {Origin.CARD}
    registry.load(found.network, "vision").close()
    assert found.path not in whole_reads


def test_only_readers_of_the_file_at_hand_are_imported() -> None:
    """Who starts on one kind of file does not wait for the readers of all others."""
    others = (
        "engine.params.pytorch",
        "engine.params.pickles",
        "engine.params.npz",
        "engine.formats.keras.file",
        "engine.formats.tflite",
        "engine.formats.coreml",
        "models.identify.exported",
        "models.networks.published",
    )
    code = (
        "import sys; from twinlens.models.identify.resolve import resolve\n"
        "resolve('twinlens-208').graph\n"
        f"print([name for name in {others!r} if 'twinlens.' + name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
