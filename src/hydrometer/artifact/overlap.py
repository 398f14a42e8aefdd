"""Images that two collections share exactly."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def same_images(images: Tensor, others: Tensor) -> int:
    """How many of `images` (n, c, h, w) are, pixel for pixel at eight bits, among `others`."""
    if not len(images) or not len(others):
        return 0
    known = set(_marks(others))
    return sum(mark in known for mark in _marks(images))


def _marks(images: Tensor) -> list[bytes]:
    if images.dtype != torch.uint8:
        images = (images * 255).round().clamp(0, 255).to(torch.uint8)
    return [
        hashlib.blake2b(row.numpy().data, digest_size=12).digest() for row in images.contiguous()
    ]
