"""PyTorch's state dictionaries, in all three of their formats, as `torch.load` would read them."""

from __future__ import annotations

import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from helpers.torch_files import (
    call,
    integer,
    integers,
    items,
    legacy,
    name,
    ordered,
    pickled,
    storage,
    stored,
    table,
    tarred,
    tensor,
    text,
    tuple_of,
    zipped,
)
from twinlens.engine.errors import ModelFileError
from twinlens.engine.params import open_parameters
from twinlens.models.identify.kinds import Kind, glance

ARRAYS = {
    "conv.weight": np.arange(24, dtype="f4").reshape(2, 3, 2, 2),
    "conv.bias": np.array([-1.5, 2.5], "f4"),
    "bn.num_batches_tracked": np.array(7, "i8"),
}


def opened(folder: Path, data: bytes, file: str = "net.pth"):
    path = folder / file
    path.write_bytes(data)
    return open_parameters(path)


def assert_arrays(found, arrays) -> None:
    assert list(found) == list(arrays)
    for key, array in arrays.items():
        assert found.entries[key].shape == array.shape
        assert found[key].dtype == array.dtype == found.entries[key].dtype
        np.testing.assert_array_equal(found[key], array)


@pytest.mark.parametrize("root", ["archive", "net", "a name.with dots"])
@pytest.mark.parametrize("packed", [False, True], ids=["stored", "deflated"])
def test_zip_archives(tmp_path: Path, root: str, packed: bool) -> None:
    values, storages = stored(ARRAYS)
    found = opened(tmp_path, zipped(ordered(values), storages, root=root, packed=packed))
    assert_arrays(found, ARRAYS)
    assert found.source == str(tmp_path / "net.pth")


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_one_after_the_other(tmp_path: Path, protocol: int) -> None:
    values, storages = stored(ARRAYS)
    data = legacy(ordered(values), storages, {"2": 8}, protocol=protocol)
    assert_arrays(opened(tmp_path, data), ARRAYS)


def test_tar_archives(tmp_path: Path) -> None:
    arrays = {"a": ARRAYS["conv.weight"], "b": ARRAYS["conv.bias"]}
    found = opened(tmp_path, tarred(arrays, views=[("c", "a", 4, (3, 2), (1, 8))]))
    flat = arrays["a"].ravel()
    assert_arrays(
        found, arrays | {"c": np.array([[flat[4 + r + 8 * c] for c in range(2)] for r in range(3)])}
    )


@pytest.mark.parametrize("file", ["net.pt", "net.pth", "pytorch_model.bin", "net.ckpt", "net"])
def test_told_by_content_not_by_ending(tmp_path: Path, file: str) -> None:
    values, storages = stored(ARRAYS)
    for data in (zipped(ordered(values), storages), legacy(ordered(values), storages, {"2": 8})):
        assert_arrays(opened(tmp_path, data, file), ARRAYS)
        assert glance(tmp_path / file).kind is Kind.PARAMETERS


TYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "b1"]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("order", ["little", "big", None])
def test_types_and_orders_of_bytes(tmp_path: Path, kind: str, order: str | None) -> None:
    array = np.array([[0, 1, 2], [3, 100, 1]]).astype(kind)
    values, storages = stored({"a": array})
    if order == "big":
        storages = {"0": array.astype(array.dtype.newbyteorder(">")).tobytes()}
    assert_arrays(opened(tmp_path, zipped(items(values), storages, order=order)), {"a": array})


@pytest.mark.parametrize("order", ["little", "big"])
def test_bfloat16(tmp_path: Path, order: str) -> None:
    array = np.array([1, -2.5, 3e38], ml_dtypes.bfloat16)
    data = array.view("u2").astype(">u2" if order == "big" else "<u2").tobytes()
    body = table(a=tensor("0", "BFloat16", 3, (3,)))
    assert_arrays(opened(tmp_path, zipped(body, {"0": data}, order=order)), {"a": array})


def test_storages_of_bytes_with_the_type_beside_them(tmp_path: Path) -> None:
    array = np.arange(6, dtype="u2")
    given = (storage("0", "torch.storage.UntypedStorage", 12), integer(1), integers((2, 2)))
    hooks = name("collections.OrderedDict") + b")R"
    more = (integers((2, 1)), b"\x89", hooks, name("torch.uint16"))
    body = table(a=call("torch._utils._rebuild_tensor_v3", *given, *more))
    found = opened(tmp_path, zipped(body, {"0": array.tobytes()}))
    assert_arrays(found, {"a": array[1:5].reshape(2, 2)})


