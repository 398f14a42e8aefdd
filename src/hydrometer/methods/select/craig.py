"""CRAIG: keep the images whose gradients stand for those of the others, weighted by how many."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.select.facility_location import cover
from hydrometer.methods.select.greedy import greedy
from hydrometer.methods.select.last_layer import Gradients, gradients
from hydrometer.methods.select.observer import see
from hydrometer.methods.select.similarity import Rows, tabled
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def craig(source: Source, budget: Budget, *, rng: np.random.Generator) -> CompressedSet:
    """Keep, class by class, the images that minimise sum_i min_{j kept} ||g_i - g_j||.

    Direction: a greedy order, and the only one. The set carries weights: how many images of the class
    are nearest to each kept one, itself included, so that they sum to the class's size. Orders are
    nested, weights are not. Gradients are exact, of the last layer and its bias.

    Mirzasoleiman, Bilmes and Leskovec, "Coresets for Data-efficient Training of Machine Learning
    Models" (ICML 2020), algorithm 1. Deviations: the original bounds gradient distances by those of
    the errors alone, or of features for convex models; public code gives weights of one more than the
    cluster size.
    """
    seen = see(source)

    def own(members: Tensor) -> Gradients:
        return gradients(seen.features[members], seen.logits[members], source.train.labels[members])

    def choose(members: Tensor, count: int) -> Tensor:
        return medoids(own(members), count)

    def weigh(members: Tensor, chosen: Tensor) -> Tensor:
        return cluster_sizes(own(members), chosen)

    method = Spec("craig")
    return greedy(source, budget, choose, method=method, seconds=seen.seconds, weigh=weigh)


def medoids(own: Gradients, count: int) -> Tensor:
    """Positions (count,) of greedy facility location on a constant minus the distance."""
    size = len(own.errors)
    # The constant changes no choice as long as no distance exceeds it.
    bound = 2 * own.squares().max().sqrt()
    apart = distances(own)
    return cover(tabled(lambda batch: bound - apart(batch), size), size, count)


def cluster_sizes(own: Gradients, chosen: Tensor) -> Tensor:
    """How many gradients are nearest to each chosen one, (m,) float32; the first chosen wins ties."""
    everyone = torch.arange(len(own.errors))
    nearest = torch.cat(
        [distances(own)(part)[:, chosen].argmin(1) for part in torch.split(everyone, 1024)]
    )
    # Rounding must not hand a chosen image to a twin, whose weight would then be zero.
    nearest[chosen] = torch.arange(len(chosen))
    return torch.bincount(nearest, minlength=len(chosen)).float()


def distances(own: Gradients) -> Rows:
    """Rows of ||g_i - g_j|| from closed-form products; rounding leaves twins about 1e-3 ||g|| apart."""
    squares = own.squares()

    def rows(batch: Tensor) -> Tensor:
        apart = squares[batch, None] + squares - 2 * own[batch].products(own)
        apart[torch.arange(len(batch)), batch] = 0
        return apart.clamp_(min=0).sqrt_()

    return rows
