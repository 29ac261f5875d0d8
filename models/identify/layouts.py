"""Layouts of label files: whatever a tool writes becomes names, class 0 first.

Pure: text goes in, names come out. A layout is a function that gives names, or None where the
text is not of its kind, and a line in ``LAYOUTS``; the first that gives any counts.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Names = tuple[str, ...]

MAX_NAMES = 200_000
"""Most classes that a file may name; the largest public label sets have some 22,000."""

# By which keys tools call the names of classes; the first that is there counts.
KEYS = (
    *("id2label", "label2id", "labels", "label_names", "class_labels", "class_names", "classes"),
    *("names", "categories", "class_to_idx", "idx_to_class", "index_to_name", "label_map"),
    *("labelmap", "label_list", "character", "label"),
)
_OF_ONE = ("display_name", "name", "label", "class_name", "class", "title", "tagname")
_MAX_DEPTH = 4
_MOST_TEXT = 4 << 20
_HEADS = {
    *("label", "labels", "name", "names", "class", "classes", "class_name", "classname"),
    *("class name", "label name", "label_name", "display_name", "title", "category", "tag"),
}
_SYNSET = re.compile(r"n\d{8}")
_NUMBER_FIRST = re.compile(r"(\d{1,6})(?:\s*[:;,|=)\]\t]\s*|\s*[.\-–]\s+|\s+)(\S.*)")
_NUMBER_LAST = re.compile(r"(.*?\S)(?:\s*[:;,|=\t]\s*|\s+)(\d{1,6})")
_SYNSET_FIRST = re.compile(r"n\d{8}(?:\s*[:,;\t]\s*|\s+)(\S.*)")
_SYNSET_NUMBER = re.compile(r"n\d{8}\s+(\d{1,6})\s+(\S.*)")


def names_in(data: bytes) -> Names:
    """Names in the contents of a label file; class 0 first, empty where there are none.

    Raises:
        ValueError: it is no text; says why.
    """
    return names_of_text(text_of(data))


def text_of(data: bytes) -> str:
    """Text in whatever encoding label files come: UTF-8, UTF-16 or UTF-32, with or without mark.

    Raises:
        ValueError: it is no text.
    """
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        text = data.decode("utf-32")
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16")
    elif b"\0" in data[:64]:  # no letter is a NUL in UTF-8
        text = data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode(_older(data))
    if len(text.strip()) < 2 and b"\0" in data:  # four bytes can be anything
        raise ValueError("it is too short to be text of two bytes a letter")
    if any(ord(letter) < 32 and letter not in "\t\r\n\f" for letter in text):
        raise ValueError("it has control characters, so it is no text")
    return text


# Two bytes a character, as Chinese and Korean systems write their commonest ones.
_PAIR = re.compile(rb"([\xb0-\xd7])[\xa1-\xfe]")
_LAST_KOREAN, _FEW = 0xC8, 4


def _older(data: bytes) -> str:
    """What Windows wrote before it wrote UTF-8: by its code page, as far as the bytes show it."""
    leads = [pair[0] for pair in _PAIR.findall(data)]
    if leads and not any(byte > 127 for byte in _PAIR.sub(b"", data)):
        korean = len(leads) >= _FEW and max(leads) <= _LAST_KOREAN
        return "cp949" if korean else "gb18030"
    return "cp1252"


def names_of_text(text: str) -> Names:
    """Names in a text of any layout; class 0 first, empty where there are none."""
    if len(text) > _MOST_TEXT:
        return ()
    if text.lstrip()[:1] == "{":  # no line of names begins so
        return (_literal(text) or ())[:MAX_NAMES]
    for read in LAYOUTS:
        found = read(text)
        if found:
            return found[:MAX_NAMES]
        if read is _pbtxt and _ITEM.search(text):
            return ()  # a label map that cannot be read is no list of lines
    return ()


def by_number(names: Names, count: int) -> Names | None:
    """Names for so many classes out of lines that number only some of them (``"2 cat"``)."""
    found = [_NUMBER_FIRST.fullmatch(name) for name in names]
    pairs = {int(m[1]): m[2] for m in found if m}
    if len(pairs) < len(names) or not pairs or max(pairs) >= count:
        return None
    return tuple(_unquoted(pairs.get(number, f"class {number}")) for number in range(count))


def names_of_value(value: Any, depth: int = 0) -> Names | None:
    """Names in what a JSON or Python literal says: a list, or a mapping in either direction."""
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        return _of_mapping(value, depth)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        return None
    numbers = [_number_of(entry) for entry in value]
    names = [_name_of(entry) for entry in value]
    if any(name is None for name in names):
        return None
    pairs = list(zip(numbers, (str(name) for name in names), strict=True))
    if all(number is not None for number in numbers):
        return _in_order([(int(number or 0), name) for number, name in pairs])
    return tuple(name for _, name in pairs)


def _of_mapping(value: Mapping[Any, Any], depth: int) -> Names | None:
    by_key = {str(key).strip().lower(): entry for key, entry in value.items()}
    for key in KEYS:
        if key in by_key and not isinstance(by_key[key], str | int | float):
            found = names_of_value(by_key[key], depth + 1)
            if found:
                return found
    keys = [_whole(key) for key in value]
    if value and all(key is not None for key in keys):
        names = [_name_of(entry) for entry in value.values()]
        if all(name is not None for name in names):
            return _in_order(
                [(int(k or 0), str(n)) for k, n in zip(keys, names, strict=True)],
            )
    numbers = [_whole(entry) for entry in value.values()]
    if value and all(number is not None for number in numbers):
        return _in_order(
            [(int(n or 0), str(key).strip()) for key, n in zip(value, numbers, strict=True)]
        )
    return None


def _name_of(entry: Any) -> str | None:
    """The name in one entry of a list: itself, the last of a row, or by its key."""
    if isinstance(entry, str):
        return entry.strip()
    if isinstance(entry, bool) or entry is None:
        return None
    if isinstance(entry, int | float):
        return str(entry)
    if isinstance(entry, Mapping):
        by_key = {str(key).lower(): part for key, part in entry.items()}
        return next(
            (by_key[k].strip() for k in _OF_ONE if isinstance(by_key.get(k), str)),
            None,
        )
    if isinstance(entry, Sequence) and entry and isinstance(entry[-1], str):
        return entry[-1].strip()
    return None


def _number_of(entry: Any) -> int | None:
    if not isinstance(entry, Mapping):
        return None
    by_key = {str(key).lower(): part for key, part in entry.items()}
    return next((n for k in ("id", "index", "class_id") if (n := _whole(by_key.get(k)))), None) or (
        0 if any(_whole(by_key.get(k)) == 0 for k in ("id", "index", "class_id")) else None
    )


def _whole(value: Any) -> int | None:
    """A whole number that may count classes, also as text; None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        text = text.removeprefix("LABEL_") if text.startswith("LABEL_") else text
        value = int(text) if re.fullmatch(r"\d{1,6}", text) else None
    return value if isinstance(value, int) and 0 <= value < MAX_NAMES else None


