"""Optimisers as plain updates of parameter lists, for one student or for a stack of students.

torch.optim holds one learning rate for each optimiser object; a cohort needs one for each student.
Each class here is checked against its torch.optim namesake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

Rate = float | Tensor
"""One learning rate, or (k,) of them for parameters stacked over k students."""


class Optimiser(Protocol):
    """Updates parameters in place from gradients, keeping its own state."""

    def start(self, params: Sequence[Tensor], matrix: Sequence[bool]) -> None:
        """Allocate state; `matrix` marks the weights that are matrices or kernels, not vectors."""

    def step(self, params: Sequence[Tensor], grads: Sequence[Tensor], rate: Rate) -> None:
        """Take one step; parameters, gradients and state must stay in the same order."""

    def state(self) -> list[Tensor]:
        """Every tensor that later steps need."""

    def resume(self, state: Sequence[Tensor], steps: int) -> None:
        """Go on from the state after so many steps."""


def scaled(tensors: Sequence[Tensor], rate: Rate) -> list[Tensor]:
    """Each tensor times the rate of the student it belongs to."""
    if isinstance(rate, float):
        return list(torch._foreach_mul(list(tensors), rate))
    return [t * rate.view(-1, *[1] * (t.dim() - 1)) for t in tensors]
