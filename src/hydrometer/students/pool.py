"""2x2 average pooling, as a matrix product where that is much faster."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F


def halve(images: Tensor) -> Tensor:
    """The mean of every 2x2 tile of (n, c, h, w); an odd side loses its last pixel.

    On a processor torch's pooling costs as much as a convolution. Two rows of an image are 2w numbers
    in a line, so pooling them is one product with a constant (2w, w/2) matrix: an order of magnitude
    faster forward and backward there, the same to rounding (docs/performance.md). It needs lines of
    pixels, which images with channels last do not have, and a compiled step brings its own pooling.
    """
    height, width = images.shape[-2:]
    elsewhere = images.device.type != "cpu" or torch.compiler.is_compiling()
    if elsewhere or height % 2 or width % 2 or _channels_last(images):
        return F.avg_pool2d(images, 2)
    lines = images.reshape(*images.shape[:-2], height // 2, 2 * width)
    return lines @ _quarters(width, images.dtype)


def _channels_last(images: Tensor) -> bool:
    return images.shape[1] > 1 and images.stride(1) == 1


@cache
def _quarters(width: int, dtype: torch.dtype) -> Tensor:
    matrix = torch.zeros(2 * width, width // 2)
    column = torch.arange(width)
    matrix[column, column // 2] = 0.25
    matrix[width + column, column // 2] = 0.25
    return matrix.to(dtype)
