"""GSAM: descent to weights whose neighbours are good too."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hydrometer.engine.optimisers import Rate, inner, scaled, within
from hydrometer.engine.optimisers.sgd import Sgd
from hydrometer.registry import register

_EPS = 1e-12


@register("optimiser")
class Gsam:
    """SGD along g' − α g⊥, where g' is the gradient a step uphill and g⊥ the part of g across it.

    Uphill is ε = ρ θ² g / ‖θ g‖, element by element, or with `adaptive=False` ε = ρ g / ‖g‖, which is
    SAM for α = 0. Zhuang et al., "Surrogate Gap Minimization Improves Sharpness-Aware Training" (ICLR
    2022, arXiv 2203.08065), algorithm 1, at a constant ρ; the adaptive ε is ASAM's, Kwon et al. (ICML
    2021, arXiv 2102.11600). Defaults of ρ and α are those of FTD (arXiv 2211.11004). Two gradients a
    step; running statistics of batch norm see both passes, which the authors' code avoids.
    """

    def __init__(
        self,
        *,
        rho: float = 0.01,
        alpha: float = 0.3,
        adaptive: bool = True,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
    ) -> None:
        self.rho, self.alpha, self.adaptive = within("rho", rho), alpha, adaptive
        self.base = Sgd(momentum=momentum, weight_decay=weight_decay)

    def start(self, params: Sequence[Tensor], matrix: Sequence[bool]) -> None:
        """Start from zero velocity."""
        self.base.start(params, matrix)

    def climb(self, params: Sequence[Tensor], grads: Sequence[Tensor], rate: Rate) -> list[Tensor]:
        """The step uphill ε, one tensor for each parameter."""
        up = list(grads)
        if self.adaptive:
            up = [p * p * g for p, g in zip(params, grads, strict=True)]
        # ‖θ g‖² = ⟨θ² g, g⟩, and without θ it is ‖g‖².
        return scaled(up, self.rho / (inner(up, grads, rate) ** 0.5 + _EPS))

    def blend(self, grads: Sequence[Tensor], above: Sequence[Tensor], rate: Rate) -> list[Tensor]:
        """The direction, from the gradient here and the one uphill."""
        along = inner(grads, above, rate) / (inner(above, above, rate) + _EPS)
        kept = scaled(above, 1 + self.alpha * along)
        return list(torch._foreach_sub(kept, list(grads), alpha=self.alpha))

    def step(self, params: Sequence[Tensor], grads: Sequence[Tensor], rate: Rate) -> None:
        """Take SGD's step along gradients that were blended."""
        self.base.step(params, grads, rate)

    def state(self) -> list[Tensor]:
        """SGD's velocities."""
        return self.base.state()

    def resume(self, state: Sequence[Tensor], steps: int) -> None:
        """Go on with SGD's velocities."""
        self.base.resume(state, steps)