VIEWS = {
    "transposed": ((4, 3), (1, 4), 0),
    "offset": ((2, 3), (3, 1), 5),
    "every other": ((3,), (2,), 1),
    "overlapping": ((3, 3), (1, 1), 0),
    "repeated": ((2, 3), (0, 1), 2),
    "scalar": ((), (), 11),
    "empty": ((0, 3), (3, 1), 0),
    "empty behind the end": ((2, 0), (1, 1), 12),
    "odd strides of one": ((1, 3), (99999, 1), 0),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("form", ["zip", "deflated", "legacy"])
def test_views_of_a_storage(tmp_path: Path, view: str, form: str) -> None:
    shape, strides, offset = VIEWS[view]
    values = np.arange(12, dtype="f4")
    body = table(
        a=tensor("s", "Float", 12, shape, strides, offset), b=tensor("s", "Float", 12, (12,))
    )
    storages = {"s": values.tobytes()}
    data = (
        legacy(body, storages) if form == "legacy" else zipped(body, storages, packed=form != "zip")
    )
    wanted = np.empty(shape, "f4")
    for place in np.ndindex(shape):
        wanted[place] = values[offset + sum(i * s for i, s in zip(place, strides, strict=True))]
    assert_arrays(opened(tmp_path, data), {"a": wanted, "b": values})


def test_parts_of_a_storage_as_older_files_have_them(tmp_path: Path) -> None:
    values = np.arange(12, dtype="f4")
    part = tuple_of(text("view"), integer(4), integer(6))
    body = table(a=tensor("s", "Float", 12, (2, 2), (3, 1), 1, part))
    found = opened(tmp_path, legacy(body, {"s": values.tobytes()}))
    assert_arrays(found, {"a": np.array([[5, 6], [8, 9]], "f4")})
    beyond = table(a=tensor("s", "Float", 12, (3, 2), (3, 1), 0, part))
    with pytest.raises(ModelFileError, match="ends at 8, its storage at 6"):
        opened(tmp_path, legacy(beyond, {"s": values.tobytes()}))


def test_parameters_and_tensors_with_attributes(tmp_path: Path) -> None:
    plain = tensor("0", "Float", 2, (2,))
    hooks = name("collections.OrderedDict") + b")R"
    given = (storage("0", "Float", 2), integer(0), integers((2,)), integers((1,)), b"\x89", hooks)
    body = table(
        a=call("torch._utils._rebuild_parameter", plain, b"\x88", hooks),
        b=call("torch._utils._rebuild_parameter_with_state", plain, b"\x88", hooks, table(x=b"N")),
        c=call(
            "torch._tensor._rebuild_from_type_v2",
            name("torch._utils._rebuild_tensor_v2"),
            name("torch.Tensor"),
            tuple_of(*given),
            table(note=text("x")),
        ),
    )
    array = np.array([1, 2], "f4")
    found = opened(tmp_path, zipped(body, {"0": array.tobytes()}))
    assert_arrays(found, dict.fromkeys("abc", array))


BESIDE = {
    "plain": table(
        a=b"N", b=b"\x88", c=integer(-3), d=b"G" + bytes(8), e=b"]K\x01a", f=b"\x8f(K\x01\x90"
    ),
    "long": integer(1 << 66),
    "size": call("torch.Size", integers((2, 3))),
    "type": name("torch.float32"),
    "device": call("torch.device", text("cuda"), integer(0)),
    "bytes": call("_codecs.encode", text("ÿ\x00"), text("latin1")),
    "set": call("__builtin__.set", b"]K\x01a"),
    "numpy 1": call(
        "numpy.core.multiarray.scalar",
        call("numpy.dtype", text("f8"), b"\x89", b"\x88") + integers((3,)) + b"b",
        call("_codecs.encode", text("12345678"), text("latin1")),
    ),
    "numpy 2": call(
        "numpy._core.multiarray.scalar",
        call("numpy.dtype", text("i8"), b"\x89", b"\x88") + integers((3,)) + b"b",
        b"C\x0812345678",
    ),
    "counter": call("collections.Counter", b"}K\x01K\x02s"),
    "Python 2's dictionary": call("collections.OrderedDict", b"](U\x01aK\x01\x86e"),
    "itself": b"]q\x63h\x63a",
}


@pytest.mark.parametrize("beside", BESIDE)
def test_what_training_programs_keep_beside_the_numbers(tmp_path: Path, beside: str) -> None:
    values, storages = stored(ARRAYS)
    body = table(epoch=integer(90), beside=BESIDE[beside], state_dict=ordered(values))
    found = opened(tmp_path, zipped(body, storages))
    assert_arrays(found, ARRAYS)
    assert "(state_dict)" in found.source


def checkpoint(**tables):
    """Tables by name, each with ARRAYS plus what is given; storages."""
    values, storages = {}, {}
    for title, arrays in tables.items():
        values[title], more = stored(arrays, f"{title}-")
        storages |= more
    return values, storages


KEYS = ["state_dict", "model", "model_state_dict", "params", "net", "ema", "my_own_name", "module"]


@pytest.mark.parametrize("key", KEYS)
def test_checkpoints_of_training_programs(tmp_path: Path, key: str) -> None:
    moments = {f"{title}.exp_avg": array for title, array in ARRAYS.items()} | ARRAYS
    values, storages = checkpoint(
        **{key: ARRAYS, "optimizer": moments, "best": {"x": ARRAYS["conv.bias"]}}
    )
    body = {"best_acc1": values["best"]["x"], key: ordered(values[key])}
    body |= {"optimizer": table(state=items(values["optimizer"])), "epoch": integer(3)}
    found = opened(tmp_path, zipped(items(body), storages))
    assert_arrays(found, ARRAYS)
    assert found.source.endswith(f"({key})")


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema", "ema"])
def test_an_average_over_time_is_preferred(tmp_path: Path, key: str) -> None:
    averaged = {title: (array * 2).astype(array.dtype) for title, array in ARRAYS.items()}
    values, storages = checkpoint(**{"state_dict": ARRAYS, key: averaged})
    body = {"state_dict": ordered(values["state_dict"]), key: ordered(values[key])}
    assert_arrays(opened(tmp_path, zipped(items(body), storages)), averaged)


def test_checkpoints_in_checkpoints(tmp_path: Path) -> None:
    values, storages = stored(ARRAYS)
    body = table(a=table(ema=table(module=ordered(values))))
    found = opened(tmp_path, zipped(body, storages))
    assert_arrays(found, ARRAYS)
    assert found.source.endswith("(a.ema.module)")


PREFIXES = ["module.", "model.", "backbone.", "net.", "_orig_mod.", "module._orig_mod."]
PREFIXES += ["_orig_mod.module.", "model.backbone.", "timm_model."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_names_of_wrappers(tmp_path: Path, prefix: str) -> None:
    values, storages = stored({f"{prefix}{title}": array for title, array in ARRAYS.items()})
    assert_arrays(opened(tmp_path, zipped(ordered(values), storages)), ARRAYS)


def test_names_of_wrappers_in_front_of_most(tmp_path: Path) -> None:
    arrays = {f"backbone.layer{n}.weight": ARRAYS["conv.bias"] + n for n in range(9)}
    arrays |= {"fc.weight": ARRAYS["conv.bias"], "criterion.weight": ARRAYS["conv.bias"]}
    values, storages = stored(arrays)
    found = opened(tmp_path, zipped(ordered(values), storages))
    assert list(found) == [*(f"layer{n}.weight" for n in range(9)), "fc.weight"]
    np.testing.assert_array_equal(found["layer3.weight"], ARRAYS["conv.bias"] + 3)


def test_names_of_wrappers_that_would_make_two_of_one_stay(tmp_path: Path) -> None:
    arrays = {f"model.layer{n}": ARRAYS["conv.bias"] for n in range(9)} | {
        "layer0": ARRAYS["conv.bias"]
    }
    values, storages = stored(arrays)
    assert list(opened(tmp_path, zipped(ordered(values), storages))) == list(arrays)


def test_names_that_only_look_like_wrappers_stay(tmp_path: Path) -> None:
    arrays = {"model.a": ARRAYS["conv.bias"], "b": ARRAYS["conv.bias"], "c": ARRAYS["conv.bias"]}
    values, storages = stored(arrays)
    assert list(opened(tmp_path, zipped(ordered(values), storages))) == list(arrays)


def test_values_that_are_no_tensors_are_left_out(tmp_path: Path) -> None:
    values, storages = stored(ARRAYS)
    values |= {"head._extra_state": table(version=integer(1)), "scale": integer(3)}
    assert_arrays(opened(tmp_path, zipped(ordered(values), storages)), ARRAYS)


def test_sums_that_torch_leaves_out(tmp_path: Path) -> None:
    # torch.serialization.set_crc32_options(False) writes any number in their place.
    values, storages = stored(ARRAYS)
    data = bytearray(zipped(ordered(values), storages))
    for sign, place in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        at = -1
        while (at := data.find(sign, at + 1)) >= 0:
            data[at + place : at + place + 4] = b"\x01\x02\x03\x04"
    assert_arrays(opened(tmp_path, bytes(data)), ARRAYS)


def test_a_folder_with_a_state_dictionary_and_its_settings(tmp_path: Path) -> None:
    values, storages = stored(ARRAYS)
    (tmp_path / "config.json").write_text("{}")
    opened(tmp_path, zipped(ordered(values), storages), "pytorch_model.bin")
    assert_arrays(open_parameters(tmp_path), ARRAYS)
    assert glance(tmp_path).kind is Kind.PARAMETERS


def test_a_folder_with_several_state_dictionaries(tmp_path: Path) -> None:
    values, storages = stored(ARRAYS)
    for file in ("a.pth", "b.bin"):
        opened(tmp_path, zipped(ordered(values), storages), file)
    with pytest.raises(ModelFileError, match=r"several files with parameters: a\.pth, b\.bin"):
        open_parameters(tmp_path)
    save_file({"x": ARRAYS["conv.bias"]}, tmp_path / "model.safetensors")
    assert list(open_parameters(tmp_path)) == ["x"]


def test_names_of_wrappers_in_safetensors_that_pytorch_wrote(tmp_path: Path) -> None:
    arrays = {f"module.{title}": array for title, array in ARRAYS.items()}
    save_file(arrays, tmp_path / "net.safetensors", {"format": "pt"})
    found = open_parameters(tmp_path / "net.safetensors")
    assert set(found) == set(ARRAYS)
    np.testing.assert_array_equal(found["conv.weight"], ARRAYS["conv.weight"])
    save_file(arrays, tmp_path / "own.safetensors")
    assert set(open_parameters(tmp_path / "own.safetensors")) == set(arrays)


def test_safetensors_that_are_called_otherwise(tmp_path: Path) -> None:
    save_file({"x": ARRAYS["conv.bias"]}, tmp_path / "pytorch_model.bin")
    assert list(open_parameters(tmp_path / "pytorch_model.bin")) == ["x"]
    assert list(open_parameters(tmp_path)) == ["x"]


def test_raw_files_in_a_folder_are_still_raw(tmp_path: Path) -> None:
    values = np.array([0x2E028000, 0x50544B50], "<u4")  # nearly as a pickle starts
    (tmp_path / "a.bin").write_bytes(values.view("<f4").tobytes())
    np.testing.assert_array_equal(open_parameters(tmp_path)["a"].view("<u4"), values)


def test_what_is_no_state_dictionary(tmp_path: Path) -> None:
    for body, message in (
        (tensor("0", "Float", 2, (2,)), "one tensor without a name"),
        (table(a=integer(1)), "no tensors"),
        (integer(1), "no tensors"),
    ):
        with pytest.raises(ModelFileError, match=message) as caught:
            opened(tmp_path, zipped(body, {"0": bytes(8)}))
        assert "state_dict()" in caught.value.hint


PROGRAMS = {
    "TorchScript": ({"constants.pkl": b"", "code/__torch__.py": b""}, r"torch\.jit\.load"),
    "a program of torch.export": ({"archive_format": b"pt2"}, r"torch\.export\.load"),
    "TorchScript for phones": ({"bytecode.pkl": b""}, "state_dict"),
    "a torch.package": ({".data/extern_modules": b""}, "state_dict"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_are_refused_with_the_way_out(tmp_path: Path, program: str) -> None:
    members, hint = PROGRAMS[program]
    with pytest.raises(ModelFileError, match=f"is {program}, a program") as caught:
        opened(tmp_path, zipped(table(a=b"N"), members=members))
    assert glance(tmp_path / "net.pth").kind is Kind.PARAMETERS
    assert re.search(hint, caught.value.hint)


WHOLE = {
    "zip": (zipped, name("torchvision.models.resnet.ResNet") + b")\x81}b"),
    "legacy": (
        legacy,
        tuple_of(text("module"), name("torchvision.models.resnet.ResNet"), text("a"), text("b"))
        + b"Q",
    ),
}


@pytest.mark.parametrize("form", WHOLE)
def test_whole_models_are_refused_by_their_class(tmp_path: Path, form: str) -> None:
    make, body = WHOLE[form]
    with pytest.raises(
        ModelFileError, match=r"a whole model, an object of torchvision\.models\.resnet\.ResNet"
    ) as caught:
        opened(tmp_path, make(body))
    assert "torch.save(model.state_dict()" in caught.value.hint


def test_a_model_of_ultralytics_is_refused_with_its_own_way(tmp_path: Path) -> None:
    body = table(
        epoch=integer(1), model=name("ultralytics.nn.tasks.ClassificationModel") + b")\x81"
    )
    with pytest.raises(ModelFileError, match=r"names ultralytics\.nn\.tasks") as caught:
        opened(tmp_path, zipped(body), "yolo.pt")
    assert "yolo export format=onnx model=yolo.pt" in caught.value.hint


def test_pickles_of_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"pickle that torch\.save did not write"):
        opened(tmp_path, pickled(table(a=integer(1))), "net.pkl")
