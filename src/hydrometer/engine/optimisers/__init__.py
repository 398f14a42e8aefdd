"""Optimisers as plain updates of parameter lists, for one student or for a stack of students.

torch.optim holds one learning rate for each optimiser object; a cohort needs one for each student.
Each class here is checked against its torch.optim namesake.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from hydrometer.types import HydrometerError

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


@runtime_checkable
class Climber(Optimiser, Protocol):
    """An optimiser that wants the gradient at a second point too, before it steps."""

    def climb(self, params: Sequence[Tensor], grads: Sequence[Tensor], rate: Rate) -> list[Tensor]:
        """How far that point lies from each parameter; `rate` only tells whether they are stacked."""

    def blend(self, grads: Sequence[Tensor], above: Sequence[Tensor], rate: Rate) -> list[Tensor]:
        """What to hand to `step`, from the gradients here and at the second point."""


def within(name: str, value: float, low: float = 0.0, below: float = math.inf) -> float:
    """The value of an argument.

    Raises:
        HydrometerError: It is not in [low, below).
    """
    if not low <= value < below:
        end = "" if below == math.inf else f", below {below:g}"
        raise HydrometerError(f"{name}={value} is out of range: at least {low:g}{end}")
    return value


def scaled(tensors: Sequence[Tensor], rate: Rate) -> list[Tensor]:
    """Each tensor times the rate of the student it belongs to."""
    if isinstance(rate, float):
        return list(torch._foreach_mul(list(tensors), rate))
    return [t * rate.view(-1, *[1] * (t.dim() - 1)) for t in tensors]


def inner(one: Sequence[Tensor], other: Sequence[Tensor], rate: Rate) -> Tensor:
    """Inner product () of two lists of tensors, or (k,) for each of k stacked students."""
    products = (a * b for a, b in zip(one, other, strict=True))
    if isinstance(rate, float):
        return torch.stack([p.sum() for p in products]).sum()
    return torch.stack([p.reshape(len(p), -1).sum(1) for p in products]).sum(0)
