"""Look up partners within each student's batch."""

from __future__ import annotations

import torch
from torch import Tensor


def rows_of(batches: Tensor, partner: Tensor) -> Tensor:
    """Rows `partner` (k, b) of each of k batches (k, b, ...), labels or images alike."""
    student = torch.arange(len(batches), device=batches.device)[:, None]
    return batches[student, partner]
