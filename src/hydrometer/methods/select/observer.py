"""What the network behind selection makes of a source: checked and timed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from hydrometer import students
from hydrometer.artifact.checks import finite
from hydrometer.artifact.rows import whole
from hydrometer.engine.environment import default_device
from hydrometer.engine.teachers import Teacher
from hydrometer.execute.lab import Lab
from hydrometer.methods.features import embed, look, observe, observer_recipe
from hydrometer.types import Source, Trial

__all__ = ["Seen", "head", "look", "network", "points", "see"]


@dataclass(frozen=True)
class Seen:
    """Finite features (n, d) and logits (n, k) of `train` by the network of one seed.

    `seconds` is what it took: the network's training, be it cached or not, and the look at `train`.
    """

    features: Tensor
    logits: Tensor
    seconds: float
    seed: int


def see(source: Source, seed: int = 0, epochs: int | None = None) -> Seen:
    """What the network of `features.observe` makes of `train`, trained for `epochs` if given.

    Raises:
        HydrometerError: A feature or logit is NaN or infinite.
    """
    start = time.perf_counter()
    seen = observe(source, seed, epochs)
    finite("features", seen.features)
    finite("logits", seen.logits)
    return Seen(seen.features, seen.logits, _spent(start, seen.seconds), seed)


def points(source: Source, features: str) -> tuple[Tensor, float]:
    """Finite features (n, d) of `train`, `network` or `pixels`, and the seconds they took.

    Raises:
        HydrometerError: No such features, or one of them is NaN or infinite.
    """
    start = time.perf_counter()
    found, training = embed(source, features)
    finite("features", found)
    return found, _spent(start, training)


def network(source: Source, seed: int = 0) -> Teacher:
    """The network behind `see`, trained now or recalled from the cache."""
    data = whole(source)
    trial = Trial(data.digest, source.digest, observer_recipe(source), seed)
    return Lab(source, default_device()).teach(trial, data)


def head(teacher: Teacher, images: Tensor) -> Tensor:
    """Weights (k, d) of the last layer, as the Jacobian of the logits of the first of some images."""
    seen = teacher.lens(images[:1]).requires_grad_()
    features, logits = students.features(teacher.model, seen)
    rows = [torch.autograd.grad(z, features, retain_graph=True)[0] for z in logits[0]]
    return torch.cat([row.flatten(1) for row in rows]).cpu()


def _spent(start: float, training: float) -> float:
    # Training that happened just now is within the elapsed time already.
    return max(training, time.perf_counter() - start)
