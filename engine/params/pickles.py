"""A pickle read as plain data: nothing that it names is imported, called or changed.

A pickle is a program for a small machine with a stack, and Python's own reader imports and calls
whatever that program names. This one is another machine for the same programs. A name stands for
what the caller's table has under it and for nothing else; what is not in the table is refused
before anything is done with it. Dictionaries are kept as pairs and sets as lists, so that nothing
of a file is hashed or compared, and nothing here descends into what it has built: neither values
that contain themselves nor ones that double at every step cost more than the file is long.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

MAX_BYTES = 32 << 20
"""Most that one pickle may be long; a tensor's entry takes about 200 bytes."""
MAX_STEPS = 2_000_000
"""Most operations of one pickle; a tensor's entry takes about 30."""
MAX_COPIED = 2_000_000
"""Most items that all calls of one pickle may be given, since each may copy them; 16 bytes of text
are one.
"""

_MAX_INT_BYTES = 256
_MAX_DIGITS = 700
_MAX_LINE = 1 << 20
_PROTOCOLS = range(6)


class PickleError(Exception):
    """A pickle is damaged, or is more than plain data; the text says what it does."""


class RefusedNameError(PickleError):
    """A pickle names what is not plain data.

    Attributes:
        name: as it stands in the file, module and all.
        outermost: whether it comes first, so that the whole value is one of its kind.
    """

    def __init__(self, name: str, outermost: bool) -> None:
        super().__init__(f"it names {name}")
        self.name = name
        self.outermost = outermost


@dataclass(eq=False, slots=True)
class Table:
    """A dictionary of any kind, in the order of its pairs."""

    pairs: list[tuple[object, object]] = field(default_factory=list)

    def named(self) -> dict[str, object]:
        """What stands under text; where a key comes twice, the last."""
        return {key: value for key, value in self.pairs if type(key) is str}


@dataclass(eq=False, slots=True)
class Items:
    """A set, in the order in which the file fills it."""

    values: list[object] = field(default_factory=list)


@dataclass(frozen=True, eq=False, slots=True)
class Maker:
    """What a name stands for that a pickle may call.

    Attributes:
        name: for messages.
        make: makes plain values of plain values; of our own making. What it raises of
            `PickleError`, `TypeError`, `ValueError` and `OverflowError` is the file's fault.
    """

    name: str
    make: Callable[..., object]


Find = Callable[[str], object]
"""What a dotted name stands for; raises `KeyError` where it stands for nothing."""
Recall = Callable[[object], object]
"""What a persistent id stands for; raises `PickleError`."""


def _no_ids(_: object) -> object:
    raise PickleError("it refers to something outside")


def read_pickle(
    stream: BinaryIO, find: Find, recall: Recall = _no_ids, limit: int = MAX_BYTES
) -> object:
    """Read one pickle, from where a stream stands; it is left behind the pickle's end.

    Args:
        stream: of bytes.
        find: the table of names.
        recall: what stands for persistent ids.
        limit: most bytes that the pickle may have.

    Returns:
        None, bool, int, float, str, bytes, list, tuple, `Table`, `Items`, and what the two
        functions give. A value may contain itself.

    Raises:
        RefusedNameError: it names what the table does not have.
        PickleError: damaged, too long, or with an operation that plain data does not need.
        OSError: the stream cannot be read.
    """
    return _Machine(_Input(stream, limit), find, recall).run()


