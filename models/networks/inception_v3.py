"""Inception-v3 (Szegedy et al. 2015) as TensorFlow published it that year, with 1,008 outputs; and
as it was trained again, with 1,000, which torchvision and timm carried over.

Layers are named as in that graph, with `_` for `/`, which is how the MPSCNN sample names its raw
files: `weights_mixed_1_tower_conv.dat`, `bias_mixed_1_tower_conv.dat`. Padding is TensorFlow's; a
mean is taken over samples that exist; the last block pools by maximum where the paper takes the
mean, since that is what was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from twinlens.engine.graph import Graph
from twinlens.engine.image import Recipe
from twinlens.engine.layers import Array, ReLU
from twinlens.engine.params import MPSCNN, OWN, Naming
from twinlens.models.networks.assembly import Assembly, Padding, Size, pytorch

FILES = Naming("the MPSCNN sample", MPSCNN, weight=("weights_{}",), bias=("bias_{}",))

RECIPE = Recipe(width=299, height=299, scale=1 / 128, mean=(1.0, 1.0, 1.0), std=(1.0, 1.0, 1.0))

Step = tuple[int, Size]
"""Output channels and kernel of a convolution."""


class _Inception(Assembly):
    """Blocks of branches that read one value and are joined by channels.

    Attributes:
        torchvision: whether it is the network that torchvision carried over.
    """

    torchvision = False

    def unit(
        self, name: str, outputs: int, kernel: Size, stride: int = 1, padding: Padding = "same"
    ) -> str:
        """A convolution and ReLU; the paper's batch normalisation is folded into it."""
        return self.conv(name, outputs, kernel, stride, padding=padding, then=ReLU())

    def branch(self, start: str, name: str, *steps: Step, halved: bool = False) -> str:
        """Convolutions one after the other, from a value on; the last may halve the map."""
        self.value = start
        for index, (outputs, kernel) in enumerate(steps):
            last = f"{name}_{index}" if index else name
            if halved and index == len(steps) - 1:
                self.unit(last, outputs, kernel, 2, "valid")
            else:
                self.unit(last, outputs, kernel)
        return self.value

    def pool(self, start: str, name: str, outputs: int, *, largest: bool = False) -> str:
        """A 3×3 pool that keeps the size, and a 1×1 convolution."""
        self.value = start
        if largest:
            self.max_pool(f"{name}_pool", 3, 1)
        else:
            self.avg_pool(f"{name}_pool", 3, 1, count_padding=self.torchvision)
        return self.unit(f"{name}_conv", outputs, 1)

    def halve(self, start: str, name: str) -> str:
        """A 3×3 max pool of stride 2."""
        self.value = start
        return self.max_pool(f"{name}_pool", 3, 2, padding="valid")

    def mixed_35(self, name: str, pooled: int) -> None:
        """Figure 5: 1×1, 5×5, two 3×3, and a pool, on 35×35."""
        x = self.value
        one = self.branch(x, f"{name}_conv", (64, 1))
        five = self.branch(x, f"{name}_tower_conv", (48, 1), (64, 5))
        three = self.branch(x, f"{name}_tower_1_conv", (64, 1), (96, 3), (96, 3))
        self.concat(name, one, five, three, self.pool(x, f"{name}_tower_2", pooled))

    def mixed_17(self, name: str, inner: int) -> None:
        """Figure 6 with n = 7: 1×7 and 7×1 in turns, on 17×17."""
        x, row, column = self.value, (1, 7), (7, 1)
        one = self.branch(x, f"{name}_conv", (192, 1))
        two = self.branch(x, f"{name}_tower_conv", (inner, 1), (inner, row), (192, column))
        four = self.branch(
            x,
            f"{name}_tower_1_conv",
            (inner, 1),
            (inner, column),
            (inner, row),
            (inner, column),
            (192, row),
        )
        self.concat(name, one, two, four, self.pool(x, f"{name}_tower_2", 192))

    def mixed_8(self, name: str, *, largest: bool) -> None:
        """Figure 7: branches that fan out once more, on 8×8."""
        x = self.value
        parts = [self.branch(x, f"{name}_conv", (320, 1))]
        for tower, steps in (("tower", ((384, 1),)), ("tower_1", ((448, 1), (384, 3)))):
            stem = self.branch(x, f"{name}_{tower}_conv", *steps)
            parts.append(self.branch(stem, f"{name}_{tower}_mixed_conv", (384, (1, 3))))
            parts.append(self.branch(stem, f"{name}_{tower}_mixed_conv_1", (384, (3, 1))))
        parts.append(self.pool(x, f"{name}_tower_2", 192, largest=largest))
        self.concat(name, *parts)


