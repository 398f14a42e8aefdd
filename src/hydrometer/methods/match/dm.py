"""Distribution matching: class means of features under random networks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hydrometer import students
from hydrometer.methods.match.images import Canvas, is_small, student_for
from hydrometer.methods.match.networks import fresh
from hydrometer.methods.match.outer import Descent, Watch
from hydrometer.methods.match.pixels import Frame, Steps, learn
from hydrometer.methods.match.sampler import Layout, Sampler
from hydrometer.methods.match.siamese import Views
from hydrometer.registry import register
from hydrometer.types import Budget, CompressedSet, Source

_MOMENTUM = 0.5


@register("method")
def dm(
    source: Source,
    budget: Budget,
    *,
    iterations: int | None = None,
    lr: float = 1.0,
    batch: int = 256,
    augment: bool = True,
    start: str = "real",
    student: str = "",
    width: int = 0,
    checks: int = 4,
    watch: Watch | None = None,
    rng: np.random.Generator,
) -> CompressedSet:
    """Pull each class's mean feature towards the real one, under a new random network every time.

    Minimises E_θ Σ_c ‖mean φ_θ(A_ω B_c) − mean φ_θ(A_ω S_c)‖², θ at its initialisation, ω shared by
    real and synthetic images of a class; SGD on the pixels with momentum 0.5. Zhao and Bilen,
    "Dataset Condensation with Distribution Matching" (WACV 2023, arXiv 2110.04181), equation 6.

    `iterations` None is the paper's 20 000, or 300 up to 16 pixels, where the network defaults to a
    ConvNet-2 of width 32. `batch` real images of each class are drawn at a time, or all there are.
    `start` is `real` or `noise`. The set is the best of `checks` iterates on `val` (0: the last).
    `watch` is called after every iteration. The paper uses lr 10 from 100 images per class on.
    Deviations: all classes pass in one forward, exact for networks without batch statistics; draws
    of the augmentation are independent, where released code restarts one generator for each.

    Raises:
        HydrometerError: An argument is out of range, the student is unknown or keeps running
            statistics, a class is too small for the budget, or the loss diverged.
    """
    if iterations is None:
        iterations = 300 if is_small(source) else 20_000
    matched = student_for(source, student, width)
    args = {"iterations": iterations, "lr": lr, "batch": batch, "augment": augment}
    rest = {"start": start, "checks": checks, **matched.args}

    def begin_steps(canvas: Canvas) -> Steps:
        sampler = Sampler(source, canvas.lens, canvas.classes, rng)
        views = Views(augment, rng, canvas.lens.device)
        optimiser = Descent(canvas.images, lr, _MOMENTUM)
        layout = canvas.layout()

        def step(_: int) -> float:
            model = fresh(matched.spec, source, rng, canvas.lens.device)
            real, real_layout = sampler.draw(batch)
            draws = views.draw(len(real))
            with torch.no_grad():
                goal = mean_features(model, views(real, draws), real_layout)
            made = mean_features(model, views(canvas.images[layout.rows], draws), layout)
            loss = (made - goal).square().sum()
            optimiser.zero_grad()
            (canvas.images.grad,) = torch.autograd.grad(loss, canvas.images)
            optimiser.step()
            return float(loss.detach())

        return Steps(step, {"images": optimiser})

    frame = Frame("dm", {**args, **rest}, iterations, checks, start, watch)
    return learn(source, budget, frame, begin_steps, rng)


def mean_features(model: nn.Module, images: Tensor, layout: Layout) -> Tensor:
    """Mean penultimate features (k, d) of each class's images (k, b, c, h, w)."""
    found, _ = students.features(model, images.flatten(0, 1))
    return layout.mean(found.reshape(*images.shape[:2], -1))
