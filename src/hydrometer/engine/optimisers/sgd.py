"""Stochastic gradient descent with momentum, as in torch.optim.SGD."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hydrometer.engine.optimisers import Rate, scaled, within
from hydrometer.registry import register


@register("optimiser")
class Sgd:
    """SGD with heavy-ball or Nesterov momentum; weight decay acts on every parameter."""

    def __init__(
        self, *, momentum: float = 0.9, weight_decay: float = 5e-4, nesterov: bool = False
    ) -> None:
        self.momentum, self.nesterov = within("momentum", momentum, below=1), nesterov
        self.weight_decay = within("weight_decay", weight_decay)
        self.velocity: list[Tensor] = []

    def start(self, params: Sequence[Tensor], matrix: Sequence[bool]) -> None:
        """Start from zero velocity."""
        self.velocity = [torch.zeros_like(p) for p in params]

    def step(self, params: Sequence[Tensor], grads: Sequence[Tensor], rate: Rate) -> None:
        """V <- momentum v + (g + weight_decay p); p <- p - rate v."""
        push = list(torch._foreach_add(list(grads), list(params), alpha=self.weight_decay))
        torch._foreach_mul_(self.velocity, self.momentum)
        torch._foreach_add_(self.velocity, push)
        if self.nesterov:
            torch._foreach_add_(push, self.velocity, alpha=self.momentum)
        move = push if self.nesterov else self.velocity
        if isinstance(rate, float):
            torch._foreach_add_(list(params), move, alpha=-rate)
        else:
            torch._foreach_sub_(list(params), scaled(move, rate))

    def state(self) -> list[Tensor]:
        """The velocity of every parameter."""
        return self.velocity

    def resume(self, state: Sequence[Tensor], steps: int) -> None:
        """Go on with these velocities."""
        self.velocity = list(state)
