"""Difficulty-aligned trajectory matching with learned soft labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hydrometer.methods.match.images import Canvas, counts, is_small, on_canvas, student_for
from hydrometer.methods.match.outer import Watch
from hydrometer.methods.match.trajectories import (
    Learner,
    Plan,
    Setting,
    default_whitening,
    largest_for,
    learn,
    prepare,
)
from hydrometer.registry import register
from hydrometer.sources.draw import draw_class
from hydrometer.types import Budget, CompressedSet, Scalar, Source

SMALL = Plan(
    5, 20, 0.02, 64, 120, 15, 2, 0, 0.02, 100.0, 1e-5,
    max_start=8, first_bound=4, grown=60, lr_labels=2.0, skip_above=1.0,
)  # fmt: skip
USUAL = {
    1: Plan(
        100, 100, 0.01, 256, 10_000, 80, 2, 10, 0.01, 100.0, 1e-7,
        max_start=4, lr_labels=5.0, skip_above=1.1,
    ),
    10: Plan(
        100, 100, 0.01, 256, 10_000, 80, 2, 100, 0.01, 100.0, 1e-5,
        max_start=20, first_bound=10, grown=1000, lr_labels=2.0, skip_above=1.0,
    ),
    50: Plan(
        100, 100, 0.01, 256, 10_000, 80, 2, 500, 0.01, 1000.0, 1e-5,
        max_start=40, first_bound=20, grown=2000, lr_labels=2.0, skip_above=1.0,
    ),
    500: Plan(
        100, 100, 0.01, 256, 10_000, 40, 2, 1000, 0.01, 50.0, 1e-5,
        max_start=60, min_start=40, lr_labels=10.0, skip_above=1.0,
    ),
    1000: Plan(
        100, 100, 0.01, 256, 10_000, 100, 2, 1000, 0.01, 50.0, 1e-5,
        max_start=60, min_start=40, lr_labels=10.0, skip_above=1.0,
    ),
}  # fmt: skip
"""The settings of the authors' code for CIFAR-10, by the largest images per class they are for."""
_CANDIDATES = 4
"""Images looked at for each that is needed, to find those the experts get right."""
_BATCH = 512


@register("method")
def datm(
    source: Source,
    budget: Budget,
    *,
    iterations: int | None = None,
    steps: int | None = None,
    span: int | None = None,
    min_start: int | None = None,
    first_bound: int | None = None,
    max_start: int | None = None,
    grown: int | None = None,
    batch: int | None = None,
    rate: float | None = None,
    lr_images: float | None = None,
    lr_labels: float | None = None,
    lr_rate: float | None = None,
    skip_above: float | None = None,
    experts: int | None = None,
    epochs: int | None = None,
    expert_lr: float | None = None,
    expert_batch: int | None = None,
    flat: float = 0.0,
    truncated: bool = False,
    whiten: str | None = None,
    student: str = "",
    width: int = 0,
    checks: int = 4,
    watch: Watch | None = None,
    rng: np.random.Generator,
) -> CompressedSet:
    """`mtt` on the stretch of training that suits the budget, with soft labels that are learned too.

    Windows start in epochs `min_start` to a bound that grows from `first_bound` to `max_start`:
    early and easy ones for few images, late ones for many. Labels are logits, trained with the
    pixels through their softmax; they start as the mean last logits of the experts that are right
    about an image, and images as ones experts get right. Guo, Wang, Cazenavette, Li, Zhang and You,
    "Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory Matching" (ICLR 2024,
    arXiv 2310.05773), sections 3.2 and 3.3. Iterations with a loss above `skip_above` are skipped.

    What is None is the code's setting for CIFAR-10 at that many images per class, or one for a
    processor up to 16 pixels. Other arguments, errors and deviations as in `mtt`; besides, experts
    are plain SGD ones unless `flat` is the paper's 0.3 (FTD, at twice the time), and of four random
    candidates for each image those come first that some expert gets right.
    """
    wanted = counts(source, budget, soft=True)
    small = is_small(source)
    usual = SMALL if small else largest_for(max(wanted, default=0), USUAL)
    given: dict[str, int | float | None] = {
        "iterations": iterations, "steps": steps, "span": span, "min_start": min_start,
        "first_bound": first_bound, "max_start": max_start, "grown": grown, "batch": batch,
        "rate": rate, "lr_images": lr_images, "lr_labels": lr_labels, "lr_rate": lr_rate,
        "skip_above": skip_above, "experts": experts, "epochs": epochs, "expert_lr": expert_lr,
        "expert_batch": expert_batch, "flat": flat,
    }  # fmt: skip
    plan = usual.asked(given)
    setting = prepare(
        source,
        student_for(source, student, width),
        default_whitening(whiten, plain=small),
        plan,
        empty=not sum(wanted),
    )
    canvas, logits = agreed(setting, wanted, rng)
    learner = Learner(setting, canvas, logits, truncated=truncated, rng=rng)
    args: dict[str, Scalar] = {name: getattr(plan, name) for name in given}
    args |= {"truncated": truncated, "checks": checks}
    return learn(learner, budget, method="datm", args=args, checks=checks, watch=watch)


def agreed(
    setting: Setting, wanted: Sequence[int], rng: np.random.Generator
) -> tuple[Canvas, Tensor]:
    """Real images that experts get right, as a canvas, with the mean logits (n, k) of those experts."""
    source = setting.source
    rows, logits = [], []
    for label, need in enumerate(wanted):
        if not need:
            continue
        size = int((source.train.labels == label).sum())
        drawn = draw_class(source, label, min(size, _CANDIDATES * need), rng)
        right, mean = opinion(setting, setting.lens(source.train.images[drawn]), label)
        first = right.logical_not().to(torch.int8).argsort(stable=True)[:need].cpu()
        rows.append(drawn[first])
        logits.append(mean[first.to(mean.device)])
    if not rows:
        nothing = setting.lens(source.train.images[:0])
        return on_canvas(nothing, source.train.labels[:0], setting.lens), torch.zeros(
            0, len(source.classes)
        )
    every = torch.cat(rows)
    images = setting.lens(source.train.images[every])
    return on_canvas(images, source.train.labels[every], setting.lens), torch.cat(logits)


@torch.no_grad()
def opinion(setting: Setting, images: Tensor, label: int) -> tuple[Tensor, Tensor]:
    """Whether any expert is right (n,), and mean logits (n, k) of those that are, or else of all."""
    network = setting.network
    last = [e.at(setting.plan.epochs).to(setting.device) for e in setting.experts]
    votes = torch.stack(
        [torch.cat([network(w, part) for part in torch.split(images, _BATCH)]) for w in last]
    )
    right = votes.argmax(-1) == label
    heard = torch.where(right.any(0), right, torch.ones_like(right)).float()
    mean = (votes * heard[..., None]).sum(0) / heard.sum(0)[:, None]
    return right.any(0), mean