def _in_order(pairs: list[tuple[int, str]]) -> Names | None:
    """Names by their numbers; a numbering from 1 on is one from 0 on, and gaps keep their place."""
    found = dict(pairs)
    if len(found) != len(pairs):
        return None  # a number that stands twice counts no classes
    numbers = sorted(found)
    first = 1 if numbers == list(range(1, len(numbers) + 1)) else 0
    if numbers[-1] > 4 * len(numbers) + 100:
        return None
    return tuple(found.get(number, f"class {number}") for number in range(first, numbers[-1] + 1))


def _full(numbers: Sequence[int]) -> bool:
    """Whether numbers count from 0 or from 1 on, in any order, without gaps."""
    ordered = sorted(numbers)
    return (
        bool(ordered)
        and ordered[0] <= 1
        and ordered == list(range(ordered[0], ordered[0] + len(ordered)))
    )


# --- layouts -------------------------------------------------------------------------------


def _literal(text: str) -> Names | None:
    """JSON, or Python as ``print`` writes it: a list, or a mapping in either direction."""
    start = text.lstrip()[:1]
    if start not in ("[", "{"):
        return None
    try:
        return names_of_value(literal(text))
    except ValueError:
        return None


def literal(text: str) -> Any:
    """The value of JSON, or of a Python literal; nothing is run.

    Raises:
        ValueError: it is neither, or too large or too deep.
    """
    if len(text) > _MOST_TEXT:
        raise ValueError("too long")
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        pass
    if text.count("[") + text.count("{") + text.count("(") > MAX_NAMES:
        raise ValueError("too deep")
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as why:
        raise ValueError(f"no value: {why}") from why


