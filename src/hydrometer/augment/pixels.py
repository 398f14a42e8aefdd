"""Pixels as numbers: uint8, or float with 1.0 for white."""

from __future__ import annotations

import torch
from torch import Tensor


def as_float(images: Tensor) -> Tensor:
    """Images as float with 1.0 for white, at least float32; uint8 is divided by 255."""
    if images.dtype == torch.uint8:
        return images.float() / 255
    return images.to(torch.promote_types(images.dtype, torch.float32))
