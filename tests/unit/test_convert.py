"""`twinlens convert`: every form from and to every form, all or nothing, and each error."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from helpers.generated import assemble, assert_same_answers
from helpers.graphs import assert_same_graph
from helpers.onnx_nets import NETS, save
from helpers.tflite_cases import CASES
from helpers.tiny_nets import tiny_classifier
from twinlens.app.cli import main
from twinlens.app.commands import convert
from twinlens.app.core import outputs as places
from twinlens.engine.api.protocol import Network
from twinlens.engine.errors import TwinlensError, UnsupportedOperatorError
from twinlens.engine.formats import load_onnx
from twinlens.engine.graph import Graph, with_arrays
from twinlens.engine.layers import BatchNorm2d
from twinlens.engine.params import open_parameters
from twinlens.models.identify.resolve import identify, resolve
from twinlens.models.networks.assembly import random_parameters
from twinlens.models.networks.mnist import mnist

LABELS = [f"kind {number}" for number in range(10)]


def source(folder: Path, family: str = "resnet") -> Path:
    """A model file with labels and a recipe of its own."""
    model = NETS[family]()
    recipe = {"width": 40, "height": 40, "color": "BGR", "scale": 0.5, "mean": [1, 2, 3]}
    settings = {"title": "A net", "background_outputs": 0, "output": "logits"}
    for key, value in (("twinlens.recipe", recipe), ("twinlens.model", settings)):
        model.metadata_props.add(key=key, value=json.dumps(value))
    model.metadata_props.add(key="labels", value=json.dumps(LABELS))
    return save(model, folder / "net.onnx")


def digits(folder: Path) -> Path:
    """Random parameters of the MNIST network, as our own names have them."""
    path = folder / "digits.npz"
    np.savez(path, **random_parameters(mnist(), 1))
    return path


def graph_of(name: str | Path) -> Graph:
    return identify(name).graph


def same_model(one: Network, other: Network) -> None:
    keys = ("title", "recipe", "labels", "background_outputs", "output")
    assert [getattr(one.spec, key) for key in keys] == [getattr(other.spec, key) for key in keys]


def run(*words: object) -> int:
    return main(["convert", *map(str, words)])


def test_onnx_says_all_about_itself(tmp_path: Path) -> None:
    path = source(tmp_path)
    out = tmp_path / "out.onnx"
    assert run(path, out) == 0
    onnx.checker.check_model(str(out), full_check=True)
    assert_same_graph(graph_of(path), graph_of(out))
    same_model(resolve(out), resolve(path))
    # A second time it is the same file.
    assert run(out, tmp_path / "again.onnx") == 0
    assert_same_graph(graph_of(out), graph_of(tmp_path / "again.onnx"))


@pytest.mark.parametrize("name", ["quantized_uint8", "quantized_int8_per_channel"])
def test_integers_of_tensorflow_lite_stay(name: str, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(CASES[name]().data)
    width = graph_of(path).output_shapes.popitem()[1][-1]
    labels = tmp_path / "names.txt"
    labels.write_text("\n".join(f"n{k}" for k in range(width)), encoding="utf-8")
    for target in ("out.onnx", "out.safetensors", "folder", "out.py"):
        assert run(path, tmp_path / target, "--labels", labels, "--force") == 0
    assert_same_graph(graph_of(path), graph_of(tmp_path / "out.onnx"))
    for target in ("out.safetensors", "folder"):
        if target == "out.safetensors":
            assert run(path, tmp_path / target, "--labels", labels, "--force") == 0
        back = with_arrays(graph_of(path), open_parameters(tmp_path / target))
        assert_same_graph(graph_of(path), back)


@pytest.mark.parametrize("target", ["folder", "out.npz", "out.safetensors"])
@pytest.mark.parametrize("family", ["resnet", "squeezenet", "mobilenet_v3"])
def test_bare_parameters_come_back(family: str, target: str, tmp_path: Path) -> None:
    path = save(NETS[family](), tmp_path / "net.onnx")
    out = tmp_path / target
    assert run(path, out) == 0
    graph = load_onnx(path)
    assert_same_graph(graph, with_arrays(graph, open_parameters(out)))


@pytest.mark.parametrize("target", ["folder", "out.npz", "out.safetensors", "out.onnx", "out.py"])
def test_parameters_of_a_known_network_stay_a_model(target: str, tmp_path: Path) -> None:
    """With what was chosen for it: the recipe and the labels go along."""
    path, out = digits(tmp_path), tmp_path / target
    path.with_suffix(".toml").write_text(
        f'title = "My digits"\nlabels = {json.dumps(LABELS)}\n[recipe]\ncontrast = 7.0\n', "utf-8"
    )
    assert run(f"mnist:{path}", out) == 0
    if target == "out.py":
        assert_same_answers(graph_of(f"mnist:{path}"), assemble(out))
        return
    for name in [out] if target == "out.onnx" else [out, f"mnist:{out}"]:
        same_model(resolve(name), resolve(f"mnist:{path}"))
        assert_same_answers(graph_of(f"mnist:{path}"), graph_of(name))
    # And on: what was written converts again.
    assert run(out, tmp_path / "on.onnx") == 0
    same_model(resolve(tmp_path / "on.onnx"), resolve(f"mnist:{path}"))
    assert_same_answers(graph_of(f"mnist:{path}"), graph_of(tmp_path / "on.onnx"))


@pytest.mark.parametrize("order", ["ohwi", "OIHW", "HWIO", "tensorflow", "TFLite", "bnns"])
def test_raw_files_in_every_order_are_read_as_the_network(order: str, tmp_path: Path) -> None:
    path, out = digits(tmp_path), tmp_path / "out"
    assert run(f"mnist:{path}", out, "--order", order) == 0
    assert_same_answers(graph_of(f"mnist:{path}"), graph_of(out))


@pytest.mark.parametrize("target", ["folder", "out.npz", "out.safetensors", "out.onnx", "out.py"])
def test_half_is_half_the_size_and_nearly_the_same(target: str, tmp_path: Path) -> None:
    path = digits(tmp_path)
    assert run(f"mnist:{path}", tmp_path / target, "--half") == 0
    out = tmp_path / target
    weights = out.with_suffix(".safetensors") if target == "out.py" else out
    files = list(out.iterdir()) if out.is_dir() else [weights]
    assert sum(file.stat().st_size for file in files) < path.stat().st_size * 0.51
    graph = graph_of(f"mnist:{path}")
    if target == "out.py":
        half = assemble(out)
    else:
        half = graph_of(out if target == "out.onnx" else f"mnist:{out}")
    x = np.random.default_rng(0).uniform(0, 1, (1, 1, 28, 28)).astype(np.float32)
    (one,), (other,) = (g.run(dict.fromkeys(g.inputs, x)).values() for g in (graph, half))
    assert 0 < np.abs(one - other).max() < 1e-2


def test_half_onnx_runs_as_floats(tmp_path: Path) -> None:
    import onnxruntime as ort

    path, out = source(tmp_path), tmp_path / "out.onnx"
    assert run(path, out, "--half") == 0
    onnx.checker.check_model(str(out), full_check=True)
    model = onnx.load(str(out))
    types = {t.name: t.data_type for t in model.graph.initializer}
    assert onnx.TensorProto.FLOAT16 in types.values()
    assert all(name.endswith("_half") == (kind == 10) for name, kind in types.items())
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 40, 40)).astype(np.float32)
    (ours,) = graph_of(out).run({"image": x}).values()
    (theirs,) = ort.InferenceSession(str(out)).run(None, {"image": x})
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)
    (whole,) = graph_of(path).run({"image": x}).values()
    assert 0 < np.abs(ours - whole).max() < 0.05 * np.abs(whole).max()


def test_fold_takes_batch_normalisation_away(tmp_path: Path) -> None:
    path = source(tmp_path)
    assert run(path, tmp_path / "out.onnx", "--fold") == 0
    folded = graph_of(tmp_path / "out.onnx")
    assert not any(isinstance(node.layer, BatchNorm2d) for node in folded.nodes)
    assert_same_answers(graph_of(path), folded, exact=False)
    assert run(path, tmp_path / "out.npz", "--fold") == 0
    assert not any(name.endswith("_variance") for name in open_parameters(tmp_path / "out.npz"))


def test_what_was_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = source(tmp_path)
    assert run(path, tmp_path / "out.py", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    names = ["out.py", "out.safetensors", "out.toml"]
    assert [Path(file["path"]).name for file in told["files"]] == names
    for file in told["files"]:
        assert file["bytes"] == Path(file["path"]).stat().st_size
    del told["files"]
    assert told == {
        "source": str(path),
        "title": "A net",
        "form": "python",
        "layers": 20,
        "parameters": graph_of(path).parameter_count,
        "half": False,
    }
    assert run(path, tmp_path / "raw", "--order", "HWIO") == 0
    out = capsys.readouterr().out
    assert "A net as dat: 20 layers" in out
    assert "TensorFlow's order" in out
    assert f" MB  {tmp_path / 'raw'}\n" in out


def test_a_model_without_labels_is_converted_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 7)
    assert run(path, tmp_path / "out.npz") == 0
    assert "no labels were written: nothing names the classes" in capsys.readouterr().err
    assert run(path, tmp_path / "net_of_mine.py") == 0
    assert not (tmp_path / "net_of_mine.toml").exists()


def test_labels_can_be_given(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 3)
    (tmp_path / "names").write_text("a\nb\nc\n", encoding="utf-8")
    assert run(path, tmp_path / "out.onnx", "--labels", tmp_path / "names") == 0
    assert resolve(tmp_path / "out.onnx").spec.labels == ("a", "b", "c")


@pytest.mark.parametrize(
    ("target", "told", "expected"),
    [
        ("a.onnx", None, "onnx"),
        ("A.ONNX", None, "onnx"),
        ("a.safetensors", None, "safetensors"),
        ("a.npz", None, "npz"),
        ("a.py", None, "python"),
        ("folder", None, "dat"),
        ("folder.v2/", None, "dat"),
        ("a.bin", "onnx", "onnx"),
        ("folder.v2", "dat", "dat"),
    ],
)
def test_the_name_tells_the_form(target: str, told: str | None, expected: str) -> None:
    assert convert.form_of(target, told) == expected


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("net.onnx", "out.pt"), "nothing is written as .pt"),
        (("net.onnx", "out.tflite"), "nothing is written as .tflite"),
        (("net.onnx", "out", "--to", "python"), "needs a name that ends in .py"),
        (("net.onnx", "my-net.py"), "cannot be imported"),
        (("net.onnx", "out.onnx", "--order", "OIHW"), "--order OIHW: only folders"),
        (("net.onnx", "out", "--order", "HWOI"), "known are OHWI, OIHW, HWIO, PyTorch"),
        (("net.onnx", "no/such/out.onnx"), "is no folder"),
        (("net.onnx", "there.onnx"), "there.onnx: exists already"),
        (("net.onnx", "there.py"), "there.safetensors, there.toml: exist already"),
        (("net.onnx", "there.npz"), "there.toml: exists already"),
        (("net.onnx", "full"), "full: exists already"),
        (("net.onnx", "full", "--force"), "holds other things"),
        (("net.onnx", "full", "--to", "onnx", "--force"), "is a folder"),
        (("net.onnx", "there.onnx", "--to", "dat", "--force"), "is a file"),
        (("net.onnx", "/"), "has no name"),
        (("nothing.onnx", "out.onnx"), "nothing.onnx"),
        (("names", "out.onnx"), "names"),
        (("there.py", "out.onnx"), "there.py"),
        (("mnist:net.onnx", "out.npz"), "do not fit"),
        (
            ("net.onnx", "out.npz", "--labels", "names"),
            "names has 2 labels, but net.onnx has 10 classes",
        ),
        (("large.onnx", "out.npz", "--half"), "float16 ends at 65504"),
        (("large.onnx", "large", "--half"), "float16 ends at 65504"),
        (("large.onnx", "large.py", "--half"), "float16 ends at 65504"),
        (("large.onnx", "out.onnx", "--half"), "float16 ends at 65504"),
    ],
)
def test_bad_input_is_one_clear_line(
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    source(tmp_path)
    model = onnx.load("net.onnx")
    weight = model.graph.initializer[0]
    array = onnx.numpy_helper.to_array(weight) * np.float32(1e7)
    weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    onnx.save(model, "large.onnx")
    for name in ("there.onnx", "there.safetensors", "there.toml"):
        Path(name).write_text("mine", encoding="utf-8")
    Path("names").write_text("a\nb\n", encoding="utf-8")
    Path("there.py").unlink(missing_ok=True)
    Path("full").mkdir()
    Path("full", "diary.txt").write_text("mine", encoding="utf-8")
    before = contents(tmp_path)
    assert main(["convert", *words]) == 1
    shown = capsys.readouterr()
    assert told in shown.err
    assert not shown.out
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def test_force_replaces_files_and_own_folders(tmp_path: Path) -> None:
    path = source(tmp_path)
    for target in ("out.onnx", "out.npz", "raw", "out.py"):
        assert run(path, tmp_path / target, "--force") == 0
    (tmp_path / "raw" / "left_over.dat").write_bytes(b"")
    first = contents(tmp_path)
    for target in ("out.onnx", "out.npz", "raw", "out.py"):
        assert run(path, tmp_path / target, "--force") == 0
    del first[str(Path("raw", "left_over.dat"))]
    assert contents(tmp_path) == first


def test_a_model_can_be_replaced_by_itself(tmp_path: Path) -> None:
    path = source(tmp_path)
    graph = graph_of(path)
    assert run(path, path, "--fold", "--force") == 0
    assert_same_answers(graph, graph_of(path), exact=False)
    folder = tmp_path / "digits"
    assert run(f"mnist:{digits(tmp_path)}", folder) == 0
    before = graph_of(folder)
    assert run(folder, folder, "--order", "HWIO", "--force") == 0
    assert_same_answers(before, graph_of(folder))


def test_layers_that_cannot_be_written_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from twinlens.engine.formats import python

    path = source(tmp_path)

    def refuse(*_: object) -> None:
        raise UnsupportedOperatorError("net: no Python form of Odd")

    monkeypatch.setattr(python, "python_module", refuse)
    before = contents(tmp_path)
    assert run(path, tmp_path / "out.py") == 1
    assert "no Python form of Odd" in capsys.readouterr().err
    assert contents(tmp_path) == before


class _DiskError(OSError):
    pass


@pytest.mark.parametrize("number", range(6))
def test_a_move_that_fails_leaves_everything_as_it_was(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three files are replaced by six moves; each of them fails once."""
    targets = [tmp_path / name for name in ("a", "b", "c")]
    for target in targets:
        target.write_text("old", encoding="utf-8")
    before = contents(tmp_path)
    rename, count = Path.rename, iter(range(100))

    def fail(self: Path, target: Path) -> Path:
        if next(count) == number:
            raise _DiskError(28, "no space left")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with (
        pytest.raises(TwinlensError, match="a: cannot be written"),
        places.outputs(targets, force=True) as folder,
    ):
        for target in targets:
            (folder / target.name).write_text("new", encoding="utf-8")
    assert contents(tmp_path) == before


def test_what_stops_half_way_leaves_nothing(tmp_path: Path) -> None:
    targets = [tmp_path / "a", tmp_path / "b"]
    for error in (KeyboardInterrupt, _DiskError, TwinlensError):
        with pytest.raises(TwinlensError if error is _DiskError else error):  # noqa: SIM117
            with places.outputs(targets) as folder:
                (folder / "a").write_text("new", encoding="utf-8")
                raise error("no")
        assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="writes everywhere")
def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = source(tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert run(path, closed / "out.onnx") == 1
    assert f"{closed}: cannot be written" in capsys.readouterr().err


def test_labels_that_are_given_and_do_not_fit_stop_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny_classifier(tmp_path / "net.onnx", 3)
    (tmp_path / "names").write_text("a\nb\n", encoding="utf-8")
    before = contents(tmp_path)
    assert run(path, tmp_path / "out.onnx", "--labels", tmp_path / "names") == 1
    assert "names has 2 labels, but net.onnx has 3 classes (3 outputs)" in capsys.readouterr().err
    assert contents(tmp_path) == before
