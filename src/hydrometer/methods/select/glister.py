"""GLISTER: keep the images whose gradient step lowers the loss on held-out images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hydrometer.artifact.checks import finite
from hydrometer.methods.select.greedy import greedy
from hydrometer.methods.select.last_layer import Gradients, gradients
from hydrometer.methods.select.observer import look, network, see
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Source, Spec


@register("method")
def glister(
    source: Source,
    budget: Budget,
    *,
    rate: float = 0.1,
    chunk: int = 1,
    rng: np.random.Generator,
) -> CompressedSet:
    """Keep, class by class, the images with the largest <g_x, gradient of the loss on `val`>.

    After each `chunk` of images the last layer takes a step along their gradients and the gradient on
    `val`, all classes of it, is computed anew. Direction: a greedy order, and the only one.
    Selections are nested. Gradients are exact, of the last layer and its bias.

    Killamsetty et al., "GLISTER" (AAAI 2021), algorithm 2. Deviations: every class
    starts from the trained network and moves it by its own images alone, without which a smaller
    budget would be no prefix of a larger one; `rate` is in units of the class's mean 1 + ||h||^2, so
    that an image moves its own logits by about `rate` times its error. Public code never renews the
    gradient on `val`, by a misspelt argument, and so ranks once.

    Raises:
        HydrometerError: `rate` or `chunk` is out of range, or the source has no `val`.
    """
    if rate <= 0 or chunk < 1:
        raise HydrometerError(f"rate={rate}, chunk={chunk}: give a rate above 0 and a chunk from 1")
    if not len(source.val):
        raise HydrometerError(f"glister needs a val split, and source {source.name!r} has none")
    seen = see(source)
    features, logits = look(network(source), source.val.images)
    finite("val features", features)

    def choose(members: Tensor, count: int) -> Tensor:
        own = gradients(seen.features[members], seen.logits[members], source.train.labels[members])
        return descend(own, features, logits, source.val.labels, count, rate=rate, chunk=chunk)

    method = Spec("glister", (("chunk", chunk), ("rate", rate)))
    return greedy(source, budget, choose, method=method, seconds=seen.seconds)


def descend(
    own: Gradients,
    features: Tensor,
    logits: Tensor,
    labels: Tensor,
    count: int,
    *,
    rate: float,
    chunk: int = 1,
) -> Tensor:
    """Positions (count,) in order of choice, given features, logits and labels of held-out images.

    A step of size s along the gradients of chosen images j moves the logits of a held-out image v by
    -s sum_j (1 + <h_v, h_j>) err_j, so the weights of the layer are never needed. The lowest position
    wins ties.
    """
    step = rate / own.inputs.square().sum(1).mean()
    taken = torch.zeros(len(own.errors), dtype=torch.bool)
    order: list[Tensor] = []
    for start in range(0, count, chunk):
        held_out = gradients(features, logits, labels)
        gain = own.along(held_out.total()).masked_fill(taken, -torch.inf)
        best = gain.argsort(descending=True, stable=True)[: min(chunk, count - start)]
        taken[best] = True
        order.append(best)
        logits = logits - step * held_out.inputs @ own[best].inputs.T @ own.errors[best]
    return torch.cat(order)
