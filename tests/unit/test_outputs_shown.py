"""What a person is shown of independent classes, of one output, and of answers that contradict."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers.answer_nets import BINARY, INDEPENDENT, NAMES, PROBABILITIES, SEVERAL, write_net
from helpers.fakes import FakeEngine, FakeRunner, FakeSource, make_frame, make_network, make_spec
from helpers.sessions import frames, running
from twinlens.app.cli import main
from twinlens.app.core.session.events import AnswersDoubted, SessionState, Stats
from twinlens.app.core.session.pipeline import Pipeline
from twinlens.app.core.session.smoothing import Smoother
from twinlens.app.core.session.types import Result
from twinlens.app.core.settings import Settings
from twinlens.app.overlays import build_overlays
from twinlens.engine.api.observations import contradiction, probabilities
from twinlens.engine.api.protocol import OUTPUT_KINDS, ModelSpec
from twinlens.engine.vision import ClassificationRequest, ImageRequestHandler
from twinlens.models import load_model
from twinlens.models.identify.facts import Origin
from twinlens.models.identify.resolve import identify

INDEPENDENT_SPEC = replace(make_spec(), output="independent")
STATE = SessionState(make_network(), "vision", info=FakeRunner((1.0,)).info)


def result_of(*answer: float, spec: ModelSpec = INDEPENDENT_SPEC) -> Result:
    return Pipeline(FakeRunner(answer), spec).process(make_frame())


def label_of(result: Result) -> Any:
    return build_overlays(result, Stats(), Settings(), STATE).label


def test_several_classes_or_none_may_hold() -> None:
    both = label_of(result_of(0.8, 0.1, 0.9))
    assert (both.label, both.sure, both.confidence) == ("fox · cat", True, pytest.approx(0.9))
    none = label_of(result_of(0.2, 0.1, 0.4))
    assert (none.label, none.sure, none.guess) == ("none of these", False, "fox?")
    many = replace(make_spec(labels=tuple("abcde")), output="independent")
    assert label_of(result_of(0.9, 0.8, 0.7, 0.6, 0.5, spec=many)).label == "a · b · c · 2 more"


def test_one_output_is_for_or_against() -> None:
    spec = replace(make_spec(labels=("not cat", "cat")), output="binary")
    assert label_of(result_of(0.58, spec=spec)).label == "cat"
    against = label_of(result_of(0.25, spec=spec))
    assert (against.label, against.confidence) == ("not cat", pytest.approx(0.75))
    assert result_of(0.58, spec=spec).holding is None


def test_what_holds_does_not_flicker() -> None:
    smoother = Smoother(1e-6, 0.1)  # an average without memory leaves the hysteresis alone
    seen = []
    for t_s, values in enumerate([(0.55, 0.45), (0.45, 0.45), (0.39, 0.52), (0.45, 0.41)]):
        smoother.update(np.array(values, np.float32), float(t_s))
        seen.append(tuple(smoother.holding))
    assert seen == [(True, False), (True, False), (False, True), (False, True)]
    smoother.reset()
    smoother.update(np.array((0.45, 0.41), np.float32), 9.0)
    assert not smoother.holding.any()


def test_what_holds_is_smoothed_and_the_frame_alone_is_not() -> None:
    answers = iter([(0.9, 0.8, 0.1), (0.9, 0.2, 0.1)])
    pipeline = Pipeline(FakeRunner(lambda _: next(answers)), INDEPENDENT_SPEC, smoothing=True)
    pipeline.process(make_frame(0))
    second = pipeline.process(make_frame(1))
    assert [o.identifier for o in second.holding or ()] == ["cat", "dog"]
    assert second.observations[1].confidence == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("kind", "raw", "words"),
    [
        ("probabilities", (5.34, -2.88, 1.37), "from -2.88 to 5.34"),
        ("probabilities", (0.6, 0.5, 0.4), "sum to 1.5"),
        ("probabilities", (0.1, 0.1, 0.1), "sum to 0.3"),
        ("log-probabilities", (0.5, -1.0, -2.0), "reach 0.5"),
        ("log-probabilities", (-3.0, -3.0, -3.0), "sum to 0.149"),
        ("independent", (0.5, 1.7, 0.1), "from 0.1 to 1.7"),
        ("binary", (-1.5,), "from -1.5 to -1.5"),
        ("logits", (0.2, 0.3, 0.5), "as probabilities do"),
        ("probabilities", (0.2, 0.3, 0.5), ""),
        ("probabilities", (0.2, 0.29, 0.5), ""),
        ("log-probabilities", (-0.69315, -0.69315, -40.0), ""),
        ("independent", (0.9, 0.8, 0.7), ""),
        ("binary", (0.58,), ""),
        ("logits", (5.34, -2.88, 1.37), ""),
        ("binary-logits", (12.0,), ""),
        ("independent-logits", (12.0, -3.0, 0.0), ""),
    ],
)
def test_answers_that_contradict_are_found(kind: Any, raw: tuple[float, ...], words: str) -> None:
    spec = replace(make_spec(), output=kind)
    found = contradiction(np.array(raw, np.float32), spec)
    assert words in found
    assert bool(found) == bool(words)


def test_classes_that_were_left_out_may_be_missing_from_the_sum() -> None:
    part = replace(make_spec(), output_part=True)
    assert not contradiction(np.array((0.1, 0.1, 0.1), np.float32), part)
    assert contradiction(np.array((0.9, 0.9, 0.9), np.float32), part)


def test_eight_bits_may_round_a_sum_away() -> None:
    spec = make_spec(labels=tuple(map(str, range(1000))))
    rounded = np.zeros(1000, np.float32)
    rounded[:3] = 0.3, 0.2, 0.1
    assert not contradiction(rounded, spec)


@pytest.mark.parametrize("kind", OUTPUT_KINDS)
def test_every_kind_gives_numbers_that_can_be_shown(kind: Any) -> None:
    spec = replace(make_spec(), output=kind)
    for raw in ((0.0, 0.0, 0.0), (1e4, -1e4, 0.0), (-3.0, -2.0, -1.0)):
        result = result_of(*raw, spec=spec)
        assert all(0 <= one.confidence <= 1 for one in result.observations)
    one = probabilities(np.array([0.25], np.float32), replace(spec, labels=("a", "b")))
    assert one.shape == (2,)


def test_a_session_says_once_that_answers_contradict() -> None:
    engine = FakeEngine(make=lambda spec, options: FakeRunner((3.0, 4.0, -1.0)))
    with running(FakeSource(frames(3)), engine) as (session, watch):
        doubted = watch.event(AnswersDoubted)
        assert (doubted.model, "from -1 to 4" in doubted.why) == ("Fake", True)
        watch.answer(lambda r: r.frame.index == 2)
        session.use_engine(engine.id, replace(session.state.options, threads=1))
        watch.next_answer()
        assert sum(isinstance(event, AnswersDoubted) for event in watch.events) == 1


def net(
    tmp_path: Path, cases: list[Any], name: str, labels: tuple[str, ...] | None = NAMES
) -> Path:
    case = next(case for case in cases if case.name == name)
    path = write_net(tmp_path / "net.onnx", case)
    if labels:
        path.with_suffix(".labels.txt").write_text("\n".join(labels), encoding="utf-8")
    return path


def picture(tmp_path: Path, value: int = 128) -> Path:
    path = tmp_path / f"grey{value}.png"
    cv2.imwrite(str(path), np.full((32, 32, 3), value, np.uint8))
    return path


def test_commands_say_what_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, seen = net(tmp_path, INDEPENDENT, "plain"), picture(tmp_path)
    assert main(["classify", str(seen), "--model", str(model), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    holds = [row["label"] for row in record["top"] if row["confidence"] >= 0.5]
    assert record["labels"] == holds
    assert main(["classify", str(seen), "--model", str(model)]) == 0
    shown = capsys.readouterr().out.splitlines()[1].strip()
    assert shown.split(" · ")[0] == (holds[0] if holds else "none of these")
    words = ["run", "--headless", "--source", str(seen), "--model", str(model), "--frames", "1"]
    assert main([*words, "--json"]) == 0
    frame = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (frame["labels"], frame["label"]) == (holds, holds[0] if holds else None)
    truth = tmp_path / "truth.tsv"
    truth.write_text(f"{seen.name}\t0\n", encoding="utf-8")
    words = ["eval", "--images", str(tmp_path), "--labels-tsv", str(truth), "--model", str(model)]
    assert main([*words, "--json"]) == 0
    score = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert score["output"] == "independent"
    assert (score["held"], score["none"]) == (float("red" in holds), float(not holds))


def test_commands_say_once_that_answers_contradict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = net(tmp_path, PROBABILITIES, "plain")
    model.with_suffix(".toml").write_text('output = "log-probabilities"\n', encoding="utf-8")
    seen = [str(picture(tmp_path, value)) for value in (10, 120, 240)]
    assert main(["classify", *seen, "--model", str(model)]) == 0
    assert capsys.readouterr().err.count("logarithms of probabilities") == 1
    words = ["classify", *seen, "--model", str(model), "--output-kind", "probabilities"]
    assert main(words) == 0
    assert "logarithms" not in capsys.readouterr().err


def test_an_output_is_named_on_the_command_line_and_beside_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = net(tmp_path, SEVERAL, "features first", labels=("a", "b", "c"))
    # Three names do not fit the five features that come first.
    assert identify(model).network.spec.labels[4] == "class 4"
    seen = str(picture(tmp_path))
    for engine in ("layers-cpu", "vision"):
        words = ["classify", seen, "--model", str(model), "--output-name", "flat", "--json"]
        assert main([*words, "--engine", engine]) == 0
        assert len(json.loads(capsys.readouterr().out)["top"]) == 3
    model.with_suffix(".toml").write_text('output_name = "flat"\n', encoding="utf-8")
    found = identify(model)
    assert (found.known.outputs, found.network.spec.output_name) == (3, "flat")
    assert found.known.read is not None
    assert found.known.read.name_origin is Origin.BESIDE
    assert main(["classify", seen, "--model", str(model), "--output-name", "flut"]) == 1
    assert "flat, y" in capsys.readouterr().err


def test_what_was_assumed_of_outputs_is_a_note(tmp_path: Path) -> None:
    def notes(cases: list[Any], name: str) -> str:
        return " ".join(identify(net(tmp_path, cases, name)).known.spec.notes)

    assert "output: v of u, v, assumed" in notes(SEVERAL, "heads aside without a name")
    assert "output" not in notes(PROBABILITIES, "plain")


def test_the_vision_api_gives_confidences_for_every_kind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def results(path: Path) -> Any:
        with load_model(path) as model:
            request = ClassificationRequest(model)
            for _ in range(3):
                ImageRequestHandler(picture(tmp_path)).perform([request])
            return model.spec, request.results

    spec, found = results(net(tmp_path, INDEPENDENT, "plain"))
    assert spec.independent
    assert [o.confidence for o in found] == sorted((o.confidence for o in found), reverse=True)
    assert len(found) == 5
    spec, found = results(net(tmp_path, BINARY, "plain", labels=("cat",)))
    assert {o.identifier for o in found} == {"cat", "not cat"}
    assert sum(o.confidence for o in found) == pytest.approx(1)
    assert not caplog.records
    wrong = net(tmp_path, INDEPENDENT, "plain")
    wrong.with_suffix(".toml").write_text('output = "probabilities"\n', encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        results(wrong)
    assert len([r for r in caplog.records if "sum to" in r.getMessage()]) == 1
