"""From an order of choice within each class to a compressed set: budget, weights, card."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from hydrometer.artifact.rows import from_rows
from hydrometer.methods.budget import per_class
from hydrometer.types import Budget, CompressedSet, Source, Spec

Choose = Callable[[Tensor, int], Tensor]
"""Positions (count,) among a class's rows (n,), in order of choice; at least one is asked for."""
Weigh = Callable[[Tensor, Tensor], Tensor]
"""Weights of the chosen positions, given the class's rows and the positions."""
WEIGHT_BYTES = 4


def greedy(
    source: Source,
    budget: Budget,
    choose: Choose,
    *,
    method: Spec,
    seconds: float,
    weigh: Weigh | None = None,
) -> CompressedSet:
    """The images that `choose` takes from each class, class by class and in its order.

    `seconds` is what was spent before, on features and gradients. With `weigh` the set carries
    weights, which a budget in bytes pays for.
    """
    start = time.perf_counter()
    rows, weights = [torch.empty(0, dtype=torch.int64)], [torch.empty(0)]
    for label, count in enumerate(per_class(source, budget, WEIGHT_BYTES if weigh else 0)):
        if not count:
            continue
        members = (source.train.labels == label).nonzero().flatten()
        chosen = choose(members, count)
        rows.append(members[chosen])
        if weigh:
            weights.append(weigh(members, chosen))
    return from_rows(
        source,
        torch.cat(rows),
        method=str(method),
        budget=str(budget),
        seconds=seconds + time.perf_counter() - start,
        weights=torch.cat(weights) if weigh else None,
    )
