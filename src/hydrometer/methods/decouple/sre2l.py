"""SRe2L: images from noise whose batch-norm statistics inside a teacher match those of real images."""

from __future__ import annotations

import numpy as np

from hydrometer.methods.decouple.recover import Switches, networks_for, recovered
from hydrometer.methods.decouple.views import least_crop
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Scalar, Source


@register("method")
def sre2l(
    source: Source,
    budget: Budget,
    *,
    steps: int = 1000,
    lr: float = 0.25,
    weight: float = 0.01,
    crop: float = 0.0,
    init: str = "noise",
    teacher: str = "",
    epochs: int = 0,
    rng: np.random.Generator,
) -> CompressedSet:
    """Cross entropy of a teacher plus `weight` times the distance of its batch-norm statistics.

    Yin, Xing and Shen, "Squeeze, Recover and Relabel" (SRe2L, NeurIPS 2023, arXiv 2306.13092):
    sum over layers of ||mean - running mean||_2 + ||variance - running variance||_2, the first 10 times;
    1000 steps on CIFAR (4000 on ImageNet-1K), rate 0.25, random crops from 8 % above 32 pixels.

    `crop` is the least area of crops (0: as above). `init` is noise, real or rded. `teacher` is a
    network with batch norm, by default the field's for the size, or several with | between them, asked
    in turn (as CV-DD does, arXiv 2501.07575); `epochs` trains them (0: briefly, as the observer of all
    methods). The card has their digests, recipes and accuracies. Deviations: no flips, hard labels (a
    protocol with a teacher relabels), images in 8 bits.

    Raises:
        HydrometerError: An argument is out of range, or the teacher has no batch norm.
    """
    least = least_crop(source, crop)
    args: dict[str, Scalar] = {
        "steps": steps,
        "lr": lr,
        "weight": weight,
        "crop": crop,
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
    )
    named: dict[str, Scalar] = {**args, "teacher": teacher, "epochs": epochs}
    return recovered(source, budget, how, "sre2l", named, rng=rng)
