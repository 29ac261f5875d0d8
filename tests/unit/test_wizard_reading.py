"""Which output is read, and how: asked where the file does not say, proved, and kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.fakes import WAIT_S
from helpers.tiny_nets import COLORS, color_reader, hidden_shares, plain, tiny_classifier, two_heads
from twinlens.app.core.session.loading import load_from_registry
from twinlens.app.core.setup.golden import Golden
from twinlens.app.core.setup.preflight import preflight
from twinlens.app.core.setup.reading import ALL_KINDS
from twinlens.app.core.setup.trial import LIVE, Trial, TrialState
from twinlens.app.core.setup.wizard import Wizard
from twinlens.app.views.wizard import Proof, proof_view
from twinlens.app.views.words import short_name
from twinlens.engine.api.protocol import OUTPUT_KINDS, EngineOptions
from twinlens.engine.errors import ModelError
from twinlens.models.identify import kept
from twinlens.models.identify.resolve import EMBEDDED_MODEL, identify, resolve

NAMED = {"labels": json.dumps(COLORS)}
PICTURES = [plain(color) for color in COLORS]


def tried(wizard: Wizard, pictures: list[Golden]) -> TrialState:
    def load(network: Any) -> Any:
        return load_from_registry(network, "layers-cpu", EngineOptions())

    trial = Trial(wizard.trial_network, wizard.candidates(), pictures, load)
    trial.start()
    with trial._changed:
        assert trial._changed.wait_for(lambda: trial.state.done or trial.state.error, WAIT_S)
    state = trial.state
    trial.request_stop()
    assert trial.join(WAIT_S)
    assert state.error is None
    return state


def shown(wizard: Wizard, state: TrialState) -> Any:
    return proof_view(Proof(wizard, tuple(PICTURES), state, LIVE, 0)).view


def test_two_outputs_of_which_nothing_says_which_is_meant_are_asked_about(tmp_path: Path) -> None:
    path = two_heads(tmp_path / "heads.onnx", metadata=NAMED)
    report = preflight(path)
    assert report.asks == ("output", "values")
    wizard = Wizard(report)
    assert {(o.name, o.shape, o.look) for o in wizard.outputs} == {
        ("hue", "1×3", "softmax"),
        ("shade", "1×2", "softmax"),
    }
    view = shown(wizard, TrialState())
    assert [choice.id for choice in view.outputs if choice.chosen] == [wizard.output]
    assert [choice.id for choice in view.kinds if choice.chosen] == ["probabilities"]
    assert "told by its softmax" in view.reading
    assert all(choice.full.startswith(choice.id) for choice in view.outputs)


@pytest.mark.parametrize("make", [color_reader, lambda path: tiny_classifier(path, 3)])
def test_one_output_that_says_what_it_is_is_no_question(make: Any, tmp_path: Path) -> None:
    wizard = Wizard(preflight(make(tmp_path / "net.onnx")))
    view = shown(wizard, TrialState())
    assert (wizard.outputs, wizard.kinds) == ((), ())
    assert (view.outputs, view.kinds, view.reading) == ((), (), "")
    assert {"output", "output_name"}.isdisjoint(wizard.kept)


def test_a_model_of_the_catalog_is_read_as_its_card_says() -> None:
    wizard = Wizard(preflight(Path(str(resolve(EMBEDDED_MODEL).path))), doubted=True)
    assert (wizard.outputs, wizard.kinds) == ((), ())


@pytest.mark.parametrize("output", ["hue", "shade"])
def test_an_output_that_was_chosen_is_proved_and_kept(output: str, tmp_path: Path) -> None:
    path = two_heads(tmp_path / "heads.onnx")
    wizard = Wizard(preflight(path))
    wizard.take_output(preflight(path, output_name=output))
    classes = {"hue": 3, "shade": 2}[output]
    assert (wizard.output, len(wizard.labels)) == (output, classes)
    answers = tried(wizard, PICTURES).answers
    assert all(len(a.shares) == classes for found in answers.values() for a in found.values())
    wizard.choose("symmetric RGB")
    kept.keep(path, wizard.kept)
    again = preflight(path)
    assert again.asks == ()
    assert replace(again.spec, notes=()) == replace(wizard.spec, notes=())
    assert again.spec.output_name == output
    # It stays in view, to be chosen anew, whenever the sheet is open.
    assert [o.name for o in Wizard(again).outputs] == [o.name for o in wizard.outputs]


def test_what_was_not_changed_is_kept_as_well_so_that_nothing_is_asked(tmp_path: Path) -> None:
    path = two_heads(tmp_path / "heads.onnx")
    wizard = Wizard(preflight(path))
    assert wizard.kept["output_name"] == wizard.output
    assert wizard.kept["output"] == "probabilities"


def test_what_cannot_stand_beside_the_model_is_kept_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / "recipes"))
    path = two_heads(tmp_path / "heads.onnx")
    wizard = Wizard(preflight(path, output_name="shade"))
    wizard.set_kind("independent")
    real = kept.write_values

    def write(place: Path, values: Any) -> None:
        if place.parent == tmp_path:
            raise PermissionError(13, "Permission denied")
        real(place, values)

    monkeypatch.setattr(kept, "write_values", write)
    assert kept.keep(path, wizard.kept).parent == tmp_path / "recipes"
    spec = identify(path).known.spec
    assert (spec.output_name, spec.output) == ("shade", "independent")


def test_names_that_were_chosen_stay_where_there_are_as_many_classes(tmp_path: Path) -> None:
    path = two_heads(tmp_path / "heads.onnx")
    wizard = Wizard(preflight(path, output_name="hue"))
    wizard.take_labels(COLORS, "by hand")
    wizard.take_output(preflight(path, output_name="hue"))
    assert wizard.labels == COLORS
    wizard.take_output(preflight(path, output_name="shade"))
    assert wizard.labels == ("class 0", "class 1")
    assert "labels" not in wizard.kept


def test_what_was_kept_about_one_output_says_nothing_of_another(tmp_path: Path) -> None:
    path = two_heads(tmp_path / "heads.onnx")
    kept.keep(path, {"output_name": "hue", "output": "independent"})
    assert identify(path).known.spec.output == "independent"
    assert identify(path, output_name="hue").known.spec.output == "independent"
    assert identify(path, output_name="shade").known.spec.output == "probabilities"
    # Said without a name, it is about whichever output is read.
    path.with_suffix(".toml").write_text('output = "independent"\n', encoding="utf-8")
    assert identify(path, output_name="shade").known.spec.output == "independent"


def test_answers_that_speak_against_it_ask_how_they_are_read(tmp_path: Path) -> None:
    path = hidden_shares(tmp_path / "hidden.onnx", metadata=NAMED)
    report = preflight(path)
    assert report.asks == ("values",), "that it is no scores is seen in its answers only"
    wizard = Wizard(report)
    before = shown(wizard, TrialState())
    assert before.kinds == ()
    doubted = shown(wizard, tried(wizard, PICTURES))
    assert doubted.doubted
    assert "sum to 1, as probabilities do" in doubted.reading
    assert [c.id for c in doubted.kinds if c.chosen] == ["logits"]
    wizard.set_kind("probabilities")
    state = tried(wizard, PICTURES)
    proved = shown(wizard, state)
    assert not proved.doubted
    assert [c.id for c in proved.kinds if c.chosen] == ["probabilities"]
    best = state.answers["symmetric RGB"][0].shares
    assert best.argmax() == 0
    np.testing.assert_allclose(best.sum(), 1, atol=1e-5)
    kept.keep(path, wizard.kept)
    assert preflight(path).spec.output == "probabilities"
    assert preflight(path).asks == ()


def test_a_doubt_stays_a_question_while_another_answer_is_tried(tmp_path: Path) -> None:
    wizard = Wizard(preflight(hidden_shares(tmp_path / "hidden.onnx", metadata=NAMED)))
    wizard.doubt()
    assert [c.id for c in shown(wizard, TrialState()).kinds if c.chosen] == ["logits"]


def test_every_way_of_reading_can_be_chosen_and_none_that_there_is_not(tmp_path: Path) -> None:
    assert {choice.kind for choice in ALL_KINDS} == set(OUTPUT_KINDS)
    wizard = Wizard(preflight(two_heads(tmp_path / "heads.onnx")))
    for choice in wizard.kinds:
        wizard.set_kind(choice.kind)
        assert wizard.kept["output"] == wizard.spec.output == choice.kind
    with pytest.raises(ModelError, match="cannot be 'binary'; ways of reading: probabilities,"):
        wizard.set_kind("binary")
    one = Wizard(preflight(tiny_classifier(tmp_path / "one.onnx", 1, softmax=False)), doubted=True)
    assert [choice.kind for choice in one.kinds] == ["binary", "binary-logits", "log-independent"]


def test_a_long_name_keeps_its_two_ends() -> None:
    name = "StatefulPartitionedCall/model/head_attributes/Softmax:0"
    assert short_name("probs") == "probs"
    assert short_name(name) == "StatefulPartitioned…ttributes/Softmax:0"