class _Input:
    """Bytes of a stream, within bounds."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream = stream
        self._limit = self._left = limit

    def take(self, count: int) -> bytes:
        if count > self._left:
            raise PickleError(f"it is longer than {self._limit:,} bytes, or says so")
        data = self._stream.read(count)
        if len(data) != count:
            raise PickleError("it ends before its end")
        self._left -= count
        return data

    def number(self, form: str) -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def counted(self, form: str) -> bytes:
        """Bytes after their count."""
        count = self.number(form)
        if count < 0:
            raise PickleError(f"it has {count} bytes of text")
        return self.take(count)

    def line(self) -> bytes:
        data = self._stream.readline(min(_MAX_LINE, self._left) + 1)
        if not data.endswith(b"\n"):
            raise PickleError("it has a line without end")
        self._left -= len(data)
        if self._left < 0:
            raise PickleError(f"it is longer than {self._limit:,} bytes")
        return data[:-1].removesuffix(b"\r")


class _Machine:
    """The stack, what is put aside, and one method an operation."""

    def __init__(self, source: _Input, find: Find, recall: Recall) -> None:
        self.source, self.find, self.recall = source, find, recall
        self.stack: list[object] = []
        self.marked: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.copied = 0

    def run(self) -> object:
        take, steps = self.source.take, _STEPS
        for _ in range(MAX_STEPS):
            code = take(1)
            if code == b".":
                return self.pop()
            step = steps.get(code)
            if step is None:
                raise PickleError(
                    f"it has operation {code[0]:#04x}, which plain data does not need"
                )
            step(self)
        raise PickleError(f"it has more than {MAX_STEPS:,} operations")

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack:
            raise PickleError("it takes what is not there")
        return self.stack.pop()

    def pop_many(self, count: int) -> tuple[object, ...]:
        if len(self.stack) < count:
            raise PickleError("it takes what is not there")
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        return values

    def top(self) -> object:
        if not self.stack:
            raise PickleError("it takes what is not there")
        return self.stack[-1]

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[object]:
        if not self.marked:
            raise PickleError("it takes a list that it did not begin")
        values, self.stack = self.stack, self.marked.pop()
        return values

    # Containers.

    def append(self, values: Sequence[object]) -> None:
        target = self.top()
        if type(target) is not list:
            raise PickleError(f"it appends to {_kind(target)}")
        target.extend(values)

    def append_one(self) -> None:
        self.append((self.pop(),))

    def append_many(self) -> None:
        self.append(self.pop_mark())

    def set_items(self, values: Sequence[object]) -> None:
        target = self.top()
        if type(target) is not Table:
            raise PickleError(f"it sets an item of {_kind(target)}")
        target.pairs.extend(_pairs(values))

    def set_one(self) -> None:
        self.set_items(self.pop_many(2))

    def set_many(self) -> None:
        self.set_items(self.pop_mark())

    def add_many(self) -> None:
        values = self.pop_mark()
        target = self.top()
        if type(target) is not Items:
            raise PickleError(f"it adds to {_kind(target)}")
        target.values.extend(values)

    # What is put aside and fetched again.

    def put(self, place: int) -> None:
        if place < 0:
            raise PickleError(f"it puts something aside as {place}")
        self.memo[place] = self.top()

    def get(self, place: int) -> None:
        if place not in self.memo:
            raise PickleError(f"it fetches {place}, which it did not put aside")
        self.push(self.memo[place])

    # Names and calls.

    def name(self, module: str, name: str) -> None:
        full = f"{module}.{name}"
        try:
            self.push(self.find(full))
        except KeyError as why:
            raise RefusedNameError(printable(full), self.nothing_begun()) from why

    def nothing_begun(self) -> bool:
        """Whether no container has been begun that what comes next could be for."""
        stacks = (*self.marked, self.stack)
        return not any(isinstance(one, Table | Items | list) for stack in stacks for one in stack)

    def name_of_lines(self) -> None:
        self.name(_text(self.source.line()), _text(self.source.line()))

    def name_of_stack(self) -> None:
        module, name = self.pop_many(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError(f"it names {_kind(module)} and {_kind(name)}")
        self.name(module, name)

    def call(self) -> None:
        maker, given = self.pop_many(2)
        if not isinstance(maker, Maker) or type(given) is not tuple:
            raise PickleError(f"it calls {_kind(maker)} with {_kind(given)}")
        self.copied += sum(_size(value) for value in given)
        if self.copied > MAX_COPIED:
            raise PickleError(f"its calls take more than {MAX_COPIED:,} items")
        try:
            self.push(maker.make(*given))
        except (TypeError, ValueError, OverflowError) as why:
            raise PickleError(f"{maker.name} does not take what it gives ({why})") from why

    def build(self) -> None:
        """Attributes of what was made, such as the versions of a state dictionary: left out."""
        self.pop()
        self.top()

    def refuse_instance(self) -> None:
        module, name = _text(self.source.line()), _text(self.source.line())
        raise RefusedNameError(printable(f"{module}.{name}"), self.nothing_begun())

    def persistent(self) -> None:
        self.push(self.recall(self.pop()))

    # What stands beside the data.

    def protocol(self) -> None:
        version = self.source.number("<B")
        if version not in _PROTOCOLS:
            raise PickleError(f"its protocol is {version}, known are 0 to {_PROTOCOLS[-1]}")

    def frame(self) -> None:
        """How much follows in one go; it is read step by step all the same."""
        length = self.source.number("<Q")
        if length > MAX_BYTES:
            raise PickleError(f"it has a frame of {length:,} bytes")

    def drop(self) -> None:
        # As Python's own: with nothing above a mark, the mark goes.
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def drop_mark(self) -> None:
        self.pop_mark()


def _pairs(values: Sequence[object]) -> list[tuple[object, object]]:
    if len(values) % 2:
        raise PickleError("it has a key without a value")
    return list(zip(values[::2], values[1::2], strict=True))


def _kind(value: object) -> str:
    """What something is, without looking into it."""
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else f"a {type(value).__name__}"


def _size(value: object) -> int:
    if isinstance(value, str | bytes):
        return len(value) // 16
    if isinstance(value, list | tuple):
        return len(value)
    if isinstance(value, Table):
        return len(value.pairs)
    return len(value.values) if isinstance(value, Items) else 0


def _text(data: bytes) -> str:
    # What is no UTF-8 stays visible; half a character would break whoever prints it.
    return data.decode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    """Text of a file, short and without what moves a terminal's cursor."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def _old_text(data: bytes) -> str:
    """Python 2's plain strings."""
    return data.decode("latin-1")


