"""The command line on real pictures and a real network: both engines, the same answers."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from helpers.command import json_lines, twinlens

pytestmark = pytest.mark.timeout(600)


def test_engines_name_the_same_label_on_every_frame_and_mostly_the_right_one(
    test_data: Path,
) -> None:
    model = test_data / "models" / "mobilenet_v2_1.0_224.onnx"
    clip = test_data / "clips" / "objects.mp4"
    runs = {}
    for engine in ("vision", "layers-cpu"):
        *frames, last = json_lines(
            twinlens(
                *("run", "--headless", "--source", clip, "--model", model),
                *("--engine", engine, "--json"),
                timeout_s=500,
            )
        )
        assert last["summary"]["frames"] == len(frames)
        assert last["summary"]["dropped"] == 0
        assert [frame["frame"] for frame in frames] == list(range(len(frames)))
        runs[engine] = frames
    labels = {engine: [f["label"] for f in frames] for engine, frames in runs.items()}
    assert labels["vision"] == labels["layers-cpu"]

    with (test_data / "clips" / "objects.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    right = total = 0
    for frame in runs["vision"]:
        for row in rows:
            if float(row["start_s"]) <= frame["t_s"] < float(row["end_s"]):
                total += 1
                right += frame["index"] == int(row["class_index"])
    assert total >= 0.9 * len(runs["vision"])
    assert right / total > 0.5


def test_eval_counts_the_same_on_both_engines(test_data: Path, tmp_path: Path) -> None:
    rows = (test_data / "eval" / "labels.tsv").read_text(encoding="utf-8").splitlines()[:60]
    truth = tmp_path / "first.tsv"
    truth.write_text("\n".join(rows) + "\n", encoding="utf-8")
    counts = []
    for engine in ("vision", "layers-cpu"):
        record = json_lines(
            twinlens(
                *("eval", "--images", test_data / "eval", "--labels", truth),
                *("--engine", engine, "--json"),
            )
        )[-1]
        assert record["engine"] == engine
        counts.append((record["n"], record["top1"], record["top5"]))
    assert counts[0] == counts[1]
    assert counts[0][0] == 60
    assert 0 < counts[0][1] <= counts[0][2] < 1
