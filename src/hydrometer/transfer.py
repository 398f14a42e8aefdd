"""The way of numbers from the host to a device, where they are needed while the device works."""

from __future__ import annotations

import torch
from torch import Tensor


def handed(known: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device, by way of pinned memory, so that the host does not wait."""
    if device.type != "cuda":
        return known.to(device)
    return known.pin_memory().to(device, non_blocking=True)
