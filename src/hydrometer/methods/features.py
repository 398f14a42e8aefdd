"""Features in which selection methods measure distance: pixels, or a network trained on the source."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hydrometer import digest, students
from hydrometer.artifact.rows import whole
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import exam_batch
from hydrometer.engine.teachers import Teacher
from hydrometer.execute.lab import Lab
from hydrometer.types import CompressedSet, HydrometerError, Recipe, Source, Spec, Trial


def observer_recipe(source: Source, student: str = "") -> Recipe:
    """How the network behind `network` features is trained: four short epochs, or 300 steps."""
    return Recipe(
        student=students.asked(student, source.shape),
        optimiser=Spec("sgd", (("momentum", 0.9), ("weight_decay", 5e-4))),
        lr=0.03,
        schedule=Spec("triangle", (("warmup", 0.2),)),
        epochs=max(4, -(-300 // -(-len(source.train) // 64))),
        batch=64,
    )


@dataclass(frozen=True)
class Observed:
    """What a briefly trained network makes of `train`: features (n, d), logits (n, k), and its cost.

    `seconds` are those of training the network, charged to every method that uses it though it is
    cached, and of this look.
    """

    features: Tensor
    logits: Tensor
    seconds: float


_last: dict[str, Observed] = {}
"""The last look, by the key of the network's trial: methods in a row look at the same images."""


def observe(source: Source, seed: int = 0, epochs: int | None = None) -> Observed:
    """Features of the last layer's input, and logits, of the network of `observer_recipe`.

    With `epochs`, of one that was trained for as many instead of the recipe's.
    The tensors are shared by every caller of one process; nobody writes into them.
    """
    data = whole(source)
    how = observer_recipe(source)
    how = how if epochs is None else replace(how, epochs=epochs)
    trial = Trial(data.digest, source.digest, how, seed)
    key = digest.of_trial(trial)
    if key not in _last:
        # First, so that the features of two networks are never in memory together.
        _last.clear()
        _last[key] = _look(source, trial, data)
    return _last[key]


def _look(source: Source, trial: Trial, data: CompressedSet) -> Observed:
    teacher = Lab(source, default_device()).teach(trial, data)
    start = time.perf_counter()
    features, logits = look(teacher, source.train.images)
    return Observed(features, logits, teacher.card.seconds + time.perf_counter() - start)


def look(teacher: Teacher, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features (n, d) and logits (n, k) of stored images, on the CPU."""
    size = exam_batch(images.shape, 1)
    features = logits = torch.empty(0)
    for start in range(0, max(1, len(images)), size):
        rows = slice(start, start + size)
        found, scores = students.features(teacher.model, teacher.lens(images[rows]))
        if not start:
            # Filled in place: pieces kept between large activations would pin the memory of these.
            features = torch.empty(len(images), found.flatten(1).shape[1])
            logits = torch.empty(len(images), scores.shape[1])
        features[rows], logits[rows] = found.flatten(1).detach(), scores.detach()
    return features, logits


def embed(source: Source, features: str) -> tuple[Tensor, float]:
    """Features (n, d) float32 of `train` by name, and the seconds of training behind them."""
    if features == "network":
        seen = observe(source)
        return seen.features, seen.seconds
    if features != "pixels":
        raise HydrometerError(f"features {features!r} are unknown; known: network, pixels")
    lens, images = Lab(source, default_device()).lens(None), source.train.images
    found = torch.empty(len(images), images.shape[1:].numel())
    for part, stored in zip(torch.split(found, 1024), torch.split(images, 1024), strict=True):
        part.copy_(lens(stored).flatten(1))
    return found, 0.0
