"""EDC: real images moved a little, towards the statistics of their class and into a flat region."""

from __future__ import annotations

import numpy as np

from hydrometer.methods.decouple.g_vbsm import LARGE, SMALL
from hydrometer.methods.decouple.recover import Switches, networks_for, recovered
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Scalar, Source


@register("method")
def edc(
    source: Source,
    budget: Budget,
    *,
    steps: int = 75,
    lr: float = 0.05,
    weight: float = 0.01,
    momentum: float = 0.8,
    by_class: float = 0.5,
    flatness: float = 1.0,
    crop: float = 0.0,
    networks: int = 2,
    init: str = "rded",
    epochs: int = 0,
    rng: np.random.Generator,
) -> CompressedSet:
    """Recover as G-VBSM does, from real images, in few steps, half of the matching class by class.

    Shao, Zhou, Chen and Shen, "Elucidating the Design Space of Dataset Condensation" (EDC, NeurIPS 2024,
    arXiv 2404.13733): `init` from real images (rded: those RDED chooses); soft category-aware matching,
    `by_class` of the statistics of each class beside those of all; `flatness` times the divergence from
    the prediction on a running average of the images. Batches hold whole classes, up to 100 images.
    Released scripts: 75 steps, rate 0.05, momentum 0.8, decay of the average 0.9, temperature 4.

    `crop` is the least area of crops (0: 0.5, and none up to 16 pixels). Deviations: those of `g-vbsm`;
    moments of single classes have no memory; one to three teachers, trained fully, where theirs on
    CIFAR are eight that saw about ten epochs; no flips; the released scripts leave flatness off by
    default, the paper has it on.

    Raises:
        HydrometerError: An argument is out of range.
    """
    side = min(source.shape[1:])
    extra = SMALL if side <= 64 else LARGE
    least = crop or (1.0 if side <= 16 else 0.5)
    args: dict[str, Scalar] = {
        "steps": steps,
        "lr": lr,
        "weight": weight,
        "momentum": momentum,
        "by_class": by_class,
        "flatness": flatness,
        "crop": crop,
        "networks": networks,
        "init": init,
        "epochs": epochs,
    }
    how = Switches(
        steps=steps,
        lr=lr,
        weight=weight,
        crop=lambda done: least,
        init=init,
        networks=(*networks_for(source, ""), *extra)[: max(1, networks)],
        epochs=epochs,
        convolutions=True,
        momentum=momentum,
        by_class=by_class,
        flatness=flatness,
    )
    return recovered(source, budget, how, "edc", args, rng=rng)
