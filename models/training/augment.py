"""Augmentation on the device: crop, turn, colour, then several pictures in one.

Teacher and student see the same result (consistent teaching, Beyer et al. 2022), so a mixture
needs no mixed label: the teachers say what is in it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def crop_and_turn(pictures: Tensor, size: int, smallest_area: float = 0.2) -> Tensor:
    """Random crops of (N, 3, H, W) in -1..1 to `size`, mirrored by half, a third turned."""
    count, device = len(pictures), pictures.device
    area = torch.empty(count, device=device).uniform_(smallest_area, 1.0)
    shape = torch.empty(count, device=device).uniform_(math.log(0.75), math.log(4 / 3)).exp()
    width = (area * shape).sqrt().clamp(max=1.0)
    height = (area / shape).sqrt().clamp(max=1.0)
    x = (torch.rand(count, device=device) * 2 - 1) * (1 - width)
    y = (torch.rand(count, device=device) * 2 - 1) * (1 - height)
    mirror = (torch.rand(count, device=device) < 0.5).float() * 2 - 1
    turned = (torch.rand(count, device=device) < 0.3).float()
    angle = turned * torch.randn(count, device=device) * 0.2
    first = torch.stack([width * mirror * angle.cos(), -height * angle.sin(), x], 1)
    second = torch.stack([width * mirror * angle.sin(), height * angle.cos(), y], 1)
    grid = functional.affine_grid(
        torch.stack([first, second], 1), [count, 3, size, size], align_corners=False
    )
    return functional.grid_sample(
        pictures, grid.to(pictures.dtype), padding_mode="reflection", align_corners=False
    )


def jitter(pictures: Tensor, amount: float = 0.3) -> Tensor:
    """Random brightness, contrast and saturation, each by up to `amount`."""

    def factor() -> Tensor:
        shape = (len(pictures), 1, 1, 1)
        noise = torch.rand(shape, device=pictures.device, dtype=pictures.dtype) * 2 - 1
        return 1 + noise * amount

    y = (pictures + 1) / 2 * factor()
    mean = y.mean((1, 2, 3), keepdim=True)
    y = (y - mean) * factor() + mean
    grey = y.mean(1, keepdim=True)
    y = (y - grey) * factor() + grey
    return y.clamp(0, 1) * 2 - 1


def mixup(pictures: Tensor) -> Tensor:
    """Each picture blended with another (Zhang et al. 2018), its own share for each."""
    shape = (len(pictures), 1, 1, 1)
    share = torch.rand(shape, device=pictures.device, dtype=pictures.dtype)
    return share * pictures + (1 - share) * pictures.flip(0)


def cutmix(pictures: Tensor) -> Tensor:
    """A rectangle of each picture replaced by another's (Yun et al. 2019)."""
    count, _, height, width = pictures.shape
    device = pictures.device
    side = torch.rand(count, 1, device=device).sqrt()
    centre = torch.rand(2, count, 1, device=device)
    rows = torch.arange(height, device=device)[None] / height
    columns = torch.arange(width, device=device)[None] / width
    inside_rows = (rows - centre[0]).abs() < side / 2
    inside_columns = (columns - centre[1]).abs() < side / 2
    inside = (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]
    return torch.where(inside, pictures.flip(0), pictures)


def mosaic(pictures: Tensor) -> Tensor:
    """Four pictures, each at half the size, in one."""
    half = pictures.shape[-1] // 2
    small = functional.interpolate(pictures, (half, half), mode="bilinear", antialias=False)
    parts = [small.roll(shift, 0) for shift in (0, 1, 2, 3)]
    top, bottom = torch.cat(parts[:2], 3), torch.cat(parts[2:], 3)
    return torch.cat([top, bottom], 2)


def augment(stored: Tensor, size: int, way: str, dtype: torch.dtype = torch.float16) -> Tensor:
    """From stored (N, H, W, 3) uint8 to the (N, 3, size, size) batch that all networks see.

    `way` is "plain", "mixup", "cutmix" or "mosaic".
    """
    y = stored.permute(0, 3, 1, 2).to(dtype) / 127.5 - 1
    y = jitter(crop_and_turn(y, size))
    ways = {"mixup": mixup, "cutmix": cutmix, "mosaic": mosaic}
    if way in ways:
        y = ways[way](y)
    return y.contiguous(memory_format=torch.channels_last)
