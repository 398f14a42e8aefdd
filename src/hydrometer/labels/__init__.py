"""Label regimes: which soft targets, if any, supervise a batch.

Hard labels are always at hand; a regime adds logits for the batch. `mixes` says whether those logits
belong to the unmixed image, so that the partner's logits must be mixed in as its hard label is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor


class Regime(Protocol):
    """Gives the soft targets of a batch, or none."""

    mixes: bool

    def soft(self, rows: Tensor, images: Tensor) -> Tensor | None:
        """Logits (k, b, classes) for set rows (k, b) seen as augmented images (k, b, c, h, w)."""


Teachers = Sequence[Callable[[Tensor], Tensor]]
"""Functions from a student's whitened images (n, c, h, w) to logits (n, classes)."""
