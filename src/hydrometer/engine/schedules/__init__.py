"""Learning-rate schedules: the factor on the recipe's rate, from where a step stands in the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """Where a step stands: `epoch` of `epochs`, `step` of `steps`, all counted from zero."""

    epoch: int
    epochs: int
    step: int
    steps: int


class Schedule(Protocol):
    """Maps progress to the factor on the learning rate."""

    def __call__(self, at: Progress) -> float:
        """The factor, usually in [0, 1]."""
