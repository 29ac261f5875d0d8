"""Nothing of a person's survives the cleaner, wherever it stands in a message."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinlens.app.core.diagnostics.cleaning import Cleaner

LETTERS = "abcdefghijklmnopqrstuvwxyzäöéłжßñ日本"
# Long enough that it cannot stand in a message by chance.
WORD = st.text(LETTERS, min_size=3, max_size=8).map(lambda text: f"zq{text}zq")
NAME = st.lists(WORD, min_size=1, max_size=3)
JOINED = st.sampled_from([" ", "-", "_", "."])
SPACED = st.tuples(NAME, JOINED).map(lambda both: both[1].join(both[0]))
ENDING = st.sampled_from(["onnx", "ONNX", "mp4", "jpeg", "safetensors", "h5", "tar.gz", "toml"])
FILE = st.tuples(SPACED, ENDING).map(".".join)
ROOT = st.sampled_from(
    ["/home/", "/Users/", "/media/", "C:\\Users\\", "D:/", "~/", "\\\\nas\\", "/"]
)
FOLDERS = st.lists(SPACED, min_size=1, max_size=3)
PASSWORD = st.text("abcXYZ019!$%&*+-_=#/@:?", min_size=2, max_size=12).map(lambda t: f"zq{t}zq")
LABEL = st.text("abcdefxyz019", min_size=3, max_size=8).map(lambda text: f"zq{text}zq")
DOMAIN = st.sampled_from(["example.com", "lan", "local", "fritz.box", "cam.example.org"])
HOST = st.one_of(
    st.tuples(LABEL, DOMAIN).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
MAC = st.tuples(
    st.lists(st.integers(0, 255), min_size=6, max_size=6), st.sampled_from([":", "-"])
).map(lambda both: both[1].join(f"{byte:02x}" for byte in both[0]))


def path_of(root: str, folders: list[str], file: str) -> str:
    mark = "\\" if "\\" in root else "/"
    return root + mark.join([*folders, file])


PATH = st.builds(path_of, ROOT, FOLDERS, FILE)
FOLDER = st.builds(path_of, ROOT, FOLDERS, SPACED)
RELATIVE = st.builds(lambda folders, file: "/".join([*folders, file]), st.lists(WORD), FILE)
ADDRESS = st.builds(
    lambda scheme, user, password, host, path: f"{scheme}://{user}:{password}@{host}:554/{path}",
    st.sampled_from(["rtsp", "http", "https", "srt", "RTSP"]),
    WORD,
    PASSWORD,
    HOST,
    WORD,
)
BARE_HOST = st.one_of(
    HOST, HOST.map(lambda host: f"{host}:8554"), WORD.map(lambda word: f"{word}:8080")
)
MAIL = st.builds(lambda who, host: f"{who}@{host}.example.com", WORD, WORD)
SECRET = st.builds(
    lambda name, mark, value: f"{name}{mark}{value}",
    st.sampled_from(["password", "Password", "pwd", "token", "api_key", "access_token", "secret"]),
    st.sampled_from(["=", ": ", " = ", ":"]),
    PASSWORD,
)
PLANTED = st.one_of(PATH, FOLDER, RELATIVE, ADDRESS, BARE_HOST, MAIL, MAC, SECRET)
AROUND = st.sampled_from(
    [
        "{}",
        "{}: cannot be read",
        "'{}': cannot be read",
        'a file "{}" of 3 MB',
        "OSError: [Errno 2] No such file or directory: '{}'",
        "cannot open {}",
        "reading {} failed with status 3",
        "{} on Layers CPU: its host was ended by SIGSEGV",
        "it stopped ({}), and 0.25 s later it was back",
        "first line\n{}\nlast line",
        "<{}>",
        "a, {}, b",
    ]
)


def parts_of(planted: str) -> set[str]:
    """Every piece of a secret that would tell something."""
    pieces = set(planted.replace("\\", "/").replace(" ", "/").split("/"))
    return {piece.strip("[]") for piece in pieces if "zq" in piece} | {planted}


def survives(planted: str, cleaned: str) -> bool:
    low = cleaned.lower()
    return "zq" in low or any(part.lower() in low for part in parts_of(planted))


@settings(max_examples=250, deadline=None)
@given(PLANTED, AROUND)
def test_no_planted_secret_survives(planted: str, around: str) -> None:
    cleaned = Cleaner([])(around.replace("{}", planted))
    assert not survives(planted, cleaned), cleaned


@settings(max_examples=100, deadline=None)
@given(
    st.lists(PLANTED, min_size=2, max_size=4), AROUND, st.sampled_from([" and ", ", ", "\n", " "])
)
def test_nor_do_several_in_one_message(planted: list[str], around: str, mark: str) -> None:
    cleaned = Cleaner([])(around.replace("{}", mark.join(planted)))
    assert not any(survives(one, cleaned) for one in planted), cleaned


@settings(max_examples=100, deadline=None)
@given(
    SPACED, AROUND, st.sampled_from(["{}", "{}'s", "{}-laptop", "on {} there", "/srv/{}", "C:\\{}"])
)
def test_names_that_are_known_go_wherever_they_stand(name: str, around: str, how: str) -> None:
    text = around.replace("{}", how.replace("{}", name))
    for written in (text, text.upper()):
        cleaned = Cleaner([name, name.upper()], [f"/home/{name}"])(written)
        assert name.lower() not in cleaned.lower(), cleaned


@settings(max_examples=100, deadline=None)
@given(PLANTED, AROUND)
def test_cleaning_again_changes_nothing(planted: str, around: str) -> None:
    clean = Cleaner([])
    once = clean(around.replace("{}", planted))
    assert clean(once) == once


@settings(max_examples=100, deadline=None)
@given(PLANTED, AROUND, st.integers(0, 420), st.integers(0, 420))
def test_nor_does_one_in_a_line_that_is_too_long(
    planted: str, around: str, before: int, after: int
) -> None:
    text = f"{'word ' * (before // 5)}: {around.replace('{}', planted)}: {'more ' * (after // 5)}"
    cleaned = Cleaner([])(text)
    assert not survives(planted, cleaned), cleaned
    assert max(map(len, cleaned.split("\n"))) < 600


@given(st.text())
def test_any_text_is_cleaned(text: str) -> None:
    Cleaner(["a", text])(text)


@pytest.mark.parametrize(
    "plain",
    [
        "Layers CPU in int8, 4 threads, 12.5 ms",
        "host of engines ended with status -11",
        "needs a processor with AVX512-VNNI; this one has AVX2",
        "twinlens.app.core.session failed: KeyError: 'surprise'",
        "numpy.ndarray of 1×224×224×3",
        "opened /dev/video0 at 30.00 fps",
        "I/O error after 12:30:45",
        "it was back after 0.25 s",
    ],
)
def test_what_is_nobodys_stays(plain: str) -> None:
    assert Cleaner([])(plain) == plain
