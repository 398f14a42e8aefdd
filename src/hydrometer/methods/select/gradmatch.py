"""GradMatch: keep the images whose weighted gradients add up to the gradient of the class."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from hydrometer.methods.select.greedy import greedy
from hydrometer.methods.select.last_layer import Gradients, gradients
from hydrometer.methods.select.observer import see
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Source, Spec

FLOOR = 1e-3
"""Least weight, as a share of the mean: the loss of a batch of zero weights would have no mean."""


@register("method")
def gradmatch(
    source: Source,
    budget: Budget,
    *,
    penalty: float = 0.001,
    epochs: int = 1,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep, class by class, images and weights w >= 0 that minimise ||sum w_i g_i - sum g||^2.

    To this is added penalty * mean ||g||^2 * ||w||^2. Direction: the order of orthogonal matching
    pursuit, and the only one. The set carries the weights. Orders are nested, weights are not.
    Gradients are exact, of the last layer and its bias, in a network trained for `epochs`: in one
    that knows its images, those of the few it finds hard are all there is to match.

    Killamsetty et al., "GRAD-MATCH" (ICML 2021), algorithm 2. Deviations: each step takes the image
    that lowers the objective most, where algorithm 2 takes the largest product with the residual,
    and with it the longest gradients, which are the hardest images; the penalty is in units of the
    class's mean squared gradient, so that it means the same early and late in training; images are
    chosen once, where the original chooses anew as its student learns; the budget is always filled,
    images that only raise the error weighing a thousandth of the mean instead of being left out.

    Raises:
        HydrometerError: `penalty` is not positive, or `epochs` is below 1.
    """
    if penalty <= 0:
        raise HydrometerError(f"penalty={penalty} is out of range; give more than 0")
    if epochs < 1:
        raise HydrometerError(f"epochs={epochs} is out of range; give at least 1")
    seen = see(source, epochs=epochs)

    def own(members: Tensor) -> Gradients:
        return gradients(seen.features[members], seen.logits[members], source.train.labels[members])

    def choose(members: Tensor, count: int) -> Tensor:
        return pursue(own(members), count, penalty)

    def weigh(members: Tensor, chosen: Tensor) -> Tensor:
        return positive(fit(own(members), chosen, penalty))

    method = Spec("gradmatch", (("epochs", epochs), ("penalty", penalty)))
    return greedy(source, budget, choose, method=method, seconds=seen.seconds, weigh=weigh)


def pursue(own: Gradients, count: int, penalty: float) -> Tensor:
    """Positions (count,) by matching pursuit: the image whose weight lowers the objective most, next.

    Beside a residual r, a weight on image j alone can lower it by <g_j, r>^2 / (||g_j||^2 + ridge), if
    the product is positive. The residual is what the best non-negative combination of those chosen
    leaves of the sum; the lowest position wins ties.
    """
    target = residual = own.total()
    lengths = (own.squares() + ridge_of(own, penalty)).sqrt()
    taken = torch.zeros(len(own.errors), dtype=torch.bool)
    order: list[int] = []
    for _ in range(count):
        gain = own.along(residual) / lengths
        best = int(gain.masked_fill(taken, -torch.inf).argmax())
        taken[best] = True
        order.append(best)
        chosen = torch.tensor(order)
        residual = target - own[chosen].total(fit(own, chosen, penalty))
    return torch.tensor(order, dtype=torch.int64)


def ridge_of(own: Gradients, penalty: float) -> Tensor:
    """The penalty on ||w||^2 in the units of the gradients, positive even where all of them vanish."""
    return penalty * own.squares().mean().double().clamp(min=1e-30)


def fit(own: Gradients, chosen: Tensor, penalty: float) -> Tensor:
    """Weights w >= 0 (m,) that minimise ||sum_chosen w_i g_i - sum g||^2 + ridge ||w||^2.

    With Gram matrix plus ridge L L^T and products c with the target, the objective is, up to a
    constant, ||L^T w - L^-1 c||^2: a small non-negative least-squares problem.
    """
    few = own[chosen].double()
    gram = few.products(few) + ridge_of(own, penalty) * torch.eye(len(chosen), dtype=torch.float64)
    factor = torch.linalg.cholesky(gram)
    goal = torch.linalg.solve_triangular(
        factor, few.along(own.total().double()).unsqueeze(1), upper=False
    )
    weights, _ = nnls(factor.T.numpy(), goal.squeeze(1).numpy())
    return torch.from_numpy(weights).float()


def positive(weights: Tensor) -> Tensor:
    """The weights with zeros raised to `FLOOR` of the mean, or ones if all of them are zero."""
    mean = weights.mean()
    return weights.clamp(min=float(FLOOR * mean)) if mean > 0 else torch.ones_like(weights)
