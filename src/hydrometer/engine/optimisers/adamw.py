"""AdamW, as in torch.optim.AdamW: Loshchilov and Hutter, ICLR 2019, algorithm 2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hydrometer.engine.optimisers import Rate, scaled, within
from hydrometer.registry import register


@register("optimiser")
class Adamw:
    """Adam with decoupled weight decay; `decay_vectors=False` spares biases and norms."""

    def __init__(
        self,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        decay_vectors: bool = True,
    ) -> None:
        self.betas = within("beta1", beta1, below=1), within("beta2", beta2, below=1)
        self.eps, self.weight_decay = within("eps", eps), within("weight_decay", weight_decay)
        self.decay_vectors = decay_vectors
        self.mean: list[Tensor] = []
        self.square: list[Tensor] = []
        self.decayed: list[int] = []
        self.steps = 0

    def start(self, params: Sequence[Tensor], matrix: Sequence[bool]) -> None:
        """Start from zero moments."""
        self.mean = [torch.zeros_like(p) for p in params]
        self.square = [torch.zeros_like(p) for p in params]
        self.decayed = [i for i, m in enumerate(matrix) if m or self.decay_vectors]
        self.steps = 0

    def step(self, params: Sequence[Tensor], grads: Sequence[Tensor], rate: Rate) -> None:
        """Decay, then move along the bias-corrected mean over the root of the square."""
        self.steps += 1
        beta1, beta2 = self.betas
        if self.decayed and self.weight_decay:
            shrunk = [params[i] for i in self.decayed]
            torch._foreach_sub_(shrunk, scaled(scaled(shrunk, self.weight_decay), rate))
        torch._foreach_lerp_(self.mean, list(grads), 1 - beta1)
        torch._foreach_mul_(self.square, beta2)
        torch._foreach_addcmul_(self.square, list(grads), list(grads), 1 - beta2)
        root = torch._foreach_sqrt(self.square)
        torch._foreach_div_(root, (1 - beta2**self.steps) ** 0.5)
        torch._foreach_add_(root, self.eps)
        move = torch._foreach_div(self.mean, root)
        torch._foreach_div_(move, 1 - beta1**self.steps)
        torch._foreach_sub_(list(params), scaled(move, rate))

    def state(self) -> list[Tensor]:
        """Means, then squares, of every parameter's gradient."""
        return [*self.mean, *self.square]

    def resume(self, state: Sequence[Tensor], steps: int) -> None:
        """Go on with these moments, corrected for so many steps."""
        half = len(state) // 2
        self.mean, self.square, self.steps = list(state[:half]), list(state[half:]), steps
