"""PyTorch's own files and networks, where it is installed: the same tensors and answers."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from twinlens.engine.errors import ModelFileError
from twinlens.engine.params import open_parameters
from twinlens.models.identify.resolve import resolve

torch = pytest.importorskip("torch")

TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8")
TYPES += ("bool", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")


def state():
    """Tensors of every type, and views of one storage."""
    torch.manual_seed(3)
    tensors = OrderedDict(
        (kind, torch.arange(6).to(getattr(torch, kind)).reshape(2, 3)) for kind in TYPES
    )
    base = torch.randn(5, 4)
    tensors["base"] = base
    tensors["transposed"] = base.T
    tensors["part"] = base[1:4, ::2]
    tensors["scalar"] = base[2, 2]
    tensors["empty"] = base[:0]
    tensors["expanded"] = base[:, :1].expand(5, 7)
    tensors["parameter"] = torch.nn.Parameter(base * 2)
    return tensors


def assert_same(found, tensors) -> None:
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        wanted = (
            tensor.detach().to(torch.float64).numpy()
            if tensor.is_floating_point()
            else tensor.numpy()
        )
        array = found[name]
        assert array.dtype.name == str(tensor.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(array.astype(wanted.dtype), wanted)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_tensors_are_those_that_pytorch_saved(tmp_path: Path, zipped: bool, protocol: int) -> None:
    tensors = state()
    if not zipped:
        for name in ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2"):
            del tensors[name]
    path = tmp_path / "net.pth"
    torch.save(tensors, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    assert_same(open_parameters(path), tensors)


def test_checkpoints_as_training_programs_save_them(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "arch": "net",
        "state_dict": torch.nn.DataParallel(net).state_dict(),
        "best_acc1": torch.tensor(71.2),
        "loss": np.float64(0.25),
        "optimizer": optimizer.state_dict(),
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 3).state_dict(),
        "random": torch.get_rng_state(),
        "device": torch.device("cpu"),
        "type": torch.float32,
    }
    for zipped in (True, False):
        torch.save(checkpoint, tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
        assert_same(open_parameters(tmp_path / "net.pth"), net.state_dict())


def test_sums_that_are_left_out(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(3)}, tmp_path / "net.pth")
    finally:
        torch.serialization.set_crc32_options(before)
    assert open_parameters(tmp_path / "net.pth")["a"].tolist() == [1, 1, 1]


@pytest.mark.filterwarnings("ignore")
def test_what_holds_a_program_is_refused(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
    path = tmp_path / "net.pt"
    for zipped in (True, False):
        torch.save(net, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(
            ModelFileError, match=r"whole model.*torch\.nn\.modules\.container\.Seq"
        ):
            open_parameters(path)
    torch.jit.save(torch.jit.trace(net, torch.zeros(1, 3, 8, 8)), path)
    with pytest.raises(ModelFileError, match="TorchScript") as caught:
        open_parameters(path)
    # And the way out that is given does lead out.
    torch.save(torch.jit.load(path).state_dict(), tmp_path / "weights.pth")
    assert "torch.jit.load" in caught.value.hint
    assert_same(open_parameters(tmp_path / "weights.pth"), net.state_dict())
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 8, 8),)), tmp_path / "net.pt2")
    with pytest.raises(ModelFileError, match=r"torch\.export"):
        open_parameters(tmp_path / "net.pt2")


def randomised(net):
    """A network whose numbers are all other than those it begins with."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif name.endswith(("running_mean", "bias")):
                tensor.normal_(0, 0.1, generator=generator)
            elif tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5, generator=generator)
    return net.eval()


def evened(net, picture) -> None:
    """Let the last layer answer in a range in which softmax leaves something of each class."""
    with torch.no_grad():
        spread = net(picture).std()
        for part in list(net.state_dict())[-2:]:
            net.get_parameter(part).div_(spread / 2)


TORCHVISION = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2")
TORCHVISION += ("mobilenet_v3_small", "squeezenet1_1", "inception_v3")
TIMM = ("resnet18", "resnet50", "inception_v3", "mobilenetv1_100", "mobilenetv2_100")
TIMM += ("mobilenetv3_small_100", "tf_mobilenetv3_small_100", "efficientnet_lite0")
TIMM += tuple(f"tf_efficientnet_lite{version}" for version in range(3))


def network(collection: str, name: str):
    if collection == "torchvision":
        models = pytest.importorskip("torchvision").models
        more = {"init_weights": True} if name == "inception_v3" else {}
        return getattr(models, name)(weights=None, **more)
    return pytest.importorskip("timm").create_model(name, pretrained=False)


CASES = [("torchvision", name) for name in TORCHVISION] + [("timm", name) for name in TIMM]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("collection", "name"), CASES)
def test_answers_are_pytorch_s(tmp_path: Path, collection: str, name: str) -> None:
    net = randomised(network(collection, name))
    size = {"i": 299}.get(name[0], 224 + {"1": 16, "2": 36}.get(name[-1] * ("lite" in name), 0))
    picture = np.random.default_rng(2).standard_normal((1, 3, size, size)).astype(np.float32)
    evened(net, torch.from_numpy(picture))
    path = tmp_path / f"{name}-0123abcd.pth"
    wrapped = OrderedDict((f"module.{key}", value) for key, value in net.state_dict().items())
    torch.save({"state_dict": wrapped, "epoch": 1}, path)
    found = resolve(path)
    spec = found.spec
    assert not any("padding" in note for note in spec.notes)
    assert (spec.recipe.height, spec.recipe.width) == (size, size)
    (shares,) = found.graph.run({"input": picture}).values()
    with torch.no_grad():
        wanted = torch.softmax(net(torch.from_numpy(picture)).double(), 1).numpy()
    assert wanted.max() < 0.9
    assert abs(shares - wanted).max() < 1e-5
