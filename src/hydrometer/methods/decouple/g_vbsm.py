"""G-VBSM: several teachers in turn, and statistics before convolutions as well."""

from __future__ import annotations

import numpy as np

from hydrometer.methods.decouple.recover import Switches, networks_for, recovered
from hydrometer.methods.decouple.views import least_crop
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Scalar, Source

SMALL = ("convnet(depth=2,norm=batch,width=64)", "resnet(depth=18,norm=batch)")
LARGE = ("torchvision:mobilenet_v2", "torchvision:shufflenet_v2_x0_5")
"""Networks beside the field's own, up to 64 pixels and above."""


@register("method", "g-vbsm")
def g_vbsm(
    source: Source,
    budget: Budget,
    *,
    steps: int = 1000,
    lr: float = 0.05,
    weight: float = 0.01,
    momentum: float = 0.8,
    networks: int = 2,
    init: str = "noise",
    epochs: int = 0,
    rng: np.random.Generator,
) -> CompressedSet:
    """Ask `networks` teachers in turn; match their batch norms and the inputs of their convolutions.

    Shao, Yin, Zhou, Zhang and Shen, "Generalized Large-Scale Data Condensation via Various Backbone
    and Statistical Matching" (G-VBSM, CVPR 2024, arXiv 2311.17950). Statistics are averages over the
    batch's own steps with `momentum`, the gradient that of the present step; those of convolutions
    are measured on all of train.

    Deviations: simplified. One to three teachers (the paper has four or five); channel statistics of
    convolutions without those of patches; no layers dropped at random; no data densification; averages
    start at the first statistics, not at zero. Others as for `sre2l`.

    Raises:
        HydrometerError: An argument is out of range.
    """
    small = min(source.shape[1:]) <= 64
    names = (*networks_for(source, ""), *(SMALL if small else LARGE))[: max(1, networks)]
    least = least_crop(source, 0.0)
    args: dict[str, Scalar] = {"steps": steps, "lr": lr, "weight": weight, "momentum": momentum}
    how = Switches(
        steps=steps,
        lr=lr,
        weight=weight,
        crop=lambda done: least,
        init=init,
        networks=names,
        epochs=epochs,
        convolutions=True,
        momentum=momentum,
    )
    named: dict[str, Scalar] = {**args, "networks": networks, "init": init, "epochs": epochs}
    return recovered(source, budget, how, "g-vbsm", named, rng=rng)
