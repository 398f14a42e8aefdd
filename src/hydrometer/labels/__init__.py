"""Label regimes: which soft targets, if any, supervise a batch.

Hard labels are always at hand; a regime adds logits for the batch. `mixes` says whether those logits
belong to the unmixed image, so that the partner's logits must be mixed in as its hard label is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from hydrometer.labels.shards import LabelBank


class Regime(Protocol):
    """Gives the soft targets of a batch, or none."""

    mixes: bool

    def soft(self, rows: Tensor, images: Tensor, step: int) -> Tensor | None:
        """Logits (k, b, classes) for set rows (k, b) seen as augmented images (k, b, c, h, w).

        `step` is the step of the views: their draws are those of this step.
        """


Teachers = Sequence[Callable[[Tensor], Tensor]]
"""Functions from a student's whitened images (n, c, h, w) to logits (n, classes)."""


class Supplies(NamedTuple):
    """What regimes are built from: stored logits, teachers, and a bank of labels, where there are any.

    `stored` is (n, classes), or (k, n, classes) for a cohort whose sets differ.
    """

    stored: Tensor | None = None
    teachers: Teachers = ()
    bank: LabelBank | None = None
