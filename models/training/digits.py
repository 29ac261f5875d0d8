"""Train the small network that reads the drawing pad's digits, from random weights, in minutes.

    python -m twinlens.models.training.digits glyphs.npz twinlens_digits.onnx

Nothing that it learns from is a photograph or a scan: a third of the pictures are digits of fonts,
bent, and the rest are strokes of a pen over skeletons that stand below, bent more. Both are made
anew for each step. `glyphs` makes the first argument from font files.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

SIDE = 28
GLYPH_SIDE = 64
CONTRAST = 10.0
_POINTS = 16
_MOST_STROKES = 3
_HELD_OUT = ("Z003", "P052", "URWBookman")
"""Families that are measured on and not learned from."""

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, width: float, height: float, start: float, end: float) -> Stroke:
    """Part of an ellipse around (x, y); degrees, 0 on the right, clockwise in the picture."""
    angles = [math.radians(start + (end - start) * n / 20) for n in range(21)]
    return [(x + width * math.cos(a), y + height * math.sin(a)) for a in angles]


SKELETONS: dict[int, list[list[Stroke]]] = {
    0: [
        [arc(0.5, 0.5, 0.32, 0.48, -90, 270)],
        [arc(0.5, 0.5, 0.24, 0.48, -70, 280)],
        [arc(0.5, 0.5, 0.38, 0.46, -120, 230)],
    ],
    1: [
        [[(0.5, 0.02), (0.5, 0.98)]],
        [[(0.3, 0.25), (0.52, 0.03), (0.52, 0.98)]],
        [[(0.3, 0.22), (0.5, 0.03), (0.5, 0.97)], [(0.25, 0.97), (0.76, 0.97)]],
        [[(0.62, 0.02), (0.4, 0.98)]],
    ],
    2: [
        [[*arc(0.48, 0.28, 0.3, 0.25, -165, 40), (0.2, 0.95), (0.82, 0.95)]],
        [
            [
                *arc(0.46, 0.26, 0.28, 0.23, -150, 50),
                *arc(0.3, 0.86, 0.13, 0.1, -30, -330),
                (0.85, 0.93),
            ]
        ],
        [
            [
                (0.18, 0.12),
                (0.6, 0.06),
                *arc(0.52, 0.28, 0.28, 0.22, -60, 40),
                (0.18, 0.95),
                (0.8, 0.9),
            ]
        ],
    ],
    3: [
        [[*arc(0.45, 0.27, 0.28, 0.24, -150, 90), *arc(0.45, 0.73, 0.32, 0.24, -90, 150)]],
        [[(0.2, 0.05), (0.75, 0.05), (0.45, 0.4), *arc(0.45, 0.68, 0.32, 0.28, -80, 150)]],
        [
            [
                *arc(0.44, 0.27, 0.26, 0.22, -140, 60),
                (0.4, 0.47),
                *arc(0.44, 0.74, 0.3, 0.22, -70, 140),
            ]
        ],
    ],
    4: [
        [[(0.58, 0.03), (0.15, 0.66), (0.88, 0.66)], [(0.65, 0.35), (0.65, 0.98)]],
        [[(0.25, 0.05), (0.2, 0.52), (0.8, 0.52)], [(0.72, 0.05), (0.7, 0.98)]],
        [[(0.68, 0.98), (0.68, 0.03), (0.15, 0.66), (0.9, 0.66)]],
        [[(0.3, 0.05), (0.18, 0.55), (0.76, 0.5), (0.8, 0.08), (0.66, 0.98)]],
    ],
    5: [
        [[(0.78, 0.05), (0.28, 0.05), (0.24, 0.45), *arc(0.44, 0.68, 0.33, 0.28, -115, 150)]],
        [
            [(0.28, 0.06), (0.25, 0.45), *arc(0.45, 0.68, 0.32, 0.27, -110, 145)],
            [(0.28, 0.06), (0.8, 0.05)],
        ],
        [[(0.85, 0.03), (0.4, 0.08), (0.28, 0.42), *arc(0.42, 0.68, 0.28, 0.26, -90, 160)]],
    ],
    6: [
        [[(0.65, 0.03), (0.4, 0.25), (0.27, 0.55), *arc(0.5, 0.72, 0.25, 0.24, 190, -180)]],
        [
            [
                (0.75, 0.08),
                *arc(0.6, 0.5, 0.36, 0.46, -100, -190),
                *arc(0.5, 0.7, 0.26, 0.25, 180, -170),
            ]
        ],
        [[(0.45, 0.02), (0.28, 0.6), *arc(0.48, 0.74, 0.22, 0.2, 200, -160)]],
    ],
    7: [
        [[(0.18, 0.06), (0.82, 0.06), (0.42, 0.97)]],
        [[(0.18, 0.08), (0.8, 0.05), (0.6, 0.45), (0.45, 0.98)], [(0.32, 0.5), (0.76, 0.47)]],
        [[(0.2, 0.2), (0.22, 0.06), (0.82, 0.06), *arc(1.1, 0.95, 0.62, 0.7, -130, -180)]],
    ],
    8: [
        [
            [
                *arc(0.5, 0.27, 0.24, 0.24, -60, -270),
                *arc(0.5, 0.74, 0.29, 0.24, -90, 270),
                *arc(0.5, 0.27, 0.24, 0.24, 90, -60),
            ]
        ],
        [
            [
                (0.72, 0.14),
                *arc(0.5, 0.25, 0.24, 0.22, -30, -220),
                (0.68, 0.6),
                *arc(0.5, 0.76, 0.26, 0.21, -20, 200),
                (0.72, 0.18),
            ]
        ],
        [arc(0.5, 0.27, 0.23, 0.23, 0, 360), arc(0.5, 0.74, 0.28, 0.25, 0, 360)],
    ],
    9: [
        [[*arc(0.48, 0.28, 0.26, 0.25, -10, -370), (0.7, 0.5), (0.6, 0.97)]],
        [[*arc(0.46, 0.3, 0.26, 0.26, -20, -340), (0.74, 0.12), (0.72, 0.98)]],
        [[*arc(0.5, 0.28, 0.26, 0.24, 0, -360), *arc(0.4, 0.45, 0.36, 0.5, -20, 110)]],
    ],
}
"""By digit, ways of writing it: strokes, each a chain of places in a unit square, y downwards."""


def network() -> nn.Sequential:
    """(N, 1, 28, 28) light ink on dark, 0..1, to (N, 10) logits; 56,018 parameters."""

    def conv(channels: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(channels, outputs, 5, 1, 2), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(
        *conv(1, 12), nn.MaxPool2d(2),
        *conv(12, 16), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(16 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def resampled(stroke: Stroke, count: int = _POINTS) -> NDArray[np.float32]:
    """(count, 2) places at equal steps along a stroke."""
    points = np.array(stroke, np.float64)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, axis) for axis in points.T], 1).astype(np.float32)


class Strokes:
    """Pictures of strokes over the skeletons.

    Args:
        device: where they are made.
    """

    def __init__(self, device: str) -> None:
        made, digits, used = [], [], []
        for digit, ways in SKELETONS.items():
            for way in ways:
                padded = [resampled(s) for s in way]
                used.append([True] * len(padded) + [False] * (_MOST_STROKES - len(padded)))
                padded += [padded[0]] * (_MOST_STROKES - len(padded))
                made.append(padded)
                digits.append(digit)
        self._ways = torch.tensor(np.array(made), device=device)
        self._used = torch.tensor(used, device=device)
        self._digits = torch.tensor(digits, device=device)
        self._device = device

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        """(count, 1, 28, 28) pictures in 0..1 and their digits."""
        device = self._device
        way = torch.randint(0, 10, (count,), device=device)
        # Each digit as often, then each of its ways.
        scores = torch.rand(count, len(self._digits), device=device)
        scores = scores.masked_fill(self._digits[None] != way[:, None], -1)
        chosen = scores.argmax(1)
        points = bent(self._ways[chosen])
        radius = torch.empty(count, 1, 1, device=device).uniform_(0.6, 2.4)
        ink = drawn(points, self._used[chosen], radius)
        return ink[:, None], self._digits[chosen]


def bent(points: Tensor) -> Tensor:
    """Skeletons (N, S, P, 2) slanted, stretched, waved and placed, in pixels."""
    count, device = len(points), points.device
    centred = points - 0.5
    # Waves of low frequency over the square move what lies together together.
    for _ in range(3):
        wave = torch.randn(count, 1, 1, 2, device=device) * 2.6
        phase = torch.rand(count, 1, 1, 2, device=device) * 6.3
        size = torch.randn(count, 1, 1, 2, device=device) * 0.035
        centred = centred + size * torch.sin((centred * wave).sum(-1, keepdim=True) + phase)
    turn = torch.randn(count, 1, 1, device=device) * 0.14
    slant = torch.randn(count, 1, 1, device=device) * 0.22
    wide = torch.exp(torch.randn(count, 1, 1, device=device) * 0.2)
    x, y = centred[..., 0] * wide + slant * centred[..., 1], centred[..., 1]
    x, y = x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos()
    places = torch.stack([x, y], -1)
    low, high = places.amin((1, 2), keepdim=True), places.amax((1, 2), keepdim=True)
    longest = (high - low).amax(-1, keepdim=True)
    size = torch.empty(count, 1, 1, 1, device=device).uniform_(13, 20)
    middle = places.mean((1, 2), keepdim=True)
    shift = torch.randn(count, 1, 1, 2, device=device) * 1.1
    return (places - middle) / longest * size + SIDE / 2 + shift


def drawn(points: Tensor, used: Tensor, radius: Tensor) -> Tensor:
    """Ink (N, 28, 28) of chains (N, S, P, 2) of a round pen, edges one pixel soft."""
    at = torch.arange(SIDE, device=points.device) + 0.5
    ink = torch.zeros(len(points), SIDE, SIDE, device=points.device)
    for n in range(points.shape[1]):
        there = used[:, n]
        if not bool(there.any()):
            continue
        chain, pen = points[there, n], radius[there]
        start, end = chain[:, :-1], chain[:, 1:]
        px, py = at[None, None, None, :], at[None, None, :, None]
        step = (end - start)[:, :, None, None]
        dx, dy = px - start[..., 0, None, None], py - start[..., 1, None, None]
        length = (step**2).sum(-1).clamp_min(1e-6)
        share = ((dx * step[..., 0] + dy * step[..., 1]) / length).clamp(0, 1)
        away = torch.hypot(dx - share * step[..., 0], dy - share * step[..., 1]).amin(1)
        ink[there] = torch.maximum(ink[there], (pen + 0.5 - away).clamp(0, 1))
    return ink


class Glyphs:
    """Pictures of fonts' digits.

    Args:
        masks: (N, 64, 64) uint8 light ink.
        digits: (N,) the digits.
        device: where they are made.
    """

    def __init__(self, masks: NDArray[np.uint8], digits: NDArray[np.int64], device: str) -> None:
        self._masks = torch.tensor(masks, device=device).float()[:, None] / 255
        self._digits = torch.tensor(digits, device=device)
        self._device = device

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        """(count, 1, 28, 28) pictures in 0..1 and their digits."""
        device = self._device
        chosen = torch.randint(0, len(self._digits), (count,), device=device)
        # A glyph fills its mask: zoomed so that it has 14 to 22 of 28 pixels.
        zoom = SIDE / torch.empty(count, 1, device=device).uniform_(14, 22)
        turn = torch.randn(count, 1, device=device) * 0.12
        slant = torch.randn(count, 1, device=device) * 0.15
        wide = torch.exp(torch.randn(count, 1, device=device) * 0.15)
        shift = torch.randn(count, 2, device=device) * 0.07
        rows = [
            torch.cat([zoom * wide * turn.cos(), zoom * (slant - turn.sin()), shift[:, :1]], 1),
            torch.cat([zoom * turn.sin(), zoom * turn.cos(), shift[:, 1:]], 1),
        ]
        grid = functional.affine_grid(
            torch.stack(rows, 1), [count, 1, 2 * SIDE, 2 * SIDE], align_corners=False
        )
        grid = grid + waves(count, device)
        made = functional.grid_sample(self._masks[chosen], grid, align_corners=False)
        return functional.avg_pool2d(made, 2), self._digits[chosen]


def waves(count: int, device: str) -> Tensor:
    """(count, 56, 56, 2) smooth random shifts of a sampling grid."""
    coarse = torch.randn(count, 2, 5, 5, device=device) * 0.06
    fine = functional.interpolate(coarse, size=2 * SIDE, mode="bicubic", align_corners=True)
    return fine.permute(0, 2, 3, 1)


def as_seen(ink: Tensor) -> Tensor:
    """Pictures as the recipe gives them: softened and speckled at random, then more contrast."""
    count = len(ink)
    soft = functional.avg_pool2d(ink, 3, 1, 1)
    share = torch.rand(count, 1, 1, 1, device=ink.device) * 0.8
    mixed = ink * (1 - share) + soft * share
    faint = torch.empty(count, 1, 1, 1, device=ink.device).uniform_(0.75, 1)
    noisy = (mixed * faint + torch.randn_like(mixed) * 0.03).clamp(0, 1)
    return torch.sigmoid(CONTRAST * (noisy - 0.5))


def glyphs(fonts: Sequence[Path], target: Path) -> None:
    """Render the digits of font files; families are kept by their files' names."""
    # Late: only this step draws with fonts.
    from PIL import Image, ImageDraw, ImageFont

    masks, digits, names = [], [], []
    for path in fonts:
        try:
            font = ImageFont.truetype(str(path), 160)
        except OSError:
            continue
        for digit in range(10):
            picture = Image.new("L", (400, 400), 0)
            ImageDraw.Draw(picture).text((100, 80), str(digit), 255, font=font)
            box = picture.getbbox()
            if box is None:
                break
            cut = picture.crop(box)
            side = max(cut.size)
            square = Image.new("L", (side, side), 0)
            square.paste(cut, ((side - cut.width) // 2, (side - cut.height) // 2))
            masks.append(np.asarray(square.resize((GLYPH_SIDE, GLYPH_SIDE))))
            digits.append(digit)
            names.append(path.stem)
    np.savez_compressed(
        target, masks=np.array(masks), digits=np.array(digits), names=np.array(names)
    )


def train(
    net: nn.Module, strokes: Strokes, fonts: Glyphs, steps: int, batch: int, device: str
) -> None:
    """Train from random weights, AdamW on a cosine, two thirds strokes, one third fonts."""
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    net.train()
    for step in range(steps):
        parts = [strokes.sample(batch * 2 // 3), fonts.sample(batch // 3)]
        pictures = as_seen(torch.cat([part[0] for part in parts]))
        wanted = torch.cat([part[1] for part in parts])
        loss = functional.cross_entropy(net(pictures), wanted, label_smoothing=0.03)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(step, round(loss.item(), 4), device, flush=True)
    net.eval()


@torch.no_grad()
def right(net: nn.Module, made: Strokes | Glyphs, count: int = 20_000) -> float:
    """Share of fresh pictures that are read right."""
    hits = 0
    for _ in range(count // 2000):
        pictures, wanted = made.sample(2000)
        hits += int((net(as_seen(pictures)).argmax(1) == wanted).sum())
    return hits / (count // 2000 * 2000)


def write_onnx(net: nn.Sequential, target: Path) -> None:
    """Write the network, normalisation folded in, with its labels and recipe."""
    nodes, tensors, value = [], [], "input"
    more: dict[str, Any]
    layers, at = list(net.cpu().double()), 0
    while at < len(layers):
        layer, name = layers[at], f"layer{at}"
        if isinstance(layer, nn.Conv2d):
            norm = layers[at + 1]
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight = layer.weight * scale.view(-1, 1, 1, 1)
            bias = (layer.bias - norm.running_mean) * scale + norm.bias
            at += 1
            kind, more = "Conv", {"pads": [2, 2, 2, 2], "kernel_shape": [5, 5]}
        elif isinstance(layer, nn.Linear):
            weight, bias = layer.weight, layer.bias
            kind, more = "Gemm", {"transB": 1}
        else:
            kinds: dict[type, tuple[str, dict[str, Any]]] = {
                nn.ReLU: ("Relu", {}),
                nn.Flatten: ("Flatten", {}),
            }
            pool = ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]})
            kind, more = kinds.get(type(layer), pool)
            if not isinstance(layer, nn.Dropout):
                nodes.append(helper.make_node(kind, [value], [name], name=name, **more))
                value = name
            at += 1
            continue
        values = [(f"{name}_weight", weight), (f"{name}_bias", bias)]
        for title, tensor in values:
            array = tensor.detach().numpy().astype(np.float32)
            tensors.append(numpy_helper.from_array(array, title))
        inputs = [value, *(title for title, _ in values)]
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **more))
        value, at = name, at + 1
    nodes.append(helper.make_node("Softmax", [value], ["probabilities"], axis=1))
    shape = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "twinlens-digits",
        [shape("input", TensorProto.FLOAT, [1, 1, SIDE, SIDE])],
        [shape("probabilities", TensorProto.FLOAT, [1, 10])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    recipe = {
        "width": SIDE, "height": SIDE, "color": "GRAY", "contrast": CONTRAST,
        "scale": -1 / 255, "mean": [-1.0], "std": [1.0],
    }  # fmt: skip
    said = {"labels": json.dumps(list("0123456789")), "twinlens.recipe": json.dumps(recipe)}
    helper.set_model_props(model, said)
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString())


def main() -> None:
    """Train, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("glyphs", type=Path, help="made of fonts where it is missing")
    parser.add_argument("target", type=Path)
    parser.add_argument("--fonts", type=Path, nargs="*", default=[])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    if chosen.fonts:
        glyphs(chosen.fonts, chosen.glyphs)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(chosen.seed)
    stored = np.load(chosen.glyphs)
    held = np.array([str(name).startswith(_HELD_OUT) for name in stored["names"]])
    seen, unseen = (
        Glyphs(stored["masks"][part], stored["digits"][part], device) for part in (~held, held)
    )
    strokes, net = Strokes(device), network().to(device)
    train(net, strokes, seen, chosen.steps, chosen.batch, device)
    figures = {"strokes": right(net, strokes), "fonts": right(net, seen)}
    figures["fonts held out"] = right(net, unseen)
    print(json.dumps(figures))
    write_onnx(net, chosen.target)


if __name__ == "__main__":
    main()
