"""Improved distribution matching: partitioned images, networks in training, classes kept apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hydrometer import students
from hydrometer.artifact.composites import expand
from hydrometer.methods.match.dm import mean_features
from hydrometer.methods.match.images import Canvas, counts, is_small, student_for
from hydrometer.methods.match.outer import Descent, Watch
from hydrometer.methods.match.pixels import Frame, Steps, learn
from hydrometer.methods.match.pool import Pool
from hydrometer.methods.match.sampler import Layout, Sampler
from hydrometer.methods.match.siamese import Views
from hydrometer.methods.match.tiles import refuse_bad_factor
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, HydrometerError, Scalar, Source

_MOMENTUM = 0.5
_FIRST = 3
"""Networks in the queue before the first iteration, as in the authors' code."""


@dataclass(frozen=True)
class _Usual:
    iterations: int
    factor: int
    batch: int
    every: int
    steps: int
    separation: float

    def asked(self, given: Mapping[str, float | None]) -> _Usual:
        """The numbers with what a user gave; None leaves a number as it is."""
        changes = {name: value for name, value in given.items() if value is not None}
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


_SMALL = _Usual(300, 1, 256, 10, 2, 1.0)
_USUAL = {
    1: _Usual(20_000, 2, 5000, 5, 10, 50.0),
    10: _Usual(20_000, 2, 256, 30, 10, 50.0),
    50: _Usual(20_000, 2, 256, 30, 10, 10.0),
}
"""The settings of the authors' code for CIFAR-10, by the largest images per class they are for."""


@register("method")
def idm(
    source: Source,
    budget: Budget,
    *,
    iterations: int | None = None,
    factor: int | None = None,
    lr: float = 0.2,
    batch: int | None = None,
    separation: float | None = None,
    pool: int = 100,
    every: int | None = None,
    turns: int = 2,
    steps: int | None = None,
    augment: bool = True,
    start: str = "real",
    student: str = "",
    width: int = 0,
    checks: int = 4,
    watch: Watch | None = None,
    rng: np.random.Generator,
) -> CompressedSet:
    """`dm` on the enlarged tiles of each image, under networks in training, with classes kept apart.

    Minimises Σ_c ‖mean φ_θ(A_ω B_c) − mean φ_θ(A_ω d(S_c))‖² + w a(θ) Σ_c ℓ(f_θ(A_ω d(S_c)), c), where
    d cuts an image into `factor` x `factor` tiles and enlarges each, w is `separation`, ℓ the mean
    cross entropy, and a(θ) the fraction that θ got right in its last turn of training. Zhao, Li, Qin
    and Yu, "Improved Distribution Matching for Dataset Condensation" (CVPR 2023, arXiv 2307.09742),
    sections 4.1 to 4.3. θ is drawn from a queue of at most `pool` networks; a new one joins `every`
    so many iterations, and after each iteration `turns` of them take `steps` steps on real images.

    What is None is the code's setting for CIFAR-10 at that many images per class, or one for a
    processor up to 16 pixels: 300 iterations, whole images, two steps, w = 1. Images are stored as
    they are learned: with a factor of 2 students must be trained on their enlarged tiles, as in the
    paper, and as `val` is looked at here; a note of the card says so. Other arguments are those of `dm`.
    Deviations: all classes take one step together; `separation` is 100 times the code's weight, which
    multiplies percentages; a(θ) is of the last turn, the code's since its last evaluation.

    Raises:
        HydrometerError: An argument is out of range, the student is unknown or keeps running
            statistics, a class is too small for the budget, or the loss diverged.
    """
    plan = _usual(source, budget).asked(
        {
            "iterations": iterations, "factor": factor, "batch": batch, "every": every,
            "steps": steps, "separation": separation,
        }
    )  # fmt: skip
    _refuse_bad(source, plan, pool, turns)
    matched = student_for(source, student, width)
    args: dict[str, Scalar] = {**dataclasses.asdict(plan), **matched.args}
    args |= {"lr": lr, "pool": pool, "turns": turns, "augment": augment}
    args |= {"start": start, "checks": checks}

    def begin_steps(canvas: Canvas) -> Steps:
        sampler = Sampler(source, canvas.lens, canvas.classes, rng)
        views = Views(augment, rng, canvas.lens.device)
        optimiser = Descent(canvas.images, lr, _MOMENTUM)
        layout, labels = canvas.layout(plan.factor**2), canvas.class_labels()
        networks = Pool(matched.spec, source, sampler.images, pool, rng)
        for _ in range(_FIRST):
            networks.grow()

        def step(iteration: int) -> float:
            if iteration % plan.every == 0:
                networks.grow()
            model, accuracy = networks.draw()
            real, real_layout = sampler.draw(plan.batch)
            draws = views.draw(len(real))
            with torch.no_grad():
                goal = mean_features(model, views(real, draws), real_layout)
            seen = views(expand(canvas.images, plan.factor)[layout.rows], draws)
            made, surprise = terms(model, seen, layout, labels)
            loss = (made - goal).square().sum() + plan.separation * accuracy * surprise.sum()
            (canvas.images.grad,) = torch.autograd.grad(loss, canvas.images)
            optimiser.step()
            networks.train(turns, plan.steps)
            return float(loss.detach())

        return Steps(step, {"images": optimiser, "pool": networks})

    frame = Frame("idm", args, plan.iterations, checks, start, watch, plan.factor)
    return learn(source, budget, frame, begin_steps, rng)


def terms(
    model: nn.Module, images: Tensor, layout: Layout, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean features (k, d) and mean cross entropies (k,) of k classes of images (k, b, c, h, w).

    `labels` (k,) are the classes.
    """
    features, logits = students.features(model, images.flatten(0, 1))
    shape = images.shape[:2]
    wanted = labels[:, None].expand(shape).flatten()
    losses = F.cross_entropy(logits, wanted, reduction="none").view(shape)
    return layout.mean(features.reshape(*shape, -1)), (losses * layout.share).sum(1)


def _usual(source: Source, budget: Budget) -> _Usual:
    if is_small(source):
        return _SMALL
    most = max(counts(source, budget), default=0)
    return next((usual for ipc, usual in _USUAL.items() if most <= ipc), _USUAL[50])


def _refuse_bad(source: Source, plan: _Usual, pool: int, turns: int) -> None:
    refuse_bad_factor(plan.factor, source)
    least = {"batch": 1, "every": 1, "pool": 1, "turns": 0, "steps": 0}
    for name, value in (*dataclasses.asdict(plan).items(), ("pool", pool), ("turns", turns)):
        if name in least and value < least[name]:
            raise HydrometerError(f"idm: {name} is {value}; give at least {least[name]}")
