"""Matching training trajectories: training on the images should go where experts went."""

from __future__ import annotations

import numpy as np

from hydrometer.methods.match.images import begin, counts, is_small, student_for
from hydrometer.methods.match.outer import Watch
from hydrometer.methods.match.trajectories import (
    Learner,
    Plan,
    default_whitening,
    largest_for,
    learn,
    prepare,
)
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Scalar, Source

SMALL = Plan(5, 20, 0.02, 64, 120, 15, 2, 0, 0.02, 100.0, 1e-5, max_start=8)
USUAL = {
    1: Plan(100, 50, 0.01, 256, 5000, 50, 2, 0, 0.01, 100.0, 1e-7, max_start=2),
    10: Plan(100, 50, 0.01, 256, 5000, 30, 2, 0, 0.01, 100.0, 1e-5, max_start=20),
    50: Plan(100, 50, 0.01, 256, 5000, 30, 2, 0, 0.001, 1000.0, 1e-5, max_start=40),
}
"""The settings of the authors' code for CIFAR-10, by the largest images per class they are for."""
_WHITENED = 10
"""Images per class up to which the authors whiten CIFAR-10; their settings for more go without."""


@register("method")
def mtt(
    source: Source,
    budget: Budget,
    *,
    iterations: int | None = None,
    steps: int | None = None,
    span: int | None = None,
    max_start: int | None = None,
    batch: int | None = None,
    rate: float | None = None,
    lr_images: float | None = None,
    lr_rate: float | None = None,
    experts: int | None = None,
    epochs: int | None = None,
    expert_lr: float | None = None,
    expert_batch: int | None = None,
    flat: float = 0.0,
    ema: float = 0.0,
    truncated: bool = False,
    whiten: str | None = None,
    start: str = "real",
    student: str = "",
    width: int = 0,
    checks: int = 4,
    watch: Watch | None = None,
    rng: np.random.Generator,
) -> CompressedSet:
    """Make `steps` of SGD on the images reproduce `span` epochs of an expert on the real ones.

    Minimises ‖θ_T − θ*_{s+M}‖² / ‖θ*_s − θ*_{s+M}‖² over pixels and the rate α of the inner SGD,
    from a random epoch s < `max_start` of a random expert, with DSA inside. Cazenavette, Wang,
    Torralba, Efros and Zhu, "Dataset Distillation by Matching Training Trajectories" (CVPR 2022,
    arXiv 2203.11932), equation 2. The learned rate is on the card as `student_lr`.

    What is None is the code's setting for CIFAR-10 at that many images per class, or one for a
    processor up to 16 pixels: 120 iterations, 15 steps, five experts of 20 epochs. FTD (Du et al.,
    CVPR 2023, arXiv 2211.11004) is `flat` experts, trained by GSAM of that α (0.3, or 1 from 50 images
    per class on) and `ema`, the decay of an average of the images that is judged and returned (0.9999,
    0.9995 and 0.999 at 1, 10 and 50), where its code keeps the better of average and images.
    `truncated` takes TESLA's gradient instead of the exact one. `whiten` None is ZCA, or plain
    normalisation above ten images per class, as there, and up to 16 pixels; the set is stored as
    pixels. `checks` iterates are compared on `val` (0: the last). Deviations: exact gradients by the
    adjoint instead of an unrolled graph, to rounding the same; the rate is kept positive.

    Raises:
        HydrometerError: A window leaves the experts' training, an argument is out of range, a class
            is too small for the budget, an expert file is damaged, or the loss diverged.
    """
    wanted = counts(source, budget)
    small = is_small(source)
    usual = SMALL if small else largest_for(max(wanted, default=0), USUAL)
    given: dict[str, int | float | None] = {
        "iterations": iterations, "steps": steps, "span": span, "max_start": max_start,
        "batch": batch, "rate": rate, "lr_images": lr_images, "lr_rate": lr_rate,
        "experts": experts, "epochs": epochs, "expert_lr": expert_lr, "expert_batch": expert_batch,
        "flat": flat, "ema": ema,
    }  # fmt: skip
    plan = usual.asked(given)
    setting = prepare(
        source,
        student_for(source, student, width),
        default_whitening(whiten, plain=small or max(wanted, default=0) > _WHITENED),
        plan,
        empty=not sum(wanted),
    )
    canvas = begin(source, setting.lens, wanted, start, rng)
    learner = Learner(setting, canvas, None, truncated=truncated, rng=rng)
    args: dict[str, Scalar] = {name: getattr(plan, name) for name in given}
    args |= {"truncated": truncated, "start": start, "checks": checks}
    return learn(learner, budget, method="mtt", args=args, checks=checks, watch=watch)
