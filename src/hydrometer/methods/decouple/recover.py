"""The engine of the decoupled methods: teachers, starting images, and statistics matched by Adam.

One file per method says which switches it sets. What they share: one image of each class a batch (whole
classes for those that match class by class), Adam with betas (0.5, 0.9) on normalised pixels under a
cosine to zero, pixels clipped to what an image can hold after every step, a random roll of the batch,
teachers in evaluation mode.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hydrometer import students
from hydrometer.artifact.container import make
from hydrometer.artifact.rows import believed, believing
from hydrometer.engine.environment import default_device
from hydrometer.engine.teachers import Teacher
from hydrometer.execute.lab import Lab
from hydrometer.methods.budget import per_class
from hydrometer.methods.decouple.statistics import (
    Layer,
    Matcher,
    batch_norms,
    convolutions,
    with_classes,
)
from hydrometer.methods.decouple.statistics import watched as watching
from hydrometer.methods.decouple.views import drawn
from hydrometer.methods.features import observer_recipe
from hydrometer.methods.stitch.rded import rded
from hydrometer.sources.draw import draw_class
from hydrometer.types import (
    Budget,
    CompressedSet,
    HydrometerError,
    Recipe,
    Scalar,
    Source,
    Spec,
    Trial,
)

INITIAL = ("noise", "real", "rded")
BATCH = 100
"""Images of a batch that holds whole classes."""
Crop = Callable[[float], float]
"""The least area of a crop, from the share of the steps that are done."""


@dataclass(frozen=True)
class Switches:
    """What the decoupled methods differ in.

    `weight` is of the statistics against cross entropy, `first` of the first layer and
    `variance_weight` of variances within it. `crop` gives the least area of random crops. `momentum`
    and `convolutions` are G-VBSM's, `perturbation` and `ascent` DWA's, `by_class`, `flatness` and
    `decay` EDC's: see `statistics.Matcher`, `_perturbed` and `Flat`.
    """

    steps: int
    lr: float
    weight: float
    crop: Crop
    init: str
    networks: tuple[str, ...]
    epochs: int
    first: float = 10.0
    variance_weight: float = 1.0
    convolutions: bool = False
    momentum: float = 0.0
    perturbation: float = 0.0
    ascent: int = 0
    by_class: float = 0.0
    flatness: float = 0.0
    decay: float = 0.9


@dataclass(frozen=True)
class Watched:
    """A teacher and the layers whose inputs are matched."""

    teacher: Teacher
    layers: Sequence[Layer]


def recovered(
    source: Source,
    budget: Budget,
    how: Switches,
    name: str,
    args: dict[str, Scalar],
    *,
    rng: np.random.Generator,
) -> CompressedSet:
    """The set that a method makes: hard labels, images in 8 bits.

    `name` and `args` are the method's on the card. Labels are hard, as a protocol with an online
    teacher adds its own.

    Raises:
        HydrometerError: An argument is out of range, or the budget asks for more than a class holds;
            found before any training.
    """
    _check(how)
    counts = per_class(source, budget)
    teachers = [_squeezed(source, network, how.epochs) for network in how.networks]
    start = time.perf_counter()
    watched_ones = [_watched(source, teacher, how) for teacher in teachers]
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    begun = _begun(source, budget, counts, how.init, teachers[0], rng)
    images = begun.clone()
    for rows in _of_classes(counts) if how.by_class else _rounds(counts):
        images[rows] = optimise(begun[rows], labels[rows], watched_ones, how, rng=rng)[0]
    return make(
        (images * 255).round().to(torch.uint8),
        labels,
        source=source,
        method=str(Spec(name, tuple(sorted(args.items())))),
        budget=str(budget),
        seed=None,
        seconds=time.perf_counter() - start + sum(t.card.seconds for t in teachers),
        notes=tuple(teacher.card.note for teacher in teachers),
    )


def optimise(
    begun: Tensor,
    labels: Tensor,
    watched_ones: Sequence[Watched],
    how: Switches,
    *,
    rng: np.random.Generator,
) -> tuple[Tensor, list[float]]:
    """One batch of images (n, c, h, w) in [0, 1], optimised; and the distance of moments by step.

    Each step asks the next teacher in turn.
    """
    lens = watched_ones[0].teacher.lens
    low, high = (lens(torch.full_like(begun[:1], value)) for value in (0.0, 1.0))
    seen, truth = lens(begun).clone().requires_grad_(True), labels.to(lens.device)
    models = [_perturbed(one, seen.detach(), truth, how) for one in watched_ones]
    matchers = [_matcher(one.layers, truth, how) for one in models]
    adam, history = torch.optim.Adam([seen], lr=how.lr, betas=(0.5, 0.9)), []
    flat = Flat(seen.detach(), how.decay)
    for step in range(how.steps):
        done, turn = step / how.steps, step % len(models)
        adam.param_groups[0]["lr"] = how.lr * (1 + math.cos(math.pi * done)) / 2
        view, model = drawn(seen, how.crop(done), rng), models[turn].model
        with watching([layer.module for layer in models[turn].layers]) as inputs:
            logits = model(view(seen))
        apart = matchers[turn](inputs())
        loss = F.cross_entropy(logits, truth) + how.weight * apart
        if how.flatness:
            loss = loss + how.flatness * flat.distance(logits, model, view)
        (seen.grad,) = torch.autograd.grad(loss, [seen])
        adam.step()
        with torch.no_grad():
            seen.copy_(seen.maximum(low).minimum(high))
        flat.follow(seen.detach())
        history.append(float(apart.detach()))
    return lens.whitening.unwhiten(seen.detach()).clamp(0, 1).cpu(), history


class Flat:
    """EDC's flat region: images whose logits stay near those of their own running average.

    Shao, Zhou, Chen and Shen (arXiv 2404.13733), "flatness regularization": the divergence of both
    predictions on the same view, at temperature 4, averaged over images and classes as released.
    """

    temperature = 4.0

    def __init__(self, images: Tensor, decay: float) -> None:
        self.images, self.decay = images.clone(), decay

    def distance(
        self, logits: Tensor, model: nn.Module, view: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """KL(average || now) of logits (n, k), with a gradient through the present images alone."""
        with torch.no_grad():
            steady = (model(view(self.images)) / self.temperature).softmax(-1)
        return F.kl_div(
            (logits / self.temperature).log_softmax(-1), steady, reduction="none"
        ).mean()

    def follow(self, images: Tensor) -> None:
        """Move the average towards the images by 1 - decay."""
        self.images.lerp_(images, 1 - self.decay)


def _matcher(layers: Sequence[Layer], labels: Tensor, how: Switches) -> Matcher:
    return Matcher(layers, how.first, how.variance_weight, how.momentum, how.by_class, labels)


def networks_for(source: Source, asked: str) -> tuple[str, ...]:
    """The teachers' networks, with | between them, else the field's with batch norm for the size."""
    if asked:
        return tuple(str(students.spec(name)) for name in asked.split("|"))
    found = students.default_for(source.shape)
    args = tuple((k, "batch" if k == "norm" else v) for k, v in found.args)
    return (str(Spec(found.name, args)),)


@dataclass(frozen=True)
class _Model:
    model: nn.Module
    layers: Sequence[Layer]


def _perturbed(one: Watched, images: Tensor, labels: Tensor, how: Switches) -> _Model:
    """The teacher, or a copy moved uphill on these images in `ascent` steps, `perturbation` in all.

    Each step is along the gradient of the cross entropy, normalised over all weights; batch norm's
    remembered moments stay, and so do their targets.
    """
    if not how.perturbation:
        return _Model(one.teacher.model, one.layers)
    model = copy.deepcopy(one.teacher.model).requires_grad_(True)
    weights = list(model.parameters())
    for _ in range(how.ascent):
        loss = F.cross_entropy(model(images), labels)
        grads = torch.autograd.grad(loss, weights)
        length = torch.stack([grad.norm() for grad in grads]).norm().clamp(min=1e-12)
        with torch.no_grad():
            for weight, grad in zip(weights, grads, strict=True):
                weight.add_(grad / length, alpha=how.perturbation / how.ascent)
    model.requires_grad_(False)
    return _Model(model, batch_norms(model))


def _watched(source: Source, teacher: Teacher, how: Switches) -> Watched:
    layers: list[Layer] = batch_norms(teacher.model)
    if how.convolutions:
        parts = torch.split(source.train.images, 512)
        layers = layers + convolutions(teacher.model, (teacher.lens(part) for part in parts))
    if how.by_class:
        train, classes = source.train, len(source.classes)
        pairs = zip(torch.split(train.images, 512), torch.split(train.labels, 512), strict=True)
        seen = ((teacher.lens(images), labels) for images, labels in pairs)
        layers = with_classes(teacher.model, layers, seen, classes)
    return Watched(teacher, layers)


def _squeezed(source: Source, network: str, epochs: int) -> Teacher:
    lab, data = Lab(source, default_device()), believed(source)
    recipe: Recipe = believing(observer_recipe(source, network), source)
    recipe = dataclasses.replace(recipe, epochs=epochs or recipe.epochs)
    return lab.teach(Trial(data.digest, source.digest, recipe, seed=0), data)


def _begun(
    source: Source,
    budget: Budget,
    counts: Sequence[int],
    init: str,
    judge: Teacher,
    rng: np.random.Generator,
) -> Tensor:
    """Starting images (n, c, h, w) in [0, 1], class by class; for rded, those the judge finds real.

    Noise is clipped to pixels already here, which the authors do from the first step on.
    """
    if init == "rded":
        return rded(source, budget, teacher=judge.card.digest, rng=rng).images.float() / 255
    if init == "real":
        rows = [draw_class(source, label, count, rng) for label, count in enumerate(counts)]
        return source.train.images[torch.cat(rows)].float() / 255
    noise = torch.from_numpy(rng.standard_normal((sum(counts), *source.shape), dtype=np.float32))
    mean, std = (torch.tensor(x).view(-1, 1, 1) for x in (source.mean, source.std))
    return (noise * std + mean).clamp(0, 1)


def _rounds(counts: Sequence[int]) -> list[Tensor]:
    """Rows of each batch: the j-th image of every class that has one."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return [
        torch.tensor([int(s) + j for s, count in zip(starts, counts, strict=True) if j < count])
        for j in range(max(counts, default=0))
    ]