def _quoted(data: bytes) -> str:
    """Protocol 0's plain string, quoted and escaped."""
    if len(data) < 2 or data[:1] != data[-1:] or data[:1] not in (b"'", b'"'):
        raise PickleError("it has a string without quotes")
    try:
        return data[1:-1].decode("latin-1").encode("latin-1").decode("unicode_escape")
    except UnicodeDecodeError as why:
        raise PickleError("it has a string that cannot be read") from why


def _raw_unicode(data: bytes) -> str:
    try:
        text = data.decode("raw-unicode-escape")
    except UnicodeDecodeError as why:
        raise PickleError("it has a string that cannot be read") from why
    return _text(text.encode("utf-8", "surrogatepass"))


def _long(data: bytes) -> int:
    if len(data) > _MAX_INT_BYTES:
        raise PickleError(f"it has a number of {len(data):,} bytes")
    return int.from_bytes(data, "little", signed=True)


def _digits(data: bytes) -> int:
    text = data.removesuffix(b"L")
    if len(text) > _MAX_DIGITS:
        raise PickleError(f"it has a number of {len(text):,} digits")
    try:
        return int(text)
    except ValueError as why:
        raise PickleError("it has a number that cannot be read") from why


def _int_or_bool(data: bytes) -> int | bool:
    return data == b"01" if data in (b"00", b"01") else _digits(data)


def _float(data: bytes) -> float:
    try:
        return float(data)
    except ValueError as why:
        raise PickleError("it has a number that cannot be read") from why


def _double(data: bytes) -> float:
    value: float = struct.unpack(">d", data)[0]
    return value


_Step = Callable[[_Machine], None]


def _constant(make: Callable[[], object]) -> _Step:
    return lambda machine: machine.push(make())


def _integer(form: str) -> _Step:
    return lambda machine: machine.push(machine.source.number(form))


def _counted(form: str, read: Callable[[bytes], object]) -> _Step:
    return lambda machine: machine.push(read(machine.source.counted(form)))


def _line(read: Callable[[bytes], object]) -> _Step:
    return lambda machine: machine.push(read(machine.source.line()))


def _of_mark(make: Callable[[list[object]], object]) -> _Step:
    return lambda machine: machine.push(make(machine.pop_mark()))


def _first(count: int) -> _Step:
    return lambda machine: machine.push(machine.pop_many(count))


# Left out, and so refused: PERSID, which PyTorch does not write; OBJ, NEWOBJ_EX and the EXT codes,
# which only make objects; buffers outside the file. INST names the class that it would make.
_STEPS: dict[bytes, _Step] = {
    b"\x80": _Machine.protocol,
    b"\x95": _Machine.frame,
    # plain values
    b"N": _constant(lambda: None),
    b"\x88": _constant(lambda: True),
    b"\x89": _constant(lambda: False),
    b"I": _line(_int_or_bool),
    b"J": _integer("<i"),
    b"K": _integer("<B"),
    b"M": _integer("<H"),
    b"L": _line(_digits),
    b"\x8a": _counted("<B", _long),
    b"\x8b": _counted("<i", _long),
    b"F": _line(_float),
    b"G": lambda machine: machine.push(_double(machine.source.take(8))),
    b"S": _line(_quoted),
    b"T": _counted("<i", _old_text),
    b"U": _counted("<B", _old_text),
    b"B": _counted("<I", bytes),
    b"C": _counted("<B", bytes),
    b"\x8e": _counted("<Q", bytes),
    b"\x96": _counted("<Q", bytes),
    b"V": _line(_raw_unicode),
    b"X": _counted("<I", _text),
    b"\x8c": _counted("<B", _text),
    b"\x8d": _counted("<Q", _text),
    # containers
    b"(": _Machine.mark,
    b")": _constant(tuple),
    b"t": _of_mark(tuple),
    b"\x85": _first(1),
    b"\x86": _first(2),
    b"\x87": _first(3),
    b"]": _constant(list),
    b"l": _of_mark(lambda values: values),
    b"a": _Machine.append_one,
    b"e": _Machine.append_many,
    b"}": _constant(Table),
    b"d": _of_mark(lambda values: Table(_pairs(values))),
    b"s": _Machine.set_one,
    b"u": _Machine.set_many,
    b"\x8f": _constant(Items),
    b"\x90": _Machine.add_many,
    b"\x91": _of_mark(Items),
    # the stack, and what is put aside
    b"0": _Machine.drop,
    b"1": _Machine.drop_mark,
    b"2": lambda machine: machine.push(machine.top()),
    b"g": lambda machine: machine.get(_digits(machine.source.line())),
    b"h": lambda machine: machine.get(machine.source.number("<B")),
    b"j": lambda machine: machine.get(machine.source.number("<I")),
    b"p": lambda machine: machine.put(_digits(machine.source.line())),
    b"q": lambda machine: machine.put(machine.source.number("<B")),
    b"r": lambda machine: machine.put(machine.source.number("<I")),
    b"\x94": lambda machine: machine.put(len(machine.memo)),
    # names and calls
    b"c": _Machine.name_of_lines,
    b"\x93": _Machine.name_of_stack,
    b"R": _Machine.call,
    b"\x81": _Machine.call,
    b"b": _Machine.build,
    b"i": _Machine.refuse_instance,
    b"Q": _Machine.persistent,
}
