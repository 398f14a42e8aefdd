"""CDA: SRe2L whose crops start whole and shrink."""

from __future__ import annotations

import math

import numpy as np

from hydrometer.methods.decouple.recover import Switches, networks_for, recovered
from hydrometer.methods.decouple.views import least_crop
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Scalar, Source


@register("method")
def cda(
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
    """Recover as SRe2L does, the least area of crops falling from 1 to `crop` along a cosine.

    Yin and Shen, "Dataset Distillation via Curriculum Data Synthesis in Large Data Era" (CDA, TMLR
    2024, arXiv 2311.18838). `crop` 0 is 0.08, and 0.5 up to 32 pixels, where the paper has no crops
    to say. Other arguments and deviations as for `sre2l`.

    Raises:
        HydrometerError: An argument is out of range, or the teacher has no batch norm.
    """
    least = least_crop(source, crop, small=0.5)
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
        crop=lambda done: least + (1 - least) * (1 + math.cos(math.pi * done)) / 2,
        init=init,
        networks=networks_for(source, teacher),
        epochs=epochs,
    )
    named: dict[str, Scalar] = {**args, "teacher": teacher, "epochs": epochs}
    return recovered(source, budget, how, "cda", named, rng=rng)
