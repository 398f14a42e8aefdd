"""Gradient matching under differentiable siamese augmentation."""

from __future__ import annotations

import dataclasses

import numpy as np

from hydrometer.methods.match.dc import dc
from hydrometer.methods.match.outer import Watch
from hydrometer.registry import parse, register
from hydrometer.types import Budget, CompressedSet, Source, Spec


@register("method")
def dsa(
    source: Source,
    budget: Budget,
    *,
    iterations: int | None = None,
    outer: int | None = None,
    inner: int | None = None,
    lr: float = 0.1,
    lr_net: float = 0.01,
    batch: int = 256,
    start: str = "real",
    student: str = "",
    width: int = 0,
    checks: int = 4,
    watch: Watch | None = None,
    rng: np.random.Generator,
) -> CompressedSet:
    """`dc` with the same random view of real and synthetic images, started from real images.

    Zhao and Bilen, "Dataset Condensation with Differentiable Siamese Augmentation" (ICML 2021,
    arXiv 2102.08259), equation 5; arguments, defaults, deviations and errors are those of `dc`.
    """
    made = dc(
        source, budget, iterations=iterations, outer=outer, inner=inner, lr=lr, lr_net=lr_net,
        batch=batch, augment=True, start=start, student=student, width=width, checks=checks, watch=watch,
        rng=rng,
    )  # fmt: skip
    spec = parse(made.card.method)
    args = tuple((k, v) for k, v in spec.args if k != "augment")
    card = made.card.model_copy(update={"method": str(Spec("dsa", args))})
    return dataclasses.replace(made, card=card)
