"""DWA: every batch has a teacher of its own, its weights pushed uphill on that batch's real images."""

from __future__ import annotations

import numpy as np

from hydrometer.methods.decouple.recover import Switches, networks_for, recovered
from hydrometer.methods.decouple.views import least_crop
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Scalar, Source


@register("method")
def dwa(
    source: Source,
    budget: Budget,
    *,
    steps: int = 1000,
    lr: float = 0.25,
    weight: float = 0.01,
    variance: float = 11.0,
    perturbation: float = 0.0015,
    ascent: int = 12,
    init: str = "real",
    teacher: str = "",
    epochs: int = 0,
    rng: np.random.Generator,
) -> CompressedSet:
    """Recover as SRe2L does from real images, each batch through weights perturbed against it.

    Du, Zhang, Hu, Huang and Zhou, "Diversity-Driven Synthesis" (DWA, NeurIPS 2024, arXiv 2409.17612):
    `ascent` steps of the normalised gradient of the cross entropy on the starting images, `perturbation`
    in all, and variances weighing `variance` times the means. These three defaults are from memory of
    the paper, not checked against it. Other arguments and deviations as for `sre2l`.

    Raises:
        HydrometerError: An argument is out of range, or the teacher has no batch norm.
    """
    least = least_crop(source, 0.0)
    args: dict[str, Scalar] = {
        "steps": steps,
        "lr": lr,
        "weight": weight,
        "variance": variance,
        "init": init,
    }
    how = Switches(
        steps=steps,
        lr=lr,
        weight=weight,
        crop=lambda done: least,
        init=init,
        networks=networks_for(source, teacher),
        epochs=epochs,
        variance_weight=variance,
        perturbation=perturbation,
        ascent=ascent,
    )
    more: dict[str, Scalar] = {
        "perturbation": perturbation,
        "ascent": ascent,
        "teacher": teacher,
        "epochs": epochs,
    }
    return recovered(source, budget, how, "dwa", {**args, **more}, rng=rng)
