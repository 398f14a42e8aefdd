"""Exact gradients through a stretch of training, in the memory of a single step.

Training runs forward without a graph and keeps its parameter vectors; the chain rule is then walked
backwards, with one double-backward at each step (Maclaurin, Duvenaud and Adams, "Gradient-based
hyperparameter optimization through reversible learning", ICML 2015, algorithm 2, with the vectors
kept instead of being recomputed).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

StepLoss = Callable[[Tensor, Tensor, Tensor, int], Tensor]
"""The training loss of one step, from parameters (p,), images, labels and the number of the step."""
EndLoss = Callable[[Tensor], Tensor]
"""What is wanted to be small, from the last parameters (p,)."""


@dataclass(frozen=True)
class Gradient:
    """Value of the end loss and its gradients.

    `labels` is None where labels are whole numbers. `rate` is the derivative by the learning rate.
    """

    loss: Tensor
    images: Tensor
    labels: Tensor | None
    rate: Tensor


@dataclass(frozen=True)
class _Forward:
    """Parameters before every step and after the last (t + 1, p), and velocities after every step."""

    weights: list[Tensor]
    velocities: list[Tensor]


def through_training(
    loss: StepLoss,
    end: EndLoss,
    start: Tensor,
    images: Tensor,
    labels: Tensor,
    rate: float,
    steps: int,
    *,
    momentum: float = 0.0,
    truncated: bool = False,
) -> Gradient:
    """Gradients of `end` after `steps` of SGD from `start`, by images, labels and learning rate.

    With v' = m v + g and θ' = θ − α v', the adjoints are λ = ∂L/∂θ and q = ν − α λ of v': going
    back, ∂L/∂α −= ⟨v', λ⟩, the derivatives of ⟨g, q⟩ by images, labels and θ are added to theirs,
    and ν = m q. Equal to the derivative of the fully unrolled training up to rounding.

    `truncated` leaves out the derivative by θ, so that λ stays what it is at the end: the gradient
    of TESLA's code (Cui, Wang, Si and Hsieh, ICML 2023, arXiv 2211.10586), which is not this
    gradient. Every call of `loss` with the same step must give the same value.
    """
    images, labels = images.detach().requires_grad_(), labels.detach()
    inputs = [images]
    if labels.is_floating_point():
        inputs.append(labels.requires_grad_())
    path = _train(loss, start, images, labels, rate, steps, momentum)
    last = path.weights[-1].requires_grad_()
    value = end(last)
    (pull,) = torch.autograd.grad(value, last)
    sums = [torch.zeros_like(x) for x in inputs]
    rate_sum = torch.zeros((), dtype=start.dtype, device=start.device)
    carried = torch.zeros_like(pull)
    for step in reversed(range(steps)):
        weights = path.weights[step].detach().requires_grad_()
        (slope,) = torch.autograd.grad(
            loss(weights, images, labels, step), weights, create_graph=True
        )
        velocity = path.velocities[step] if momentum else slope.detach()
        rate_sum -= velocity @ pull
        push = carried - rate * pull
        wanted = inputs if truncated else [*inputs, weights]
        found = torch.autograd.grad(slope @ push, wanted, allow_unused=True, materialize_grads=True)
        for total, part in zip(sums, found, strict=False):
            total += part
        if not truncated:
            pull = pull + found[-1]
        carried = momentum * push
    return Gradient(value.detach(), sums[0], sums[1] if len(sums) > 1 else None, rate_sum)


def _train(
    loss: StepLoss,
    start: Tensor,
    images: Tensor,
    labels: Tensor,
    rate: float,
    steps: int,
    momentum: float,
) -> _Forward:
    """Plain training without a graph across steps."""
    images, labels = images.detach(), labels.detach()
    weights, velocities, velocity = [start.detach()], [], torch.zeros_like(start)
    for step in range(steps):
        here = weights[-1].detach().requires_grad_()
        (slope,) = torch.autograd.grad(loss(here, images, labels, step), here)
        velocity = momentum * velocity + slope
        if momentum:
            velocities.append(velocity)
        weights.append(weights[-1] - rate * velocity)
    return _Forward(weights, velocities)
