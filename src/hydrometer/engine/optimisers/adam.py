"""Adam, as in torch.optim.Adam: Kingma and Ba, ICLR 2015, algorithm 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hydrometer.engine.optimisers import Rate, within
from hydrometer.engine.optimisers.adamw import Adamw
from hydrometer.registry import register


@register("optimiser")
class Adam:
    """Adam; its weight decay is added to the gradient, unlike AdamW's."""

    def __init__(
        self,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.inner = Adamw(beta1=beta1, beta2=beta2, eps=eps, weight_decay=0.0)
        self.weight_decay = within("weight_decay", weight_decay)

    def start(self, params: Sequence[Tensor], matrix: Sequence[bool]) -> None:
        """Start from zero moments."""
        self.inner.start(params, matrix)

    def step(self, params: Sequence[Tensor], grads: Sequence[Tensor], rate: Rate) -> None:
        """Take AdamW's step without its decay, on the decayed gradient."""
        decayed = list(torch._foreach_add(list(grads), list(params), alpha=self.weight_decay))
        self.inner.step(params, decayed, rate)

    def state(self) -> list[Tensor]:
        """AdamW's moments."""
        return self.inner.state()

    def resume(self, state: Sequence[Tensor], steps: int) -> None:
        """Go on with AdamW's moments."""
        self.inner.resume(state, steps)