_ITEM = re.compile(r"^\s*(?:item|entry|class)\s*:?\s*\{([^{}]*)\}", re.M)
# Word processors make quotes of their own of the straight ones.
_FIELD = re.compile(
    r"(\w+)\s*:?\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|[‘“]([^’”\n]*)[’”]|(-?\d+))"
)


def _pbtxt(text: str) -> Names | None:
    """Label maps of TensorFlow's and Caffe's detectors: ``item { id: 1 name: 'cat' }``."""
    pairs: list[tuple[int, str]] = []
    for body in _ITEM.findall(text):
        fields = {m[0]: m[1] or m[2] or m[3] or m[4] for m in _FIELD.findall(body)}
        number = next((_whole(fields[k]) for k in ("id", "label", "class_id") if k in fields), None)
        name = next(
            (fields[k] for k in ("display_name", "name", "class_name") if k in fields), None
        )
        if number is None or name is None:
            return None
        pairs.append((number, name))
    return _in_order(pairs) if pairs else None


_CATEGORIES = re.compile(r"categories\w*\s*\[[^\]]*\]\s*=\s*\{([^}]*)\}")
_STRING = re.compile(r"\"((?:[^\"\\]|\\.)*)\"")


def _c_array(text: str) -> Names | None:
    """``ei_classifier_inferencing_categories[] = { "a", "b" }``, as Edge Impulse exports it."""
    found = _CATEGORIES.search(text)
    return tuple(_STRING.findall(found[1])) if found else None


_KEY_LINE = re.compile(r"([\w-]+)\s*:\s*(.*)")


def _yaml(text: str) -> Names | None:
    """A list or mapping of names in YAML, by a key such as ``names`` at any depth.

    Only what tools write for names is read: a flow list or mapping, ``- name`` and ``0: name``.
    """
    lines = text.splitlines()
    for at, line in enumerate(lines):
        found = _KEY_LINE.fullmatch(line.strip())
        if not found or found[1].lower() not in KEYS:
            continue
        rest = found[2].split(" #")[0].strip()
        if rest[:1] in ("[", "{"):
            return _flow(rest, lines[at + 1 :])
        if not rest:
            return _block(line, lines[at + 1 :])
    body = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if len(body) > 1 and all(line.startswith("- ") for line in body if line != "---"):
        return tuple(_scalar(line[2:]) for line in body if line != "---")
    return None


def _block(head: str, lines: Iterable[str]) -> Names | None:
    indent = len(head) - len(head.lstrip())
    items: list[str] = []
    pairs: list[tuple[int, str]] = []
    for line in lines:
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip())
        if depth < indent or (depth == indent and not bare.startswith("- ")):
            break
        keyed = re.fullmatch(r"['\"]?(\d{1,6})['\"]?\s*:\s+(.*)", bare)
        if bare.startswith("- "):
            items.append(_scalar(bare[2:]))
        elif keyed:
            pairs.append((int(keyed[1]), _scalar(keyed[2])))
        else:
            return None
    return _in_order(pairs) if pairs and not items else tuple(items) or None


