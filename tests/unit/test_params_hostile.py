"""Files that look like PyTorch's and mean harm: refused, with nothing run and little used."""

from __future__ import annotations

import io
import pickletools
import struct
import sys
import tracemalloc
import zipfile
from itertools import product
from pathlib import Path

import pytest

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
from twinlens.engine.params.pickles import MAX_STEPS, PickleError, read_pickle
from twinlens.engine.params.torchnames import NAMES as TABLE
from twinlens.engine.params.torchnames import recall_storage

CANARY = "canary_of_pickles"
ONE = tensor("0", "Float", 2, (2,))


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that leaves a file behind when it is imported, and one more when it is called."""
    where = tmp_path / "modules"
    where.mkdir()
    (where / f"{CANARY}.py").write_text(
        "from pathlib import Path\nhere = Path(__file__).parent\n(here / 'imported').touch()\n"
        "class sing:\n    def __init__(self, *a, **k): (here / 'called').touch()\n"
        "    __setstate__ = __new__ = lambda *a, **k: (here / 'called').touch()\n"
    )
    monkeypatch.syspath_prepend(where)
    return where


def assert_silent(canary: Path) -> None:
    assert [path.name for path in canary.iterdir()] == [f"{CANARY}.py"]
    assert CANARY not in sys.modules


def load(folder: Path, data: bytes):
    """Every array of a file."""
    path = folder / "net.pth"
    path.write_bytes(data)
    return dict(open_parameters(path))


def refused(folder: Path, data: bytes, message: str | None = None) -> str:
    with pytest.raises(ModelFileError, match=message) as caught:
        load(folder, data)
    assert len(str(caught.value)) < 2000
    return str(caught.value)


NAMES = [f"{CANARY}.sing", "os.system", "posix.system", "nt.system", "subprocess.Popen"]
NAMES += ["builtins.eval", "__builtin__.eval", "builtins.exec", "builtins.getattr"]
NAMES += ["builtins.__import__", "builtins.open", "builtins.globals", "builtins.type"]
NAMES += ["operator.attrgetter", "operator.methodcaller", "functools.partial", "runpy.run_path"]
NAMES += ["copy_reg._reconstructor", "copyreg._reconstructor", "copyreg.__newobj__"]
NAMES += ["importlib.import_module", "pickle.loads", "marshal.loads", "types.CodeType"]
NAMES += ["numpy.testing._private.utils.runstring", "numpy.core.multiarray._reconstruct"]
NAMES += ["numpy.load", "torch.load", "torch.hub.load", "torch._utils._import_dotted_name"]
NAMES += ["torch._dynamo.guards.GuardBuilder", "torch.jit.load", "torch.storage._load_from_bytes"]
NAMES += ["torch.nn.modules.conv.Conv2d", "torch.distributed.tensor.DTensor", "argparse.Namespace"]
NAMES += ["collections.defaultdict", "pathlib.PosixPath", "torch._utils.__builtins__"]
NAMES += ["torch.__class__", "builtins.set.__init__", "collections.OrderedDict.__reduce__"]


def program(dotted: str) -> dict[str, bytes]:
    """Everything that a pickle can do with a name."""
    module, _, last = dotted.rpartition(".")
    lines = f"{module}\n{last}\n".encode()
    given = text("echo")
    return {
        "name": name(dotted),
        "STACK_GLOBAL": text(module) + text(last) + b"\x93",
        "REDUCE": name(dotted) + tuple_of(given) + b"R",
        "NEWOBJ": name(dotted) + tuple_of(given) + b"\x81",
        "NEWOBJ_EX": name(dotted) + tuple_of(given) + b"}\x92",
        "OBJ": b"(" + name(dotted) + given + b"o",
        "INST": b"(" + given + b"i" + lines,
        "BUILD": name(dotted) + b")\x81" + table(a=given) + b"b",
        "BUILD on a class": name("collections.OrderedDict") + name(dotted) + b"b",
        "BUILD of slots": b"}" + tuple_of(b"N", table(a=name(dotted))) + b"b",
        "PERSID": b"P" + lines.replace(b"\n", b".", 1),
        "BINPERSID": name(dotted) + b"Q",
    }


@pytest.mark.parametrize("way", list(program("a.b")))
@pytest.mark.parametrize("form", [zipped, legacy], ids=["zip", "legacy"])
def test_no_name_is_imported_or_called(tmp_path: Path, canary: Path, way: str, form) -> None:
    for dotted in NAMES:
        for body in (program(dotted)[way], items({"a": ONE, "b": program(dotted)[way]})):
            data = form(body, {"0": bytes(8)})
            said = refused(tmp_path, data)
            if way in ("name", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "OBJ", "INST"):
                assert dotted in said
    assert_silent(canary)


@pytest.mark.parametrize("code", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"])
def test_registered_extensions_are_refused(tmp_path: Path, canary: Path, code: bytes) -> None:
    import copyreg

    copyreg.add_extension(CANARY, "sing", 1)
    try:
        refused(tmp_path, zipped(code), "operation 0x8")
    finally:
        copyreg.remove_extension(CANARY, "sing", 1)
    assert_silent(canary)


KNOWN_CALLS = {
    "a class of ours by its own name": call("twinlens.engine.params.pickles.Table"),
    "a name called as a tensor": call("torch.float32"),
    "a storage called": call("torch.FloatStorage", integer(1 << 40)),
    "a tensor called": ONE + tuple_of() + b"R",
    "text called": text("a") + tuple_of() + b"R",
    "called with a list": name("collections.OrderedDict") + b"]R",
    "called with too much": call("torch._utils._rebuild_parameter"),
    "an attribute of what is known": name("torch.Size.__class__"),
    "a maker given as a way to make": call(
        "torch._tensor._rebuild_from_type_v2",
        name("collections.OrderedDict"),
        name("torch.Tensor"),
        tuple_of(),
        b"N",
    ),
    "an unknown class of a tensor": call(
        "torch._tensor._rebuild_from_type_v2",
        name("torch._utils._rebuild_tensor_v2"),
        name("my.Tensor"),
        tuple_of(),
        b"N",
    ),
}


@pytest.mark.parametrize("what", KNOWN_CALLS)
def test_known_names_do_no_more_than_they_should(tmp_path: Path, what: str) -> None:
    refused(tmp_path, zipped(table(a=ONE, b=KNOWN_CALLS[what]), {"0": bytes(8)}))


NO_NUMBERS = {
    "_rebuild_qtensor": "a quantised tensor",
    "_rebuild_sparse_tensor": "a sparse tensor",
    "_rebuild_meta_tensor_no_storage": "without numbers",
    "_rebuild_nested_tensor": "a nested tensor",
}


@pytest.mark.parametrize("maker", NO_NUMBERS)
def test_tensors_of_other_kinds_are_refused_by_what_they_are(tmp_path: Path, maker: str) -> None:
    refused(tmp_path, zipped(table(a=call(f"torch._utils.{maker}", b"N"))), NO_NUMBERS[maker])


@pytest.mark.parametrize("kind", ["QInt8", "ComplexFloat", "QUInt4x2"])
def test_values_that_are_no_plain_numbers_are_refused(tmp_path: Path, kind: str) -> None:
    body = table(a=tensor("0", kind, 1, (1,)))
    refused(tmp_path, zipped(body, {"0": bytes(64)}), "not plain numbers")


def test_every_operation_in_every_place() -> None:
    codes = [bytes([code]) for code in range(256)]
    assert {op.code.encode("latin-1") for op in pickletools.opcodes} <= set(codes)
    before = [b"", b"(", b"]", b"}", b"(K\x01", b"K\x01K\x02", b"]K\x01(", text("a") + text("b")]
    before += [name("collections.OrderedDict") + b")", name("torch.Size") + tuple_of(b")"), ONE]
    after = [b"", bytes(9), b"\xff" * 9, b"1\n2\n", b"99999999\n", bytes([5, 0, 0, 0]) + b"abcde"]
    ended = 0
    for code, first, last in product(codes, before, after):
        for body in (first + code + last + b".", b"}" + text("a") + first + code + last + b"s."):
            try:
                read_pickle(io.BytesIO(body), TABLE.__getitem__, recall_storage)
                ended += 1
            except PickleError:
                continue
    assert ended > 300  # what is allowed does work


def doubling(step: bytes) -> bytes:
    return b"]" + step * 200


DEEP = 50_000
BOMBS = {
    "doubled by DUP": doubling(b"2\x86"),
    "doubled by the memo": b")" + b"q\x00h\x00\x86" * 200,
    "doubled by MEMOIZE": b")" + b"".join(b"\x94h" + bytes([n]) + b"\x86" for n in range(200)),
    "doubled lists": b"]" + b"q\x00]h\x00ah\x00a" * 200,
    "doubled keys": b")" + b"q\x00h\x00\x86" * 200 + b"q\x01}h\x01K\x01s",
    "doubled in sets": b")" + b"q\x00h\x00\x86" * 200 + b"q\x01\x8f(h\x01\x90",
    "doubled in frozen sets": b")" + b"q\x00(h\x00h\x00\x91" * 200,
    "deep tuples": b")" + b"\x85" * DEEP,
    "deep tuple as a key": b"})" + b"\x85" * DEEP + b"K\x01s",
    "deep lists": b"]" * DEEP + b"a" * (DEEP - 1),
    "deep marks": b"(" * DEEP,
    "deep dictionaries": (b"}" + text("model")) * DEEP + b"N" + b"s" * DEEP,
    "a dictionary in itself": b"}q\x00" + text("model") + b"h\x00s" + text("ema") + b"h\x00s",
    "a list in itself": b"]q\x00h\x00a",
    "a tuple in itself": b"]q\x00h\x00\x85q\x01ah\x01",
    "a set in itself": b"\x8fq\x00(h\x00\x90",
    "keys of one hash": b"}"
    + b"".join(
        b"\x8a\x0a" + (n * ((1 << 61) - 1)).to_bytes(10, "little") + b"Ns" for n in range(30_000)
    ),
    "members of one hash": b"\x8f("
    + b"".join(b"\x8a\x0a" + (n * ((1 << 61) - 1)).to_bytes(10, "little") for n in range(30_000))
    + b"\x90",
    "a huge place in the memo": b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff",
    "a huge place in text": b"Np99999999999999999999\n",
    "a dictionary in many places": b"}q\x00("
    + b"".join(text(f"k{n}") + b"h\x00" for n in range(50_000))
    + b"u",
}
TOO_MUCH = {
    "a giant number": (b"\x8b\xff\xff\xff\x7f" + bytes(99), "longer|ends before"),
    "a number that is there": (
        b"\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20),
        "number of",
    ),
    "a negative count": (b"\x8b\xff\xff\xff\xff", "-1 bytes"),
    "giant digits": (b"I" + b"9" * 100_000 + b"\n", "digits"),
    "giant digits of a long": (b"L" + b"9" * 100_000 + b"L\n", "digits"),
    "giant text": (b"X\xff\xff\xff\xffabc", "longer"),
    "more than giant text": (b"\x8d" + b"\xff" * 8 + b"abc", "longer"),
    "giant bytes": (b"\x8e" + b"\xff" * 7 + b"\x7f", "longer"),
    "giant array of bytes": (b"\x96" + b"\xff" * 7 + b"\x7f", "longer"),
    "a frame that lies": (b"\x95" + b"\xff" * 8 + b"N", "frame of"),
    "a line without end": (b"S'" + b"a" * (2 << 20) + b"\n", "line without end"),
    "steps without end": (b"]" + b"20" * MAX_STEPS, "operations"),
    "bytes without end": (b"0" * (40 << 20), "bytes"),
    "text copied over and over": (
        text("a" * 200_000) + b"q\x00" + text("latin1") + b"q\x01"
        + (name("_codecs.encode") + b"h\x00h\x01\x86R") * 5000,
        "calls take",
    ),
    "a list copied over and over": (
        b"](" + b"N" * 100_000 + b"eq\x00" + (name("builtins.set") + b"h\x00\x85R") * 5000,
        "calls take",
    ),
    "pairs copied over and over": (
        b"](" + b")K\x01\x86" * 100_000 + b"eq\x00"
        + (name("collections.OrderedDict") + b"h\x00\x85R") * 500,
        "calls take",
    ),
}  # fmt: skip


def measured(folder: Path, data: bytes):
    """A file's arrays, and the most bytes that Python held meanwhile, the file's own included."""
    tracemalloc.start()
    try:
        arrays = load(folder, data)
        return arrays, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_do_not_go_off(tmp_path: Path, bomb: str) -> None:
    # In a list, since some leave more than one value.
    body = b"}" + text("a") + ONE + b"s" + text("b") + b"(" + BOMBS[bomb] + b"ls"
    data = zipped(body, {"0": bytes(8)})
    if bomb == "deep marks":
        refused(tmp_path, data)
        return
    arrays, peak = measured(tmp_path, data)
    assert list(arrays) == ["a"]
    assert peak < 200 << 20


@pytest.mark.parametrize("what", TOO_MUCH)
def test_more_than_there_is(tmp_path: Path, what: str) -> None:
    body, message = TOO_MUCH[what]
    refused(tmp_path, zipped(body), message)


def view(shape, strides, offset: int = 0, count: int = 2) -> bytes:
    return table(a=tensor("0", "Float", count, shape, strides, offset))


TENSORS = {
    "behind the end": view((3,), (1,)),
    "offset behind the end": view((1,), (1,), 2),
    "strides behind the end": view((2,), (2,)),
    "negative offset": view((1,), (1,), -1),
    "negative stride": view((2,), (-1,), 1),
    "negative size": view((-2,), (1,)),
    "sizes whose product wraps to nothing": view((1 << 32, 1 << 32), (0, 0)),
    "strides that wrap": view((3, 2), ((1 << 62) - 1, 1)),
    "a size that no number holds": view((1 << 70,), (0,)),
    "a few values, repeated": view((1 << 28,), (0,)),
    "more strides than sizes": view((1,), (1, 1)),
    "more axes than there are": view((1,) * 40, (0,) * 40),
    "a truth value for a size": table(a=call(
        "torch._utils._rebuild_tensor_v2", storage("0", "Float", 2), b"\x88", integers((1,)),
        integers((1,)), b"\x89", b"N")),
    "a number for the sizes": table(a=call(
        "torch._utils._rebuild_tensor_v2", storage("0", "Float", 2), integer(0), integer(1),
        integers((1,)), b"\x89", b"N")),
    "text for a storage": table(a=call(
        "torch._utils._rebuild_tensor_v2", text("0"), integer(0), integers((1,)), integers((1,)))),
    "a storage that is larger than its bytes": table(a=tensor("0", "Float", 1 << 40, (1,))),
    "a storage that is not there": table(a=tensor("1", "Float", 2, (2,))),
    "a storage outside": table(a=tensor("../data.pkl", "Float", 2, (2,))),
    "a storage anywhere": table(a=tensor("../../../../etc/passwd", "Float", 2, (2,))),
    "a storage of no size": table(a=tensor("0", "Float", -2, (2,))),
    "an id that is text": table(a=text("storage") + b"Q"),
    "an id of a module": table(a=tuple_of(text("module"), b"N", b"N", b"N", b"N") + b"Q"),
    "a type for another storage": table(a=call(
        "torch._utils._rebuild_tensor_v3", storage("0", "Float", 2), integer(0), integers((2,)),
        integers((1,)), b"\x89", b"N", name("torch.float64"))),
}  # fmt: skip


@pytest.mark.parametrize("what", TENSORS)
@pytest.mark.parametrize("form", [zipped, legacy], ids=["zip", "legacy"])
def test_tensors_that_leave_their_storage(tmp_path: Path, what: str, form) -> None:
    refused(tmp_path, form(TENSORS[what], {"0": bytes(8)}))


def test_storages_of_the_older_format_that_are_not_what_is_said(tmp_path: Path) -> None:
    good = legacy(table(a=ONE), {"0": bytes(8)})
    assert list(load(tmp_path, good)) == ["a"]
    count = len(good) - 16
    for number in (-1, 1, 3, 1 << 40, (1 << 63) - 1):
        refused(tmp_path, good[:count] + struct.pack("<q", number) + good[count + 8 :])
    refused(tmp_path, legacy(table(a=ONE), {}))
    refused(tmp_path, legacy(table(a=ONE), {"0": bytes(8), "1": bytes(8)}), "list of storages")
    refused(tmp_path, legacy(table(a=ONE, b=tensor("0", "Float", 3, (3,))), {"0": bytes(12)}))


def test_tar_archives_that_are_not_what_is_said(tmp_path: Path) -> None:
    import numpy as np

    arrays = {"a": np.zeros((2, 3), "f4")}
    for views in (
        [("b", "a", 0, (7,), (1,))],
        [("b", "a", 6, (1,), (1,))],
        [("b", "a", -1, (1,), (1,))],
        [("b", "a", 0, (2,), (-1,))],
        [("b", "a", 0, (1,) * 40, (1,) * 40)],
    ):
        refused(tmp_path, tarred(arrays, views))
    good = tarred(arrays)
    assert list(load(tmp_path, good)) == ["a"]
    for cut in range(512, len(good) - 10240, 64):
        refused(tmp_path, good[:cut])


def archive(*members, method=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as to:
        for title, data in members:
            to.writestr(title, data)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_are_not_what_is_said(tmp_path: Path) -> None:
    good = zipped(table(a=ONE), {"0": bytes(8)})
    assert list(load(tmp_path, good)) == ["a"]
    body = pickled(table(a=ONE))
    refused(tmp_path, archive(("a/data.pkl", body), ("b/data.pkl", body)), "2 data.pkl")
    refused(tmp_path, archive(("a/data.pkl", body), ("a/data.pkl", body)), "one name")
    refused(tmp_path, zipped(table(a=ONE), {"0": bytes(8)}, order="middle"), "order of bytes")
    bombed = archive(("a/data.pkl", bytes(100 << 20)), method=zipfile.ZIP_DEFLATED)
    refused(tmp_path, bombed, "at most")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        other = archive(("a/data.pkl", body), ("a/data/0", bytes(8)), method=method)
        refused(tmp_path, other, "packed by method")
    packed = bytearray(zipped(table(a=ONE), {"0": bytes(8)}, packed=True))
    at = packed.rfind(b"archive/data/0") - 46
    packed[at + 24 : at + 28] = struct.pack("<I", 7)
    refused(tmp_path, bytes(packed))
    packed[at + 24 : at + 28] = struct.pack("<I", 0x7FFFFFFF)
    refused(tmp_path, bytes(packed))
    packed[at + 8] |= 1
    refused(tmp_path, bytes(packed), "encrypted")


def test_a_list_of_members_without_end(tmp_path: Path) -> None:
    names = [(f"{'x' * 200}{n}", b"") for n in range(40_000)]
    refused(tmp_path, archive(("a/data.pkl", pickled(table(a=ONE))), *names), "list of members")


FILES = {
    "zip": zipped(ordered(stored({})[0] | {"a": ONE}), {"0": bytes(8)}),
    "deflated": zipped(table(a=ONE), {"0": bytes(8)}, packed=True),
    "legacy": legacy(ordered({"a": ONE}), {"0": bytes(8)}),
}


@pytest.mark.parametrize("form", FILES)
def test_files_cut_anywhere(tmp_path: Path, form: str) -> None:
    for cut in range(4, len(FILES[form])):
        refused(tmp_path, FILES[form][:cut])


@pytest.mark.parametrize("form", FILES)
def test_files_with_any_byte_changed(tmp_path: Path, form: str) -> None:
    data = FILES[form]
    for place in range(4, len(data)):
        for flip in (0x01, 0x80):
            changed = data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
            try:
                load(tmp_path, changed)
            except ModelFileError:
                continue
