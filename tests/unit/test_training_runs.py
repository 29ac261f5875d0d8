"""Training code: losses, calibration, drawn pictures, and a run that stops and goes on."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'train')")

from twinlens.models.training import calibrate, distill, invert, losses  # noqa: E402
from twinlens.models.training.material import Material, sampling_weights  # noqa: E402
from twinlens.models.training.teachers import Answer, Ensemble  # noqa: E402


class FakeTeacher(torch.nn.Module):
    """Answers by the mean colour of a picture; features at the size that a real one has."""

    def forward(self, x):
        colors = x.float().mean((2, 3))
        side = x.shape[-1] // 32
        narrow = colors[:, :, None, None].expand(-1, -1, side, side)
        return Answer(colors.repeat(1, 334)[:, :1000] * 9, colors, narrow)


@pytest.fixture
def material():
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (12, 48, 48, 3), dtype=torch.uint8, generator=generator)
    classes = torch.arange(12)
    kept = (pictures[:4], classes[:4])
    teachers = Ensemble([(2.0, FakeTeacher()), (1.0, FakeTeacher())])
    return Material(pictures, classes, classes, 3, teachers, kept, kept, "cpu", torch.float32)


def test_a_run_goes_on_where_it_stopped(material, tmp_path):
    options = distill.Options(
        tmp_path, tmp_path, seconds=0.5, total=60.0, batch=4, sizes=((1.01, (64,)),), device="cpu"
    )
    first = distill.Trainer(options, material)
    before = [p.clone() for p in first.student.parameters()]
    first.run()
    assert first.step > 0
    assert any((a != b).any() for a, b in zip(before, first.student.parameters(), strict=True))

    resumed = distill.Options(**{**vars(options), "resume": tmp_path / "checkpoint.pt"})
    second = distill.Trainer(resumed, material)
    assert (second.step, second.spent) == (first.step, first.spent)
    for name, value in second.student.state_dict().items():
        assert torch.equal(value, first.student.state_dict()[name])
    moments = second.optimiser.state_dict()["state"]
    assert moments
    assert len((tmp_path / "log.tsv").read_text().splitlines()) == 2


def test_hard_labels_are_blended_only_where_known():
    probabilities = torch.full((2, 4), 0.25)
    blended = losses.with_hard_labels(probabilities, torch.tensor([2, -1]), 0.4)
    torch.testing.assert_close(blended[0], torch.tensor([0.15, 0.15, 0.55, 0.15]))
    torch.testing.assert_close(blended[1], probabilities[1])


def test_a_student_that_copies_its_teachers_loses_nothing():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 10, generator=generator)
    logits -= logits.mean(1, keepdim=True)
    answer = Answer(logits, torch.randn(3, 5), torch.randn(3, 5, 2, 2))
    ensemble = Ensemble([(1.0, FakeTeacher())])
    wanted = ensemble.probabilities([answer])
    other = Answer(logits.flip(1), answer.pooled, answer.bottleneck)
    weights = losses.Weights(logits=0.0, pooled=0.0, bottleneck=0.0, hard=0.0)
    assert torch.allclose(wanted.sum(1), torch.ones(3))
    same = losses.distillation(answer, [answer], ensemble, None, weights)
    different = losses.distillation(other, [answer], ensemble, None, weights)
    assert abs(float(same)) < 1e-5
    assert float(different) > 0.1


def test_calibration_finds_the_temperature_that_was_put_in():
    rng = np.random.default_rng(2)
    sharp = rng.normal(0, 2, (4000, 6))
    odds = calibrate.probabilities(sharp)
    classes = np.array([rng.choice(6, p=row) for row in odds])
    even = calibrate.log_frequency(np.full(6, 50))
    found = calibrate.fit(sharp * 0.6, classes, even)
    assert found.temperature == pytest.approx(0.6, abs=0.05)


def test_calibrated_weights_answer_as_the_formula_says():
    state = {
        "classifier.weight": torch.randn(6, 3),
        "classifier.bias": torch.randn(6),
    }
    frequency = calibrate.log_frequency(np.array([1, 2, 3, 4, 5, 600]))
    found = calibrate.Calibration(0.2, 0.75, frequency)
    changed = found.apply(state)
    x = torch.randn(4, 3)
    logits = x @ state["classifier.weight"].T + state["classifier.bias"]
    answers = x @ changed["classifier.weight"].T + changed["classifier.bias"]
    np.testing.assert_allclose(answers.numpy(), found(logits.numpy()), atol=1e-5)


def test_a_spectrum_holds_the_picture_that_it_was_made_from():
    picture = torch.rand(2, 3, 32, 32) * 1.6 - 0.8
    torch.testing.assert_close(invert.Spectrum(picture).pictures(), picture, atol=1e-4, rtol=1e-4)


def test_pictures_are_drawn_for_classes_that_lack_them():
    odds = invert.thin_classes(torch.tensor([0, 20, 40, 400]), invert.Options(thin=40))
    assert odds.tolist() == [1600, 400, 0, 0]


def test_rare_classes_are_sampled_more_often_per_picture():
    odds = sampling_weights(torch.tensor([0, 0, 0, 0, 1]), 0.5)
    assert odds[4] == pytest.approx(2 * float(odds[0]))
