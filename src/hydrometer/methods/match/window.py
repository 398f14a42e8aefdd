"""One stretch of an expert's training, and what synthetic images must do to reproduce it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hydrometer.methods.match.experts import Expert
from hydrometer.methods.match.networks import Network
from hydrometer.methods.match.siamese import Views
from hydrometer.methods.match.trajectory import Gradient, through_training
from hydrometer.types import HydrometerError


@dataclass(frozen=True)
class Window:
    """Weights (p,) to start from and to arrive at."""

    start: Tensor
    goal: Tensor


def pick(
    experts: Sequence[Expert],
    first: int,
    last: int,
    span: int,
    rng: np.random.Generator,
    device: torch.device,
) -> Window:
    """`span` epochs of a random expert from a random epoch in `first` to `last` - 1 on."""
    expert = experts[int(rng.integers(len(experts)))]
    epoch = int(rng.integers(first, last))
    return Window(expert.at(epoch).to(device), expert.at(epoch + span).to(device))


def refuse_bad_window(first: int, last: int, span: int, epochs: int) -> None:
    """Raise an error unless windows of these starts lie within the experts' training."""
    if not (0 <= first < last and span >= 1 and last - 1 + span <= epochs):
        raise HydrometerError(
            f"windows of {span} epochs from epochs {first} to {last - 1} do not lie in {epochs} "
            "expert epochs; lower max_start or span, or raise epochs"
        )


@dataclass(frozen=True)
class Rollout:
    """Training on the synthetic images: `steps` of plain SGD on minibatches, each with its view."""

    network: Network
    views: Views
    steps: int
    batch: int
    truncated: bool

    def match(self, window: Window, images: Tensor, labels: Tensor, rate: float) -> Gradient:
        """Normalised distance ‖θ_T − θ*_{s+M}‖² / ‖θ*_s − θ*_{s+M}‖², and its gradients.

        `labels` (n,) int64 are fixed, (n, k) float logits are learned.
        """
        rows = self._minibatches(len(images))
        draws = [self.views.draw(1, len(r)) for r in rows]

        def loss(weights: Tensor, seen: Tensor, taught: Tensor, step: int) -> Tensor:
            view = self.views(seen[rows[step]][None], draws[step])[0]
            wanted = taught[rows[step]]
            target = wanted.softmax(-1) if wanted.is_floating_point() else wanted
            return F.cross_entropy(self.network(weights, view), target)

        distance = (window.start - window.goal).square().sum()

        def end(weights: Tensor) -> Tensor:
            return (weights - window.goal).square().sum() / distance

        return through_training(
            loss, end, window.start, images, labels, rate, self.steps, truncated=self.truncated
        )

    def _minibatches(self, n: int) -> list[Tensor]:
        """Rows of every step: pieces of one permutation after another."""
        size = min(self.batch or n, n)
        rows: list[Tensor] = []
        while len(rows) < self.steps:
            order = torch.from_numpy(self.views.rng.permutation(n)).to(self.views.device)
            rows += torch.split(order, size)
        return rows[: self.steps]