def inception_v3(
    parameters: Mapping[str, Array] | None = None,
    classes: int = 1008,
    *,
    naming: Naming = OWN,
    torchvision: bool = False,
) -> Graph:
    """Assemble the network.

    Args:
        parameters: trained arrays; None leaves the network without numbers.
        classes: outputs.
        naming: how the parameters are named and laid out.
        torchvision: assemble the network that torchvision carried over.

    Returns:
        A graph from "input", (1, 3, 299, 299) RGB in -1..1, to "probabilities", (1, classes).

    Raises:
        ParameterError: parameters do not fit; names all that do not.
    """
    net = _Inception("Inception-v3", (1, 3, 299, 299), padding="same")
    net.torchvision = torchvision
    net.unit("conv", 32, 3, 2, "valid")
    net.unit("conv_1", 32, 3, 1, "valid")
    net.unit("conv_2", 64, 3)
    net.max_pool("pool", 3, 2, padding="valid")
    net.unit("conv_3", 80, 1)
    net.unit("conv_4", 192, 3, 1, "valid")
    net.max_pool("pool_1", 3, 2, padding="valid")
    for name, pooled in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
        net.mixed_35(name, pooled)
    x = net.value
    one = net.branch(x, "mixed_3_conv", (384, 3), halved=True)
    two = net.branch(x, "mixed_3_tower_conv", (64, 1), (96, 3), (96, 3), halved=True)
    net.concat("mixed_3", one, two, net.halve(x, "mixed_3"))
    for name, inner in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        net.mixed_17(name, inner)
    x = net.value
    one = net.branch(x, "mixed_8_tower_conv", (192, 1), (320, 3), halved=True)
    row_column = ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3))
    two = net.branch(x, "mixed_8_tower_1_conv", *row_column, halved=True)
    net.concat("mixed_8", one, two, net.halve(x, "mixed_8"))
    net.mixed_8("mixed_9", largest=False)
    net.mixed_8("mixed_10", largest=not torchvision)
    net.classifier("softmax", classes)
    return net.graph(parameters, naming)


_BLOCKS = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
_STEM = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")


def _torchvision(layer: str) -> str:
    """``mixed_4_tower_1_conv_2`` is ``Mixed_6b.branch7x7dbl_3``."""
    if layer == "softmax":
        return "fc"
    if not layer.startswith("mixed"):
        return f"Conv2d_{_STEM[int(layer.removeprefix('conv').removeprefix('_') or 0)]}.conv"
    before, _, number = layer.partition("conv")
    words = before.removeprefix("mixed").strip("_").split("_")
    block = _BLOCKS[int(words.pop(0)) if words[0].isdigit() else 0]
    tower = "_".join(word for word in words if word)
    branch = _branch(block, tower.removesuffix("_mixed"), int(number.strip("_") or 0))
    if tower.endswith("mixed"):
        step = 2 if tower == "tower_mixed" else 3
        branch = branch.rpartition("_")[0] + f"_{step}{'ab'[int(number.strip('_') or 0)]}"
    return f"Mixed_{block}.{branch}.conv"


def _branch(block: str, tower: str, step: int) -> str:
    """Which branch of a block a tower is."""
    kinds = {"5": ("5x5", "3x3dbl"), "6": ("7x7", "7x7dbl"), "7": ("3x3", "3x3dbl")}[block[0]]
    if block == "6a":
        return "branch3x3" if not tower else f"branch3x3dbl_{step + 1}"
    if block == "7a":
        kinds = ("3x3", "7x7x3")
    if tower in ("", "tower_2"):
        return "branch_pool" if tower else "branch1x1"
    return f"branch{kinds[tower == 'tower_1']}_{step + 1}"


def _torchvision_norm(layer: str) -> str | None:
    name = _torchvision(layer)
    return None if name == "fc" else f"{name.removesuffix('conv')}bn"


_NAMES = pytorch("torchvision", _torchvision, _torchvision_norm, epsilon=1e-3)
TORCHVISION = replace(_NAMES, ignored=(*_NAMES.ignored, "AuxLogits.*"))
"""Its second classifier serves training only."""
