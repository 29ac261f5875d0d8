"""Hand-assembled networks against published sizes, names and shapes.

Published parameter counts hold the scale and shift of every batch normalisation, but not its
running mean and variance; folded, each has one bias a channel, so that the channels that are
normalised are added once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import pytest
from safetensors.numpy import save_file

from twinlens.engine.errors import ParameterError
from twinlens.engine.graph import Graph
from twinlens.engine.layers import Conv2d, Linear
from twinlens.engine.params import PYTORCH, Naming, open_parameters, with_parameters
from twinlens.models.networks import (
    efficientnet_lite,
    inception_v3,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    squeezenet,
)
from twinlens.models.networks.assembly import make_divisible, random_parameters

# Parameters and multiply-adds (in convolutions and linear layers) that are published.
PUBLISHED = [
    # torchvision's documentation of the weights: num_params and GFLOPS (which are multiply-adds).
    (lambda: resnet.resnet(18), resnet.TORCHVISION, 11_689_512, 1.81e9),
    (lambda: resnet.resnet(34), resnet.TORCHVISION, 21_797_672, 3.66e9),
    (lambda: resnet.resnet(50), resnet.TORCHVISION, 25_557_032, 4.09e9),
    (lambda: resnet.resnet(101), resnet.TORCHVISION, 44_549_160, 7.80e9),
    (lambda: resnet.resnet(152), resnet.TORCHVISION, 60_192_808, 11.51e9),
    (squeezenet.squeezenet, squeezenet.TORCHVISION, 1_235_496, 0.35e9),
    (lambda: mobilenet_v2.mobilenet_v2(size=224), mobilenet_v2.TORCHVISION, 3_504_872, 0.30e9),
    # The count is torchvision's; 56 million multiply-adds are the paper's (table 3).
    (mobilenet_v3.mobilenet_v3_small, mobilenet_v3.TORCHVISION, 2_542_856, 0.056e9),
    # Keras' trainable parameters; 569 million multiply-adds are the paper's (table 4).
    (mobilenet_v1.mobilenet_v1, mobilenet_v1.KERAS, 4_231_976, 0.569e9),
    # timm's count; its multiply-adds are given as 0.4 thousand million.
    (lambda: efficientnet_lite.efficientnet_lite(0), efficientnet_lite.timm(0), 4_652_008, 4e8),
    # Parameters and multiply-adds as Liu 2020 and timm give them.
    (lambda: efficientnet_lite.efficientnet_lite(1), efficientnet_lite.timm(1), 5_416_680, 6.2e8),
    (lambda: efficientnet_lite.efficientnet_lite(2), efficientnet_lite.timm(2), 6_092_072, 8.9e8),
]


def macs(graph: Graph) -> int:
    """Multiply-adds as papers count them."""
    return sum(
        graph.node_macs(node) for node in graph.nodes if isinstance(node.layer, Conv2d | Linear)
    )


def normalised_channels(graph: Graph, naming: Naming) -> int:
    return sum(
        node.layer.output_channels
        for node in graph.nodes
        if isinstance(node.layer, Conv2d) and naming.norm(node.name) is not None
    )


@pytest.mark.parametrize(("build", "naming", "parameters", "multiply_adds"), PUBLISHED)
def test_sizes_are_the_published_ones(
    build: Callable[[], Graph], naming: Naming, parameters: int, multiply_adds: float
) -> None:
    graph = build()
    assert graph.parameter_count + normalised_channels(graph, naming) == parameters
    # As exact as the digits that are given.
    assert macs(graph) == pytest.approx(
        multiply_adds, rel=0.04 if graph.name.startswith("Eff") else 0.01
    )
    assert graph.output_shapes == {"probabilities": (1, 1000)}


# Howard et al. 2017, tables 6 and 7: million multiply-adds by width, then by resolution.
@pytest.mark.parametrize(
    ("width", "size", "million", "parameters"),
    [
        (0.75, 224, 325, 2.6e6),
        (0.5, 224, 149, 1.3e6),
        (0.25, 224, 41, 0.5e6),
        (1.0, 192, 418, 4.2e6),
        (1.0, 160, 290, 4.2e6),
        (1.0, 128, 186, 4.2e6),
    ],
)
def test_mobilenet_scales_as_the_paper_says(
    width: float, size: int, million: float, parameters: float
) -> None:
    graph = mobilenet_v1.mobilenet_v1(size=size, width=width)
    assert abs(macs(graph) / 1e6 - million) < 1
    assert abs(graph.parameter_count - parameters) < 0.06e6


# Published with the trained models (tensorflow/models, research/slim/nets/mobilenet/README.md):
# million multiply-adds and parameters of MobileNet-v2 by width and resolution.
@pytest.mark.parametrize(
    ("width", "size", "million", "parameters"),
    [
        (1.4, 224, 582, 6.06),
        (1.3, 224, 509, 5.34),
        (1.0, 192, 221, 3.47),
        (0.75, 224, 209, 2.61),
        (0.5, 224, 97, 1.95),
        (0.35, 96, 11, 1.66),
    ],
)
def test_mobilenet_v2_scales_as_published(
    width: float, size: int, million: float, parameters: float
) -> None:
    graph = mobilenet_v2.mobilenet_v2(size=size, width=width, classes=1001, padding="same")
    assert abs(macs(graph) / 1e6 - million) < max(1.0, 0.01 * million)
    assert abs(graph.parameter_count / 1e6 - parameters) < 0.05


def test_channels_are_rounded_as_mobilenets_do() -> None:
    # Never below 90 % of what was asked for.
    assert [make_divisible(n) for n in (3, 8, 12, 18, 19, 33.6, 11.2)] == [8, 8, 16, 24, 24, 32, 16]


def test_stages_have_the_shapes_of_the_papers() -> None:
    net = resnet.resnet(50).shapes
    assert [net[f"layer{n}.0.relu"] for n in (1, 2, 3, 4)] == [
        (1, 256, 56, 56),
        (1, 512, 28, 28),
        (1, 1024, 14, 14),
        (1, 2048, 7, 7),
    ]
    net = squeezenet.squeezenet().shapes
    assert [net[name] for name in ("conv1", "fire3", "fire5", "fire9", "conv10")] == [
        (1, 64, 111, 111),
        (1, 128, 55, 55),
        (1, 256, 27, 27),
        (1, 512, 13, 13),
        (1, 1000, 13, 13),
    ]
    net = inception_v3.inception_v3().shapes
    # Szegedy et al. 2015, table 1, and the widths that its blocks add up to.
    assert [net[name] for name in ("conv", "pool", "pool_1", "mixed", "mixed_3", "mixed_10")] == [
        (1, 32, 149, 149),
        (1, 64, 73, 73),
        (1, 192, 35, 35),
        (1, 256, 35, 35),
        (1, 768, 17, 17),
        (1, 2048, 8, 8),
    ]


def test_another_depth_is_told() -> None:
    with pytest.raises(ParameterError, match=r"depth is 20; one of \[18, 34, 50, 101, 152\]"):
        resnet.resnet(20)
    with pytest.raises(ParameterError, match=r"version is 5; one of \[0, 1, 2\]"):
        efficientnet_lite.efficientnet_lite(5)


def test_inception_asks_for_the_sample_files(test_data) -> None:
    listing = (test_data / "models" / "inception_v3_dat_listing.tsv").read_text("utf-8")
    published = dict(line.split("\t") for line in listing.splitlines())
    graph = inception_v3.inception_v3()
    pattern = {"weight": inception_v3.FILES.weight[0], "bias": inception_v3.FILES.bias[0]}
    wanted = {
        f"{pattern[role].format(node.name)}.dat": array.size * 4
        for node in graph.nodes
        for role, array in node.layer.parameters.items()
    }
    assert set(wanted) == set(published)
    sizes = {name: int(size) for name, size in published.items() if size != "absent"}
    assert len(published) - len(sizes) == 3
    assert {name: wanted[name] for name in sizes} == sizes


def test_inception_has_the_published_size() -> None:
    graph = inception_v3.inception_v3(classes=1000)
    normalised = sum(n.layer.output_channels for n in graph.nodes if isinstance(n.layer, Conv2d))
    # Keras counts 23,851,784 with a shift, mean and variance a channel (and no scale).
    assert graph.parameter_count + 2 * normalised == 23_851_784
    # torchvision gives 5.71 GFLOPS.
    assert abs(macs(graph) - 5.71e9) < 0.01e9


Names = dict[str, tuple[int, ...]]


def _conv(name: str, norm: str, shape: tuple[int, ...]) -> Names:
    """A convolution without bias and its batch normalisation, as PyTorch saves them."""
    parts = ("weight", "bias", "running_mean", "running_var")
    result: Names = {f"{name}.weight": shape, f"{norm}.num_batches_tracked": ()}
    return result | {f"{norm}.{part}": shape[:1] for part in parts}


def _linear(name: str, *shape: int) -> Names:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def torchvision_resnet(depth: int) -> Names:
    names = _conv("conv1", "bn1", (64, 3, 7, 7))
    widths, repeats = (64, 128, 256, 512), resnet.STAGES[depth]
    inputs = 64
    for stage, (width, count) in enumerate(zip(widths, repeats, strict=True), 1):
        outputs = width if depth == 18 else width * 4
        for index in range(count):
            block = f"layer{stage}.{index}"
            shapes = (
                [(width, inputs, 3, 3), (width, width, 3, 3)]
                if depth == 18
                else [(width, inputs, 1, 1), (width, width, 3, 3), (outputs, width, 1, 1)]
            )
            for number, shape in enumerate(shapes, 1):
                names |= _conv(f"{block}.conv{number}", f"{block}.bn{number}", shape)
            if inputs != outputs:
                down = f"{block}.downsample"
                names |= _conv(f"{down}.0", f"{down}.1", (outputs, inputs, 1, 1))
            inputs = outputs
    return names | _linear("fc", 1000, inputs)


def torchvision_mobilenet_v2() -> Names:
    names = _conv("features.0.0", "features.0.1", (32, 3, 3, 3))
    names |= _conv("features.1.conv.0.0", "features.1.conv.0.1", (32, 1, 3, 3))
    names |= _conv("features.1.conv.1", "features.1.conv.2", (16, 32, 1, 1))
    widths = [16, *[24] * 2, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320]
    for number, (inputs, outputs) in enumerate(pairwise(widths), 2):
        block, wide = f"features.{number}.conv", inputs * 6
        names |= _conv(f"{block}.0.0", f"{block}.0.1", (wide, inputs, 1, 1))
        names |= _conv(f"{block}.1.0", f"{block}.1.1", (wide, 1, 3, 3))
        names |= _conv(f"{block}.2", f"{block}.3", (outputs, wide, 1, 1))
    names |= _conv("features.18.0", "features.18.1", (1280, 320, 1, 1))
    return names | _linear("classifier.1", 1000, 1280)


def torchvision_mobilenet_v3() -> Names:
    names = _conv("features.0.0", "features.0.1", (16, 3, 3, 3))
    inputs = 16
    squeezed = {16: 8, 96: 24, 240: 64, 120: 32, 144: 40, 288: 72, 576: 144}
    for number, (kernel, wide, outputs, excite, _, _) in enumerate(mobilenet_v3.BLOCKS, 1):
        place = 0
        block = f"features.{number}.block"
        if wide != inputs:
            names |= _conv(f"{block}.0.0", f"{block}.0.1", (wide, inputs, 1, 1))
            place = 1
        shape = (wide, 1, kernel, kernel)
        names |= _conv(f"{block}.{place}.0", f"{block}.{place}.1", shape)
        if excite:
            place += 1
            names |= _linear(f"{block}.{place}.fc1", squeezed[wide], wide, 1, 1)
            names |= _linear(f"{block}.{place}.fc2", wide, squeezed[wide], 1, 1)
        place += 1
        names |= _conv(f"{block}.{place}.0", f"{block}.{place}.1", (outputs, wide, 1, 1))
        inputs = outputs
    names |= _conv("features.12.0", "features.12.1", (576, 96, 1, 1))
    return names | _linear("classifier.0", 1024, 576) | _linear("classifier.3", 1000, 1024)


def torchvision_squeezenet() -> Names:
    names = _linear("features.0", 64, 3, 3, 3)
    inputs = 64
    places = (3, 4, 6, 7, 9, 10, 11, 12)
    for place, (small, wide) in zip(places, squeezenet.FIRES, strict=True):
        fire = f"features.{place}"
        names |= _linear(f"{fire}.squeeze", small, inputs, 1, 1)
        names |= _linear(f"{fire}.expand1x1", wide, small, 1, 1)
        names |= _linear(f"{fire}.expand3x3", wide, small, 3, 3)
        inputs = wide * 2
    return names | _linear("classifier.1", 1000, 512, 1, 1)


TORCHVISION = {
    "resnet18": (torchvision_resnet(18), lambda: resnet.resnet(18), resnet.TORCHVISION, 11_689_512),
    "resnet50": (torchvision_resnet(50), lambda: resnet.resnet(50), resnet.TORCHVISION, 25_557_032),
    "mobilenet_v2": (
        torchvision_mobilenet_v2(),
        mobilenet_v2.mobilenet_v2,
        mobilenet_v2.TORCHVISION,
        3_504_872,
    ),
    "mobilenet_v3_small": (
        torchvision_mobilenet_v3(),
        mobilenet_v3.mobilenet_v3_small,
        mobilenet_v3.TORCHVISION,
        2_542_856,
    ),
    "squeezenet1_1": (
        torchvision_squeezenet(),
        squeezenet.squeezenet,
        squeezenet.TORCHVISION,
        1_235_496,
    ),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_names_and_shapes_fit(name: str) -> None:
    shapes, build, naming, count = TORCHVISION[name]
    trained = [s for n, s in shapes.items() if not n.endswith(("mean", "var", "tracked"))]
    assert sum(map(math.prod, trained)) == count  # else the names here are wrong
    file = {name: np.broadcast_to(np.float32(1), shape) for name, shape in shapes.items()}
    filled = with_parameters(build(), file, naming)
    assert all(np.isfinite(a).all() for n in filled.nodes for a in n.layer.parameters.values())


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small"])
def test_safetensors_with_torchvision_names_run(name: str, tmp_path) -> None:
    shapes, build, naming, _ = TORCHVISION[name]
    rng = np.random.default_rng(7)
    file = {
        # A variance has to be positive.
        key: rng.uniform(0.5, 1, shape).astype(np.float32)
        if key.endswith("var")
        else rng.normal(0, 0.05, shape).astype(np.float32)
        for key, shape in shapes.items()
    }
    save_file(file, tmp_path / "net.safetensors")
    graph = with_parameters(build(), open_parameters(tmp_path / "net.safetensors"), naming)
    picture = rng.standard_normal((1, 3, 224, 224)).astype(np.float32)
    (shares,) = graph.run({"input": picture}).values()
    assert abs(shares.sum() - 1) < 1e-4


def test_numbers_of_another_network_are_all_named() -> None:
    shapes: Mapping[str, tuple[int, ...]] = TORCHVISION["resnet18"][0]
    file = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(ParameterError) as caught:
        resnet.resnet(50, file, naming=resnet.TORCHVISION)
    text = str(caught.value)
    assert "layer1.0.conv3.weight (256×64×1×1, 65,536 bytes as float32)" in text
    assert "fc.weight has 1000×512 float32, 2,048,000 bytes; expected 1000×2048" in text


def test_random_parameters_are_the_same_for_a_seed_and_keep_values_in_range() -> None:
    graph = resnet.resnet(18, size=64)
    first, again, other = (random_parameters(graph, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["fc_weight"], other["fc_weight"])
    picture = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    (shares,) = with_parameters(graph, first).run({"input": picture}).values()
    assert np.isfinite(shares).all()


def test_every_naming_has_its_own_name_for_every_layer() -> None:
    for build, naming, *_ in PUBLISHED:
        layers = [n.name for n in build().nodes if n.layer.parameters]
        names = [naming.layer(layer) for layer in layers]
        norms = [norm for layer in layers if (norm := naming.norm(layer)) is not None]
        assert len(set(names)) == len(layers)
        assert len(set(norms)) == len(norms)
        assert naming.order == PYTORCH or naming is mobilenet_v1.KERAS
