"""What comes with Twinlens is there, is what it says, and stays small."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import cv2
import pytest

from twinlens.app.sources.video import VideoFile
from twinlens.assets import clip_path, clip_timeline_path, icon_path, picture_path

MIB = 1 << 20


def timeline() -> list[tuple[float, float, int, str]]:
    lines = clip_timeline_path().read_text(encoding="utf-8").splitlines()
    assert lines[0].split("\t") == ["start_s", "end_s", "class_index", "label"]
    rows = [line.split("\t") for line in lines[1:]]
    return [(float(start), float(end), int(index), label) for start, end, index, label in rows]


def test_the_timeline_covers_the_clip_without_gaps() -> None:
    rows = timeline()
    clip = VideoFile(clip_path(), realtime=False)
    info = clip.open()
    clip.close()
    assert rows[0][0] == 0
    assert all(before[1] == after[0] for before, after in itertools.pairwise(rows))
    assert info.frames is not None
    assert rows[-1][1] == pytest.approx(info.frames / info.fps, abs=0.1)


def test_the_timeline_names_classes_as_the_labels_do() -> None:
    from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve

    labels = resolve(EMBEDDED_MODEL).spec.labels
    assert [labels[index] for _, _, index, _ in timeline()] == [row[3] for row in timeline()]


def test_the_clip_stays_small_enough_for_a_clone() -> None:
    assert clip_path().stat().st_size < 6 * MIB


def test_the_clip_moves_in_every_scene() -> None:
    clip = VideoFile(clip_path(), realtime=False)
    clip.open()
    spans, before = timeline(), {}
    moved = dict.fromkeys(range(len(spans)), 0.0)
    while (frame := clip.read()) is not None:
        if frame.index % 15:
            continue
        scene = next(n for n, span in enumerate(spans) if frame.t_s < span[1] - 1e-6)
        small = cv2.resize(frame.buffer.to_bgr(), (64, 36), interpolation=cv2.INTER_AREA)
        if scene in before:
            moved[scene] = max(moved[scene], float(cv2.absdiff(small, before[scene]).mean()))
        before[scene] = small
    clip.close()
    assert min(moved.values()) > 0.5


def test_the_icon_is_a_square_drawing() -> None:
    root = ElementTree.parse(icon_path("twinlens")).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    _, _, width, height = (float(side) for side in root.attrib["viewBox"].split())
    assert width == height


def test_the_start_picture_can_be_read() -> None:
    picture = cv2.imread(str(picture_path("start.jpg")))
    assert picture is not None
    assert picture.shape[1] / picture.shape[0] == pytest.approx(16 / 9, abs=0.01)
