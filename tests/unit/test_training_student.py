"""Training code: the exported file answers as the network does, and measures are right."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra 'train')")

from twinlens.models.training import augment, evaluate, export  # noqa: E402
from twinlens.models.training.student import Student, start_from_folded  # noqa: E402


def test_export_and_start_keep_the_answers(tmp_path):
    import onnx
    import onnxruntime

    torch.manual_seed(0)
    student = Student().eval()
    path = tmp_path / "student.onnx"
    onnx.save(export.to_onnx(student, 64), path)
    x = torch.rand(8, 3, 64, 64) * 2 - 1
    session = onnxruntime.InferenceSession(str(path))
    answers = [session.run(None, {"input": row[None].numpy()})[0] for row in x]
    with torch.no_grad():
        expected = student(x).softmax(1).numpy()
        again = Student()
        start_from_folded(again, path, x)
        restarted = again.eval()(x).softmax(1).numpy()
    np.testing.assert_allclose(np.concatenate(answers), expected, atol=1e-5)
    np.testing.assert_allclose(restarted, expected, atol=1e-4)


def test_score_counts_and_calibrates():
    probabilities = np.full((2, 10), 0.05)
    probabilities[:, 3] = 0.55
    result = evaluate.score(probabilities, np.array([3, 4]))
    assert (result.count, result.top1) == (2, 0.5)
    assert result.ece == pytest.approx(0.05)
    with pytest.raises(ValueError, match="2 answers for 1 pictures"):
        evaluate.score(probabilities, np.array([3]))


@pytest.mark.parametrize("way", ["plain", "mixup", "cutmix", "mosaic"])
def test_augment_keeps_the_range(way):
    stored = torch.randint(0, 256, (6, 40, 40, 3), dtype=torch.uint8)
    batch = augment.augment(stored, 32, way, torch.float32)
    assert batch.shape == (6, 3, 32, 32)
    assert batch.min() >= -1
    assert batch.max() <= 1
    assert batch.std() > 0.1