def _of_classes(counts: Sequence[int]) -> list[Tensor]:
    """Rows of each batch: whole classes, as many as make up to BATCH images, at least one."""
    batches: list[Tensor] = []
    rows: list[Tensor] = []
    for part in torch.split(torch.arange(sum(counts)), list(counts)):
        if rows and sum(map(len, rows)) + len(part) > BATCH:
            batches.append(torch.cat(rows))
            rows = []
        rows.append(part)
    return [batch for batch in [*batches, torch.cat(rows)] if len(batch)]


def _check(how: Switches) -> None:
    if how.init not in INITIAL:
        raise HydrometerError(f"init={how.init!r} is unknown; known: {', '.join(INITIAL)}")
    if how.steps < 1 or how.lr <= 0 or how.weight < 0 or how.epochs < 0:
        raise HydrometerError(
            f"steps={how.steps}, lr={how.lr}, weight={how.weight} or epochs={how.epochs} is out of "
            "range; steps from 1, lr above 0, weight and epochs from 0"
        )
    if not 0 <= how.momentum < 1 or how.ascent < (1 if how.perturbation else 0):
        raise HydrometerError(
            f"momentum={how.momentum} or ascent={how.ascent} is out of range; momentum in [0, 1), "
            "ascent from 1"
        )
    if not 0 <= how.by_class <= 1 or how.flatness < 0 or not 0 <= how.decay < 1:
        raise HydrometerError(
            f"by_class={how.by_class}, flatness={how.flatness} or decay={how.decay} is out of range; "
            "by_class in [0, 1], flatness from 0, decay in [0, 1)"
        )