def _flow(first: str, more: Iterable[str]) -> Names | None:
    """``[cat, 'dog']`` or ``{0: cat, 1: dog}``, which may go on over several lines."""
    close = {"[": "]", "{": "}"}[first[0]]
    whole = first
    for line in more:
        if whole.rstrip().endswith(close):
            break
        whole += " " + line.split(" #")[0].strip()
    whole = whole.strip()
    if not whole.endswith(close):
        return None
    try:
        return names_of_value(literal(whole))
    except ValueError:
        parts = [part.strip() for part in next(csv.reader([whole[1:-1]], skipinitialspace=True))]
        parts = [part for part in parts if part]
    if close == "]":
        return tuple(_scalar(part) for part in parts) or None
    pairs = [re.fullmatch(r"['\"]?(\d{1,6})['\"]?\s*:\s*(.*)", part) for part in parts]
    return _in_order([(int(p[1]), _scalar(p[2])) for p in pairs if p]) if all(pairs) else None


def _scalar(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    return text.split(" #")[0].strip()


def _table(text: str) -> Names | None:
    """Rows with cells between tabs, commas or semicolons, with or without a head."""
    for mark in ("\t", ",", ";"):
        lines = [line for line in text.splitlines() if line.strip()]
        if not lines or not all(mark in line for line in lines):
            continue
        try:
            rows = [[c.strip() for c in row] for row in csv.reader(lines, delimiter=mark)]
        except csv.Error:
            continue
        width = len(rows[0])
        if width < 2 or any(len(row) != width for row in rows):
            continue
        found = _of_columns(rows)
        if found:
            return found
    return None


def _of_columns(rows: list[list[str]]) -> Names | None:
    head = [cell.lower() for cell in rows[0]]
    for body in (rows, rows[1:]):
        columns = [list(column) for column in zip(*body, strict=True)] if body else []
        counted = [
            at
            for at, column in enumerate(columns)
            if all(_whole(cell) is not None for cell in column) and _full([int(c) for c in column])
        ]
        headed = body is not rows
        named = [at for at, cell in enumerate(head) if headed and cell in _HEADS]
        texts = [
            at
            for at, column in enumerate(columns)
            if at not in counted
            and not all(_SYNSET.fullmatch(cell) for cell in column)
            and not all(re.fullmatch(r"[\d.+-]*", cell) for cell in column)
        ]
        name = next((at for at in named if at in texts), texts[0] if texts else None)
        if name is None or not (counted or named):
            continue
        if counted:
            return _in_order(
                [(int(row[counted[0]]), row[name]) for row in body],
            )
        return tuple(columns[name])
    return None


def _lines(text: str) -> Names | None:
    """One name a line, perhaps with its number or its synset."""
    lines = tuple(line.strip() for line in text.rstrip().splitlines())
    if not any(lines):
        return None
    if all(lines):
        for pattern, number, name in (
            (_SYNSET_NUMBER, 1, 2),
            (_NUMBER_FIRST, 1, 2),
            (_NUMBER_LAST, 2, 1),
        ):
            found = [pattern.fullmatch(line) for line in lines]
            pairs = [(int(m[number]), m[name]) for m in found if m]
            if len(pairs) < len(lines) or not _full([n for n, _ in pairs]):
                continue
            # "class 0", "class 1" are names: without their numbers all would be the same.
            if (name == 1 and len({n for _, n in pairs}) < len(pairs)) or not _names(pairs):
                continue
            lines = tuple(_unquoted(n) for _, n in sorted(pairs, key=lambda pair: pair[0]))
            break
    synsets = [_SYNSET_FIRST.fullmatch(line) for line in lines]
    if all(synsets):
        return tuple(m[1] for m in synsets if m)
    if len(lines) == 1 and "," in lines[0]:
        return tuple(part.strip() for part in lines[0].split(",") if part.strip())
    return lines


def _names(pairs: Sequence[tuple[int, str]]) -> bool:
    """Whether there is a name behind each number, and not one more number in all."""
    return not all(name.isdigit() for _, name in pairs)


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] and name[0] in "'\"" else name


LAYOUTS: tuple[Callable[[str], Names | None], ...] = (
    _literal,
    _pbtxt,
    _c_array,
    _yaml,
    _table,
    _lines,
)
"""In the order in which they are tried."""
