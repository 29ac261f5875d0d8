"""The networks that are measured, by name.

All but `twinlens-208` have random weights: speed does not depend on them, and outputs are
logits, where a difference between two peers shows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from peers.sketch import Sketch

DEFAULT = Path(__file__).resolve().parents[3] / "models" / "weights" / "twinlens_208.onnx"

Drawn = tuple[Sketch, str]


def mobilenet_v1() -> Drawn:
    """Howard et al. 2017, arXiv:1704.04861, table 1."""
    s = Sketch("mobilenet_v1", (3, 224, 224), 1)
    x = s.conv("input", 32, 3, 2, act="relu6")
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    for channels, stride in [*blocks, *[(512, 1)] * 5, (1024, 2), (1024, 1)]:
        x = s.conv(s.depthwise(x, stride), channels, 1, act="relu6")
    return s, s.linear(s.global_pool(x), 1000)


def mobilenet_v2() -> Drawn:
    """Sandler et al. 2018, arXiv:1801.04381, table 2."""
    s = Sketch("mobilenet_v2", (3, 224, 224), 2)
    x = s.conv("input", 32, 3, 2, act="relu6")
    table = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
    for expand, channels, count, first in [*table, (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for number in range(count):
            y = x if expand == 1 else s.conv(x, s.shapes[x][1] * expand, 1, act="relu6")
            y = s.depthwise(y, 1 if number else first)
            y = s.conv(y, channels, 1, act="")
            x = s.add(x, y) if number else y
    x = s.conv(x, 1280, 1, act="relu6")
    return s, s.linear(s.global_pool(x), 1000)


def squeezenet() -> Drawn:
    """SqueezeNet 1.1: Iandola et al. 2016, arXiv:1602.07360, with its authors' later table."""
    s = Sketch("squeezenet", (3, 224, 224), 3)

    def fire(x: str, squeezed: int, expanded: int) -> str:
        x = s.conv(x, squeezed, 1)
        return s.concat(s.conv(x, expanded, 1), s.conv(x, expanded, 3))

    x = s.max_pool(s.conv("input", 64, 3, 2, pad=0), 3, 2, ceil=True)
    x = s.max_pool(fire(fire(x, 16, 64), 16, 64), 3, 2, ceil=True)
    x = s.max_pool(fire(fire(x, 32, 128), 32, 128), 3, 2, ceil=True)
    for squeezed, expanded in [(48, 192), (48, 192), (64, 256), (64, 256)]:
        x = fire(x, squeezed, expanded)
    return s, s.flatten(s.global_pool(s.conv(x, 1000, 1)))


def resnet18() -> Drawn:
    """He et al. 2015, arXiv:1512.03385, table 1."""
    s = Sketch("resnet18", (3, 224, 224), 4)
    x = s.max_pool(s.conv("input", 64, 7, 2), 3, 2, 1)
    for channels, first in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        for stride in (first, 1):
            same = stride == 1 and s.shapes[x][1] == channels
            # Half the variance for each of the two summands: sums do not grow with the depth.
            kept = x if same else s.conv(x, channels, 1, stride, act="", gain=0.5)
            y = s.conv(s.conv(x, channels, 3, stride), channels, 3, act="", gain=0.5)
            x = s.add(y, kept, "relu")
    return s, s.linear(s.global_pool(x), 1000)


def inception_v3() -> Drawn:
    """Szegedy et al. 2015, arXiv:1512.00567, as released for 299 px; without the side head."""
    s = Sketch("inception_v3", (3, 299, 299), 5)
    x = s.conv(s.conv("input", 32, 3, 2, pad=0), 32, 3, pad=0)
    x = s.max_pool(s.conv(x, 64, 3), 3, 2)
    x = s.max_pool(s.conv(s.conv(x, 80, 1), 192, 3, pad=0), 3, 2)
    for pooled in (32, 64, 64):
        x = _inception_a(s, x, pooled)
    x = s.concat(
        s.conv(x, 384, 3, 2, pad=0),
        s.conv(s.conv(s.conv(x, 64, 1), 96, 3), 96, 3, 2, pad=0),
        s.max_pool(x, 3, 2),
    )
    for inner in (128, 160, 160, 192):
        x = _inception_b(s, x, inner)
    side = s.conv(s.conv(s.conv(x, 192, 1), 192, (1, 7)), 192, (7, 1))
    x = s.concat(
        s.conv(s.conv(x, 192, 1), 320, 3, 2, pad=0),
        s.conv(side, 192, 3, 2, pad=0),
        s.max_pool(x, 3, 2),
    )
    for _ in range(2):
        x = _inception_c(s, x)
    return s, s.linear(s.global_pool(x), 1000)


def _inception_a(s: Sketch, x: str, pooled: int) -> str:
    return s.concat(
        s.conv(x, 64, 1),
        s.conv(s.conv(x, 48, 1), 64, 5),
        s.conv(s.conv(s.conv(x, 64, 1), 96, 3), 96, 3),
        s.conv(s.avg_pool(x, 3, 1, 1), pooled, 1),
    )


def _inception_b(s: Sketch, x: str, inner: int) -> str:
    wide, high = (1, 7), (7, 1)
    long = s.conv(x, inner, 1)
    for kernel, channels in [(high, inner), (wide, inner), (high, inner), (wide, 192)]:
        long = s.conv(long, channels, kernel)
    return s.concat(
        s.conv(x, 192, 1),
        s.conv(s.conv(s.conv(x, inner, 1), inner, wide), 192, high),
        long,
        s.conv(s.avg_pool(x, 3, 1, 1), 192, 1),
    )


def _inception_c(s: Sketch, x: str) -> str:
    single = s.conv(x, 384, 1)
    double = s.conv(s.conv(x, 448, 1), 384, 3)
    return s.concat(
        s.conv(x, 320, 1),
        s.conv(single, 384, (1, 3)),
        s.conv(single, 384, (3, 1)),
        s.conv(double, 384, (1, 3)),
        s.conv(double, 384, (3, 1)),
        s.conv(s.avg_pool(x, 3, 1, 1), 192, 1),
    )


def mnist() -> Drawn:
    """The digits network of the MPSCNN sample: 5×5 convolutions of 20 and 50, dense 320 and 10."""
    s = Sketch("mnist", (1, 28, 28), 6)
    x = s.max_pool(s.conv("input", 20, 5), 2, 2)
    x = s.max_pool(s.conv(x, 50, 5), 2, 2)
    return s, s.linear(s.linear(x, 320, "relu"), 10)


#: By name; None is `twinlens-208`, which is a file.
NETS: dict[str, Callable[[], Drawn] | None] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "squeezenet": squeezenet,
    "resnet18": resnet18,
    "inception_v3": inception_v3,
    "default": None,
    "mnist": mnist,
}
