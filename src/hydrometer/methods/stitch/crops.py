"""Random crops of images, shrunk with antialiasing, many at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hydrometer.augment.geometry import CROP_DRAWS, Boxes, crops

_CHUNK_BYTES = 2**27


@dataclass(frozen=True)
class Crops:
    """Crops (n, k, c, h, w) uint8 of n images, and their boxes, each field (n, k)."""

    images: Tensor
    boxes: Boxes


def random_crops(
    images: Tensor,
    count: int,
    size: tuple[int, int],
    *,
    scale_min: float,
    rng: np.random.Generator,
) -> Crops:
    """`count` square crops of each image (n, c, h, w) uint8, resized to `size`.

    A crop covers `scale_min` to all of the area; the box is torchvision's RandomResizedCrop at ratio
    1, the resizing bilinear with antialiasing, rounded to the uint8 that will be stored.
    """
    n, c, h, w = images.shape
    u = torch.from_numpy(rng.random((n, count, CROP_DRAWS), dtype=np.float32))
    boxes = crops(u, (scale_min, 1.0), (1.0, 1.0), h, w)
    step = max(1, _CHUNK_BYTES // (4 * count * c * h * w))
    parts = [
        _resized(images[i : i + step], _rows(boxes, slice(i, i + step)), size)
        for i in range(0, n, step)
    ]
    return Crops(torch.cat(parts) if parts else images.new_empty(0, count, c, *size), boxes)


def _rows(boxes: Boxes, rows: slice) -> Boxes:
    return Boxes(boxes.top[rows], boxes.left[rows], boxes.height[rows], boxes.width[rows])


def _resized(images: Tensor, boxes: Boxes, size: tuple[int, int]) -> Tensor:
    tall = _triangles(boxes.top, boxes.height, size[0], images.shape[-2]).unsqueeze(2)
    wide = _triangles(boxes.left, boxes.width, size[1], images.shape[-1]).unsqueeze(2)
    return (tall @ images.float().unsqueeze(1) @ wide.mT).round().to(torch.uint8)


def _triangles(start: Tensor, length: Tensor, new: int, old: int) -> Tensor:
    """Weights (..., new, old) of a triangle filter within a stretch of pixels, as wide as it shrinks."""
    start, length = start[..., None, None], length[..., None, None]
    scale = length / new
    centre = start + (torch.arange(new)[:, None] + 0.5) * scale
    pixel = torch.arange(old)
    weight = (1 - (pixel + 0.5 - centre).abs() / scale.clamp(min=1)).clamp(min=0)
    weight = weight * ((pixel >= start) & (pixel < start + length))
    return weight / weight.sum(-1, keepdim=True)
